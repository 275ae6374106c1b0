"""`Attention.groups`, `group_shares` and `group_profile`: how much weight each group of positions gives each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.position_groups import groups_of
from attnwidget.analysis.tables import table
from attnwidget.compute.group_sums import group_share_slices
from attnwidget.compute.measures import lengths
from attnwidget.compute.not_numbers import warn_not_numbers
from attnwidget.compute.resumable import finish, share_of
from attnwidget.record.chosen import chosen_heads, only_these

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from attnwidget.analysis.position_groups import By, Groups
    from attnwidget.compute.group_sums import GroupNumbers
    from attnwidget.compute.indexing import Heads
    from attnwidget.compute.resumable import Slices
    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream
    from attnwidget.record.vocabulary import Layers

    Shares = NDArray[np.float64]

__all__ = [
    "group_positions",
    "group_profile",
    "group_shares",
    "layer_shares",
    "pair_shares_slices",
    "share_rows",
    "stream_shares",
    "stream_shares_slices",
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
    return table(
        row
        for one, groups, shares, wanted in _found(attention, by, stream, measure, only)
        for layer, found in zip(one, shares, strict=True)
        for row in share_rows(one.name, layer.layer, groups.names, found)
        if row["head"] in wanted[layer.layer] and groups.gives(row["from"], row["to"])
    )


def group_profile(
    attention: Record,
    by: By,
    stream: str | None = None,
    measure: str = "weights",
    *,
    only: tuple[Layers, Heads] = (None, None),
) -> Any:
    """Return `Attention.group_profile`, where it is described."""
    return table(
        row
        for one, groups, shares, wanted in _found(attention, by, stream, measure, only)
        for layer, found in zip(one, shares, strict=True)
        for row in _profile_rows(one.name, layer, groups, found[sorted(wanted[layer.layer])])
    )


def _found(
    attention: Record,
    by: By,
    stream: str | None,
    measure: str,
    only: tuple[Layers, Heads],
) -> list[tuple[Stream, Groups, list[Shares], dict[int, set[int]]]]:
    """Return the streams that have groups, with the groups, the shares of each layer and the heads that are asked for."""
    found = []
    for name, groups in groups_of(attention, by, stream).items():
        chosen = only_these(attention[name], only[0])
        wanted = {layer.layer: chosen_heads(layer, only[1]) for layer in chosen}
        rows = sum(layer.num_heads for layer in chosen) * len(groups.names) ** 2
        if rows > MOST_ROWS:
            message = (
                f"a table of {len(groups.names)} × {len(groups.names)} groups by {groups.by} for each head of stream "
                f"{name!r} would have {rows:,} rows, at most {MOST_ROWS:,} are made: pass layer=, or fewer groups."
            )
            raise ValueError(message)
        shares = stream_shares(chosen, groups.numbers, measure)
        found.append((chosen, groups, shares, wanted))
        warn_not_numbers(
            (
                (name, layer.layer, head)
                for layer, each in zip(chosen, shares, strict=True)
                for head in sorted(wanted[layer.layer])
                if np.isnan(each[head][groups.asked]).any()
            ),
            "so are their shares",
            stacklevel=4,
        )
    return found


def stream_shares(
    stream: Stream, groups: GroupNumbers, measure: str = "weights"
) -> list[NDArray[np.float64]]:
    """Return the shares of each layer of a stream, float64 ``[head, from, to]``, NaN from a group without queries.

    Raises:
        ValueError: If a layer cannot give the measure.
    """
    return finish(stream_shares_slices(stream, groups, measure))


def stream_shares_slices(
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
) -> Slices[list[NDArray[np.float64]]]:
    """Return the share from one group to another for each layer, float64 ``[head]``, as a computation in slices.

    Args:
        stream: The stream.
        groups: Its groups.
        pair: From which group, and to which; None for all positions.
        measure: Of what.

    Raises:
        ValueError: If there is no such group, it has no queries or no keys, or no head can give it any weight.
    """
    numbers = groups.between(*pair)
    found = yield from stream_shares_slices(stream, numbers, measure)
    shares = [layer[:, 0, 0] for layer in found]
    if not any(each.any() for each in shares):
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
    shares = yield from group_share_slices(layer, groups, lengths(layer, measure))
    array: NDArray[np.float64] = shares.numpy()
    return array


def share_rows(
    stream: str, layer: int, names: tuple[str, ...], shares: Shares
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one layer, for every pair of groups."""
    for head, each in enumerate(shares.tolist()):
        for name, row in zip(names, each, strict=True):
            for other, share in zip(names, row, strict=True):
                yield {
                    "stream": stream,
                    "layer": layer,
                    "head": head,
                    "from": name,
                    "to": other,
                    "share": share,
                }


def _profile_rows(
    stream: str, layer: Layer, groups: Groups, shares: Shares
) -> Iterator[dict[str, Any]]:
    known = shares[~np.isnan(shares[:, groups.asked]).any((1, 2))]
    for place, name in enumerate(groups.names):
        for other_place, other in enumerate(groups.names):
            if not groups.gives(name, other):
                continue
            values = known[:, place, other_place]
            yield {
                "stream": stream,
                "layer": layer.layer,
                "from": name,
                "to": other,
                "mean": float(values.mean()) if len(values) else math.nan,
                "spread": float(values.std()) if len(values) else math.nan,
                "least": float(values.min()) if len(values) else math.nan,
                "most": float(values.max()) if len(values) else math.nan,
                "heads": len(values),
            }
