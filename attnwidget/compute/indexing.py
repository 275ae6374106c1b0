"""Integers, slices and lists of heads or positions, checked and turned into index axes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.compute.checks import integer, listed, shown

if TYPE_CHECKING:
    from torch import Tensor


__all__ = ["Axis", "Heads", "Index", "ascending", "head_axis", "position_axis"]

Heads = int | Sequence[int] | None

Index = int | slice | Sequence[int]


@dataclass(frozen=True, slots=True)
class Axis:
    """Chosen indices along one axis.

    Attributes:
        indices: What was chosen, in the caller's order; a range wherever the indices run without a gap.
        dropped: Whether the caller gave one integer, so that the axis leaves the result.
    """

    indices: range | tuple[int, ...]
    dropped: bool = False

    def __len__(self) -> int:
        return len(self.indices)

    def part(self, start: int, stop: int) -> Axis:
        """Return the indices from position ``start`` up to ``stop`` of this axis."""
        return Axis(self.indices[start:stop])

    def covers(self, size: int) -> bool:
        """Tell whether this is every index of an axis of ``size``, in order."""
        return self.indices == range(size)

    def take(self, tensor: Tensor, dim: int) -> Tensor:
        """Return ``tensor`` at these indices along ``dim``, a view where the indices run without a gap."""
        if isinstance(self.indices, range) and self.indices.step == 1:
            return tensor.narrow(dim, self.indices.start, len(self))
        return tensor.index_select(dim, self.tensor(tensor.device))

    def tensor(self, device: torch.device) -> Tensor:
        """Return the indices as an int64 tensor ``[index]``."""
        if isinstance(self.indices, range):
            step = self.indices.step
            return torch.arange(
                self.indices.start, self.indices.stop, step, dtype=torch.int64, device=device
            )
        return torch.tensor(self.indices, dtype=torch.int64, device=device)


def head_axis(heads: Heads, num_heads: int) -> Axis:
    """Check ``heads`` and return it as an axis.

    Args:
        heads: One head, several heads, or ``None`` for all; negative ones count from the end.
        num_heads: How many heads there are.

    Raises:
        ValueError: If a head is no integer or none of the layer, or if there is none.
    """
    if heads is None:
        return Axis(range(num_heads))
    values, dropped = _values(heads)
    numbers = [integer(value) for value in values]
    if not numbers or any(
        number is None or not -num_heads <= number < num_heads for number in numbers
    ):
        message = f"heads must be integers in 0..{num_heads - 1}, got {_shown(values, numbers)}."
        raise ValueError(
            message if numbers else f"{message[:-1]}: name at least one, or pass None for all."
        )
    found = [number % num_heads for number in numbers if number is not None]
    return Axis(_run(found), dropped=dropped)


def position_axis(name: str, index: Index, size: int) -> Axis:
    """Check an index of queries or keys and return it as an axis.

    Args:
        name: What the caller calls it, for the message.
        index: An integer (negative from the end, as in numpy), a slice, or several integers.
        size: How many positions there are.

    Raises:
        ValueError: If an index is not an integer or lies outside the positions.
    """
    if isinstance(index, slice):
        found = range(size)[_checked_slice(name, index)]
        return Axis(found if len(found) else range(0))
    values, dropped = _values(index)
    numbers = [integer(value) for value in values]
    if any(number is None or not -size <= number < size for number in numbers):
        message = (
            f"{name} must be integers in 0..{size - 1} (or -{size}..-1, from the end), got"
            f" {_shown(values, numbers)}."
        )
        raise ValueError(message)
    return Axis(_run([number % size for number in numbers if number is not None]), dropped=dropped)


def _values(index: Any) -> tuple[list[Any], bool]:
    """Return the entries of an index, and whether it is one value; what can be read once only is one, and no integer."""
    several = listed(index) if hasattr(index, "__len__") else None
    return ([index], True) if several is None else (several, False)


def _shown(values: Sequence[Any], numbers: Sequence[int | None]) -> str:
    each = [
        shown(value if number is None else number)
        for value, number in zip(values, numbers, strict=True)
    ]
    return f"[{', '.join(each)}]"


def _checked_slice(name: str, index: slice) -> slice:
    """Return a slice whose bounds are integers.

    Raises:
        ValueError: If one is not, or the step is 0.
    """
    bounds = (index.start, index.stop, index.step)
    numbers = [None if bound is None else integer(bound) for bound in bounds]
    if numbers[2] == 0 or any(
        number is None and bound is not None for number, bound in zip(numbers, bounds, strict=True)
    ):
        message = f"{name} must be a slice of integers with a step other than 0, got {shown(index)}: pass {name}=slice(0, 4), for instance."
        raise ValueError(message)
    return slice(*numbers)


def _run(numbers: Sequence[int]) -> range | tuple[int, ...]:
    start = numbers[0] if numbers else 0
    run = range(start, start + len(numbers))
    return run if all(map(operator.eq, run, numbers)) else tuple(numbers)


def ascending(indices: Sequence[int]) -> Axis:
    """Return indices in order and once each, as a range where they run without a gap."""
    numbers = sorted(set(indices))
    if numbers and len(numbers) == numbers[-1] - numbers[0] + 1:
        return Axis(range(numbers[0], numbers[-1] + 1))
    return Axis(tuple(numbers))
