"""Requests for blocks: those that can be answered against float64, those out of range by what they are answered with."""

from __future__ import annotations

import contextlib
import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from fuzz.explained import Tally
from fuzz.odd_values import odd_value
from support.records import dense_scores, random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.compute.masks import Band
from attnwidget.protocol.codec import decode
from attnwidget.record.positions import index_position
from attnwidget.record.stream import Stream
from attnwidget.serve.source import RecordSource

if TYPE_CHECKING:
    from attnwidget.record.layer import Layer

__all__ = ["blocks"]

_WHAT = (
    "weights",
    "scores",
    "mean",
    "lengths",
    "overview",
    "tile",
    "column",
    "rollout",
    "query_vectors",
    "key_vectors",
    "value_vectors",
    "output",
    "extents",
)
_VECTORS = ("query_vectors", "key_vectors", "value_vectors", "output")
_LAYERS = 2
# Between numbers of float32 that were added up in another order; a shade is a byte.
_CLOSE = {"rtol": 2e-5, "atol": 2e-6}


def blocks(seed: int, cases: int) -> Tally:
    """Ask for ``cases`` blocks of random records: three in four can be answered."""
    chance, tally = random.Random(seed), Tally()
    left = cases
    while left > 0:
        record = _record(chance)
        source, dense = RecordSource(record), [_dense(layer) for layer in record["self"]]
        with contextlib.closing(record.view(still=False)) as view:
            for _ in range(min(left, 100)):
                request = _request(chance, record["self"].layers[0])
                if chance.random() < 0.75:
                    _compare(tally, source, request, dense)
                elif chance.random() < 0.5:
                    _out_of_range(tally, source, request, chance)
                else:
                    _odd(tally, view, request, chance)
        left -= 100
    return tally


def _record(chance: random.Random) -> Attention:
    size = chance.choice((3, 7, 20))
    heads = chance.choice((2, 4))
    fields: dict[str, Any] = {"heads": heads, "queries": size, "keys": size}
    fields["key_value_heads"] = chance.choice((heads, heads // 2))
    fields["softcap"] = chance.choice((None, None, 3.0))
    if chance.random() < 0.5:
        fields["band"] = Band(causal=True, offset=0, window=chance.choice((None, 3)))
    layers = tuple(
        random_layer(layer=number, seed=chance.randrange(1 << 30), **fields)
        for number in range(_LAYERS)
    )
    axis = tuple(map(index_position, range(size)))
    record = Attention("random", {"self": Stream("self", layers, axis, axis)})
    if chance.random() < 0.3:
        return aw.from_weights([layer.weights() for layer in layers])
    return record


def _dense(layer: Layer) -> dict[str, np.ndarray]:
    """Return everything of a layer in float64, ``[head, query, key]``."""
    if not layer.has_vectors:
        return {"weights": layer.weights().astype(np.float64)}
    scores = dense_scores(layer)
    share = layer.num_heads // layer.num_key_value_heads
    value = layer.value.double().repeat_interleave(share, 0)
    key = layer.key.double().repeat_interleave(share, 0)
    weights = torch.softmax(scores, -1)
    found = {
        "weights": weights,
        "scores": scores,
        "value": weights * torch.linalg.vector_norm(value, dim=-1)[:, None],
        "lengths": torch.linalg.vector_norm(value, dim=-1),
        "query_vectors": layer.query.double(),
        "key_vectors": key,
        "value_vectors": value,
        "output": weights @ value,
    }
    return {name: each.numpy() for name, each in found.items()}


def _request(chance: random.Random, layer: Layer) -> dict[str, Any]:
    what = chance.choice(_WHAT)
    request: dict[str, Any] = {
        "what": what,
        "stream": "self",
        "layer": chance.randrange(_LAYERS),
        "head": chance.randrange(layer.num_heads),
    }
    start = chance.randrange(layer.n_query)
    span = [start, chance.randint(start + 1, layer.n_query)]
    measure = chance.choice(("weights", "value"))
    if what in {"weights", "scores", "rollout"}:
        request["queries"] = span
        if what != "rollout" and chance.random() < 0.5:
            first = chance.randrange(layer.n_key)
            request["keys"] = [first, chance.randint(first + 1, layer.n_key)]
    elif what in _VECTORS and chance.random() < 0.5:
        request["queries"] = span
    elif what == "column":
        request["keys"] = span
    elif what == "lengths":
        request["measure"] = "value"
    elif what == "mean":
        request["measure"] = measure
        if chance.random() < 0.5:
            request["queries"] = span
    elif what == "overview":
        request |= {"measure": measure, "size": chance.choice((1, 4, 48))}
    elif what == "tile":
        request |= {"level": chance.choice((0, 1, 2)), "tile": [0, 0], "measure": measure}
    return request


def _expected(request: dict[str, Any], dense: list[dict[str, np.ndarray]]) -> np.ndarray | None:
    """Return what a request asks for in float64; None where the record has nothing of the kind."""
    what, head, own = request["what"], request["head"], dense[request["layer"]]
    drawn = own.get(request.get("measure", "weights"))
    if what == "rollout":
        return _rollout(dense)[request["layer"]][None, slice(*request["queries"])]
    if what == "lengths":
        return own[what][None, head] if what in own else None
    if what == "extents":
        return _extents(own, head)
    if what in {*_VECTORS, "weights", "scores"}:
        return _part(request, own[what][head]) if what in own else None
    if drawn is None:
        return None
    if what == "column":
        return drawn[head][:, slice(*request["keys"])]
    if what == "mean":
        return drawn[head][slice(*request.get("queries", (0, None)))].mean(0, keepdims=True)
    if what == "overview":
        sizes = [min(request["size"], size) for size in drawn.shape[1:]]
        pooled = torch.nn.functional.adaptive_max_pool2d(torch.from_numpy(drawn), sizes)
        return pooled.numpy()
    return _cells(drawn[head], 1 << request["level"])


def _extents(own: dict[str, np.ndarray], head: int) -> np.ndarray | None:
    if "query_vectors" not in own:
        return None
    query, key, value = (np.abs(own[name][head]) for name in _VECTORS[:3])
    return np.array([[query.max(), key.max(), (query.max(0) * key.max(0)).max(), value.max()]])


def _part(request: dict[str, Any], whole: np.ndarray) -> np.ndarray:
    rows, keys = (slice(*request.get(axis, (None,))) for axis in ("queries", "keys"))
    return whole[rows] if request["what"] in _VECTORS else whole[None, rows, keys]


def _cells(drawn: np.ndarray, step: int) -> np.ndarray:
    rows, columns = (range(0, size, step) for size in drawn.shape)
    return np.array([[drawn[q : q + step, k : k + step].max() for k in columns] for q in rows])


def _rollout(dense: list[dict[str, np.ndarray]]) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    for own in dense:
        mixed = own["weights"].mean(0) + np.eye(own["weights"].shape[1])
        mixed /= mixed.sum(-1, keepdims=True)
        found.append(mixed @ found[-1] if found else mixed)
    return found


def _compare(
    tally: Tally, source: RecordSource, request: dict[str, Any], dense: list[dict[str, np.ndarray]]
) -> None:
    answer = tally.run(lambda: source.answer(request), str(request), ("no ", "has no"))
    expected = _expected(request, dense)
    if answer is None or expected is None:
        if (answer is None) != (expected is None):
            tally.wrong.append(f"{request}: {'refused' if answer is None else 'answered'}")
        return
    found = decode(*answer)
    close = dict(_CLOSE)
    if found.dtype == np.uint8:
        expected, close = 255 * np.sqrt(expected), {"rtol": 0, "atol": 0.51}
    if found.shape != expected.shape or not np.allclose(found, expected, **close):
        tally.wrong.append(f"{request}: {found.shape} and {expected.shape}")


def _out_of_range(
    tally: Tally, source: RecordSource, request: dict[str, Any], chance: random.Random
) -> None:
    """Ask for something that the schema lets pass and that is not there."""
    name = chance.choice(("layer", "head", "stream", "measure", "level", "tile"))
    wrong = {"layer": 99, "head": 99, "stream": "x", "measure": "norm", "level": 99, "tile": [9, 9]}
    request = {**request, "what": "tile", "level": 1, "tile": [0, 0], name: wrong[name]}
    if (
        tally.run(lambda: source.answer(request), str(request), (name, "heads", "measure"))
        is not None
    ):
        tally.wrong.append(f"{request}: answered")


def _odd(tally: Tally, view: Any, request: dict[str, Any], chance: random.Random) -> None:
    """Ask through the widget for something odd: whatever it is, it is answered."""
    name = chance.choice(list(request))
    value = odd_value(chance)
    try:
        # What comes over the wire is JSON.
        value = json.loads(json.dumps(value))
    except (TypeError, ValueError, RuntimeError):
        return
    try:
        reply, buffers = view.blocks({"requests": [{**request, name: value}]}, [])
    except Exception as error:  # noqa: BLE001  (what is not answered is what is looked for)
        tally.wrong.append(
            f"{request}, {name}={type(value).__name__}: not answered, {error!r}"[:200]
        )
        return
    tally.cases += 1
    only = {"ok": False, **reply} if "error" in reply else reply["replies"][0]
    if only["ok"] is not bool(buffers) or (not only["ok"] and not only.get("error")):
        tally.wrong.append(f"{request}, {name}={type(value).__name__}: {only}"[:200])
