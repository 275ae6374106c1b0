"""`LayerSource`: which calls make up one layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attnwidget.capture.architecture.stacks import stack_layer_numbers
from attnwidget.capture.calls.call import shape_only
from attnwidget.capture.calls.chunks import attends_in_chunks, concatenate_chunks
from attnwidget.capture.calls.module_calls import looks_causal
from attnwidget.capture.generation.concatenate import concatenate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.calls.call import Call
    from attnwidget.capture.calls.module_calls import ModuleCalls
    from attnwidget.capture.calls.windows import Windows


__all__ = ["LayerSource", "layer_sources"]

_SHARED = 128  # layers that may share one module

_PARTS = 8  # a module called more often in one pass is a loop over positions


@dataclass(frozen=True, slots=True)
class LayerSource:
    """The calls that one layer is made of.

    Attributes:
        number: Its layer number.
        path: Path of the module.
        module: The module.
        cross: Whether it looks at another sequence.
        part: Which of the attention calls it is that the module makes in one pass.
        calls: The calls that make it up.
        windows: The windows it attends within.
        by_order: Whether its number only counts the modules of its stack, as they have none of their own.
    """

    number: int
    path: str
    module: nn.Module
    cross: bool
    part: int
    calls: list[Call]
    windows: Windows | None = None
    by_order: bool = False

    @property
    def num_queries(self) -> int:
        """Number of queries over all calls."""
        return sum(call.num_queries for call in self.calls)

    @property
    def num_passes(self) -> int:
        """Number of forward passes that its calls belong to, what ran before all of them aside."""
        return len({call.forward_pass for call in self.calls} - {0})

    @property
    def num_keys(self) -> int:
        """Number of keys over all calls."""
        return sum(call.key.shape[1] for call in self._with_keys)

    @property
    def key(self) -> Tensor:
        """All keys, ``[key_value_head, key, head_dim]``; the very tensor that was kept, where one call had all."""
        return concatenate([call.key for call in self._with_keys])

    @property
    def value(self) -> Tensor:
        """All values, ``[key_value_head, key, value_dim]``, likewise."""
        return concatenate([call.value for call in self._with_keys])

    @property
    def _with_keys(self) -> list[Call]:
        return self.calls[:1] if self.cross else self.calls

    def release(self) -> None:
        """Drop the vectors: they are in the record."""
        self.calls[:] = [
            replace(
                call,
                query=shape_only(call.query),
                key=shape_only(call.key),
                value=shape_only(call.value),
                recorded=None if call.recorded is None else shape_only(call.recorded),
                own_weights=None,
                output_gradient=None,
            )
            for call in self.calls
        ]

    def has_own_queries(self, side: str) -> bool:
        """Tell whether its queries are none of its keys' positions: they were learned, or represent groups.

        Fewer queries than keys may also be those of a generation whose first keys come out of a cache.
        """
        if self.num_queries >= self.num_keys:
            return self.num_queries > self.num_keys
        if self.num_queries == 1:
            return side in {"vision", "audio"}
        return not looks_causal(self.calls)


def layer_sources(group: list[ModuleCalls], row: int, failed: dict[str, str]) -> list[LayerSource]:
    """Make the layers of each module; ``failed`` takes the reasons where that cannot be done."""
    found: list[LayerSource] = []
    masks: dict[tuple[int, ...], Tensor] = {}
    numbers, by_order = stack_layer_numbers(group)
    for number, calls in zip(numbers, group, strict=True):
        found += _sources(calls, number, row, masks, alone=len(group) == 1, by_order=by_order)
        if calls.failure is not None:
            failed[calls.path] = calls.failure
    for calls in group:
        calls.calls, calls.last_key = (
            [],
            None,
        )  # the layers hold them now, and drop them one by one
    return found


def _sources(
    calls: ModuleCalls,
    number: int,
    row: int,
    masks: dict[tuple[int, ...], Tensor],
    *,
    alone: bool,
    by_order: bool,
) -> list[LayerSource]:
    """Make the layers of one module; none, and a reason in its ``failure``, where that cannot be done."""

    def source(parts: list[Call], number: int = number, part: int = 0) -> LayerSource:
        return LayerSource(
            number=number,
            path=calls.path,
            module=calls.module,
            cross=calls.cross,
            part=part,
            calls=parts,
            windows=parts[0].windows,
            by_order=by_order,
        )

    passes = {call.forward_pass for call in calls.calls}
    if len(passes) == 1 and attends_in_chunks(calls.module, calls.calls):
        return [source([concatenate_chunks(calls.calls, masks)])]
    if calls.failure is None and len(passes) < len(calls.calls):
        shapes = {(call.query.shape[::2], call.num_queries, call.key.shape) for call in calls.calls}
        if alone and len(shapes) == len(passes) == 1 and len(calls.calls) <= _SHARED:
            # Layers that share one module's weights (ALBERT).
            return [source([call], number=index) for index, call in enumerate(calls.calls)]
        if len(passes) == 1 and len(calls.calls) <= _PARTS:
            # It attends in more ways than one: two texts to each other, say.
            return [source([call], part=part) for part, call in enumerate(calls.calls)]
        calls.failure = f"was called {len(calls.calls)} times in one forward pass"
    if calls.failure is None:
        whole = source(list(calls.calls))
        calls.failure = calls.cache_mismatch(whole.key, row)
        if calls.failure is None:
            return [whole]
    return []
