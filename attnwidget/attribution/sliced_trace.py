"""`SlicedTrace`: a trace found step by step, with time for others in between."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from attnwidget.attribution.link_checks import LinkChecks
from attnwidget.attribution.trace_links import links_back, starts_of
from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.compute.measures import why_no_gradients
from attnwidget.compute.resumable import share_of
from attnwidget.intervene.passes import Passes, Proofs
from attnwidget.intervene.random_state import same_random_numbers
from attnwidget.metrics.outputs import counted, read_output
from attnwidget.record.record import the_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnwidget.attribution.runs import Call
    from attnwidget.attribution.trace_result import Trace
    from attnwidget.capture.forward import Ran
    from attnwidget.compute.resumable import Slices
    from attnwidget.record.stream import Stream

__all__ = ["SlicedTrace", "why_not_traced"]

# Of all slices, what comes before the first link is cut.
_BEFORE = 0.2


class SlicedTrace:
    """What `trace` does, in slices.

    Attributes:
        metric: What is measured, in words; empty before the first slice.
        position: The position that it is measured at, counted without padding; None where the whole input is, or before.
    """

    def __init__(
        self,
        *,
        threshold: float,
        budget: int,
        stream: str | None = None,
        renormalise: bool = True,
        at_once: int,
    ) -> None:
        """Begin nothing yet; the arguments are those of `trace`, checked."""
        self.threshold, self.budget = threshold, budget
        self._stream, self._renormalise, self._at_once = stream, renormalise, at_once
        self.metric = ""
        self.position: int | None = None
        self._checks: LinkChecks | None = None
        self._ended = False

    @property
    def of(self) -> int:
        """How many links are to be cut; 0 before that is known."""
        return 0 if self._checks is None else self._checks.of

    @property
    def done(self) -> int:
        """How many of them were."""
        return 0 if self._checks is None else self._checks.done

    @property
    def notes(self) -> list[str]:
        """Why some links were not cut."""
        return [] if self._checks is None else self._checks.notes

    @property
    def ended(self) -> bool:
        """Whether all was done."""
        return self._ended

    @property
    def trace(self) -> Trace | None:
        """What was found so far; None before the links are known."""
        return None if self._checks is None else self._checks.trace(interrupted=not self._ended)

    def work(self, call: Call) -> Slices[None]:
        """Find it: the model runs in some of the slices, and is as it was between two.

        Raises:
            TypeError, ValueError: As `trace`.
        """
        with call.measured() as (clean, measured, restart):
            self.metric = measured.name
            self.position = counted(clean, read_output(clean, call.position))
        yield 0.0
        stream = traced_stream(call.with_gradients(instead=""), self._stream)
        yield _BEFORE / 3
        starts = starts_of(stream.layers[-1])
        found = yield from share_of(
            links_back(stream.layers, starts, self.threshold), _BEFORE / 3, _BEFORE
        )
        with _quiet():
            passes = Passes(
                call.model, clean, measured, restart, proofs=Proofs(), at_once=self._at_once
            )
        chosen = self.threshold, self.budget, self._renormalise
        self._checks = LinkChecks(passes, measured.name, stream, found, *chosen)
        steps = self._checks.steps()
        while True:
            with _quiet():
                if next(steps, _END) is _END:
                    break
            yield _BEFORE + (1 - _BEFORE) * self.done / max(1, self.of)
        self._ended = True


_END = object()


@contextmanager
def _quiet() -> Iterator[None]:
    """Run a model with nobody listening who did before, and leave the random generators as they were."""
    with others_set_aside(), same_random_numbers():
        yield


def why_not_traced(stream: Stream) -> str | None:
    """Return why no trace of a stream can be found, whatever is measured, in a sentence; None where one may be."""
    if stream.query_positions != stream.key_positions:
        return (
            f"a trace follows queries and keys that are the same positions, and those of stream {stream.name!r} are "
            f"{len(stream.query_positions)} queries and {len(stream.key_positions)} keys of its own: name another stream, and "
            "leave positions= and past_key_values out."
        )
    for layer in stream:
        if layer.value is None:
            return f"layer {layer.layer} of stream {stream.name!r} has no gradients: {why_no_gradients(layer)}"
    return None


def traced_stream(ran: Ran, name: str | None) -> Stream:
    """Return the stream that is traced.

    Raises:
        ValueError: If there is no such stream, or none that can be traced.
    """
    try:
        stream = the_stream(ran.record, name)
    except KeyError as error:
        raise ValueError(str(error.args[0])) from None
    reason = why_not_traced(stream)
    if reason is not None:
        raise ValueError(reason)
    return stream
