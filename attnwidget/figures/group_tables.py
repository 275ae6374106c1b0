"""Groups in figures: which links between them are drawn, and the tables of the forms ``groups`` and ``profile``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.figures.table_columns import TOGETHER, in_panel, with_heads
from attnwidget.protocol.codec import decode
from attnwidget.record.prompts import sizes_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.position_groups import Groups
    from attnwidget.figures.renderer import Answer

    # `attnwidget.figures.data` has both, and takes its tables from here.
    DrawnAxis = Any
    DrawnNumbers = Any
    Columns = dict[str, NDArray[Any]]
    Shares = NDArray[np.float64]

__all__ = ["drawn_between", "is_of_groups", "of_groups"]

_FORMS = ("groups", "profile")
_VIEWS = ("head", "compare", "all")


def is_of_groups(state: Mapping[str, Any]) -> bool:
    """Tell whether shares of groups are drawn: without a grouping both forms are lines."""
    shown = state["form"] in _FORMS and state["grouping"] is not None
    return shown and state["view"] in _VIEWS


def drawn_between(
    shown: DrawnNumbers, state: Mapping[str, Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which of the drawn queries and keys links are drawn between, as `from_group` and `to_group` say.

    Args:
        shown: The numbers of the stream.
        state: ``State`` in the schema.
    """
    ends = state["from_group"], state["to_group"]
    axes = shown.queries, shown.keys
    whole = tuple(np.ones(len(axis.all), dtype=bool) for axis in axes)
    if state["grouping"] is None or shown.source.groups is None or ends == (None, None):
        return whole[0], whole[1]
    groups = shown.source.groups.grouping(state["stream"], state["grouping"])
    numbers = groups.queries, groups.keys
    found = [
        all_of if end is None else _of_axis(axis, of) == groups.names.index(end)
        for all_of, end, axis, of in zip(whole, ends, axes, numbers, strict=True)
    ]
    return found[0], found[1]


def _of_axis(axis: DrawnAxis, numbers: Sequence[int]) -> NDArray[np.int64]:
    """Return the group of each place of an axis: that of a word is the one of its first piece that is drawn."""
    kept = axis.kept[axis.kept < len(numbers)]
    of_pieces = np.array(numbers, np.int64)[kept]
    firsts = np.searchsorted(axis.words, axis.all)
    return np.asarray(of_pieces[firsts[firsts < len(kept)]])


class _ShownShares:
    """Shares as they are drawn, between the groups that have queries and those that have keys."""

    def __init__(self, shown: DrawnNumbers, state: Mapping[str, Any], answer: Answer) -> None:
        self._shown, self._state, self._answer = shown, state, answer
        # Only where there are groups at all can they be chosen.
        of: Any = shown.source.groups
        groups: Groups = of.grouping(state["stream"], state["grouping"])
        sizes = len(groups.queries), len(groups.keys)
        if state["step"] is not None:
            sizes = sizes_at(shown.source.record, shown.stream, state["step"])
        self._count = sizes[0]
        self._groups = groups.until(*sizes)
        self._rows, self._columns = self._groups.asked, self._groups.seen

    @property
    def sources(self) -> list[str]:
        """Names of the groups that have queries."""
        return [self._groups.names[place] for place in self._rows]

    @property
    def targets(self) -> list[str]:
        """Names of the groups that have keys."""
        return [self._groups.names[place] for place in self._columns]

    def of_layer(self, layer: int, side: str | None = None) -> Shares:
        """Return ``[head, from, to]``."""
        request = {
            "what": "group_shares",
            "stream": self._state["stream"],
            "layer": layer,
            "head": 0,
            "grouping": self._state["grouping"],
        }
        if self._state["measure"] != "weights":
            request["measure"] = self._state["measure"]
        if self._state["positions"] == "words":
            request["positions"] = "words"
        if self._state["step"] is not None:
            request["queries"] = [0, self._count]
        if side is not None:
            request["side"] = side
        shares = decode(*self._answer(request)).astype(np.float64)
        return np.asarray(shares[:, self._rows][:, :, self._columns])

    def gives(self, shares: Shares) -> Shares:
        """Return ``[head, to]``: what the queries of ``from_group`` give, or all queries, each counted once."""
        name = self._state["from_group"]
        if name is not None and name not in self.sources:
            # At this step of a generation it has no query yet.
            return np.full((len(shares), len(self._columns)), np.nan)
        if name is not None:
            return np.asarray(shares[:, self.sources.index(name)])
        numbers = _of_axis(self._shown.queries, self._groups.queries)
        counts = np.bincount(numbers, minlength=len(self._groups.names))[self._rows]
        there = counts > 0
        total: Shares = np.einsum("hft,f->ht", shares[:, there], counts[there] / counts.sum())
        return total


def of_groups(
    shown: DrawnNumbers, state: Mapping[str, Any], spec: Mapping[str, Any], answer: Answer
) -> list[Columns]:
    """Return the tables of what is drawn.

    Args:
        shown: The numbers of the stream.
        state: ``State`` in the schema.
        spec: ``Figure`` in the schema.
        answer: Answers requests for shares.

    Raises:
        ValueError: If there are no shares of the measure.
    """
    if shown.rolled:
        message = "shares of groups are of single heads, got measure='rollout': pass measure='weights', for example."
        raise ValueError(message)
    shares = _ShownShares(shown, state, answer)
    compared = state["view"] == "compare" or shown.two
    if compared:
        return list(_compared(shown, state, shares))
    if state["form"] == "profile":
        return [_profile(shown, state, shares)]
    grid = spec.get("grid")
    if shown.together and not grid:
        return [_together(shown, state["layer"], shares, *shown.together)]
    pairs = grid["heads"] if grid else [[state["layer"], head] for head in state["heads"]]
    return [
        _table(shown, (layer, head), shares, shares.of_layer(layer)[head]) for layer, head in pairs
    ]


def _together(
    shown: DrawnNumbers, layer: int, shares: _ShownShares, how: str, heads: Sequence[int]
) -> Columns:
    """Return the shares of several heads that are one.

    Raises:
        ValueError: If it is their maximum, which has none.
    """
    if how == "max":
        message = (
            "the maximum of several heads has no shares of its own, got together='max': pass together='mean' or 'sum', "
            "or leave it out for each head by itself."
        )
        raise ValueError(message)
    each = shares.of_layer(layer)[list(heads)]
    rows = _table(shown, (layer, TOGETHER), shares, getattr(each, how)(axis=0))
    return with_heads(rows, how, heads)


def _table(
    shown: DrawnNumbers, ref: tuple[int, int], shares: _ShownShares, values: NDArray[np.float64]
) -> Columns:
    sources, targets = shares.sources, shares.targets
    count = values.size
    return {
        "stream": np.full(count, shown.stream.name, dtype=object),
        "layer": np.full(count, ref[0]),
        "head": np.full(count, ref[1]),
        "from": np.repeat(np.array(sources, dtype=object), len(targets)),
        "to": np.tile(np.array(targets, dtype=object), len(sources)),
        "share": values.reshape(-1),
    }


def _compared(
    shown: DrawnNumbers, state: Mapping[str, Any], shares: _ShownShares
) -> Iterator[Columns]:
    if shown.two:
        ref = state["layer"], state["heads"][0]
        panels = [(ref, shares.of_layer(ref[0], side)[ref[1]]) for side in shown.source.sides]
    else:
        panels = [((layer, head), shares.of_layer(layer)[head]) for layer, head in state["compare"]]
    if len(panels) > 1:
        ref = panels[0][0] if shown.two else (-1, -1)
        panels.append((ref, panels[1][1] - panels[0][1]))
    for place, (ref, values) in enumerate(panels):
        last = len(panels) > 1 and place == len(panels) - 1
        rows = _table(shown, ref, shares, values)
        name = "B − A" if last else chr(ord("A") + place)
        yield in_panel(name, rows)


def _profile(shown: DrawnNumbers, state: Mapping[str, Any], shares: _ShownShares) -> Columns:
    """Return a row for each layer and group of keys: the mean over the heads, the middle half of them, and all."""
    found: dict[str, list[float]] = {
        name: [] for name in ("mean", "low", "high", "least", "most", "heads")
    }
    numbers = [layer.layer for layer in shown.stream]
    for number in numbers:
        gives = shares.gives(shares.of_layer(number))
        for column in gives.T:
            known = column[~np.isnan(column)]
            one = (
                [known.mean(), *np.quantile(known, [0.25, 0.75]), known.min(), known.max()]
                if len(known)
                else [np.nan] * 5
            )
            for name, value in zip(found, [*one, len(known)], strict=True):
                found[name].append(float(value))
    targets = shares.targets
    count = len(numbers) * len(targets)
    return {
        "stream": np.full(count, shown.stream.name, dtype=object),
        "layer": np.repeat(np.array(numbers), len(targets)),
        "from": np.full(count, state["from_group"] or "all", dtype=object),
        "to": np.tile(np.array(targets, dtype=object), len(numbers)),
        **{name: np.array(values) for name, values in found.items() if name != "heads"},
        "heads": np.array(found["heads"], np.int64),
    }
