"""Running mean and spread of the shares that groups of positions give each other, over inputs, mergeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnwidget.analysis.group_shares import stream_shares
from attnwidget.analysis.position_groups import groups_by_stream, no_groups
from attnwidget.surveys.running_means import RunningMeans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attnwidget.analysis.position_groups import By, Groups
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream

    Numbers = NDArray[np.float64]

__all__ = ["MOST_GROUPS", "GroupMeans", "group_means"]

MOST_GROUPS = 64
"""Groups of all inputs together, at most: sums are kept for every pair of them."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupMeans(RunningMeans):
    """The shares of one stream's heads over many inputs.

    Heads of all layers stand in one axis, in order. An input without one of two groups counts for nothing in the share
    of these, and one in which a head's weights are NaN for nothing in those of this head.

    Attributes:
        by: The grouping: a name, or ``"own"``.
        names: The groups of all inputs, in the order in which they came.
        count: Number of inputs in which a share was defined, ``[head, from, to]``.
        mean: Mean over them.
        squares: Sum of squared distances from the mean.
    """

    by: str
    names: tuple[str, ...]
    count: Numbers
    mean: Numbers
    squares: Numbers

    @classmethod
    def of(cls, stream: Stream, groups: Groups, measure: str) -> GroupMeans:
        """Return the shares of one input.

        Raises:
            ValueError: If there are too many groups, or a layer cannot give the measure.
        """
        _check_names(groups.by, groups.names)
        shares = np.concatenate(stream_shares(stream, groups.numbers, measure))
        there = np.zeros((len(groups.names), len(groups.names)), dtype=bool)
        there[np.ix_(groups.asked, groups.seen)] = True
        count = (there & ~np.isnan(shares)).astype(np.float64)
        mean = np.where(count > 0, shares, 0.0)
        return cls(groups.by, groups.names, count, mean, np.zeros_like(mean))

    def merge(self, other: GroupMeans) -> GroupMeans:
        """Return the shares of both sets of inputs together.

        Raises:
            ValueError: If the groupings are not the same, or there are too many groups.
        """
        if self.by != other.by:
            message = f"shares of groups by {self.by} and by {other.by} do not add up: survey all inputs with one."
            raise ValueError(message)
        names = tuple(dict.fromkeys((*self.names, *other.names)))
        _check_names(self.by, names)
        return GroupMeans(self.by, names, *self._with(names).merged(other._with(names)))

    def _with(self, names: tuple[str, ...]) -> GroupMeans:
        """Return the same among more groups."""
        if names == self.names:
            return self
        at = [names.index(name) for name in self.names]
        arrays = []
        for array in (self.count, self.mean, self.squares):
            wide = np.zeros((len(array), len(names), len(names)))
            wide[:, np.array(at)[:, None], at] = array
            arrays.append(wide)
        return GroupMeans(self.by, names, *arrays)


def _check_names(by: str, names: tuple[str, ...]) -> None:
    if len(names) > MOST_GROUPS:
        message = f"there are {len(names)} groups by {by}; a survey keeps at most {MOST_GROUPS} of all inputs together."
        raise ValueError(message)


def group_means(record: Record, by: By | None, measure: str) -> Mapping[str, GroupMeans]:
    """Return the shares of one input by the stream's name; nothing of streams without such groups.

    Raises:
        ValueError: If the caller's own groups are none of this input's, or a layer cannot give the measure.
    """
    if by is None:
        return {}
    found = groups_by_stream(record, record.streams, by, "groups")
    if not found and not isinstance(by, str):
        raise ValueError(no_groups(by, record, "groups"))
    return {name: GroupMeans.of(record[name], groups, measure) for name, groups in found.items()}
