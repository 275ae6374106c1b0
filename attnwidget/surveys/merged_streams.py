"""What was found in the streams of two surveys, one after the other, added up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from attnwidget.surveys.contexts.gathered import merged_contexts
from attnwidget.surveys.statistics import Surveyed, Typical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

__all__ = ["merged_streams"]


def merged_streams(
    first: Mapping[str, Surveyed], second: Mapping[str, Surveyed], *, keep: int, shift: int
) -> dict[str, Surveyed]:
    """Return the streams of both surveys by their names.

    Args:
        first: Those of the first survey.
        second: Those of the second.
        keep: How many typical inputs are kept.
        shift: How many inputs the first survey has read, by which numbers of the second's go up.

    Raises:
        ValueError: If the heads of a stream are not the same.
    """
    streams = dict(first)
    for name, found in second.items():
        streams[name] = (
            _merged(first[name], found, keep, shift)
            if name in first
            else _shifted(found, keep, shift)
        )
    return streams


def _merged(first: Surveyed, second: Surveyed, keep: int, shift: int) -> Surveyed:
    return Surveyed(
        first.moments.merge(second.moments),
        first.typical.merge(second.typical, keep, shift=shift),
        _both(first.groups, second.groups),
        _both(first.outputs, second.outputs),
        links=_both(first.links, second.links),
        contexts=merged_contexts(first.contexts, second.contexts, shift),
    )


def _shifted(found: Surveyed, keep: int, shift: int) -> Surveyed:
    """Return a stream that the first survey has not."""
    typical = found.typical
    nothing = Typical(typical.rank[..., :0], typical.value[..., :0], typical.index[..., :0])
    contexts = None if found.contexts is None else found.contexts.shifted(shift)
    return replace(found, typical=nothing.merge(typical, keep, shift=shift), contexts=contexts)


class _Mergeable(Protocol):
    def merge(self, other: Self, /) -> Self: ...


_Part = TypeVar("_Part", bound=_Mergeable)


def _both(first: _Part | None, second: _Part | None) -> _Part | None:
    """Return what was found in both; of what only one of them kept that."""
    if first is None or second is None:
        return first or second
    return first.merge(second)
