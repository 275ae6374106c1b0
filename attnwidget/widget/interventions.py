"""`Intervened`: a view whose model runs under an edit; the record under it is shown, with what the model says then."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import traitlets

from attnwidget.edits.edits import Edits
from attnwidget.intervene.kept_runs import KeptRuns, RunCall
from attnwidget.protocol.messages import MessageError, check_part
from attnwidget.serve.jobs import error_text
from attnwidget.serve.python_call import with_edits
from attnwidget.serve.selection import SelectionError
from attnwidget.serve.source import RecordSource, source_of
from attnwidget.widget.between_messages import BetweenMessages
from attnwidget.widget.carried_edits import carried_edits
from attnwidget.widget.carried_selection import fitting
from attnwidget.widget.edited_text import EditedText, Unedited
from attnwidget.widget.recipe import CANNOT_EDIT
from attnwidget.widget.trait_types import Intervention, MeasuredIn, edits_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnwidget.analysis.position_groups import By
    from attnwidget.attention import Attention
    from attnwidget.intervene.effect import Effect
    from attnwidget.intervene.kept_runs import Measured
    from attnwidget.record.layer_predictions import LayerPredictions
    from attnwidget.serve.source import Source
    from attnwidget.widget.recipe import Recipe

__all__ = ["Intervened", "finite"]

_SEVERAL = (
    "What is shown is not of one run of a model, which could be run again under an edit: call view(model, 'some text', "
    "tokenizer=tokenizer)."
)
METHOD = "recomputed exactly"
_NOT_MEASURED = "The model returns no logits and no embedding: what its output is under the edit is not measured."
_NOTHING: dict[str, Any] = {
    "at": None, "position": None, "kind": "", "metric": "", "before": None, "after": None, "kl": None, "choices": [],
    "method": "", "edits": [],
}  # fmt: skip
# What is another under other edits, a metric or a position.
_WITH_THE_EDITS = ("_unedited", "_in_force", "_kept_runs", "_found", "_run")


@dataclass(frozen=True, slots=True)
class _Found:
    """What was measured last.

    Attributes:
        measured: The effect.
        metric: What was asked for.
        position: Where it was asked for.
    """

    measured: Measured
    metric: Any
    position: int


@dataclass(frozen=True, slots=True)
class _Ready:
    """An edit that was run before the trait is set to it.

    Attributes:
        run: Which record it was run over, as `EditedText` counts them.
        edits: The edit.
        runs: What is kept of it.
        found: What was measured; None without any edit.
    """

    run: int
    edits: Edits
    runs: KeptRuns | None
    found: _Found | None


class Intervened(EditedText):
    """A view of a model that can run under edits.

    Attributes:
        stream, query: Parts of the selection.
    """

    stream: str
    query: Any

    interventions = Intervention().tag(sync=True, to_json=parts_of, from_json=edits_of)
    """What is changed while the model runs: an edit, such as ``aw.ablate(heads=[(3, 3)])``, or several, added with ``+``.

    Setting it runs the model on the view's own inputs. When the assignment returns, ``view.attention`` is the changed
    record, the page shows it, and ``view.effect`` says what it does to the model's choice (``nan`` of a model whose output
    has neither logits nor an embedding); the selection stays. Where the
    edit is refused, the error is raised and everything stays as it was. Without edits the record is shown that was shown
    before them. Needs a view of a model that is still there and as it was: `cannot_edit` says what is in the way.

    - Type: `attnwidget.Edits`; ``None`` and ``[]`` are taken for no edit
    - Default: no edit
    """

    metric = MeasuredIn().tag(sync=True)
    """What `effect` and `find_effects` measure, at the query of a causal stream that you or the reader pinned, else at the
    last position: the log-probability of a token or label, or the difference of the logits of two.

    - Type: ``str | list[str] | None``
    - Default: ``None``, the log-probability of what the model would choose without an edit
    """

    what_if = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    """What the page is told of `effect`: see ``WhatIf`` in the protocol's schema. Read only.

    - Type: ``dict | None``
    - Default: ``None``, until something is edited
    """

    cannot_edit = traitlets.Unicode(read_only=True).tag(sync=True)
    """Why the view's model cannot be run under an edit; empty where it can. Read only.

    - Type: ``str``
    """

    _kept_runs: KeptRuns | None = None
    _found: _Found | None = None
    # The edit that was run before the trait is set to it, and what was found.
    _ready: _Ready | None = None
    # Whether the trait is set to what is in force, or by the page, whose edits are run later.
    _settling = False
    _of_page = False
    _under_way: BetweenMessages | None = None

    @traitlets.default("cannot_edit")
    def _cannot_edit_first(self) -> str:
        return self._why_not()

    def _why_not(self) -> str:
        if self._recipe is None:
            return CANNOT_EDIT if isinstance(self.source, RecordSource) else _SEVERAL
        return self._recipe.cannot_edit or ""

    def offer(self) -> None:
        """Tell the page what can be edited now."""
        super().offer()
        self.set_trait("cannot_edit", self._why_not())

    @property
    def effect(self) -> Effect | None:
        """What the `interventions` do to the model's choice: `what_if`'s result, with both records; None without any."""
        return None if self._found is None else self._found.measured.effect

    @traitlets.validate("interventions")
    def _run_before_set(self, proposal: traitlets.Bunch) -> Edits:
        edits: Edits = proposal.value
        if not (self._settling or self._of_page or edits == self._in_force):
            with _as_selection_error():
                edits = self._by_number(edits)
                self._ready = _Ready(self._run, edits, *self._run_under(edits))
        return edits

    def _by_number(self, edits: Edits) -> Edits:
        """Return edits with the positions of links as numbers, as the page makes them of a click."""
        if self._recipe is None:
            return edits
        from attnwidget.capture.edits.resolve import with_positions  # noqa: PLC0415  brings torch

        return with_positions(edits, self._recorded)

    @traitlets.observe("interventions", "metric")
    def _was_set(self, change: traitlets.Bunch) -> None:
        if self._settling:
            return
        measured_in = self.metric if self._found is None else self._found.metric
        if (self.interventions, self.metric) == (self._in_force, measured_in):
            # A metric without an edit, or the second of two that were set together.
            return
        if self._of_page:
            self._tell_what_if("running")
            self._later().begin()
            return
        ready, self._ready = self._ready, None
        try:
            if not self._is_ready(ready):
                # Another text was set meanwhile, or what was made ready was taken back.
                edits = self.interventions
                ready = _Ready(self._run, edits, *self._run_under(edits))
            if ready is not None and (ready.edits, ready.found) != (self._in_force, self._found):
                self._take(ready.edits, ready.runs, ready.found)
        except BaseException:
            with self._settled():
                setattr(self, change.name, change.old)
            raise

    @traitlets.validate("metric")
    def _measure_before_set(self, proposal: traitlets.Bunch) -> Any:
        quiet = self._settling or self._of_page
        # With both set at once, the edits were run for this metric.
        if self._in_force and not quiet and self.interventions == self._in_force:
            with _as_selection_error():
                found = self._measure(proposal.value)
            self._ready = _Ready(self._run, self._in_force, self._kept_runs, found)
        return proposal.value

    def _is_ready(self, ready: _Ready | None) -> bool:
        """Tell whether what was run is what the traits say now."""
        return (
            ready is not None
            and (ready.run, ready.edits) == (self._run, self.interventions)
            and (ready.found is None or ready.found.metric == self.metric)
        )

    @traitlets.observe("query", "stream")
    def _another_query(self, _change: traitlets.Bunch) -> None:
        self._query_was_pinned()

    def _query_was_pinned(self) -> None:
        """Read the numbers at another position, where the pinned query is another."""
        found = self._found
        if found is None or self._left is not None or found.position == self._position():
            return
        try:
            self._take(self._in_force, self._kept_runs, self._measure(self.metric))
        except Exception as error:  # noqa: BLE001 - the pin is moved all the same
            self._tell_what_if("refused", error_text(error))
            self.offer()

    def set_state(self, sync_data: Any) -> None:
        """Take what the page has set; edits and metric are worked on after its other messages, the last of them only.

        Raises:
            SelectionError: As `SyncedTraits.set_state`, or if an edit or a metric is none that the page may set.
        """
        given = {}
        if isinstance(sync_data, dict):
            given = {name: sync_data[name] for name in _CHECKED if name in sync_data}
        try:
            for name, value in given.items():
                check_part(_CHECKED[name], name, value)
            if "interventions" in given:
                edits_of(given["interventions"])
        except ValueError as error:
            self.send_state(list(given))
            if isinstance(error, MessageError):
                raise SelectionError(str(error)) from None
            self._tell_what_if("refused", str(error))
            given = dict.fromkeys(given)
            sync_data = {name: one for name, one in sync_data.items() if name not in given}
        self._of_page = True
        try:
            super().set_state(sync_data)
        finally:
            self._of_page = False

    def _later(self) -> BetweenMessages:
        if self._under_way is None:
            self._under_way = BetweenMessages(self, Intervened._do_as_asked)
        return self._under_way

    def _do_as_asked(self) -> bool:
        """Bring into force what the page has set last; where it is refused, say so and set it back."""
        edits = self.interventions
        # A text that is set in another thread waits until both are done.
        lock = contextlib.nullcontext() if self._recipe is None else self._recipe.lock
        try:
            with lock:
                if edits == self._in_force and self._kept_runs is not None and edits:
                    self._take(edits, self._kept_runs, self._measure(self.metric))
                else:
                    self._take(edits, *self._run_under(edits))
        except Exception as error:  # noqa: BLE001 - the page is told, whatever it is
            with self._settled():
                self.interventions = self._in_force
                if self._found is not None:
                    self.metric = self._found.metric
            self._tell_what_if("refused", error_text(error))
            self.offer()
        return False

    @contextlib.contextmanager
    def _settled(self) -> Iterator[None]:
        """Set traits to what is in force, within the block."""
        self._settling = True
        try:
            yield
        finally:
            self._settling = False

    def _call_of_run(self) -> tuple[Recipe, RunCall]:
        """Return how the model is run.

        Raises:
            ValueError: If there is none, or it has changed.
        """
        if self._recipe is None:
            raise ValueError(self._why_not())
        return self._recipe, RunCall(*self._recipe.run())

    def _run_under(self, edits: Edits) -> tuple[KeptRuns | None, _Found | None]:
        """Run the model under an edit; nothing is shown yet."""
        if not edits:
            return self._kept_runs, None
        recipe, call = self._call_of_run()
        # While two records are compared, pins are places on their common axes.
        position = self._position() if self._left is None else -1
        with recipe.lock:
            runs, measured = KeptRuns.run(
                call,
                edits,
                record=self._recorded,
                metric=self.metric,
                position=position,
                before=self._kept_runs,
            )
            runs, measured = _predicting(runs, measured, recipe.predictions(edits))
        return runs, _Found(measured, self.metric, position)

    def _measure(self, metric: Any) -> _Found:
        """Read another number off the runs that are kept."""
        recipe, call = self._call_of_run()
        assert self._kept_runs is not None  # noqa: S101  (while edits are in force)
        position = self._position()
        with recipe.lock:
            measured = self._kept_runs.measure(call, metric, position)
        return _Found(measured, metric, position)

    def _take(self, edits: Edits, runs: KeptRuns | None, found: _Found | None) -> None:
        """Bring an edit into force that was run: show its record, and say what it does."""
        if edits == self._in_force:
            self._kept_runs, self._found = runs, found
        else:
            now = self._now
            with self.hold_sync(), self._as_before_on_error(*_WITH_THE_EDITS):
                self._show_under(edits, runs, found)
                self._tell_what_if("done")
            self._tell("attention", now, self._now)
            return
        self._tell_what_if("done")

    def _show_under(self, edits: Edits, runs: KeptRuns | None, found: _Found | None) -> None:
        """Show the record of another edit, or that without any, with the selection where it is."""
        state = self._state() if self._left is None else self._selection_after(self._both)
        before = self._before_edits()
        shown = self.source if self._left is None else before.source
        self._in_force, self._kept_runs, self._found = edits, runs, found
        # Another number is another record to the page, even where its description is the same.
        self._run += 1
        source: Source
        if found is None:
            self._unedited = None
            source, call, chosen = before.source, before.call, before.chosen
        else:
            self._unedited = before
            source = self._grouped(source_of, found.measured.effect.changed)
            call, chosen = (
                with_edits(before.call, edits, self.metric, self._recorded_metric()),
                None,
            )
        source.heads.take_patterns(shown.heads)
        source.effects = shown.effects if self._left is None else before.source.effects
        selection = fitting(source, state)
        self._put(source, selection, call=call, chooses=before.chooses, chosen=chosen)

    def _before_edits(self) -> Unedited:
        """Return what is shown where nothing is edited."""
        if self._unedited is not None:
            return self._unedited
        if self._left is None:
            assert isinstance(self.source, RecordSource)  # noqa: S101  (there is a recipe)
            return Unedited(self.source, self._call, self._chooses, self.chosen)
        source = self._grouped(source_of, self._now)
        assert isinstance(source, RecordSource)  # noqa: S101  (of a record)
        own = self._groups if source.groups is not None and source.groups.has_own else None
        return Unedited(source, self._called(own), chooses=False, chosen=None)

    def _called(self, groups: By | None) -> str | None:
        """Return how a view of the record now is made, with the edits that are in force."""
        if self._unedited is None:
            return super()._called(groups)
        return with_edits(self._unedited.call, self._in_force, self.metric, self._recorded_metric())

    def _recorded_metric(self) -> Any:
        """Return what the record shown without edits has the gradients of, as it was asked for."""
        return None if self._recipe is None else self._recipe.metric

    def _text_was_set(self, edits: Edits, before: Attention) -> None:
        """Keep of the edits what fits another text."""
        super()._text_was_set(edits, before)
        self._kept_runs = self._found = None
        self._later().stop()
        kept, dropped = carried_edits(edits, before.streams, self._recorded.streams)
        try:
            runs, found = self._run_under(kept)
        except Exception:  # noqa: BLE001 - whatever is refused does not fit
            kept, dropped = self._fitting_one_by_one(kept, dropped)
            runs, found = self._run_under(kept)
        with self._settled():
            self.interventions = kept
        self._take(kept, runs, found)
        note = f"Not of this text, and dropped: {dropped!r}." if dropped else ""
        if kept:
            self._tell_what_if("done", note)
        else:
            self.set_trait("what_if", None)
            if note:
                self._tell_what_if("refused", note)

    def _fitting_one_by_one(self, edits: Edits, dropped: Edits) -> tuple[Edits, Edits]:
        """Return the parts of an edit that can be run together, and the others."""
        kept = Edits()
        for part in edits.parts:
            one = Edits((part,))
            try:
                self._run_under(kept + one)
            except Exception:  # noqa: BLE001 - whatever is refused does not fit
                dropped += one
            else:
                kept += one
        return kept, dropped

    def _tell_what_if(self, state: str, message: str = "") -> None:
        """Tell the page how far an edit is, and the numbers of the one in force."""
        if state == "done" and not self._in_force:
            self.set_trait("what_if", None)
            return
        numbers = _NOTHING if self._found is None else self._numbers(self._found.measured)
        if self._found is not None and not numbers["metric"]:
            message = message or _NOT_MEASURED
        told = {**numbers, "state": state, "message": message}
        self.set_trait("what_if", told)

    def _numbers(self, measured: Measured) -> dict[str, Any]:
        effect = measured.effect
        position, label = self._place(measured.position)
        choices = [
            {"label": name, "before": probability, "after": effect.after[name]}
            for name, probability in effect.before.items()
        ]
        return {
            "at": label,
            "position": position,
            "kind": "" if measured.kind == "nothing" else measured.kind,
            "metric": effect.metric,
            "before": finite(effect.value_before),
            "after": finite(effect.value_after),
            "kl": None if effect.kl is None else finite(effect.kl),
            "choices": choices,
            "method": METHOD,
            "edits": parts_of(self._in_force),
        }

    def _place(self, position: int | None) -> tuple[int | None, str | None]:
        """Return where a position of the output is among the queries of the record, and its label."""
        streams = self._recorded.streams
        causal = [
            stream
            for stream in streams.values()
            if all(layer.band is not None and layer.band.causal for layer in stream)
        ]
        stream = (
            streams.get(self.stream)
            if streams.get(self.stream) in causal or not causal
            else causal[0]
        )
        if position is None or stream is None:
            return None, None
        at = position - (stream.first_query or 0)
        if not 0 <= at < len(stream.query_positions):
            return None, None
        return at, stream.query_positions[at].label


# What the page sets besides the selection, by the name of its description in the schema.
_CHECKED = {"interventions": "Interventions", "metric": "Metric"}


def _predicting(
    runs: KeptRuns, measured: Measured, predictions: LayerPredictions | None
) -> tuple[KeptRuns, Measured]:
    """Return a run under an edit whose record says what each layer would predict, where that is known."""
    if predictions is None:
        return runs, measured
    changed = replace(measured.effect.changed, predictions=predictions)
    effect = replace(measured.effect, changed=changed)
    ran = replace(runs.changed, record=changed)
    return replace(runs, changed=ran), replace(measured, effect=effect)


def finite(value: float) -> float | None:
    """Return a number that JSON can hold, None for any other."""
    return value if math.isfinite(value) else None


@contextlib.contextmanager
def _as_selection_error() -> Iterator[None]:
    """Raise what an edit is refused with as what traitlets takes a change of several traits back for."""
    try:
        yield
    except (ValueError, TypeError, LookupError, RuntimeError) as error:
        raise SelectionError(error_text(error)) from error
