"""`FoundTrace`: the links that a view's metric depends on, over all layers, found and checked while the kernel is free."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import traitlets
from anywidget.experimental import command

from attnwidget.attribution.trace import check_threshold
from attnwidget.compute.checks import check_count, check_flag
from attnwidget.serve.python_call import literal
from attnwidget.serve.source import RecordSource
from attnwidget.widget.commands import answered
from attnwidget.widget.found.in_slices import InSlices

if TYPE_CHECKING:
    from attnwidget.attention import Attention
    from attnwidget.attribution.sliced_trace import SlicedTrace
    from attnwidget.attribution.trace_result import Trace
    from attnwidget.edits.edits import Edits
    from attnwidget.record.stream import Stream

__all__ = ["FoundTrace"]

_TRACE = "trace"
THRESHOLD, BUDGET = 0.02, 48
# Links that a step cuts at most: between two steps the kernel does what else is asked of it.
_AT_ONCE = 4
# Links that a page is told of at most: more could not be told apart, and all would travel again with every step.
MOST_LINKS = 150
_COMPARED = "Two records are shown, and a trace is of one run of a model: go back to one, view.compare_with_before(False)."
_EDITED = "Edits are in force, and a trace is of the model as it is: take them away, view.interventions = None."


class FoundTrace(InSlices):
    """A view of a model that can say which links its metric depends on."""

    traced = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    """What the page is told of `trace`: see ``TraceOfView`` in the protocol's schema. Read only: `find_trace` finds it.

    - Type: ``dict | None``
    - Default: ``None``, until somebody asks
    """

    cannot_trace = traitlets.Unicode(read_only=True).tag(sync=True)
    """Why no trace can be found of what is on show; empty where one can. Read only.

    - Type: ``str``
    """

    _sliced_trace: SlicedTrace | None = None
    # What was asked for: stream, position and the call.
    _asked_trace: dict[str, Any] | None = None

    @property
    def trace(self) -> Trace | None:
        """The links that the metric depends on, as far as they are known; None where nobody asked, or before that.

        It has what `attnwidget.trace` returns. It stays when something else is selected, and is gone when the text, the
        `metric` or the `interventions` change. Of very many links the page draws the largest. ``view.trace.interrupted`` says whether links are still to be cut.
        """
        return None if self._sliced_trace is None else self._sliced_trace.trace

    def find_trace(
        self,
        metric: Any = None,
        *,
        position: int | None = None,
        threshold: float = THRESHOLD,
        budget: int = BUDGET,
        wait: bool = False,
    ) -> Trace | None:
        """Trace the metric back over the links that it depends on, and show them; `attnwidget.trace` as a picture.

        In a notebook the model runs while the kernel has nothing else to do: first come the estimates of all links, dashed,
        then each link is cut, the largest first, and becomes solid. ``view.form = "trace"`` shows it; choosing that form on
        the page finds it, too.

        Args:
            metric: What is measured from now on: sets the trait `metric`. As it is when left out.
            position: As for `attnwidget.trace`; when left out the query of a causal stream that you or the reader pinned, else
                the last.
            threshold: Least size of a link, as a share of the largest, above 0 and at most 1.
            budget: How many links are cut at most; the others keep their estimates.
            wait: Whether to return when all are cut.

        Returns:
            What `attnwidget.trace` returns, with ``wait=True`` or where no notebook is at work; else None, and
            ``view.trace`` grows.

        Raises:
            ValueError: If there is nothing to trace (`cannot_trace` says why), or as `attnwidget.trace`.

        Example:
            >>> view.find_trace("purred")  # doctest: +SKIP
        """
        wait = check_flag("wait", wait)
        given = check_threshold(threshold), check_count("budget", budget, least=0)
        if metric is not None:
            self.metric = metric
        self._begin_trace(*given, position)
        self._run_slices(_TRACE, wait=wait)
        return None if self._is_under_way(_TRACE) else self.trace

    def stop_finding_trace(self) -> None:
        """Cut no further link; what was found stays."""
        if self._is_under_way(_TRACE):
            self._end(_TRACE, "stopped")

    @command
    @answered
    def start_trace(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Begin to find the trace for the reader who asked; why not, the trait says."""
        asked = self._asked_trace
        if asked is not None and asked["stream"] == self.stream and not message["again"]:
            # The same widget on another page has asked before.
            return {}, []
        try:
            self._begin_trace(message["threshold"], message["budget"], None)
        except ValueError as error:
            self._drop(_TRACE)
            self._sliced_trace = None
            self._asked_trace = self._asked(message["threshold"], message["budget"], -1)
            self._tell_of(_TRACE, "refused", str(error))
            return {}, []
        self._go_on(_TRACE)
        return {}, []

    @command
    @answered
    def stop_trace(
        self, _message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Stop for the reader who asked."""
        self.stop_finding_trace()
        return {}, []

    @traitlets.default("cannot_trace")
    def _cannot_trace_first(self) -> str:
        return self._why_no_trace(self._why_not())

    def offer(self) -> None:
        """Tell the page what can be edited and traced now."""
        super().offer()
        self._tell_whether_traced()

    @traitlets.observe("stream")
    def _another_stream(self, _change: traitlets.Bunch) -> None:
        self._tell_whether_traced()

    def _tell_whether_traced(self) -> None:
        self.set_trait("cannot_trace", self._why_no_trace(self.cannot_edit))

    def _why_no_trace(self, cannot_edit: str) -> str:
        """Return why what is on show cannot be traced; empty where it can."""
        if cannot_edit:
            return cannot_edit
        if self._left is not None:
            return _COMPARED
        if self._in_force:
            return _EDITED
        stream = self._stream_on_show()
        return "" if stream is None else _of_stream(stream)

    def _stream_on_show(self) -> Stream | None:
        source = self.source
        return source.record.streams.get(self.stream) if isinstance(source, RecordSource) else None

    def _begin_trace(self, threshold: float, budget: int, position: int | None) -> None:
        from attnwidget.attribution.runs import Call  # noqa: PLC0415  brings transformers
        from attnwidget.attribution.sliced_trace import SlicedTrace  # noqa: PLC0415

        self.offer()
        if self.cannot_trace:
            raise ValueError(self.cannot_trace)
        _, (model, inputs, tokenizer, options) = self._call_of_run()
        at = self._position() if position is None else position
        sliced = self._sliced_trace = SlicedTrace(
            threshold=threshold, budget=budget, stream=self.stream, at_once=_AT_ONCE
        )
        self._asked_trace = self._asked(threshold, budget, at)
        call = Call(model, inputs, tokenizer, self.metric, at, options)
        self._begin(_TRACE, sliced.work(call))
        self._tell_of(_TRACE, "running")

    def _asked(self, threshold: float, budget: int, position: int) -> dict[str, Any]:
        """Return what was asked for, and the call that asks for it."""
        # The call may follow one that names the query on show, which then is a pinned one.
        usual = -1 if self.query is None else None
        given = {"position": (position, usual), "threshold": (threshold, THRESHOLD), "budget": (budget, BUDGET)}  # fmt: skip
        named = [
            f"{name}={literal(value)}" for name, (value, usual) in given.items() if value != usual
        ]
        metric = [] if self.metric is None else [literal(self.metric)]
        call = f"view.find_trace({', '.join([*metric, *named])})"
        return {"stream": self.stream, "threshold": threshold, "budget": budget, "call": call}

    def _tell_of(self, what: str, state: str, message: str = "") -> None:
        if what != _TRACE:
            super()._tell_of(what, state, message)
            return
        sliced = self._sliced_trace
        trace = self.trace
        if trace is not None and not math.isfinite(trace.value):
            message, trace = f"{trace.metric} is {trace.value}, which no link can change.", None
            state = "refused" if state == "done" else state
        position, label = self._place(None if sliced is None else sliced.position)
        data = None if trace is None else trace.to_data()
        if data is not None and len(data["links"]) > MOST_LINKS:
            data |= {"links": data["links"][:MOST_LINKS], "count": len(data["links"])}
        told = {
            "state": state,
            "message": message or ("" if sliced is None else " ".join(sliced.notes)),
            **(self._asked_trace or {}),
            "at": label,
            "position": position,
            "done": 0 if sliced is None else sliced.done,
            "of": 0 if sliced is None else sliced.of,
            "trace": data,
        }
        self.set_trait("traced", told)

    def _forget_trace(self) -> None:
        """Let go of the trace, and of what is under way."""
        self._drop(_TRACE)
        self._sliced_trace = self._asked_trace = None
        self.set_trait("traced", None)

    @traitlets.observe("metric")
    def _traced_by_another(self, _change: traitlets.Bunch) -> None:
        self._forget_trace()

    def _text_was_set(self, edits: Edits, before: Attention) -> None:
        """Forget the trace of the text before."""
        self._forget_trace()
        super()._text_was_set(edits, before)

    def _show_under(self, edits: Edits, runs: Any, found: Any) -> None:
        """Forget the trace of the model without these edits."""
        super()._show_under(edits, runs, found)
        self._forget_trace()


def _of_stream(stream: Stream) -> str:
    """Return why a stream cannot be traced; empty where it may be."""
    from attnwidget.attribution.sliced_trace import why_not_traced  # noqa: PLC0415  brings transformers

    reason = why_not_traced(stream)
    return "" if reason is None else f"{reason[:1].upper()}{reason[1:]}"
