"""Which layers and which run of query positions a limit means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attnwidget.selection import integer

__all__ = ["Reach", "choose", "fits", "reach_of"]


@dataclass(frozen=True, slots=True)
class Reach:
    """A run of positions.

    Attributes:
        start: The first, negative from the end; ``None`` for the first there is.
        stop: One past the last, in the same way.
        strict: Whether all of them have to be there.
        given: What the caller gave.
    """

    start: int | None
    stop: int | None
    strict: bool
    given: Any

    @property
    def counts_back(self) -> bool:
        """Whether it says anything relative to the last position."""
        return any(bound is not None and bound < 0 for bound in (self.start, self.stop))

    def clipped(self, count: int) -> range:
        """Return those of ``count`` positions that are meant."""
        start, stop, _ = slice(self.start, self.stop).indices(max(count, 0))
        return range(start, max(start, stop))

    def within(self, count: int) -> range | None:
        """Return which of ``count`` positions are meant, or ``None`` if none is left or some are missing."""
        kept = self.clipped(count)
        if not len(kept):
            return None
        if self.strict:
            bounds = [bound for bound in (self.start, self.stop) if bound is not None]
            if any(not -count <= bound <= count for bound in bounds):
                return None
        return kept


def reach_of(value: Any) -> Reach:
    """Read positions that follow each other off a slice, a range, an integer or several.

    Raises:
        ValueError: If they do not follow each other, or are none of these.
    """
    if isinstance(value, slice):
        bounds = [None if b is None else integer(b) for b in (value.start, value.stop)]
        asked = [b for b in (value.start, value.stop) if b is not None]
        if integer(1 if value.step is None else value.step) == 1 and len(asked) == sum(
            b is not None for b in bounds
        ):
            return Reach(bounds[0], bounds[1], strict=False, given=value)
    elif integer(value) is not None:
        return _run([integer(value)], value)
    elif (isinstance(value, Sequence) and not isinstance(value, str)) or hasattr(value, "tolist"):
        numbers = [integer(number) for number in value]
        run = (
            numbers
            and numbers[0] is not None
            and list(range(numbers[0], numbers[0] + len(numbers)))
        )
        if run and run == numbers:
            return _run(numbers, value)
    message = (
        "positions must be query positions that follow each other: a slice or range without steps, an integer or a run "
        f"of integers, or such for each stream by its name, got {value!r}. Pass positions=slice(0, 512), for instance, "
        "and pick from the record, layer.weights(queries=[3, 17])."
    )
    raise ValueError(message)


def _run(numbers: Sequence[int | None], given: Any) -> Reach:
    first, last = numbers[0], numbers[-1]
    assert first is not None and last is not None  # noqa: S101, PT018  (the callers have looked)
    return Reach(first, None if last == -1 else last + 1, strict=True, given=given)


def choose(value: Any, numbers: Sequence[int]) -> set[int]:
    """Return those of the layers there are that ``value`` asks for; negative ones count from the end.

    A slice is one of the model's numbers, whether or not there is a layer of each.
    """
    there = sorted(numbers)
    if isinstance(value, slice):
        return set(range(there[-1] + 1)[value] if there else ()) & set(there)
    one = integer(value)
    asked = [one] if one is not None else [int(number) for number in value]
    return {
        number if number >= 0 else there[number]
        for number in asked
        if number in there or -len(there) <= number < 0
    }


def fits(name: str, foreseen: str) -> bool:
    """Tell whether a stream of this name may come out of what is foreseen under that one."""
    return name == foreseen or name.startswith(f"{foreseen} ")
