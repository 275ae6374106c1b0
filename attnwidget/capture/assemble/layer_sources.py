"""Which calls make up a layer, and which layers stand together in a stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attnwidget.capture.architecture.stacks import numbers_of
from attnwidget.capture.calls.call import emptied
from attnwidget.capture.calls.chunks import attends_in_chunks, behind_each_other
from attnwidget.capture.calls.module_calls import looks_back
from attnwidget.capture.generation.concatenate import end_to_end

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.calls.call import Call
    from attnwidget.capture.calls.module_calls import Calls
    from attnwidget.capture.calls.windows import Pieces


__all__ = ["Source", "sources_of"]

_SHARED = 128  # layers that may share one module

_PARTS = 8  # a module called more often in one pass is a loop over positions


@dataclass(frozen=True, slots=True)
class Source:
    """What one layer is made of.

    Attributes:
        number: Its layer number.
        path: Path of the module.
        module: The module.
        cross: Whether it looks at another sequence.
        part: Which of the attention calls it is that the module makes in one pass.
        calls: The calls that make it up.
        pieces: The pieces it attends within.
        by_order: Whether its number only counts the modules of its stack, as they have none of their own.
    """

    number: int
    path: str
    module: nn.Module
    cross: bool
    part: int
    calls: list[Call]
    pieces: Pieces | None = None
    by_order: bool = False

    @property
    def num_queries(self) -> int:
        """Number of queries over all calls."""
        return sum(call.num_queries for call in self.calls)

    @property
    def num_keys(self) -> int:
        """Number of keys over all calls."""
        return sum(call.key.shape[1] for call in self._with_keys)

    @property
    def key(self) -> Tensor:
        """All keys, ``[key_value_head, key, head_dim]``; the very tensor that was kept, where one call had all."""
        return end_to_end([call.key for call in self._with_keys])

    @property
    def value(self) -> Tensor:
        """All values, ``[key_value_head, key, value_dim]``, likewise."""
        return end_to_end([call.value for call in self._with_keys])

    @property
    def _with_keys(self) -> list[Call]:
        return self.calls[:1] if self.cross else self.calls

    def let_go(self) -> None:
        """Hold the vectors no longer: they are in the record."""
        self.calls[:] = [
            replace(
                call,
                query=emptied(call.query),
                key=emptied(call.key),
                value=emptied(call.value),
                recorded=None if call.recorded is None else emptied(call.recorded),
            )
            for call in self.calls
        ]

    def has_own_queries(self, side: str) -> bool:
        """Tell whether its queries are none of its keys' positions: they were learned, or stand for groups.

        Fewer queries than keys may also be those of a generation whose first keys come out of a cache.
        """
        if self.num_queries >= self.num_keys:
            return self.num_queries > self.num_keys
        if self.num_queries == 1:
            return side in {"vision", "audio"}
        return not looks_back(self.calls)


def sources_of(group: list[Calls], row: int, failed: dict[str, str]) -> list[Source]:
    """Put each module's calls together; ``failed`` takes the reasons where that cannot be done."""
    found: list[Source] = []
    masks: dict[tuple[int, ...], Tensor] = {}
    numbers, by_order = numbers_of(group)
    for number, calls in zip(numbers, group, strict=True):
        found += _sources(calls, number, row, masks, alone=len(group) == 1, by_order=by_order)
        if calls.trouble is not None:
            failed[calls.path] = calls.trouble
    for calls in group:
        calls.calls, calls.last_key = (
            [],
            None,
        )  # the layers hold them now, and let go of them one by one
    return found


def _sources(
    calls: Calls,
    number: int,
    row: int,
    masks: dict[tuple[int, ...], Tensor],
    *,
    alone: bool,
    by_order: bool,
) -> list[Source]:
    """Make the layers of one module; none, and a reason in its ``trouble``, where that cannot be done."""

    def source(parts: list[Call], number: int = number, part: int = 0) -> Source:
        return Source(
            number=number,
            path=calls.path,
            module=calls.module,
            cross=calls.cross,
            part=part,
            calls=parts,
            pieces=parts[0].pieces,
            by_order=by_order,
        )

    passes = {call.forward_pass for call in calls.calls}
    if len(passes) == 1 and attends_in_chunks(calls.module, calls.calls):
        return [source([behind_each_other(calls.calls, masks)])]
    if calls.trouble is None and len(passes) < len(calls.calls):
        shapes = {(call.query.shape[::2], call.num_queries, call.key.shape) for call in calls.calls}
        if alone and len(shapes) == len(passes) == 1 and len(calls.calls) <= _SHARED:
            # Layers that share one module's weights (ALBERT).
            return [source([call], number=index) for index, call in enumerate(calls.calls)]
        if len(passes) == 1 and len(calls.calls) <= _PARTS:
            # It attends in more ways than one: two texts to each other, say.
            return [source([call], part=part) for part, call in enumerate(calls.calls)]
        calls.trouble = f"was called {len(calls.calls)} times in one forward pass"
    if calls.trouble is None:
        whole = source(list(calls.calls))
        calls.trouble = calls.disagreement(whole.key, row)
        if calls.trouble is None:
            return [whole]
    return []
