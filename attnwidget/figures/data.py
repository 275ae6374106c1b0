"""`Figure.data`: the drawn numbers as a tidy table."""

from __future__ import annotations

from importlib import import_module
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.tables import Records, has_pandas
from attnwidget.compute.heads_together import HeadsTogether
from attnwidget.compute.pooling import adaptive_bins, max_pool
from attnwidget.compute.resumable import finish
from attnwidget.figures.crop import pinned
from attnwidget.figures.geometry_table import geometry_rows, is_of_geometry
from attnwidget.figures.group_tables import drawn_between, is_of_groups, of_groups
from attnwidget.figures.options import refuse_weights
from attnwidget.figures.table_columns import TOGETHER, in_panel, named_together
from attnwidget.figures.thinning import strongest_links
from attnwidget.figures.trace_table import is_of_trace, trace_rows
from attnwidget.protocol.codec import decode
from attnwidget.protocol.constants import EFFECT, EXPLAINED_WINDOW, THUMBNAIL_SIZE
from attnwidget.record.aside import aside_keys
from attnwidget.record.words import Words, merged_positions
from attnwidget.serve.head_numbers import NAMED_MEASURES, ranking_request, scored_aside
from attnwidget.serve.together import heads_of, together_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.compute.resumable import Slices
    from attnwidget.figures.crop import Crop
    from attnwidget.figures.renderer import Answer
    from attnwidget.record.positions import Positions
    from attnwidget.serve.source import Source

    Indices = NDArray[np.int64]
    Numbers = NDArray[np.float32]

__all__ = ["DrawnNumbers", "figure_table"]


class DrawnAxis:
    """Positions along one side of a figure, as pieces or as words."""

    def __init__(self, positions: Positions, kept: Indices, *, words: bool) -> None:
        """Take the pieces that are kept together.

        Args:
            positions: Those of the record.
            kept: The pieces that are drawn, in order.
            words: Whether pieces of a word stand as one.
        """
        self.positions, numbers = (
            merged_positions(positions) if words else (positions, range(len(positions)))
        )
        self._numbers = np.array(numbers, np.int64)
        self.kept = kept
        #: Of each piece that is kept the number of its word.
        self.words = self._numbers[kept]
        #: What is counted along this side: positions of the record, or numbers of words as `Attention.words` has them.
        self.all: Indices = np.unique(self.words) if words else kept

    def pinned(self, pins: int | list[int] | None) -> Indices:
        """Return what is pinned: a word is when one of its pieces is."""
        return np.array(list(dict.fromkeys(self._numbers[pinned(pins)].tolist())), np.int64)


class DrawnNumbers:
    """The numbers of a stream as a figure shows them."""

    def __init__(
        self,
        source: Source,
        state: Mapping[str, Any],
        crop: Crop | None,
        *,
        plain: bool = False,
    ) -> None:
        """Settle what is shown.

        Args:
            source: What is shown.
            state: ``State`` in the schema, pins counted in the whole record.
            crop: Which positions are drawn; None for all.
            plain: Weights between pieces, whatever the state says: the neuron view keeps to them.
        """
        words = state["positions"] == "words" and not plain
        self.source = source
        self.stream = stream = source.streams[state["stream"]]
        self.measure: str = "weights" if plain else state["measure"]
        kept = (
            np.array(crop.queries if crop else range(len(stream.query_positions)), np.int64),
            np.array(crop.keys if crop else range(len(stream.key_positions)), np.int64),
        )
        self.queries = DrawnAxis(stream.query_positions, kept[0], words=words)
        self.keys = DrawnAxis(stream.key_positions, kept[1], words=words)
        self.pinned_queries = self.queries.pinned(state["query"])
        self.pinned_keys = self.keys.pinned(state["key"])
        held = self.keys.pinned(list(aside_keys(state["aside"], stream.key_positions)))
        #: Which of the keys drawn are set aside, counted among them.
        self.aside = np.flatnonzero(np.isin(self.keys.all, held)).tolist()
        self._words = words
        #: The heads that are drawn as one (``TogetherHeads`` in the schema); None where each is drawn by itself.
        self.together = None if plain or self.two else together_of(state, stream)

    @property
    def rolled(self) -> bool:
        """Whether heads are mixed: what is drawn is of a layer."""
        return self.measure == "rollout"

    @property
    def two(self) -> bool:
        """Whether two records or more are compared."""
        return bool(self.source.sides)

    def sizes(self, block: Numbers) -> Numbers:
        """Return how large numbers are: of a measure with both signs these count alike."""
        return np.abs(block) if self.measure == "gradient" else block

    def block(
        self,
        layer: int,
        head: int,
        queries: Indices | None = None,
        keys: Indices | None = None,
        *,
        side: str | None = None,
    ) -> Numbers:
        """Return what is drawn between these queries and keys, or all; float32 ``[query, key]``.

        Of compared records that of one side, NaN where it has no such position; without a side how much it changed.
        """
        queries = self.queries.all if queries is None else queries
        keys = self.keys.all if keys is None else keys
        if self.together and head == TOGETHER:
            found = HeadsTogether(self.together["how"])
            for number, one in heads_of(self.together, layer):
                found.add(self.block(number, one, queries, keys, side=side)[None])
            return found.result()
        if not self._words:
            return self._pieces(layer, head, queries, keys, side)

        def read(rows: Any, columns: Any) -> Slices[Numbers]:
            yield from ()
            pieces = self.queries.kept[rows], self.keys.kept[columns]
            return self._pieces(layer, head, *pieces, side)

        return finish(Words(self.queries.words, self.keys.words).block(read, queries, keys))

    def _pieces(
        self, layer: int, head: int, rows: Indices, columns: Indices, side: str | None
    ) -> Numbers:
        ref = (self.stream.name, layer, head)
        return self.source.block(
            ref, rows.tolist(), columns.tolist(), measure=self.measure, side=side
        )


# Rows of a head that are read at a time.
_ROWS = 256

Columns = dict[str, "NDArray[Any]"]


def figure_table(
    source: Source,
    snapshot: Mapping[str, Any],
    *,
    state: Mapping[str, Any],
    spec: Mapping[str, Any],
    crop: Crop | None,
    answer: Answer,
) -> Any:
    """Return the table of `Figure.data`.

    Args:
        source: What is shown.
        snapshot: What is drawn; see ``Snapshot`` in the schema.
        state: What is selected (``State`` in the schema), positions counted in the whole record.
        spec: ``Figure`` in the schema.
        crop: Which positions are drawn; None for all.
        answer: Answers requests for scores.
    """
    view = state["view"]
    if is_of_trace(state):
        return _table([trace_rows(snapshot.get("traced"))])
    shown = DrawnNumbers(source, state, crop, plain=view == "neuron")
    if view == "all":
        view = "compare" if shown.two else "head" if source.has_weights else "model"
    if view == "model":
        names = [score["name"] for score in snapshot["meta"]["scores"]]
        scores = _scores(shown, state, names, answer)
        for name in {state["score"], state["other_score"]} & {EFFECT}:
            scores[name] = _effects(shown, snapshot.get("effects"))
        scatter = state["arrange"] == "scatter" and len(scores) > 1
        # A survey has scores of heads, and no weights.
        alone = scatter or not source.has_weights
        return _table([_scattered(shown, scores)] if alone else list(_model(shown, scores)))
    if not source.has_weights:
        refuse_weights("view", view)
    if is_of_groups(state):
        return _table(of_groups(shown, {**state, "view": view}, spec, answer))
    if view == "head" and is_of_geometry(state, shown):
        grid = spec.get("grid")
        pairs = grid["heads"] if grid else [[state["layer"], head] for head in state["heads"]]
        return _table(list(geometry_rows(shown, pairs, answer)))
    made = {"head": _heads, "compare": _compared, "neuron": _neuron}[view]
    return _table(list(made(shown, state, spec)))


def _refs(shown: DrawnNumbers, pairs: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return ``(layer, head)`` of what is drawn; a rollout has no heads."""
    drawn = [(layer, -1 if shown.rolled else head) for layer, head in pairs]
    return list(dict.fromkeys(drawn))


def _heads(
    shown: DrawnNumbers, state: Mapping[str, Any], spec: Mapping[str, Any]
) -> Iterator[Columns]:
    grid = spec.get("grid")
    heads = [TOGETHER] if shown.together else state["heads"]
    pairs = grid["heads"] if grid else [[state["layer"], head] for head in heads]
    for ref in _refs(shown, pairs):
        if state["form"] == "text":
            rows = _text(shown, ref)
        else:
            block = shown.block(*ref)
            rows = _links(shown, ref, block, _drawn(shown, shown.sizes(block), state, spec))
        yield rows if grid or not shown.together else named_together(rows, shown.together)


def _text(shown: DrawnNumbers, ref: tuple[int, int]) -> Columns:
    queries, keys = shown.pinned_queries, shown.pinned_keys
    if len(queries) or len(keys):
        axes = (queries, shown.keys.all) if len(queries) else (shown.queries.all, keys)
        block = shown.block(*ref, *axes)
        return _links(shown, ref, block, ~(shown.sizes(block) <= 0), axes)
    every = shown.queries.all
    total = np.zeros(len(shown.keys.all))
    for first in range(0, len(every), _ROWS):
        total += shown.block(*ref, every[first : first + _ROWS]).sum(axis=0, dtype=np.float64)
    mean = (total / len(every)).astype(np.float32)[None]
    rows = _links(shown, ref, mean, ~(shown.sizes(mean) < 0), (every[:1], shown.keys.all))
    count = len(rows["key"])
    unnamed = np.full(count, "", dtype=object)
    return {**rows, "query": np.full(count, -1), "query_label": unnamed}


def _compared(
    shown: DrawnNumbers, state: Mapping[str, Any], spec: Mapping[str, Any]
) -> Iterator[Columns]:
    panels: list[tuple[tuple[int, int], Numbers]]
    if shown.two:
        (ref,) = _refs(shown, [[state["layer"], state["heads"][0]]])
        panels = [(ref, shown.block(*ref, side=side)) for side in shown.source.sides]
    else:
        panels = [(ref, shown.block(*ref)) for ref in _refs(shown, state["compare"])]
    for place, (ref, block) in enumerate(panels):
        rows = _links(shown, ref, block, _drawn(shown, shown.sizes(block), state, spec))
        yield in_panel(chr(ord("A") + place), rows)
    # Of a series there are the records alone.
    if len(panels) > 1 and len(shown.source.sides) <= 2:
        first, second = panels[0][1], panels[1][1]
        difference = second - first
        # Either sign is drawn by itself.
        signs = [
            _drawn(shown, np.maximum(0, sign * difference), state, spec) & ~np.isnan(difference)
            for sign in (1, -1)
        ]
        ref = panels[0][0] if shown.two else (-1, -1)
        rows = _links(shown, ref, difference, signs[0] | signs[1])
        yield in_panel("B − A", rows)


def _scores(
    shown: DrawnNumbers, state: Mapping[str, Any], names: Sequence[str], answer: Answer
) -> dict[str, Numbers]:
    """Return the scores that are drawn, of every head in the record's order, by their names."""
    found: dict[str, Numbers] = {}
    about: dict[str, Any] = {"stream": shown.stream.name}
    if shown.measure in NAMED_MEASURES:
        about["measure"] = shown.measure
    for name in (state["score"], state["other_score"]):
        if name in {None, EFFECT} or shown.rolled:
            continue
        if name == "ranking":
            found[name] = decode(*answer(ranking_request(state))).astype(np.float32)
        else:
            request = {"what": "head_scores", **about, **scored_aside(state["aside"])}
            both = decode(*answer(request))
            without = int(state["aside"] is not None)
            found[name] = both[without][:, names.index(name)].astype(np.float32)
    return found


def _effects(shown: DrawnNumbers, effects: Mapping[str, Any] | None) -> Numbers:
    """Return how much each head counts with its sign, of which the picture has the size; NaN where it is not known."""
    layers = effects["streams"][shown.stream.name]["values"] if effects else []
    values = [nan if value is None else value for layer in layers for value in layer]
    count = sum(layer.num_heads for layer in shown.stream)
    return np.array(values or [nan] * count, np.float32)


def _scattered(shown: DrawnNumbers, scores: Mapping[str, Numbers]) -> Columns:
    heads = [(layer.layer, head) for layer in shown.stream for head in range(layer.num_heads)]
    return {
        "stream": np.full(len(heads), shown.stream.name, dtype=object),
        "layer": np.array([layer for layer, _ in heads]),
        "head": np.array([head for _, head in heads]),
        **scores,
    }


def _model(shown: DrawnNumbers, scores: Mapping[str, Numbers]) -> Iterator[Columns]:
    axes = (shown.queries.all, shown.keys.all)
    # A cell is named by its first position.
    bins = [adaptive_bins(len(axis), min(len(axis), THUMBNAIL_SIZE)) for axis in axes]
    firsts = [[cell.start for cell in cells] for cells in bins]
    cells = (axes[0][firsts[0]], axes[1][firsts[1]])
    pairs = [[layer.layer, head] for layer in shown.stream for head in range(layer.num_heads)]
    for place, ref in enumerate(_refs(shown, pairs)):
        block = shown.block(*ref)
        block = max_pool(block, THUMBNAIL_SIZE)
        rows = _links(shown, ref, block, np.ones(block.shape, dtype=bool), cells)
        count = block.size
        yield {**rows, **{name: np.full(count, each[place]) for name, each in scores.items()}}


def _neuron(
    shown: DrawnNumbers, state: Mapping[str, Any], _spec: Mapping[str, Any]
) -> Iterator[Columns]:
    ref = state["layer"], state["heads"][0]
    where = (shown.stream.name, *ref)
    pins = shown.pinned_queries
    row = (pins[:1] if len(pins) else shown.queries.all[-1:], shown.keys.all)
    if state["explain"] == "head":
        key = shown.pinned_keys[:1] if len(shown.pinned_keys) else row[0]
        row = _window(shown.queries.all, row[0]), _window(shown.keys.all, key)
    weights = shown.block(*ref, *row)
    known = shown.source.scores(where, row[0].tolist(), row[1].tolist())
    scores = np.full(weights.shape, np.nan, np.float32) if known is None else known
    # Masked keys have no row on the page either.
    seen = ~(weights <= 0) if known is None else np.isfinite(scores) | np.isnan(weights)
    yield {**_links(shown, ref, weights, seen, row), "score": scores[seen]}


def _window(positions: Indices, pin: Indices) -> Indices:
    """Return what is drawn of an axis in the whole head's steps; `windowAround` in js/src/views/neuron/steps.ts is the same."""
    place = int(np.searchsorted(positions, pin[0]))
    last = max(0, len(positions) - EXPLAINED_WINDOW)
    start = max(0, min(place - EXPLAINED_WINDOW // 2, last))
    return positions[start : start + EXPLAINED_WINDOW]


def _drawn(
    shown: DrawnNumbers, block: Numbers, state: Mapping[str, Any], spec: Mapping[str, Any]
) -> NDArray[np.bool_]:
    """Return which cells of ``[query, key]`` are links of the figure: all that there are in a matrix."""
    # Of two records NaN stands where one has no such position; of one it is the model's, and no weight of 0.
    broken = np.zeros_like(block, dtype=bool) if shown.two else np.isnan(block)
    drawn = broken | ~np.isnan(block)
    if state["form"] not in ("lines", "groups", "profile"):
        return drawn
    rows, columns = drawn_between(shown, state)
    aside = [*shown.aside, *np.flatnonzero(~columns).tolist()]
    drawn &= rows[:, None] & columns
    # Every query's link to a pinned key is drawn; of a pinned query the strongest, and those to pinned keys.
    to_keys = len(shown.pinned_keys) and not len(shown.pinned_queries)
    thin = {name: None if to_keys else state[name] for name in ("top_k", "mass")}
    links = strongest_links(block, **thin, aside=aside)
    at_pins = np.isin(shown.keys.all, shown.pinned_keys)
    if not to_keys:
        links |= at_pins & strongest_links(block, top_k=None, mass=None, aside=aside)
    drawn &= links | broken
    drawn &= (block >= spec.get("threshold", 0)) | broken
    if len(shown.pinned_queries):
        drawn &= np.isin(shown.queries.all, shown.pinned_queries)[:, None]
    elif len(shown.pinned_keys):
        drawn &= at_pins
    return drawn


def _links(
    shown: DrawnNumbers,
    ref: tuple[int, int],
    block: Numbers,
    drawn: NDArray[np.bool_],
    axes: tuple[Indices, Indices] | None = None,
) -> Columns:
    rows, columns = np.nonzero(drawn)
    queries, keys = axes or (shown.queries.all, shown.keys.all)
    query, key = queries[rows], keys[columns]
    count = len(rows)
    return {
        "stream": np.full(count, shown.stream.name, dtype=object),
        "layer": np.full(count, ref[0]),
        "head": np.full(count, ref[1]),
        "query": query,
        "key": key,
        "query_label": _labels(shown.queries.positions, query),
        "key_label": _labels(shown.keys.positions, key),
        "weight" if shown.measure == "weights" else shown.measure: block[rows, columns],
    }


def _labels(positions: Any, indices: NDArray[np.int64]) -> NDArray[np.object_]:
    return np.array([positions[index].label for index in indices], dtype=object)


def _table(parts: list[Columns]) -> Any:
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if has_pandas():
        return import_module("pandas").DataFrame(columns)
    listed = {name: column.tolist() for name, column in columns.items()}
    names = list(listed)
    return Records(
        [dict(zip(names, row, strict=True)) for row in zip(*listed.values(), strict=True)]
    )
