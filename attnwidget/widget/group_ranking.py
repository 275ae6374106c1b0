"""The ranking of heads by the share that one group of positions gives another, from what a caller of `rank` passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.serve.source import Source

__all__ = ["group_ranking"]


def group_ranking(
    source: Source,
    stream: str,
    by: str | None,
    groups: tuple[str | None, str | None],
    besides: Mapping[str, object],
) -> dict[str, Any]:
    """Return a ``GroupRanking`` (see the schema).

    Args:
        source: What is shown.
        stream: The stream on show.
        by: The grouping; the first of the stream when left out.
        groups: From which group, and to which; None for all positions.
        besides: What else names links, by the caller's word for it.

    Raises:
        ValueError: If something else names links too, or there is no such grouping or group.
    """
    given = [name for name, value in besides.items() if value is not None]
    if given:
        message = (
            f"rank takes from_group and to_group, or {given[0]}, got both: for instance "
            "view.rank(from_group='A', to_group='B')."
        )
        raise ValueError(message)
    found = source.groups
    there = {} if found is None else found.of(stream)
    if found is None or not there:
        message = (
            f"stream {stream!r} has no groups of positions: pass view(…, groups={{'question': range(0, 5)}}), then "
            "view.rank(from_group='rest', to_group='question')."
        )
        raise ValueError(message)
    ranking = {
        "grouping": next(iter(there)) if by is None else by,
        "from": groups[0],
        "to": groups[1],
    }
    found.sides(stream, ranking)
    return ranking
