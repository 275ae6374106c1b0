"""Scores and labels of all heads of a stream, in one pass over its weights.

Layers whose attention the fused kernel can compute are read by it (`attnwidget.analysis.fused_sums` says which, and how), all
others by whole rows of weights. Either way the same `Sums` of each row become the same scores, all of them at once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from attnwidget.analysis.fused_sums import FusedStream, why_dense
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.analysis.score_sums import NAMES, Patterns, Sums, VisibleKeyStats, row_scores
from attnwidget.analysis.scored_rows import ScoredRows, scores_of_rows
from attnwidget.analysis.token_features import TokenFeatures
from attnwidget.compute.group_sums import LEAST_LEFT
from attnwidget.compute.indexing import Axis
from attnwidget.compute.measures import row_factors
from attnwidget.compute.resumable import finish, share_of, within
from attnwidget.compute.visible_keys import VisibleKeys, seen_keys
from attnwidget.compute.weight_rows import query_blocks, weight_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.analysis.scored_rows import RowWatcher
    from attnwidget.compute.measures import Factors
    from attnwidget.compute.not_numbers import Head
    from attnwidget.compute.resumable import Slices
    from attnwidget.record.layer import Layer
    from attnwidget.record.stream import Stream

    Numbers = NDArray[np.float64]

__all__ = [
    "LEAST_ROWS",
    "Label",
    "LayerScores",
    "StreamScores",
    "labels",
    "lift",
    "score_slices",
    "score_stream",
]

# How far a score must stand above even attention, as a share of the way from there to 1.
SPECIFIC = 0.4

NEAR = 0.6

# With less than this left outside of the sink, what happens there says little about the head.
LEFT = 0.05

# A mean over fewer rows says little.
LEAST_ROWS = 3

# Narrow before wide: of equal lifts the first is taken, which says more.
_KINDS = (
    "previous",
    "next",
    "self",
    "duplicate",
    "induction",
    "same_word",
    "sentence",
    "punctuation",
    "delimiter",
)

_ON_SINK = ("first", "special", "sink")


@dataclass(frozen=True, slots=True)
class Label:
    """A head's label.

    Attributes:
        name: Name of the score it comes from.
        text: The short word.
        value: The score: with the sink set aside, or of all weight where the label speaks of the sink itself.
    """

    name: str
    text: str
    value: float


def labels(scores: LayerScores) -> tuple[Label | None, ...]:
    """Label the heads of a layer, ``None`` for those that fit no word.

    The lift of a score is ``(score − even) / (1 − even) · n / (n + 1)``: how far it stands above even attention over
    the visible keys, on the way to 1, weighed by the number n of rows it was read from (none below 3 rows). The label is

    1. the score with the largest lift, if at least 0.4, among previous, next, self, duplicate, induction, same word,
       sentence end, punctuation and delimiter, read with the sink set aside;
    2. else "local", if its lift is at least 0.6 with the sink set aside;
    3. else "first", "special" or "sink" by the largest lift of the share of all weight, if at least 0.4.

    A head with less than 0.05 of its weight outside of the sink goes to 3 at once. Even attention has lift 0 in every
    score, and so no label. Being broad is no label either: even attention is the broadest there is.
    """
    tables = {
        "with": _by_name(scores.values, scores.expected, scores.rows),
        "without": _by_name(scores.without, scores.expected_without, scores.rows_without),
    }
    return tuple(_label(head, scores, tables) for head in range(len(scores.values)))


def lift(values: Numbers, expected: Numbers, rows: Numbers) -> Numbers:
    """Return how far scores stand above even attention, ``[head, score]``, ``-inf`` where there is nothing to tell."""
    room = 1 - expected
    found = np.divide(values - expected, room, out=np.full_like(values, -np.inf), where=room > 1e-9)
    read = (rows >= LEAST_ROWS) & np.isfinite(found)
    return np.multiply(found, rows / (rows + 1), out=np.full_like(found, -np.inf), where=read)


def _by_name(values: Numbers, expected: Numbers, rows: Numbers) -> Mapping[str, Numbers]:
    found = lift(values, expected, rows)
    return {name: found[:, place] for place, name in enumerate(SCORES)}


def _label(
    head: int, scores: LayerScores, tables: Mapping[str, Mapping[str, Numbers]]
) -> Label | None:
    places = {name: place for place, name in enumerate(SCORES)}
    on_sink = scores.values[head, places["sink"]]
    if not on_sink > 1 - LEFT:
        for names, least in ((_KINDS, SPECIFIC), (("local",), NEAR)):
            best = _best(head, names, tables["without"])
            if tables["without"][best][head] >= least:
                return _made(best, scores.without[head, places[best]])
    best = _best(head, _ON_SINK, tables["with"])
    if tables["with"][best][head] >= SPECIFIC:
        return _made(best, scores.values[head, places[best]])
    return None


def _best(head: int, names: Sequence[str], lifts: Mapping[str, Numbers]) -> str:
    return max(names, key=lambda name: lifts[name][head])  # the first of equal ones


def _made(name: str, value: float) -> Label:
    return Label(name, SCORES[name].label, float(value))


_NOBODY = "no query sees such a key in any layer."


@dataclass(frozen=True, slots=True, eq=False)
class LayerScores:
    """The scores of one layer's heads; NaN where a score has no row to be read from, or the weights in its rows are NaN.

    Attributes:
        layer: The model's number of the layer.
        values: Scores, float64 ``[head, score]`` in the order of `SCORES`.
        without: The same with the sink set aside: its weight left out, each row divided by what remains.
        expected: What even attention over the visible keys would score, ``[head, score]``.
        expected_without: The same with the sink set aside.
        rows: From how many queries each score is the mean, ``[head, score]``.
        rows_without: The same with the sink set aside.
    """

    layer: int
    values: Numbers
    without: Numbers
    expected: Numbers
    expected_without: Numbers
    rows: Numbers
    rows_without: Numbers

    @property
    def not_numbers(self) -> tuple[int, ...]:
        """The heads that have rows, and NaN as a score of these."""
        wrong = (self.rows > 0) & np.isnan(self.values)
        wrong |= (self.rows_without > 0) & np.isnan(self.without)
        return tuple(np.flatnonzero(wrong.any(1)).tolist())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StreamScores:
    """The scores of all heads of a stream.

    Attributes:
        stream: Its name.
        layers: The scores of each layer, in order.
        sink: Key positions that were set aside.
        measure: What was scored: ``"weights"``, ``"value"``, ``"norm"`` or ``"relevance"``.
        absent: Scores that cannot be given here, with the reason.
    """

    stream: str
    layers: tuple[LayerScores, ...]
    sink: tuple[int, ...]
    measure: str
    absent: dict[str, str]

    @property
    def not_numbers(self) -> tuple[Head, ...]:
        """The heads that have NaN as a score."""
        return tuple(
            (self.stream, layer.layer, head) for layer in self.layers for head in layer.not_numbers
        )

    @property
    def labels(self) -> tuple[tuple[Label | None, ...], ...]:
        """The label of each head of each layer; see `labels` for the rule."""
        return tuple(labels(layer) for layer in self.layers)

    def __repr__(self) -> str:
        heads = sum(len(layer.values) for layer in self.layers)
        given = len(SCORES) - len(self.absent)
        return f"StreamScores({self.stream}: {heads} heads, {given} scores of {self.measure})"


def score_stream(
    stream: Stream,
    sink: Sequence[int] | None = None,
    measure: str = "weights",
    *,
    progress: Callable[[float], None] | None = None,
    watcher: RowWatcher | None = None,
) -> StreamScores:
    """Score every head of a stream.

    Every layer's weights are read once, by runs of the fused attention kernel in memory that grows with the positions
    alone. Where that cannot be (softcaps, biases that differ from query to query, recorded weights, ``exact="model"``,
    measures of gradients), the queries are read block by block, and memory is bounded by the block. Rows that see fewer
    than two keys and queries that are padding are left out.

    Args:
        stream: The stream.
        sink: Key positions of the sink; ``None`` for the first one and all special tokens.
        measure: What to score; `Layer.measure` explains. For other measures than ``"weights"`` each row is divided by
            its sum.
        progress: Told the share of the weights that has been read, as it grows to 1.
        watcher: Shown every row with its scores, block by block.

    Returns:
        The scores; see `SCORES` for what they mean.

    Raises:
        ValueError: If a layer cannot give the measure.
    """
    work = score_slices(stream, sink, measure, watcher)
    if progress is None:
        return finish(work)
    return finish(_told(work, progress))


def _told(work: Slices[StreamScores], progress: Callable[[float], None]) -> Slices[StreamScores]:
    while True:
        try:
            part = next(work)
        except StopIteration as end:
            progress(1.0)
            found: StreamScores = end.value
            return found
        progress(part)
        yield part


def score_slices(
    stream: Stream,
    sink: Sequence[int] | None = None,
    measure: str = "weights",
    watcher: RowWatcher | None = None,
) -> Slices[StreamScores]:
    """Return `score_stream` as a computation in slices; arguments and errors are the same, the latter come first."""
    features = TokenFeatures.of(stream, sink)
    scales = [row_factors(layer, measure) for layer in stream]
    return _score(stream, features, scales, measure, watcher)


def _score(
    stream: Stream,
    features: TokenFeatures,
    scales: Sequence[Factors | None],
    measure: str,
    watcher: RowWatcher | None,
) -> Slices[StreamScores]:
    means = [_RunningMeans(layer.num_heads) for layer in stream]
    dense = [
        place
        for place, layer in enumerate(stream)
        if watcher is not None or why_dense(layer, features, scales[place]) is not None
    ]
    fused = [place for place in range(len(stream)) if place not in dense]
    sums = FusedStream(features)
    for done, place in enumerate(fused):
        work = sums.read(stream.layers[place], scales[place], means[place].add)
        yield from share_of(
            within(stream.layers[place], work), done / len(stream), (done + 1) / len(stream)
        )
    if dense:
        some = [
            _DenseLayer(
                stream.layers[place],
                means[place],
                scales[place],
                None if watcher is None else functools.partial(watcher.see, place),
            )
            for place in dense
        ]
        yield from share_of(_score_rows(some, features), len(fused) / len(stream), 1.0)
    layers = tuple(
        sums.finish(layer.layer, features) for layer, sums in zip(stream, means, strict=True)
    )
    absent = dict(features.absent)
    for place, name in enumerate(NAMES):
        if name not in absent and not any(layer.rows[:, place].any() for layer in layers):
            absent[name] = _NOBODY
    return StreamScores(stream.name, layers, features.sink, measure, absent)


class _DenseLayer(NamedTuple):
    """A layer whose whole rows of weights are read."""

    layer: Layer
    means: _RunningMeans
    scales: Factors | None
    shown: Callable[[ScoredRows], None] | None


def _score_rows(layers: Sequence[_DenseLayer], features: TokenFeatures) -> Slices[None]:
    """Score layers whose whole rows of weights are needed."""
    visible = [VisibleKeys(each.layer, offset=features.offset) for each in layers]
    num_heads = max(each.layer.num_heads for each in layers)
    for queries in query_blocks(num_heads, features.n_query, features.n_key):
        start, count = queries.indices[0], len(queries)
        seen = seen_keys([each.layer for each in layers], queries)
        block = _QueryBlock(features, queries, seen)
        for place, (layer, means, scales, shown) in enumerate(layers):
            work = _add(means, layer, visible[place], scales, block, shown=shown)
            done = start + place * count / len(layers), start + (place + 1) * count / len(layers)
            yield from share_of(
                within(layer, work), done[0] / features.n_query, done[1] / features.n_query
            )


def _add(
    means: _RunningMeans,
    layer: Layer,
    keys: VisibleKeys,
    factors: Factors | None,
    block: _QueryBlock,
    *,
    shown: Callable[[ScoredRows], None] | None,
) -> Slices[None]:
    """Add a block of queries of one layer."""
    every = Axis(range(layer.num_heads))
    patterns = block.patterns(layer.device)
    visible = block.visible(layer.device, keys)
    for part in weight_blocks(layer, block.queries):
        weights = part.weights
        if factors is not None:
            weights.mul_(factors.of(part, every, block.queries))
            weights.div_(weights.sum(-1, keepdim=True).clamp(min=1e-30))
        sums = patterns.sums(weights, part.queries, part.keys)
        some = visible.part(part.heads, part.queries)
        read = means.add(part.heads, sums, some)
        if shown is not None:
            where = part.heads, part.queries, part.keys
            values, valid = scores_of_rows(read, sums.total[0])
            shown(ScoredRows(*where, weights, patterns, values, valid, some.counts[0]))
        yield part.heads.stop / layer.num_heads


class _QueryBlock:
    """What layers have in common for a block of queries: the patterns, and statistics of the visible keys."""

    def __init__(self, features: TokenFeatures, queries: Axis, keys: range) -> None:
        self.queries, self._keys = queries, keys
        self._features = features
        self._patterns: dict[torch.device, Patterns] = {}
        self._visible: dict[tuple[object, ...], VisibleKeyStats] = {}

    def patterns(self, device: torch.device) -> Patterns:
        """Return the patterns on a device."""
        if device not in self._patterns:
            self._patterns[device] = Patterns(self._features, self.queries, self._keys, device)
        return self._patterns[device]

    def visible(self, device: torch.device, keys: VisibleKeys) -> VisibleKeyStats:
        """Return the statistics of the visible keys, once for layers that see the same."""
        key = (device, *keys.key)
        if key not in self._visible:
            self._visible[key] = VisibleKeyStats.of(
                self.patterns(device), keys.of(self.queries, self._keys)
            )
        return self._visible[key]


class _RunningMeans:
    """Running sums of one layer: scores over the rows they are read from, and how many rows those are."""

    def __init__(self, num_heads: int) -> None:
        shape = (2, num_heads, len(NAMES))
        self._values = np.zeros(shape)
        self._expected = np.zeros(shape)
        self._rows = np.zeros(shape)
        self._expected_rows = np.zeros(shape)

    def add(
        self, heads: slice, sums: Sums, visible: VisibleKeyStats
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Add rows of some heads, and what keys these see.

        Returns:
            Of each score its value in every row, all weight counted, and which rows it is read from, ``[head, query]``.
        """
        total = sums.total.double()
        over = torch.stack([torch.ones_like(total[0]), total[1].clamp(min=1e-30)])
        values = row_scores(sums, over, visible.counts, visible.far)
        # Rows of NaN count: they make the score NaN.
        enough = ~(total <= LEAST_LEFT)
        # Shares of all the weight are defined even where there is none.
        shared = enough.clone()
        shared[0] = True
        read = {}
        for place, name in enumerate(NAMES):
            valid = visible.valid.get(name)
            if valid is None:
                continue
            counted = valid & (enough if name in {"local", "broad"} else shared)
            self._values[:, heads, place] += _summed(values[name], counted)
            self._rows[:, heads, place] += counted.sum(2).cpu().numpy()
            self._expected[:, heads, place] += _summed(visible.expected[name], valid)
            self._expected_rows[:, heads, place] += valid.sum(2).cpu().numpy()
            read[name] = values[name][0], counted[0]
        return read

    def finish(self, layer: int, features: TokenFeatures) -> LayerScores:
        """Return the means."""
        for place, name in enumerate(NAMES):
            if name in features.absent:
                self._rows[:, :, place] = self._expected_rows[:, :, place] = 0
        values = _mean(self._values, self._rows)
        expected = _mean(self._expected, self._expected_rows)
        return LayerScores(
            layer, values[0], values[1], expected[0], expected[1], self._rows[0], self._rows[1]
        )


def _summed(values: Tensor, valid: Tensor) -> Numbers:
    summed: Numbers = torch.where(valid, values, 0.0).sum(2).cpu().numpy()
    return summed


def _mean(sums: Numbers, rows: Numbers) -> Numbers:
    return np.divide(sums, rows, out=np.full_like(sums, np.nan), where=rows > 0)
