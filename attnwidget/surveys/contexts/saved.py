"""Contexts of a stream as tensors of a file, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.analysis.score_definitions import SCORES
from attnwidget.surveys.contexts.gathered import StreamContexts
from attnwidget.surveys.contexts.places import Places
from attnwidget.surveys.contexts.rules import RULES
from attnwidget.surveys.contexts.score_values import BINS, Scored, ScoreValues
from attnwidget.surveys.contexts.token_counts import KINDS, Counters, InputLinks, TokenCounts
from attnwidget.surveys.contexts.windows import InputTokens, pruned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.files.tensor_file import TensorFile
    from attnwidget.surveys.contexts.windows import TokenAxis

__all__ = ["SCHEMA", "header_of", "read_contexts", "tensors_of"]

SCHEMA = {
    "type": "object",
    "properties": {
        "keep": {"type": "integer", "minimum": 1},
        "inputs": {"type": "integer", "minimum": 1},
        "exact": {"type": "boolean"},
    },
    "required": ["keep", "inputs", "exact"],
    "additionalProperties": False,
}
"""What a file's header says of the contexts of a stream; the rest is in tensors."""

_PLACES = {"value": "f", "weight": "f", "input": "i", "query": "i", "key": "i"}
_COUNTERS = ("head", "query", "key", "count", "error")


def header_of(found: StreamContexts) -> dict[str, Any]:
    """Return what the header says; see `SCHEMA`."""
    return {"keep": found.keep, "inputs": found.inputs, "exact": found.scores.exact}


def tensors_of(found: StreamContexts) -> dict[str, Tensor]:
    """Return the tensors by name, without what nobody needs any more."""
    places = found.places.widened(found.keep)
    scores, counts = found.scores.settled(), found.counts
    arrays: dict[str, NDArray[Any]] = {name: getattr(places, name) for name in _PLACES}
    arrays["windows"] = _bytes(
        [
            [number, one.offset, _listed(one.queries), _listed(one.keys)]
            for number, one in sorted(pruned(found.windows, places).items())
        ]
    )
    held = scores.held
    arrays |= {
        "scores": held.values,
        "scores.input": held.input,
        "scores.priority": held.priority.view(np.int64),
    }
    if scores.bins is not None:
        arrays["bins"] = scores.bins.view(np.int32)
    arrays |= {"links": counts.links, "tokens": _bytes(list(counts.tokens))}
    for kind, counters in zip(KINDS, counts.counters, strict=True):
        arrays |= {f"{kind}.{name}": getattr(counters, name) for name in _COUNTERS}
    arrays["waiting"] = _bytes([[len(one.head), list(one.tokens)] for one in counts.waiting])
    nothing = np.zeros(0, np.int32)
    for name in ("head", "query", "key"):
        parts = [getattr(one, name) for one in counts.waiting]
        arrays[f"waiting.{name}"] = np.concatenate([nothing, *parts])
    return {name: torch.from_numpy(array.copy(order="C")) for name, array in arrays.items()}


def read_contexts(
    header: Mapping[str, Any], prefix: str, heads: int, file: TensorFile
) -> StreamContexts:
    """Return contexts from the tensors of a file.

    Args:
        header: What its header says of them.
        prefix: What the names of the tensors start with.
        heads: How many heads the stream has.
        file: The file.

    Raises:
        ValueError: If they do not fit together.
        KeyError: If one is missing.
    """

    def array(name: str, kind: str, *shape: int | None) -> Any:
        held = file.tensors[prefix + name].numpy().copy()
        fits = len(held.shape) == len(shape) and all(
            size in {None, found} for size, found in zip(shape, held.shape, strict=True)
        )
        if held.dtype.kind != kind or not fits:
            message = f"{prefix}{name} is {held.dtype} {list(held.shape)}, expected {list(shape)}"
            raise ValueError(message)
        return held

    def words(name: str) -> Any:
        return json.loads(array(name, "u", None).tobytes())

    shape = heads, len(RULES), header["keep"]
    places = Places(*(array(name, kind, *shape) for name, kind in _PLACES.items()))
    windows = {
        number: InputTokens(_axis(queries), _axis(keys), offset)
        for number, offset, queries, keys in words("windows")
    }
    _check_windows(places, windows)
    inputs = array("scores.input", "i", None)
    scored = Scored(
        array("scores", "f", len(inputs), heads, len(SCORES)),
        inputs,
        array("scores.priority", "i", len(inputs)).view(np.uint64),
    )
    scores = ScoreValues((scored,))
    if not header["exact"]:
        bins = array("bins", "i", heads, len(SCORES), BINS).view(np.uint32)
        scores = ScoreValues((), bins, scored)
    counters = tuple(
        Counters(
            *(
                array(f"{kind}.{name}", "i", heads if name == "error" else None)
                for name in _COUNTERS
            )
        )
        for kind in KINDS
    )
    counts = TokenCounts(array("links", "i", heads), tuple(words("tokens")), counters)
    rest = [array(f"waiting.{name}", "i", None) for name in ("head", "query", "key")]
    waiting, start = [], 0
    for size, tokens in words("waiting"):
        some = slice(start, start + size)
        waiting.append(InputLinks(tuple(tokens), *(each[some] for each in rest)))
        start += size
    counts = TokenCounts(counts.links, counts.tokens, counters, tuple(waiting))
    counts.settled()  # raises where numbers of tokens do not fit
    return StreamContexts(header["keep"], header["inputs"], places, windows, scores, counts)


def _bytes(thing: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(thing).encode(), np.uint8)


def _listed(axis: TokenAxis) -> list[list[Any]]:
    return [[position, label, int(joined)] for position, (label, joined) in axis.items()]


def _axis(listed: list[list[Any]]) -> TokenAxis:
    return {int(position): (str(label), bool(joined)) for position, label, joined in listed}


def _check_windows(places: Places, windows: Mapping[int, InputTokens]) -> None:
    """Refuse places without their tokens.

    Raises:
        KeyError: If one has none.
    """
    there = places.input >= 0
    every = (places.input[there], places.query[there], places.key[there])
    for number, query, key in set(zip(*(one.tolist() for one in every), strict=True)):
        tokens = windows[number]
        queries = tokens.queries if tokens.offset is None else tokens.keys
        _ = queries[query + (tokens.offset or 0)], tokens.keys[key]
