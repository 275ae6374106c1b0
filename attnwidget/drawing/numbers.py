"""The numbers of a figure as a tidy table."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.drawing.cropping import pinned
from attnwidget.finding.table import Records, has_pandas

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from attnwidget.attention import Attention, Stream
    from attnwidget.drawing.cropping import Crop

__all__ = ["numbers"]

# As many cells as the largest thumbnail has.
_THUMBNAIL = 48
# Rows of a head that are read at a time.
_ROWS = 256

Columns = dict[str, "NDArray[Any]"]


def numbers(
    attention: Attention, state: Mapping[str, Any], spec: Mapping[str, Any], crop: Crop | None
) -> Any:
    """Return the table of `Figure.data`.

    Args:
        attention: The record.
        state: What is selected (``State`` in the schema), positions counted in the whole record.
        spec: ``Figure`` in the schema.
        crop: Which positions are drawn; None for all.
    """
    stream = attention[state["stream"]]
    axes = (
        np.array(crop.queries if crop else range(len(stream.query_positions))),
        np.array(crop.keys if crop else range(len(stream.key_positions))),
    )
    view = {"all": "head"}.get(state["view"], state["view"])
    made = {"model": _model, "head": _heads, "compare": _compared, "neuron": _neuron}[view]
    return _table(list(made(stream, axes, state, spec)))


Axes = tuple["NDArray[np.int64]", "NDArray[np.int64]"]


def _heads(
    stream: Stream, axes: Axes, state: Mapping[str, Any], spec: Mapping[str, Any]
) -> Iterator[Columns]:
    grid = spec.get("grid")
    refs = grid["heads"] if grid else [[state["layer"], head] for head in state["heads"]]
    if state["form"] == "text":
        yield from _text(stream, axes, state, refs)
        return
    for layer, head in refs:
        weights = _weights(stream, axes, layer, head)
        yield _links(stream, axes, (layer, head), weights, _drawn(weights, axes, state, spec))


def _text(
    stream: Stream, axes: Axes, state: Mapping[str, Any], refs: list[list[int]]
) -> Iterator[Columns]:
    queries, keys = pinned(state["query"]), pinned(state["key"])
    whole = (axes[0], np.arange(len(stream.key_positions)))
    for layer, head in refs:
        if queries or keys:
            part = (np.array(queries), axes[1]) if queries else (axes[0], np.array(keys))
            weights = _weights(stream, part, layer, head)
            yield _links(stream, part, (layer, head), weights, weights > 0)
            continue
        total = np.zeros(len(whole[1]))
        for first in range(0, len(axes[0]), _ROWS):
            some = (axes[0][first : first + _ROWS], whole[1])
            total += _weights(stream, some, layer, head).sum(axis=0, dtype=np.float64)
        mean = (total / len(axes[0])).astype(np.float32)[axes[1]][None]
        rows = _links(stream, (axes[0][:1], axes[1]), (layer, head), mean, mean >= 0)
        count = len(rows["weight"])
        unnamed = np.full(count, "", dtype=object)
        yield {**rows, "query": np.full(count, -1), "query_label": unnamed}


def _compared(
    stream: Stream, axes: Axes, state: Mapping[str, Any], spec: Mapping[str, Any]
) -> Iterator[Columns]:
    all_of = [_weights(stream, axes, layer, head) for layer, head in state["compare"]]
    for place, ((layer, head), weights) in enumerate(zip(state["compare"], all_of, strict=True)):
        rows = _links(stream, axes, (layer, head), weights, _drawn(weights, axes, state, spec))
        yield _panel(chr(ord("A") + place), rows)
    if len(all_of) > 1:
        difference = all_of[0] - all_of[1]
        # Either sign is drawn by itself.
        drawn = [_drawn(np.maximum(0, sign * difference), axes, state, spec) for sign in (1, -1)]
        rows = _links(stream, axes, (-1, -1), difference, drawn[0] | drawn[1])
        yield _panel("A − B", rows)


def _model(
    stream: Stream, axes: Axes, _state: Mapping[str, Any], _spec: Mapping[str, Any]
) -> Iterator[Columns]:
    for layer in stream:
        for head in range(layer.num_heads):
            weights = _weights(stream, axes, layer.layer, head)
            starts = [_starts(len(axis)) for axis in axes]
            for axis in (0, 1):
                weights = np.maximum.reduceat(weights, starts[axis], axis=axis)
            cells = (axes[0][starts[0]], axes[1][starts[1]])
            everything = np.ones(weights.shape, dtype=bool)
            yield _links(stream, cells, (layer.layer, head), weights, everything)


def _neuron(
    stream: Stream, axes: Axes, state: Mapping[str, Any], _spec: Mapping[str, Any]
) -> Iterator[Columns]:
    number, head = state["layer"], state["heads"][0]
    layer = stream[number]
    query = next(iter(pinned(state["query"])), int(axes[0][-1]))
    row = (np.array([query]), axes[1])
    weights = _weights(stream, row, number, head)
    scores = (
        layer.scores(head=head, queries=[query], keys=axes[1].tolist())
        if layer.has_vectors
        else np.full(weights.shape, np.nan, np.float32)
    )
    # Masked keys have no row on the page either.
    seen = np.isfinite(scores) if layer.has_vectors else weights > 0
    yield {
        **_links(stream, row, (number, head), weights, seen),
        "score": scores[seen],
    }


def _weights(stream: Stream, axes: Axes, layer: int, head: int) -> NDArray[np.float32]:
    return stream[layer].weights(head, queries=axes[0].tolist(), keys=axes[1].tolist())


def _drawn(
    weights: NDArray[np.float32], axes: Axes, state: Mapping[str, Any], spec: Mapping[str, Any]
) -> NDArray[np.bool_]:
    """Return which cells of ``[query, key]`` are links of the figure: all of them in a matrix."""
    shown = np.ones(weights.shape, dtype=bool)
    if state["form"] != "lines":
        return shown
    shown &= weights > 0
    if spec.get("top_k", weights.shape[1]) < weights.shape[1]:
        place = weights.shape[1] - spec["top_k"]
        shown &= weights >= np.partition(weights, place, axis=1)[:, [place]]
    shown &= weights >= spec.get("threshold", 0)
    queries, keys = pinned(state["query"]), pinned(state["key"])
    if queries:
        shown &= np.isin(axes[0], queries)[:, None]
    elif keys:
        shown &= np.isin(axes[1], keys)
    return shown


def _links(
    stream: Stream,
    axes: Axes,
    ref: tuple[int, int],
    weights: NDArray[np.float32],
    shown: NDArray[np.bool_],
) -> Columns:
    rows, columns = np.nonzero(shown)
    query, key = axes[0][rows], axes[1][columns]
    count = len(rows)
    return {
        "stream": np.full(count, stream.name, dtype=object),
        "layer": np.full(count, ref[0]),
        "head": np.full(count, ref[1]),
        "query": query,
        "key": key,
        "query_label": _labels(stream.query_positions, query),
        "key_label": _labels(stream.key_positions, key),
        "weight": weights[rows, columns],
    }


def _labels(positions: Any, indices: NDArray[np.int64]) -> NDArray[np.object_]:
    return np.array([positions[index].label for index in indices], dtype=object)


def _panel(name: str, columns: Columns) -> Columns:
    count = len(columns["weight"])
    return {"panel": np.full(count, name, dtype=object), **columns}


def _starts(count: int) -> list[int]:
    size = min(count, _THUMBNAIL)
    return [place * count // size for place in range(size)]


def _table(parts: list[Columns]) -> Any:
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if has_pandas():
        return import_module("pandas").DataFrame(columns)
    listed = {name: column.tolist() for name, column in columns.items()}
    names = list(listed)
    return Records(
        [dict(zip(names, row, strict=True)) for row in zip(*listed.values(), strict=True)]
    )
