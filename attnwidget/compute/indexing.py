"""Integers, slices and lists of heads or positions, checked and turned into index axes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


__all__ = ["Axis", "Heads", "Index", "ascending", "head_axis", "integer", "position_axis"]

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
    dropped = not isinstance(heads, Sequence) and getattr(heads, "ndim", 0) == 0
    values = [heads] if dropped else list(heads)  # type: ignore[arg-type]
    numbers = [integer(value) for value in values]
    if not numbers or any(
        number is None or not -num_heads <= number < num_heads for number in numbers
    ):
        shown = [
            value if number is None else number
            for value, number in zip(values, numbers, strict=True)
        ]
        message = f"heads must be integers in 0..{num_heads - 1}, got {shown}."
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
        return Axis(range(size)[index])
    dropped = not isinstance(index, Sequence) and getattr(index, "ndim", 0) == 0
    values = [index] if dropped else list(index)  # type: ignore[arg-type]
    numbers = [integer(value) for value in values]
    if any(number is None or not -size <= number < size for number in numbers):
        shown = [
            value if number is None else number
            for value, number in zip(values, numbers, strict=True)
        ]
        message = (
            f"{name} must be integers in 0..{size - 1} (or -{size}..-1, from the end), got {shown}."
        )
        raise ValueError(message)
    return Axis(_run([number % size for number in numbers if number is not None]), dropped=dropped)


def integer(value: object) -> int | None:
    """Return ``value`` if it is one integer of Python, numpy or torch, else ``None``."""
    # A bool is an int to Python, but `heads=True` is a mistake and a boolean mask is not a list of heads.
    if isinstance(value, bool) or getattr(value, "dtype", None) in (torch.bool, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


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
