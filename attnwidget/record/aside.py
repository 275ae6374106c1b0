"""Key positions that are set aside: named by a word, by numbers or by their tokens' text; the only place that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attnwidget.compute.checks import listed, shown
from attnwidget.record.position_lookup import resolve

if TYPE_CHECKING:
    from attnwidget.record.positions import Positions

__all__ = ["ASIDE", "FIRST_AND_SPECIAL", "aside_keys", "check_aside"]

FIRST_AND_SPECIAL: Final = "first and special"
"""What scores set aside where nothing else is said."""
ASIDE: Final[tuple[str, ...]] = ("first", "special", FIRST_AND_SPECIAL)
"""Positions that have a word for them: the first one, all special tokens, or both."""


def check_aside(value: Any, positions: Positions) -> str | list[int] | None:
    """Return what is set aside as it is kept: None, one of `ASIDE`, or positions in order and once each.

    Args:
        value: None, a word of `ASIDE`, a position, or several positions or tokens' texts.
        positions: The keys there are.

    Raises:
        ValueError: If it names none of them.
    """
    several = [value] if isinstance(value, int) and not isinstance(value, bool) else listed(value)
    if value is None or (several is not None and len(several) == 0):
        return None
    if isinstance(value, str) and value in ASIDE:
        return value
    if several is None or any(isinstance(one, bool) for one in several):
        words = ", ".join(map(repr, ASIDE))
        message = (
            f"aside must be {words}, key positions such as aside=[0, 4] or aside=['.'], or None for nothing, "
            f"got {shown(value)}."
        )
        raise ValueError(message)
    return list(resolve("aside", several, positions))


def aside_keys(aside: str | list[int] | None, positions: Positions) -> tuple[int, ...]:
    """Return the key positions that `check_aside` stands for, in order.

    Positions beyond the last are left out: a selection may be of another stream.
    """
    if aside is None:
        return ()
    if not isinstance(aside, str):
        return tuple(place for place in aside if place < len(positions))
    first, special = "first" in aside, "special" in aside
    return tuple(
        place
        for place, position in enumerate(positions)
        if (first and place == 0) or (special and position.kind == "special")
    )
