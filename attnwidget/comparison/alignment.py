"""Align the positions of two inputs."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnwidget.record.positions import Position, Positions

__all__ = ["Pair", "align"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One place on the axis that two inputs share.

    Attributes:
        a: Its position in the first input, or ``None`` where there is none.
        b: Its position in the second, or ``None``.
        label: What a person reads there; ``"a → b"`` where one token stands in the other's place.
        same: Whether both hold the same token there.
    """

    a: int | None
    b: int | None
    label: str
    same: bool

    @property
    def at(self) -> tuple[int | None, int | None]:
        """Its position in both inputs."""
        return self.a, self.b

    @property
    def aligned(self) -> bool:
        """Whether both inputs have a position here."""
        return self.a is not None and self.b is not None


def align(a: Positions, b: Positions, *, replaced: bool = True) -> tuple[Pair, ...]:
    """Put equal tokens side by side, by the longest common runs (``difflib.SequenceMatcher`` of the standard library).

    Args:
        a: Positions of the first input.
        b: Positions of the second.
        replaced: Whether a run of tokens that stands in the place of as many others is aligned with them, one by one.

    Returns:
        The common axis, in order; tokens that only one input has stand where they stand in it.
    """
    tokens = [
        [(position.kind, position.text, position.label) for position in side] for side in (a, b)
    ]
    # Without "autojunk" frequent tokens count as well.
    matcher = SequenceMatcher(None, tokens[0], tokens[1], autojunk=False)
    pairs: list[Pair] = []
    for kind, a_start, a_stop, b_start, b_stop in matcher.get_opcodes():
        if kind == "equal" or (replaced and a_stop - a_start == b_stop - b_start):
            for first, second in zip(range(a_start, a_stop), range(b_start, b_stop), strict=True):
                pairs.append(_both(first, second, a[first], b[second]))
            continue
        pairs.extend(
            Pair(place, None, a[place].label, same=False) for place in range(a_start, a_stop)
        )
        pairs.extend(
            Pair(None, place, b[place].label, same=False) for place in range(b_start, b_stop)
        )
    return tuple(pairs)


def _both(first: int, second: int, a: Position, b: Position) -> Pair:
    label = a.label if a.label == b.label else f"{a.label} → {b.label}"
    same = (a.kind, a.text, a.label) == (b.kind, b.text, b.label)
    return Pair(first, second, label, same=same)
