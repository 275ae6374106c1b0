"""Edits carried over to another text: what names positions follows their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import integer
from attnwidget.edits.edits import Edits
from attnwidget.widget.carried_selection import token_places
from attnwidget.widget.trait_types import edits_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnwidget.record.stream import Stream

__all__ = ["carried_edits"]


def carried_edits(
    edits: Edits, old: Mapping[str, Stream], new: Mapping[str, Stream]
) -> tuple[Edits, Edits]:
    """Return the parts of an edit at the same tokens of another text, and those whose tokens it lacks.

    Args:
        edits: The edit, of positions of ``old``.
        old: The streams of the record of the text before.
        new: Those of the other text.
    """
    kept, dropped = Edits(), Edits()
    for part, data in zip(edits.parts, parts_of(edits), strict=True):
        if "cut" not in data:
            kept += Edits((part,))
            continue
        name = data["stream"] or next(iter(old))
        ends = _moved_ends(data["cut"], old.get(name), new.get(name))
        if ends is None:
            dropped += Edits((part,))
        else:
            kept += edits_of([{**data, "cut": ends}])
    return kept, dropped


def _moved_ends(
    ends: Mapping[str, Any], old: Stream | None, new: Stream | None
) -> dict[str, Any] | None:
    """Return the ends of links at the same tokens; None where one of these is gone."""
    if old is None or new is None:
        return None
    sides = {
        "query": (old.query_positions, new.query_positions),
        "key": (old.key_positions, new.key_positions),
    }
    moved = {name: _moved(end, token_places(*sides[name])) for name, end in ends.items()}
    lost = [name for name, end in ends.items() if end is not None and moved[name] is None]
    return None if lost else moved


def _moved(end: Any, place: Callable[[int], int | None]) -> Any:
    """Return positions at other places, tokens' texts as they are; None where one of them has none."""
    if isinstance(end, list):
        several = [_moved(one, place) for one in end]
        return None if None in several else several
    number = integer(end)
    # As `cut` has them, negative ones count from the end of any text.
    return end if number is None or number < 0 else place(number)
