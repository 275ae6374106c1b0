"""Positions named by number, slice or token text, resolved to indices: the only place that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from attnwidget.compute.checks import listed, shown
from attnwidget.compute.indexing import position_axis
from attnwidget.record.positions import word_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from attnwidget.record.positions import Positions

    Place: TypeAlias = int | str | slice | Sequence[int] | Sequence[str]

__all__ = ["replace_text", "resolve"]


def resolve(name: str, place: Place, positions: Positions) -> tuple[int, ...]:
    """Return the positions that ``place`` names, in order and once each.

    Args:
        name: What the caller calls it, for the message.
        place: A position, a slice, a token's or word's text, or several of either.
        positions: What there is.

    Raises:
        ValueError: If a position or token does not exist, or a token stands in several places.
    """
    several = listed(place)
    if several is None:
        several = [place]
    found: list[int] = []
    for one in several:
        if isinstance(one, str):
            found.extend(_find_text(name, one, positions))
        else:
            found.extend(position_axis(name, cast("int", one), len(positions)).indices)
    if not found:
        message = f"{name} names no position, got {shown(place)}: pass a position, such as {name}=0, or a token's text."
        raise ValueError(message)
    return tuple(sorted(set(found)))


def replace_text(name: str, place: Any, positions: Positions) -> Any:
    """Return ``place`` with a token's or word's text, alone or among others, replaced by where it stands.

    One token becomes its position, a word of several pieces the positions of all of them. What is no text, and no list
    with a text in it, is returned as it is and unchecked.

    Args:
        name: What the caller calls it, for the message.
        place: As for `resolve`, or anything else.
        positions: What there is.

    Raises:
        ValueError: If a token does not exist, or stands in several places.
    """
    if isinstance(place, str):
        found = _find_text(name, place, positions)
        return found[0] if len(found) == 1 else list(found)
    if isinstance(place, (list, tuple)) and any(isinstance(one, str) for one in place):
        numbers: list[Any] = []
        for one in place:
            numbers.extend(_find_text(name, one, positions) if isinstance(one, str) else [one])
        return numbers
    return place


def _find_text(name: str, text: str, positions: Positions) -> Sequence[int]:
    """Return the one place where a token stands, or all pieces of the one word that reads so."""
    tokens = [
        (place,)
        for place, position in enumerate(positions)
        if text in (position.label, position.text)
    ]
    words: dict[int, list[int]] = {}
    for place, number in enumerate(word_numbers(positions)):
        words.setdefault(number, []).append(place)
    whole = [
        tuple(places)
        for places in words.values()
        if len(places) > 1
        and text.strip() == "".join(positions[place].text or "" for place in places).strip()
    ]
    found = tokens + whole
    if len(found) == 1:
        return found[0]
    if not found:
        there = ", ".join(position.label for position in positions[:20])
        more = " …" if len(positions) > 20 else ""
        message = f"{name}={shown(text)} is no token of this input; there are {there}{more}."
        raise ValueError(message)
    places = [list(one) if len(one) > 1 else one[0] for one in found]
    message = f"{name}={shown(text)} occurs at {places}: pass one of these positions, such as {name}={places[0]}."
    raise ValueError(message)
