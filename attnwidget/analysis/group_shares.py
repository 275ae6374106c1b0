"""`Attention.groups`, `group_shares` and `group_profile`: how much weight each group of positions gives each other."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.position_groups import groups_of
from attnwidget.analysis.tables import table
from attnwidget.compute.group_sums import group_share_slices
from attnwidget.compute.measures import row_factors
from attnwidget.compute.not_numbers import warn_not_numbers
from attnwidget.compute.resumable import finish, share_of
from attnwidget.record.aside import check_not_aside
from attnwidget.record.chosen import chosen_heads, only_these

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.position_groups import By, Groups
    from attnwidget.compute.group_sums import GroupNumbers
    from attnwidget.compute.indexing import Heads
    from attnwidget.compute.not_numbers import Head
    from attnwidget.compute.resumable import Slices
    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream
    from attnwidget.record.vocabulary import Layers

    Shares = NDArray[np.float64]
    Row = dict[str, Any]

__all__ = [
    "group_positions",
    "group_profile",
    "group_shares",
    "layer_shares",
    "pair_shares_slices",
    "stream_shares",
]

MOST_ROWS = 20_000_000
"""Rows of a table of shares at most: more take all memory."""


def group_positions(
    attention: Record, by: By, stream: str | None = None
) -> dict[str, dict[str, dict[str, list[int]]]]:
    """Return `Attention.groups`, where it is described."""
    return {
        name: {
            axis: {group: places for group in groups.names if (places := groups.places(group)[at])}
            for at, axis in enumerate(("query", "key"))
        }
        for name, groups in groups_of(attention, by, stream).items()
    }


def group_shares(
    attention: Record,
    by: By,
    stream: str | None = None,
    measure: str = "weights",
    *,
    only: tuple[Layers, Heads] = (None, None),
) -> Any:
    """Return `Attention.group_shares`, where it is described."""
    return table(_rows(attention, by, stream, measure, only, by_head=True))


def group_profile(
    attention: Record,
    by: By,
    stream: str | None = None,
    measure: str = "weights",
    *,
    only: tuple[Layers, Heads] = (None, None),
) -> Any:
    """Return `Attention.group_profile`, where it is described."""
    return table(_rows(attention, by, stream, measure, only, by_head=False))


def _rows(
    attention: Record,
    by: By,
    stream: str | None,
    measure: str,
    only: tuple[Layers, Heads],
    *,
    by_head: bool,
) -> list[Row]:
    """Return the rows of the streams that have groups, made of a layer's shares before those of the next are computed."""
    rows_of = _share_rows if by_head else _profile_rows
    rows: list[Row] = []
    for name, groups in groups_of(attention, by, stream).items():
        chosen = only_these(attention[name], only[0])
        wanted = {layer.layer: sorted(chosen_heads(layer, only[1])) for layer in chosen}
        _check_size(name, groups, wanted, by_head=by_head)
        broken: list[Head] = []
        for layer in chosen:
            heads = wanted[layer.layer]
            shares = finish(layer_shares(layer, groups.numbers, measure))[heads]
            wrong = np.isnan(shares[:, groups.asked]).any((1, 2))
            broken += [(name, layer.layer, heads[place]) for place in np.flatnonzero(wrong)]
            rows += rows_of(groups, heads, shares, {"stream": name, "layer": layer.layer})
        warn_not_numbers(broken, "so are their shares", stacklevel=4)
    return rows


def _check_size(
    stream: str, groups: Groups, wanted: Mapping[int, Sequence[int]], *, by_head: bool
) -> None:
    """Refuse a table that is too large.

    Raises:
        ValueError: If it has more than `MOST_ROWS` rows.
    """
    first, second = len(groups.asked), len(groups.seen)
    parts = sum(map(len, wanted.values())) if by_head else len(wanted)
    rows = parts * first * second
    if rows > MOST_ROWS:
        message = (
            f"a table of {first} × {second} groups by {groups.by} for each {'head' if by_head else 'layer'} of stream "
            f"{stream!r} would have {rows:,} rows, at most {MOST_ROWS:,} are made: pass layer=, or fewer groups."
        )
        raise ValueError(message)


def stream_shares(
    stream: Stream, groups: GroupNumbers, measure: str = "weights"
) -> list[NDArray[np.float64]]:
    """Return the shares of each layer of a stream, float64 ``[head, from, to]``, NaN from a group without queries.

    Raises:
        ValueError: If a layer cannot give the measure.
    """
    return finish(_stream_shares_slices(stream, groups, measure))


def _stream_shares_slices(
    stream: Stream, groups: GroupNumbers, measure: str = "weights"
) -> Slices[list[NDArray[np.float64]]]:
    """Return `stream_shares` as a computation in slices."""
    found = []
    for place, layer in enumerate(stream):
        work = layer_shares(layer, groups, measure)
        found.append((yield from share_of(work, place / len(stream), (place + 1) / len(stream))))
    return found


def pair_shares_slices(
    stream: Stream,
    groups: Groups,
    pair: tuple[str | None, str | None],
    measure: str = "weights",
    aside: Sequence[int] = (),
) -> Slices[list[NDArray[np.float64]]]:
    """Return the share from one group to another for each layer, float64 ``[head]``, as a computation in slices.

    Args:
        stream: The stream.
        groups: Its groups.
        pair: From which group, and to which; None for all positions.
        measure: Of what.
        aside: Keys that are set aside, in order: each row is divided by what remains.

    Raises:
        ValueError: If there is no such group, it has no queries or no keys, all of its keys are set aside, or no head can
            give it any weight.
    """
    numbers = replace(groups.between(*pair), aside=aside)
    check_not_aside([key for key, group in enumerate(numbers.keys) if group == 0], aside, stream)
    found = yield from _stream_shares_slices(stream, numbers, measure)
    shares = [layer[:, 0, 0] for layer in found]
    if measure != "relevance" and not any(each.any() for each in shares):
        first, second = ("all positions" if name is None else f"group {name!r}" for name in pair)
        message = (
            f"no head of stream {stream.name!r} can give {second} any weight from {first}: the mask hides the keys from the "
            "queries (a causal model never looks ahead); swap from and to, or choose other groups."
        )
        raise ValueError(message)
    return shares


def layer_shares(
    layer: Layer, groups: GroupNumbers, measure: str = "weights"
) -> Slices[NDArray[np.float64]]:
    """Compute the shares of a layer, float64 ``[head, from, to]``, in slices; see `stream_shares`."""
    shares = yield from group_share_slices(layer, groups, row_factors(layer, measure))
    array: NDArray[np.float64] = shares.numpy()
    return array


def _share_rows(groups: Groups, heads: list[int], shares: Shares, where: Row) -> Iterator[Row]:
    """Yield a row for each of some heads and each pair of groups that there is a share of."""
    sources, targets = (
        [groups.names[place] for place in axis] for axis in (groups.asked, groups.seen)
    )
    there = shares[:, groups.asked][:, :, groups.seen]
    for head, each in zip(heads, there.tolist(), strict=True):
        for name, row in zip(sources, each, strict=True):
            for other, share in zip(targets, row, strict=True):
                yield {
                    **where,
                    "head": head,
                    "from": name,
                    "to": other,
                    "share": share,
                }


def _profile_rows(groups: Groups, _heads: list[int], shares: Shares, where: Row) -> Iterator[Row]:
    """Yield a row for each pair of groups that there is a share of; heads that are not numbers are left out."""
    known = shares[~np.isnan(shares[:, groups.asked]).any((1, 2))]
    for place, other_place in product(groups.asked, groups.seen):
        values = known[:, place, other_place]
        yield {
            **where,
            "from": groups.names[place],
            "to": groups.names[other_place],
            "mean": float(values.mean()) if len(values) else math.nan,
            "spread": float(values.std()) if len(values) else math.nan,
            "least": float(values.min()) if len(values) else math.nan,
            "most": float(values.max()) if len(values) else math.nan,
            "heads": len(values),
        }
