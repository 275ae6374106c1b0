"""Which grouping is on show, and from which group to which: defaults, checks, and what stays when the stream changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnwidget.compute.checks import is_word, shown
from attnwidget.protocol.constants import USUAL_GROUPINGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from attnwidget.analysis.position_groups import Groups
    from attnwidget.serve.source import Source

__all__ = ["ENDS", "check_end", "check_grouping", "fitting_groups", "usual_grouping"]

ENDS = ("from_group", "to_group")
"""The parts of a selection that name a group of the grouping on show."""


def usual_grouping(source: Source, stream: str) -> str | None:
    """Return the grouping that is shown where nobody says which: the caller's own, else the first that is usual."""
    there = {} if source.groups is None else source.groups.of(stream)
    return next((by for by in USUAL_GROUPINGS if by in there), None)


def check_grouping(source: Source, stream: str, value: object) -> str | None:
    """Return ``value`` if it is None or a grouping of the stream.

    Raises:
        ValueError: If it is none; the message says which there are.
    """
    there = {} if source.groups is None else source.groups.of(stream)
    if value is None or is_word(value, there):
        return None if value is None else str(value)
    if not there:
        message = (
            f"grouping must be None: stream {stream!r} has no groups of positions, got {shown(value)}; pass your own, as in "
            "view(attention, groups={'question': range(0, 5)})."
        )
    else:
        known = ", ".join(map(repr, there))
        message = f"grouping must be one of {known}, or None to show no groups, got {shown(value)}."
    raise ValueError(message)


def check_end(
    source: Source, stream: str, grouping: str | None, name: str, value: object
) -> str | None:
    """Return ``value`` if it is None or a group that has queries (of ``from_group``) or keys (of ``to_group``).

    Raises:
        ValueError: If it is none; the message says which there are.
    """
    if value is None:
        return None
    if grouping is None or source.groups is None:
        there = {} if source.groups is None else source.groups.of(stream)
        first = f"set grouping={next(iter(there))!r} first" if there else "there are none here"
        message = f"{name} must be None while no groups are shown, got {shown(value)}: {first}."
        raise ValueError(message)
    groups = source.groups.grouping(stream, grouping)
    names = _names(groups, name)
    if is_word(value, names):
        return str(value)
    known = ", ".join(map(repr, names))
    message = f"{name} must be one of {known} (by {grouping}), or None for all, got {shown(value)}."
    raise ValueError(message)


def _names(groups: Groups, name: str) -> list[str]:
    """Return the groups that can stand at an end: those with queries, or those with keys."""
    held = groups.asked if name == "from_group" else groups.seen
    return [groups.names[place] for place in held]


def fitting_groups(source: Source, stream: str, state: Mapping[str, Any]) -> dict[str, str | None]:
    """Return what of the groups on show a stream has: the grouping, else its usual one, and the groups that are in it.

    Args:
        source: What is shown.
        stream: Name of the stream.
        state: ``grouping``, ``from_group`` and ``to_group`` as they are. No grouping stays none.
    """
    grouping = state["grouping"]
    there = {} if source.groups is None else source.groups.of(stream)
    if grouping is not None and grouping not in there:
        grouping = usual_grouping(source, stream)
    kept = {} if grouping is None else {name: _names(there[grouping], name) for name in ENDS}
    return {
        "grouping": grouping,
        **{name: state[name] if state[name] in kept.get(name, ()) else None for name in ENDS},
    }
