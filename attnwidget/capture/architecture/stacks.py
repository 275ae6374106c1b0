"""`Stack`: attention modules grouped into streams and numbered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnwidget.capture.architecture.stream_names import (
    distinct_stream_names,
    layer_numbers,
    stem,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attnwidget.capture.calls.module_calls import ModuleCalls


__all__ = ["Stack", "make_stacks", "stack_layer_numbers"]


@dataclass(frozen=True, slots=True)
class Stack:
    """Attention modules whose layers form one stream, or several that are told apart later.

    Attributes:
        name: Name of their stream.
        side: Kind of the stream: ``"encoder"``, ``"decoder"``, ``"cross"``, ``"vision"`` or ``"audio"``.
        members: The calls of each, in calling order.
    """

    name: str
    side: str
    members: list[ModuleCalls]


def make_stacks(sides: Iterable[tuple[str, ModuleCalls]]) -> list[Stack]:
    """Group modules into streams by the kind of stream of each, and name the streams."""
    groups: dict[str, dict[str, list[ModuleCalls]]] = {}
    for side, calls in sides:
        groups.setdefault(side, {}).setdefault(stem(calls.path), []).append(calls)
    stacks: dict[str, Stack] = {}
    for side, stems in groups.items():
        numbered = [set(stack_layer_numbers(members)[0]) for members in stems.values()]
        collide = len(set[int]().union(*numbered)) < sum(len(numbers) for numbers in numbered)
        kinds = {path: type(members[0].module).__name__ for path, members in stems.items()}
        sizes = {path: len(members) for path, members in stems.items()}
        names = distinct_stream_names(side, sizes, kinds) if collide else dict.fromkeys(stems, side)
        for path, members in stems.items():
            name = names[path]
            stacks.setdefault(name, Stack(name, side, [])).members.extend(members)
    return sorted(stacks.values(), key=lambda stack: stack.side == "cross")


def stack_layer_numbers(group: list[ModuleCalls]) -> tuple[list[int], bool]:
    """Number the modules of one stack, and say whether the numbers only tell the order."""
    return layer_numbers([calls.path for calls in group], [calls.module for calls in group])
