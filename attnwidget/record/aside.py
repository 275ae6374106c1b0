"""Key positions that are set aside: named by a word, by numbers or by their tokens' text; the only place that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attnwidget.compute.checks import is_word, listed, shown
from attnwidget.record.position_lookup import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attnwidget.record.position_lookup import Place
    from attnwidget.record.positions import Positions
    from attnwidget.record.stream import StreamAxes

__all__ = [
    "ASIDE",
    "FIRST_AND_SPECIAL",
    "aside_keys",
    "check_aside",
    "check_not_aside",
    "named_aside",
]

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
    if is_word(value, ASIDE):
        return str(value)
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


def named_aside(
    aside: Place | None, positions: Positions, called: str = "aside"
) -> tuple[int, ...]:
    """Return the key positions that a caller names, in order: by a word of `ASIDE`, by numbers or by tokens' texts.

    Args:
        aside: What the caller gave; nothing and an empty list are none of them.
        positions: The keys there are.
        called: What the caller calls it.

    Raises:
        ValueError: If a position or token does not exist, or a token stands in several places.
    """
    if is_word(aside, ASIDE):
        return aside_keys(str(aside), positions)
    # None of them is a choice too, and no mistake as among queries.
    return () if aside is None or listed(aside) == [] else resolve(called, aside, positions)


def check_not_aside(keys: Iterable[int], aside: Sequence[int], stream: StreamAxes) -> None:
    """Refuse links that are all to keys that are set aside.

    Raises:
        ValueError: If there is no other among them.
    """
    out = set(aside)
    if not out or any(key not in out for key in keys):
        return
    named = ", ".join(f"{key} ({stream.key_positions[key].label})" for key in list(aside)[:8])
    message = (
        f"all of these links are to keys that are set aside, {named}{' …' if len(out) > 8 else ''}: ask for others, or "
        "pass aside=None."
    )
    raise ValueError(message)
