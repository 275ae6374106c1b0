"""`Stack`: attention modules grouped into streams and numbered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnwidget.capture.architecture.numbered_names import numbered_paths
from attnwidget.capture.architecture.stream_names import (
    distinct_stream_names,
    is_of_transformers,
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
    members_of: dict[str, list[ModuleCalls]] = {}
    for side, calls in sides:
        members_of.setdefault(side, []).append(calls)
    _set_layer_paths(members_of)
    groups: dict[str, dict[str, list[ModuleCalls]]] = {}
    for side, found in members_of.items():
        for calls in found:
            groups.setdefault(side, {}).setdefault(stem(calls.layer_path), []).append(calls)
    stacks: dict[str, Stack] = {}
    taken = set(groups)
    for side, stems in groups.items():
        numbered = [set(stack_layer_numbers(members)[0]) for members in stems.values()]
        collide = len(set[int]().union(*numbered)) < sum(len(numbers) for numbers in numbered)
        kinds = {path: type(members[0].module).__name__ for path, members in stems.items()}
        sizes = {path: len(members) for path, members in stems.items()}
        names = dict.fromkeys(stems, side)
        if collide:
            names = distinct_stream_names(side, sizes, kinds, taken - {side})
        taken |= set(names.values())
        for path, members in stems.items():
            name = names[path]
            stacks.setdefault(name, Stack(name, side, [])).members.extend(members)
    return sorted(stacks.values(), key=lambda stack: stack.side == "cross")


def _set_layer_paths(members_of: dict[str, list[ModuleCalls]]) -> None:
    """Note, for each module, the path by which it is grouped and numbered; the names of transformers' own code stand."""
    paths = {
        side: [calls.path for calls in members if not is_of_transformers(type(calls.module))]
        for side, members in members_of.items()
    }
    every = {path for own in paths.values() for path in own}
    for side, members in members_of.items():
        numbered = numbered_paths(paths[side], every)
        for calls in members:
            calls.layer_path = numbered.get(calls.path, calls.path)


def stack_layer_numbers(group: list[ModuleCalls]) -> tuple[list[int], bool]:
    """Number the modules of one stack, and say whether the numbers only tell the order."""
    paths = [calls.layer_path or calls.path for calls in group]
    return layer_numbers(paths, [calls.module for calls in group])
