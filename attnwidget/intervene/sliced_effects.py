"""`SlicedEffects`: the effects of all heads on one input, found one after the other, with time for others in between."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.intervene.effects_table import Effects
from attnwidget.intervene.kept_runs import read_and_metric
from attnwidget.intervene.random_state import same_random_numbers
from attnwidget.intervene.zero_and_mean import rounding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.compute.resumable import Slices
    from attnwidget.edits.ablation import How
    from attnwidget.intervene.effects_table import StreamEffects
    from attnwidget.intervene.kept_runs import RunCall
    from attnwidget.record.record import Record

__all__ = ["SlicedEffects"]


class SlicedEffects:
    """What `effects` does, in slices.

    Attributes:
        metric: What is measured, in words; empty before the first slice.
        position: The position that chooses, counted without padding; None where the whole input does.
        streams: The effects found so far, by stream.
        notes: Why some heads have no effect.
        of_gradients: Whether metric and position are those that the record has the gradients of.
    """

    def __init__(self, how: How, source: Any) -> None:
        """Begin nothing yet.

        Args:
            how: As for `effects`.
            source: As for `effects`.
        """
        self.how, self._source = how, source
        self.metric = ""
        self.position: int | None = None
        self.streams: Mapping[str, StreamEffects] = {}
        self.notes: list[str] = []
        self.of_gradients = False
        self._value = float("nan")
        self._noise = 0.0
        self._ways: Mapping[str, int] = {}

    @property
    def floor(self) -> float:
        """What is no change of the metric."""
        return rounding(self._value, self._noise)

    @property
    def of(self) -> int:
        """How many heads there are."""
        return sum(sum(stream.num_heads) for stream in self.streams.values())

    @property
    def done(self) -> int:
        """How many of them were run."""
        return sum(int((~np.isnan(stream.effect)).sum()) for stream in self.streams.values())

    def table(self, *, interrupted: bool) -> Effects:
        """Return what was found as `effects` returns it."""
        parts = (self.metric, self.how, self._value, self.streams, interrupted)
        return Effects(*parts, self._noise, self._ways)

    def work(self, call: RunCall, record: Record, metric: Any, position: int) -> Slices[None]:
        """Find them: the model runs in each slice, and is as it was between two.

        Args:
            call: The model and its inputs.
            record: The record of the unedited run.
            metric: As for `effects`.
            position: As for `effects`.

        Raises:
            TypeError, ValueError: As `effects`.
        """
        from attnwidget.capture.forward import check_numbers, run_recorded  # noqa: PLC0415
        from attnwidget.intervene.sweep import Sweep  # noqa: PLC0415
        from attnwidget.metrics.outputs import counted, read_output  # noqa: PLC0415

        model, inputs, tokenizer, options = call
        check_numbers(model)
        with others_set_aside(), same_random_numbers() as restart:
            clean = run_recorded(model, inputs, tokenizer, **options)
            clean = replace(clean, record=record)
            reading, measured = read_and_metric(clean, metric, position)
            # Between two steps the kernel does what else is asked of it.
            sweep = Sweep(model, clean, measured, restart, at_once=_AT_ONCE)
            self.streams = sweep.begin(self.how, self._source)
            self.metric, self.position = measured.name, counted(clean, reading)
            self._value, self._noise, self._ways = sweep.value, sweep.noise, sweep.ways
            # The gradients of a view's record are always read at the last position.
            last = counted(clean, read_output(clean, -1))
            self.of_gradients = (record.metric, last) == (self.metric, self.position)
        yield 0.0
        steps = sweep.steps()
        while True:
            with (
                others_set_aside(),
                same_random_numbers(),
                warnings.catch_warnings(record=True) as said,
            ):
                warnings.simplefilter("always", UserWarning)
                ended = next(steps, _END) is _END
                self._noise = sweep.noise
            self.notes += [
                str(one.message) for one in said if issubclass(one.category, UserWarning)
            ]
            if ended:
                return
            yield self.done / max(self.of, 1)


_END = cast("None", object())
# Heads that a step takes out at most.
_AT_ONCE = 4
