"""Put the positions of several inputs on one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnwidget.comparison.alignment import Pair, align

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnwidget.record.positions import Position, Positions

__all__ = ["Place", "align_all", "pairs_of"]

# Tokens that a label names where the inputs have different ones at a place.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Place:
    """One place on the axis that several inputs share.

    Attributes:
        at: Its position in each input, or ``None`` where there is none.
        label: What a person reads there; ``"a → b"`` where inputs have different tokens, of more than three the first and the last.
        same: Whether all of them hold the same token there.
    """

    at: tuple[int | None, ...]
    label: str
    same: bool

    @property
    def aligned(self) -> bool:
        """Whether all inputs have a position here."""
        return None not in self.at


def align_all(inputs: Sequence[Positions], *, replaced: bool = True) -> tuple[Place, ...]:
    """Align every input with the first, each as `align` does it.

    What the first lacks stands where the others have it; there equal tokens of several inputs share a place.

    Args:
        inputs: Positions of each input; of two the places are those of `align`.
        replaced: As for `align`.

    Returns:
        The common axis, in order.
    """
    first = inputs[0]
    # For each position of the first where the others have it, and what they have in front of it, or behind all.
    held: list[list[int | None]] = [[place] for place in range(len(first))]
    gaps: list[list[list[int | None]]] = [[] for _ in range(len(first) + 1)]
    for number, other in enumerate(inputs[1:], start=1):
        found, between = _against(first, other, replaced=replaced)
        for place, at in enumerate(found):
            held[place].append(at)
        for place, extra in enumerate(between):
            gaps[place] = _into_gap(gaps[place], extra, inputs, number)
    places: list[list[int | None]] = []
    for gap, own in zip(gaps, held, strict=False):
        places += [*gap, own]
    places += gaps[-1]
    return tuple(_place(at, inputs) for at in places)


def _against(
    first: Positions, other: Positions, *, replaced: bool
) -> tuple[list[int | None], list[list[int]]]:
    """Return where each position of the first lies in the other, and what the other has before each, and behind all."""
    found: list[int | None] = [None] * len(first)
    between: list[list[int]] = [[] for _ in range(len(first) + 1)]
    reached = 0
    for pair in align(first, other, replaced=replaced):
        if pair.a is not None:
            found[pair.a] = pair.b
            reached = pair.a + 1
        elif pair.b is not None:
            between[reached].append(pair.b)
    return found, between


def _into_gap(
    gap: list[list[int | None]], own: list[int], inputs: Sequence[Positions], number: int
) -> list[list[int | None]]:
    """Add what one more input has in a gap: beside an equal token that another has there, else at a place of its own."""
    there = tuple(_example(at, inputs) for at in gap)
    merged: list[list[int | None]] = []
    for pair in align(there, tuple(inputs[number][at] for at in own), replaced=False):
        before = [None] * number if pair.a is None else gap[pair.a]
        merged.append([*before, None if pair.b is None else own[pair.b]])
    return merged


def _example(at: Sequence[int | None], inputs: Sequence[Positions]) -> Position:
    """Return the position that the first input to have one has at a place."""
    return next(
        positions[place] for place, positions in zip(at, inputs, strict=False) if place is not None
    )


def _place(at: Sequence[int | None], inputs: Sequence[Positions]) -> Place:
    there = [
        positions[place] for place, positions in zip(at, inputs, strict=True) if place is not None
    ]
    labels = list(dict.fromkeys(position.label for position in there))
    if len(labels) > _NAMED:
        labels = [labels[0], "…", labels[-1]]
    tokens = {(position.kind, position.text, position.label) for position in there}
    same = len(there) == len(inputs) and len(tokens) == 1
    return Place(tuple(at), " → ".join(labels), same)


def pairs_of(places: Sequence[Place], first: int, second: int) -> tuple[Pair, ...]:
    """Return the common axis, place by place, as it is for two of the inputs; at some places neither has a position."""
    return tuple(
        Pair(place.at[first], place.at[second], place.label, same=place.same) for place in places
    )
