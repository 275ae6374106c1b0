"""Which calls make up a layer, and which layers stand together in a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.calls import looks_back
from attnwidget.capture.naming import layer_numbers, split_stems, stem, stream_name
from attnwidget.capture.towers import enclosing

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.calls import Call, Calls
    from attnwidget.capture.pieces import Pieces
    from attnwidget.capture.recorder import Recorder

__all__ = ["Source", "alike", "grouped", "sources_of"]

_SHARED = 128  # layers that may share one module
_PARTS = 8  # a module called more often in one pass is a loop over positions


@dataclass(frozen=True, slots=True)
class Source:
    """What one layer is made of.

    Attributes:
        number: Its layer number.
        path: Path of the module.
        cross: Whether it looks at another sequence.
        part: Which of the attention calls it is that the module makes in one pass.
        calls: The calls that make it up.
        key: All keys, ``[key_value_head, key, head_dim]``.
        value: All values, ``[key_value_head, key, value_dim]``.
        pieces: The pieces it attends within.
    """

    number: int
    path: str
    cross: bool
    part: int
    calls: list[Call]
    key: Tensor
    value: Tensor
    pieces: Pieces | None = None

    @property
    def num_queries(self) -> int:
        """Number of queries over all calls."""
        return sum(call.query.shape[1] for call in self.calls)

    @property
    def num_keys(self) -> int:
        """Number of keys over all calls."""
        return self.key.shape[1]

    def has_own_queries(self, side: str) -> bool:
        """Tell whether its queries are none of its keys' positions: they were learned, or stand for groups.

        Fewer queries than keys may also be those of a generation whose first keys come out of a cache.
        """
        if self.num_queries >= self.num_keys:
            return self.num_queries > self.num_keys
        if self.num_queries == 1:
            return side in {"vision", "audio"}
        return not looks_back(self.calls)


def grouped(recorder: Recorder) -> dict[str, list[Calls]]:
    """Sort modules into streams, in calling order, cross-attention after what it reads."""
    groups: dict[str, dict[str, list[Calls]]] = {}
    for calls in recorder.calls.values():
        tower = next(enclosing(recorder.towers, calls.path))
        name = stream_name(
            calls.path,
            calls.module,
            recorder.model,
            tower.module,
            looks_back=looks_back(calls.calls),
        )
        groups.setdefault(name, {}).setdefault(stem(calls.path), []).append(calls)
    apart: dict[str, list[Calls]] = {}
    for name, stems in groups.items():
        numbered = [set(_numbers(members)) for members in stems.values()]
        collide = len(set[int]().union(*numbered)) < sum(len(numbers) for numbers in numbered)
        names = split_stems(name, list(stems)) if collide else dict.fromkeys(stems, name)
        for path, members in stems.items():
            apart.setdefault(names[path], []).extend(members)
    return dict(sorted(apart.items(), key=lambda item: item[0] == "cross"))


def _numbers(group: list[Calls]) -> list[int]:
    return layer_numbers([calls.path for calls in group], [calls.module for calls in group])


def sources_of(group: list[Calls], row: int, failed: dict[str, str]) -> list[Source]:
    """Put each module's calls together; ``failed`` takes the reasons where that cannot be done."""
    found: list[Source] = []
    for number, calls in zip(_numbers(group), group, strict=True):
        passes = {call.forward_pass for call in calls.calls}
        shapes = {(call.query.shape, call.key.shape) for call in calls.calls}
        if calls.trouble is None and len(passes) < len(calls.calls):
            if (
                len(group) == len(shapes) == len(passes) == 1 and len(calls.calls) <= _SHARED
            ):  # layers that share one module's weights (ALBERT)
                found.extend(
                    Source(
                        index,
                        calls.path,
                        calls.cross,
                        0,
                        [call],
                        call.key,
                        call.value,
                        calls.pieces,
                    )
                    for index, call in enumerate(calls.calls)
                )
                continue
            if (
                len(passes) == 1 and len(calls.calls) <= _PARTS
            ):  # it attends in more ways than one: two texts to each other, say
                found.extend(
                    Source(
                        number,
                        calls.path,
                        calls.cross,
                        part,
                        [call],
                        call.key,
                        call.value,
                        calls.pieces,
                    )
                    for part, call in enumerate(calls.calls)
                )
                continue
            calls.trouble = f"was called {len(calls.calls)} times in one forward pass"
        if calls.trouble is None:
            parts = calls.calls[:1] if calls.cross else calls.calls
            key = torch.cat([call.key for call in parts], dim=1)
            value = torch.cat([call.value for call in parts], dim=1)
            calls.trouble = calls.disagreement(key, row)
            if calls.trouble is None:
                found.append(
                    Source(
                        number, calls.path, calls.cross, 0, calls.calls, key, value, calls.pieces
                    )
                )
        if calls.trouble is not None:
            failed[calls.path] = calls.trouble
    return found


def alike(sources: list[Source]) -> list[list[Source]]:
    """Sort the layers by the number of positions they attend over: a stream has one set of them."""
    groups: dict[tuple[int, int, int, Pieces | None], list[Source]] = {}
    for source in sources:
        kind = (source.part, source.num_queries, source.num_keys, source.pieces)
        groups.setdefault(kind, []).append(source)
    return list(groups.values())
