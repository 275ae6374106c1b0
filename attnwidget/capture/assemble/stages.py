"""Split a stack whose layers attend over different positions: stages, windows, parts.

A stream has one set of positions, so such a stack becomes several streams. Their names:

- ``vision stage 1``, ``vision stage 2`` …: the sequence becomes shorter (or longer) on the way, as in Swin. Layers count
  from 0 in each stage, as the model's own blocks do.
- ``vision stage 2 entry``: the layer at its beginning that looks at the longer sequence of the stage before.
- ``vision windows``: some layers attend within windows that cannot be placed in the image, others over the whole of it.
- ``decoder prediction``, ``vision part 2`` …: the same modules attend several times in one pass.
- ``cross 2`` …: whatever else differs, such as the number of keys.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attnwidget.capture.assemble.layer_sources import LayerSource

    _Kind = tuple[str, Callable[[list[LayerSource]], bool]]

__all__ = ["split_stages"]

# What the attention calls of one module are, in the order in which it makes them; by the name of its class.
_PARTS = tuple(
    (re.compile(pattern), names)
    for pattern, names in (
        (r"^ProphetNetNgramSelfAttention$", ("", "prediction")),
        (r"^XLNetRelativeAttention$", ("", "query stream")),
        (r"BiMultiHeadAttention$", ("image to text", "text to image")),
    )
)


def split_stages(sources: Sequence[LayerSource]) -> list[tuple[str, list[LayerSource]]]:
    """Sort layers by the positions they attend over, and say what is particular to each group.

    Args:
        sources: The layers of one stack, in calling order.

    Returns:
        Groups in order, each with its label; the first may have none.
    """
    groups: dict[tuple[object, ...], list[LayerSource]] = {}
    for source in sources:
        kind = (source.part, source.num_queries, source.num_keys, source.windows)
        groups.setdefault(kind, []).append(source)
    named: list[tuple[str, list[LayerSource]]] = []
    for part in sorted({source.part for source in sources}):
        mine = [group for group in groups.values() if group[0].part == part]
        label = _part(mine[0][0], part, several=any(source.part for source in sources))
        named.extend(
            (" ".join(filter(None, (label, inner))), group) for inner, group in _among(mine)
        )
    return _distinct(named)


def _part(source: LayerSource, part: int, *, several: bool) -> str:
    names = next(
        (n for pattern, n in _PARTS if pattern.search(type(source.module).__name__)), ("",)
    )
    if several and part < len(names):
        return names[part]
    return f"part {part + 1}" if part else ""


def _among(groups: list[list[LayerSource]]) -> list[tuple[str, list[LayerSource]]]:
    """Label groups whose modules attend once in a pass."""
    stages = _stages(groups)
    if len(stages) == 1:
        return _kinds(groups, (_WINDOWS,))
    found: list[tuple[str, list[LayerSource]]] = []
    for number, members in enumerate(stages, start=1):
        counted = _counted([source for group in members for source in group])
        numbered = [[counted[id(source)] for source in group] for group in members]
        kinds = _kinds(numbered, (_ENTRY, _WINDOWS))
        found.extend((f"stage {number} {kind}".strip(), group) for kind, group in kinds)
    return found


def _stages(groups: list[list[LayerSource]]) -> list[list[list[LayerSource]]]:
    """Sort groups into stages that follow each other: of one length, or of one width where windows blur the length."""
    if len({group[0].num_queries for group in groups}) > 1:
        for size in (lambda source: source.num_queries, _width):
            stages: dict[int, list[list[LayerSource]]] = {}
            for group in groups:
                stages.setdefault(size(group[0]), []).append(group)
            if _follow_each_other(list(stages.values())):
                return list(stages.values())
    return [groups]


def _width(source: LayerSource) -> int:
    heads, _, head_dim = source.calls[0].query.shape
    return heads * (head_dim or source.value.shape[2])


def _kinds(
    groups: list[list[LayerSource]], special: tuple[_Kind, ...]
) -> list[tuple[str, list[LayerSource]]]:
    """Label groups that are neither stages nor parts."""
    for place, (label, belongs) in enumerate(special):
        one = [group for group in groups if belongs(group)]
        if len(one) == 1 < len(groups):
            others = [group for group in groups if group is not one[0]]
            return [(label, one[0]), *_kinds(others, special[place + 1 :])]
    return [("" if n == 1 else str(n), group) for n, group in enumerate(groups, start=1)]


def _in_windows(group: list[LayerSource]) -> bool:
    windows = group[0].windows
    return windows is not None and not windows.num_placed


def _is_entry(group: list[LayerSource]) -> bool:
    """Tell whether this is the one layer that makes the sequence shorter."""
    return len(group) == 1 and group[0].num_queries < group[0].num_keys and not group[0].cross


_ENTRY: _Kind = ("entry", _is_entry)
_WINDOWS: _Kind = ("windows", _in_windows)


def _follow_each_other(stages: list[list[list[LayerSource]]]) -> bool:
    """Tell whether each stage ends before the next begins."""
    numbers = [[source.number for group in stage for source in group] for stage in stages]
    return all(max(one) < min(other) for one, other in pairwise(numbers))


def _counted(stage: list[LayerSource]) -> dict[int, LayerSource]:
    """Number the layers of a stage as the model does: by the last number in their paths, if that tells them apart."""
    if not all(source.by_order for source in stage):
        return {id(source): source for source in stage}
    last = [[int(part) for part in source.path.split(".") if part.isdigit()] for source in stage]
    numbers = [found[-1] if found else 0 for found in last]
    if len(set(numbers)) < len(numbers):
        numbers = list(range(len(stage)))
    return {id(source): replace(source, number=n) for source, n in zip(stage, numbers, strict=True)}


def _distinct(named: list[tuple[str, list[LayerSource]]]) -> list[tuple[str, list[LayerSource]]]:
    taken: set[str] = set()
    result = []
    for label, group in named:
        free, number = label, 2
        while free in taken:
            free, number = f"{label} {number}".strip(), number + 1
        taken.add(free)
        result.append((free, group))
    return result
