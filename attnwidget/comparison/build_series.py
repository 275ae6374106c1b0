"""From more than two records to a `ComparisonSeries`: common axes, the layers that all have, and each head's steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnwidget.comparison.common_axis import align_all, pairs_of
from attnwidget.comparison.divergence import divergence
from attnwidget.comparison.series import ComparedSeries, ComparisonSeries
from attnwidget.protocol.constants import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attnwidget.comparison.alignment import Pair
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream

    Numbers = NDArray[np.float64]

__all__ = ["compare_series"]


def compare_series(
    records: Sequence[Record], names: tuple[str, ...], *, replaced: bool
) -> ComparisonSeries:
    """Compare each record with the one before; `attnwidget.compare` describes arguments and errors."""
    if len(records) > len(SIDES):
        every = -(-len(records) // len(SIDES))
        message = (
            f"compare takes up to {len(SIDES)} records, got {len(records)}: leave some out, such as "
            f"compare(*records[::{every}])."
        )
        raise ValueError(message)
    shared = [name for name in records[0] if all(name in record.streams for record in records)]
    if not shared:
        held = " and ".join(str(list(record)) for record in records)
        message = f"the records have no stream in common: {held}."
        raise ValueError(message)
    streams = {
        name: _compare([record[name] for record in records], names, replaced=replaced)
        for name in shared
    }
    if not any(one.layers for one in streams.values()):
        message = (
            "the records have no layer in common with as many heads, so no head can be compared."
        )
        raise ValueError(message)
    return ComparisonSeries(tuple(records), streams, names)


def _compare(
    streams: Sequence[Stream], names: tuple[str, ...], *, replaced: bool
) -> ComparedSeries:
    keys = align_all([stream.key_positions for stream in streams], replaced=replaced)
    queries = align_all([stream.query_positions for stream in streams], replaced=replaced)
    last = len(streams) - 1
    # The axes of two records are the same in every layer, and as long as the texts.
    pairs = {
        two: (pairs_of(queries, *two), pairs_of(keys, *two))
        for two in [*((place, place + 1) for place in range(last)), (0, last)]
    }
    for two, (common, _) in pairs.items():
        _check_common(streams[0].name, common, two, names)
    layers, left_out = _common_layers(streams)
    steps, whole = [], []
    for number in layers:
        of = {
            (a, b): divergence(streams[a][number], streams[b][number], *axes)
            for (a, b), axes in pairs.items()
        }
        whole.append(of.pop((0, last)))
        steps.append(np.stack(list(of.values()), axis=-1))
    return ComparedSeries(
        streams[0].name, queries, keys, layers, tuple(steps), tuple(whole), left_out
    )


def _check_common(
    stream: str, queries: Sequence[Pair], two: tuple[int, int], names: tuple[str, ...]
) -> None:
    """Refuse two records without a common query: nothing of them can be compared."""
    if any(pair.aligned for pair in queries):
        return
    first, second = (f"{place + 1} ({names[place]!r})" for place in two)
    message = (
        f"records {first} and {second} have no query of stream {stream!r} in common, so nothing can "
        "be compared."
    )
    raise ValueError(message)


def _common_layers(streams: Sequence[Stream]) -> tuple[tuple[int, ...], dict[int, str]]:
    """Return the numbers of the layers that all have with as many heads, and why the others are left out."""
    heads = [{layer.layer: layer.num_heads for layer in stream} for stream in streams]
    layers, left_out = [], {}
    for number in dict.fromkeys(number for each in heads for number in each):
        counts = [each.get(number) for each in heads]
        if None in counts:
            lacking = [str(place) for place, count in enumerate(counts, start=1) if count is None]
            several = "records {} lack it" if len(lacking) > 1 else "record {} lacks it"
            left_out[number] = several.format(", ".join(lacking))
        elif len(set(counts)) > 1:
            listed = ", ".join(map(str, counts))
            left_out[number] = f"the records have {listed} heads in it"
        else:
            layers.append(number)
    return tuple(layers), left_out
