"""Long computations as generators that yield their progress and can be paused between two steps.

A sliced computation is a generator: each ``next`` does a slice of work, a few hundredths of a second on a slow core,
and yields the share that is done, from 0 to 1 and never less than before. Its return value (what ``yield from`` gives,
``StopIteration.value``) is the result. It may be left unfinished, or closed, at any slice: what it has put into a cache
by then stays there. Between two slices it holds no lock and changes no global state of torch; a generator itself is
run by one thread at a time, several of them may run beside each other.

    work = tile_slices(layer, head=3, level=7, place=(0, 0))
    for part in work: ...       # or advance(work, seconds=0.2) again and again
    finish(work)                # all of it at once
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from attnwidget.compute.softmax import exact

if TYPE_CHECKING:
    from attnwidget.compute.layer_tensors import LayerTensors

__all__ = ["Slices", "Step", "advance", "finish", "share_of", "within"]

Result = TypeVar("Result")
Slices: TypeAlias = Generator[float, None, Result]


@dataclass(frozen=True, slots=True)
class Step(Generic[Result]):
    """How far a sliced computation has come.

    Attributes:
        part: The share that is done.
        results: The result alone once there is one, nothing before.
    """

    part: float
    results: tuple[Result, ...] = ()


def finish(work: Slices[Result]) -> Result:
    """Run all slices and return the result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


def advance(work: Slices[Result], seconds: float) -> Step[Result]:
    """Run slices for about so many seconds, one at least.

    Args:
        work: The computation.
        seconds: No slice is begun after that.

    Returns:
        How far it has come, with the result if it is through.
    """
    until = time.monotonic() + seconds
    part = 0.0
    while True:
        try:
            part = next(work)
        except StopIteration as end:
            return Step(1.0, (end.value,))
        if time.monotonic() >= until:
            return Step(part)


def within(layer: LayerTensors, work: Slices[Result]) -> Slices[Result]:
    """Run each slice without gradients and autocast, and what is between the slices as it was."""
    while True:
        with exact(layer):
            try:
                part = next(work)
            except StopIteration as end:
                result: Result = end.value
                return result
        yield part


def share_of(work: Slices[Result], start: float, stop: float) -> Slices[Result]:
    """Run a computation as the share from ``start`` to ``stop`` of a longer one."""
    while True:
        try:
            part = next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
        yield start + (stop - start) * part
