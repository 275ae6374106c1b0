"""Groups of positions for the front end: which there are of each stream, and how much weight each gives each other."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.group_labels import GROUPINGS
from attnwidget.analysis.group_shares import layer_shares, pair_shares_slices
from attnwidget.analysis.position_groups import (
    check_by,
    groups_by_stream,
    no_groups,
    stream_groups,
)
from attnwidget.compute.checks import shown
from attnwidget.protocol.codec import encode
from attnwidget.protocol.constants import REST_GROUP
from attnwidget.record.prompts import num_steps, prompt_sizes
from attnwidget.serve.jobs import SharedComputations
from attnwidget.serve.streams import CHEAP, is_cheap, num_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.position_groups import By, Groups
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream
    from attnwidget.serve.streams import ShownStream

    Shares = NDArray[np.float64]

__all__ = ["NoGroupsError", "RecordGroups", "ShownGroups"]

MOST_GROUPS = 64
"""A grouping of more groups is none that can be drawn; Python has it all the same."""
_AT_STEPS = 256
"""Shares of a layer at a step of a generation that are kept: those on show, and what a reader comes back to."""
_COPIED = 1 << 16
"""Numbers of one grouping in a copy, at most."""


class NoGroupsError(ValueError):
    """The caller's own groups that no position of what is shown is in."""


class ShownGroups:
    """The groupings of what is shown, found when they are first asked for."""

    def __init__(
        self,
        streams: Mapping[str, ShownStream],
        own: By | None = None,
        record: Record | None = None,
    ) -> None:
        """Start with nothing looked at but the caller's own groups.

        Args:
            streams: What is shown.
            own: The caller's own groups, or the name of a grouping that comes first.
            record: The record that is shown, where it is one.

        Raises:
            NoGroupsError: If no stream has a position in any of the caller's groups.
            ValueError: If these are wrong.
        """
        self._streams, self._record = streams, record
        self._found: dict[str, dict[str, Groups]] = {}
        self._own: dict[str, Groups] = {}
        if own is None:
            return
        check_by(own, "groups")
        self._own = groups_by_stream(record, streams, own, "groups")
        if not self._own:
            raise NoGroupsError(no_groups(own, streams, "groups"))

    @property
    def has_own(self) -> bool:
        """Whether there are groups of the caller's own, or a grouping that the caller named."""
        return bool(self._own)

    def of(self, stream: str) -> dict[str, Groups]:
        """Return the groupings of a stream by name, those of at least two groups; the caller's own first."""
        if stream not in self._found:
            found = {}
            own = self._own.get(stream)
            if own is not None:
                found[own.by] = own
            for by in GROUPINGS:
                groups = stream_groups(self._record, self._streams[stream], by)
                if by not in found and groups is not None and _worth_showing(groups):
                    found[by] = groups
            self._found[stream] = {
                by: groups for by, groups in found.items() if len(groups.names) <= MOST_GROUPS
            }
        return self._found[stream]

    def grouping(self, stream: str, by: str) -> Groups:
        """Return a grouping of a stream.

        Raises:
            ValueError: If it has none of this name.
        """
        there = self.of(stream)
        if by not in there:
            known = ", ".join(there) or "none"
            message = f"stream {stream!r} has no groups by {shown(by)} to show; there are {known}: pass view(…, groups=…)."
            raise ValueError(message)
        return there[by]

    def sides(self, stream: str, ranking: Mapping[str, Any]) -> tuple[list[int] | None, list[int]]:
        """Return the queries (None for all) and the keys of a ``GroupRanking`` (see the schema).

        Raises:
            ValueError: If there is no such group, or it has no queries, or no keys.
        """
        groups = self.grouping(stream, ranking["grouping"])
        return groups.sides(ranking["from"], ranking["to"])

    def described(self, stream: str) -> list[dict[str, Any]]:
        """Return the groupings of a stream; see ``Grouping`` in the schema."""
        return [_described(groups) for groups in self.of(stream).values()]


def _worth_showing(groups: Groups) -> bool:
    """Tell whether an axis has two groups; what is known of no position is none."""
    rest = groups.names.index(REST_GROUP) if REST_GROUP in groups.names else -1
    return any(len({*axis} - {rest}) > 1 for axis in (groups.queries, groups.keys))


def _described(groups: Groups) -> dict[str, Any]:
    """Return a grouping; see ``Grouping`` in the schema."""
    same = groups.queries == groups.keys
    queries = _ranges(groups.queries, len(groups.names))
    keys = queries if same else _ranges(groups.keys, len(groups.names))
    return {
        "name": groups.by,
        "groups": [
            {"name": name, "label": label, "queries": queries[place], "keys": keys[place]}
            for place, (name, label) in enumerate(zip(groups.names, _labels(groups), strict=True))
        ],
    }


def _labels(groups: Groups) -> list[str]:
    """Return what stands beside the positions of each group."""
    if groups.by == "turn":
        # The messages stand in order: who speaks is enough.
        return [name if name == REST_GROUP else name.partition(" ")[2] for name in groups.names]
    if groups.by == "modality" and "picture 2" not in groups.names:
        return ["picture" if name == "picture 1" else name for name in groups.names]
    return list(groups.names)


def _ranges(numbers: Sequence[int], count: int) -> list[list[list[int]]]:
    """Return for each group its positions as half-open ranges."""
    found: list[list[list[int]]] = [[] for _ in range(count)]
    borders = np.flatnonzero(np.diff(np.asarray(numbers))) + 1
    for start, stop in pairwise([0, *borders.tolist(), len(numbers)]):
        found[numbers[start]].append([start, stop])
    return found


class RecordGroups(ShownGroups):
    """The groupings of a record, and the shares of its heads."""

    _record: Record

    def __init__(self, record: Record, own: By | None = None) -> None:
        """Start with nothing computed; errors are those of `ShownGroups`."""
        super().__init__(record.streams, own, record)
        self._shares = SharedComputations()
        self._at_steps = SharedComputations(_AT_STEPS)

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute the shares of a layer, float32 ``[head, from, to]``, in slices.

        NaN from a group that has no queries, and of a head whose weights are not numbers.

        Raises:
            ValueError: If the stream has no such grouping or queries, or the layer cannot give the measure.
        """
        name, number = request["stream"], request["layer"]
        stream, groups = self._record[name], self.grouping(name, request["grouping"])
        measure, words = request.get("measure", "weights"), request.get("positions") == "words"
        first, count = request.get("queries", (0, len(groups.queries)))
        if first != 0:
            most = [0, len(groups.queries)]
            message = (
                f"queries of group_shares are the first ones, such as {most}, got {[first, count]}."
            )
            raise ValueError(message)
        groups = groups.until(count)

        def begin() -> Slices[Shares]:
            numbers = groups.of_words(stream) if words else groups.numbers
            return layer_shares(stream[number], numbers, measure)

        known = self._shares if count == stream[number].n_query else self._at_steps
        shares = yield from known.wait((name, number, groups.by, measure, words, count), begin)
        return encode(shares.astype(np.float32))

    def ranking(
        self, stream: Stream, ranking: Mapping[str, Any], measure: str, aside: Sequence[int] = ()
    ) -> Slices[list[Shares]]:
        """Compute the share that a ``GroupRanking`` names, of each layer float64 ``[head]``, in slices.

        Raises:
            ValueError: If there is no such group, all of it is set aside, or no head can give it any weight.
        """
        groups = self.grouping(stream.name, ranking["grouping"])
        pair = ranking["from"], ranking["to"]
        return (yield from pair_shares_slices(stream, groups, pair, measure, aside))

    def snapshot_requests(self) -> Iterator[dict[str, Any]]:
        """Yield the requests whose answers a copy without a kernel brings along: what is had at once, or is had."""
        for name, stream in self._record.streams.items():
            cheap = is_cheap(stream)
            for by, groups in self.of(name).items():
                heads = sum(layer.num_heads for layer in stream)
                numbers = heads * len(groups.names) ** 2
                if numbers > _COPIED:
                    continue
                where = {"what": "group_shares", "stream": name, "head": 0, "grouping": by}
                whole = by, "weights", False, len(groups.queries)
                yield from (
                    {**where, "layer": layer.layer}
                    for layer in stream
                    if cheap or (name, layer.layer, *whole) in self._shares.done
                )
                steps = num_steps(self._record) if prompt_sizes(self._record, stream) else 0
                # At its last step a generation has all of its queries.
                if steps * numbers <= _COPIED and steps * num_weights(stream) <= CHEAP:
                    yield from (
                        {**where, "layer": layer.layer, "queries": [0, len(groups.queries) - back]}
                        for back in range(steps)
                        for layer in stream
                    )
