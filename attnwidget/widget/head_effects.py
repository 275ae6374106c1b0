"""`HeadEffects`: how much the metric of a view changes without each of its heads, found while the kernel is free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from anywidget.experimental import command

from attnwidget.attribution.measures_of_heads import MeasuresOfHeads, described
from attnwidget.compute.checks import check_choice, check_flag
from attnwidget.edits.ablation import HOW
from attnwidget.intervene.sliced_effects import SlicedEffects
from attnwidget.protocol.constants import EFFECT
from attnwidget.widget.commands import answered
from attnwidget.widget.found.in_slices import InSlices
from attnwidget.widget.interventions import finite

if TYPE_CHECKING:
    from attnwidget.attention import Attention
    from attnwidget.compute.resumable import Slices
    from attnwidget.edits.ablation import How
    from attnwidget.edits.edits import Edits
    from attnwidget.intervene.effects_table import Effects, StreamEffects
    from attnwidget.record.record import Record

__all__ = ["HeadEffects"]

_EFFECTS = "effects"


class HeadEffects(InSlices):
    """A view of a model that can say what each of its heads is worth."""

    score: str | None
    other_score: str | None
    threshold: float | None

    effects = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    """How much the `metric` changes without each head, as far as that is known; see ``EffectsOfHeads`` in the protocol's
    schema. Read only: `find_effects` finds them.

    - Type: ``dict | None``
    - Default: ``None``, until somebody asks
    """

    _sliced: SlicedEffects | None = None
    _measured_heads: MeasuresOfHeads | None = None

    def find_effects(
        self, metric: Any = None, how: How = "zero", source: Any = None, *, wait: bool = False
    ) -> Effects | None:
        """Run the model without each head, and show how much the metric changes; `attnwidget.effects` as a picture.

        In a notebook the heads are run while the kernel has nothing else to do, those with the largest estimates first; the
        page shows what is found as it comes. ``view.score = "effect"`` colours and ranks by it, ``view.threshold = 0.5``
        then is in the metric's own units, and ``view.other_score = "effect"`` makes it an axis of the scatter.

        Args:
            metric: What is measured from now on: sets the trait `metric`. As it is when left out.
            how: As for `attnwidget.effects`: ``"zero"``, ``"mean"`` or ``"resample"``.
            source: As for `attnwidget.effects`: with ``how="zero"`` every head is set to its mean over it, too, and a head where
                the two differ by more than a factor of 3 says both.
            wait: Whether to return when all are found.

        Returns:
            The table that `attnwidget.effects` returns, with ``wait=True`` or where no notebook is at work; else None, and
            ``view.effects`` fills in.

        Raises:
            ValueError: If the view's model cannot be run (see `cannot_edit`), or as `attnwidget.effects`.

        Example:
            >>> import attnwidget as aw
            >>> view = aw.view(model, "the cat sat on the mat because it", tokenizer)
            >>> found = view.find_effects("purred")
            >>> found.metric
            'log p(“purred”)'
        """
        check_choice("how", how, HOW)
        wait = check_flag("wait", wait)
        if metric is not None:
            self.metric = metric
        self._begin_effects(how, source)
        self._run_slices(_EFFECTS, wait=wait)
        sliced = self._sliced
        done = sliced is not None and not self._is_under_way(_EFFECTS)
        return sliced.table(interrupted=False) if sliced is not None and done else None

    def stop_finding_effects(self) -> None:
        """Run the model for no further head; what was found stays."""
        if self._is_under_way(_EFFECTS):
            self._end(_EFFECTS, "stopped")

    @command
    @answered
    def start_effects(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Begin to find the effects for the reader who asked; why not, the trait says."""
        try:
            self._begin_effects(message["how"], None, of_gradients="of" in message)
        except ValueError as error:
            self._tell_effects("refused", str(error))
            return {}, []
        self._tell_effects("running")
        self._go_on(_EFFECTS)
        return {}, []

    @command
    @answered
    def stop_effects(
        self, _message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Stop for the reader who asked."""
        self.stop_finding_effects()
        return {}, []

    def _begin_effects(self, how: How, source: Any, *, of_gradients: bool = False) -> None:
        """Begin to find the effects on the metric of the view, or on that which the record has the gradients of."""
        recipe, call = self._call_of_run()
        position = -1 if of_gradients or self._left is not None else self._position()
        metric = recipe.metric if of_gradients else self.metric
        self._sliced = SlicedEffects(how, source)
        work = self._sliced.work(call, self._recorded, metric, position)
        self._begin(_EFFECTS, self._compared(work, self._recorded))

    def _compared(self, work: Slices[None], record: Record) -> Slices[None]:
        """Before heads are run, add up what the gradients say of them."""
        if record.metric is not None:
            if self._measured_heads is None or self._measured_heads.record is not record:
                self._measured_heads = MeasuresOfHeads(record)
            yield from self._measured_heads.work()
        yield from work

    def _tell_of(self, what: str, state: str, message: str = "") -> None:
        if what == _EFFECTS:
            self._tell_effects(state, message)
        else:
            super()._tell_of(what, state, message)

    def _tell_effects(self, state: str, message: str = "") -> None:
        """Tell the page what was found so far."""
        sliced = self._sliced
        found = {} if sliced is None else sliced.streams
        notes = [] if sliced is None else sliced.notes
        position, label = self._place(None if sliced is None else sliced.position)
        told = {
            "state": state,
            "message": message or " ".join(notes),
            "metric": "" if sliced is None else sliced.metric,
            "at": label,
            "position": position,
            "how": "zero" if sliced is None else sliced.how,
            "streams": {
                name: _described(stream, 0.0 if sliced is None else sliced.floor)
                for name, stream in found.items()
            },
            "done": 0 if sliced is None else sliced.done,
            "of": 0 if sliced is None else sliced.of,
        }
        agreement = self._agreement(state)
        self._set_effects(told if agreement is None else {**told, "agreement": agreement})

    def _agreement(self, state: str) -> dict[str, Any] | None:
        """Return how far measures of gradients agree; None where these effects are of something else."""
        sliced, measured = self._sliced, self._measured_heads
        if sliced is None or measured is None or sliced.how != "zero" or not sliced.of_gradients:
            return None
        if state == "running":
            # The first heads that are run are those with the largest estimates.
            return {}
        found = measured.agreements(sliced.streams)
        return {name: described(one) for name, one in found.items()}

    def _set_effects(self, told: dict[str, Any] | None) -> None:
        # A source knows which scores there are.
        for source in (self.source, *((self._unedited.source,) if self._unedited else ())):
            source.effects = told if told and told["streams"] else None
        # While they are found anew a score stays one.
        begins = told is not None and told["state"] == "running"
        if told is None or not (told["streams"] or begins):
            with self.hold_trait_notifications():
                for name in ("score", "other_score"):
                    if getattr(self, name) == EFFECT:
                        setattr(self, name, None)
                self._forget_units()
        self.set_trait("effects", told)

    @traitlets.observe("score")
    def _another_score(self, change: traitlets.Bunch) -> None:
        """Drop a threshold in the units of effects, which no other score has."""
        if change.old == EFFECT:
            self._forget_units()

    def _forget_units(self) -> None:
        if self.threshold is not None and self.threshold > 1:
            self.threshold = None

    def _text_was_set(self, edits: Edits, before: Attention) -> None:
        """Forget the effects on the text before."""
        self._drop(_EFFECTS)
        self._sliced = self._measured_heads = None
        self._set_effects(None)
        super()._text_was_set(edits, before)


def _described(stream: StreamEffects, floor: float) -> dict[str, Any]:
    """Return the effects of a stream; see ``EffectsOfStream`` in the schema."""
    run = ~np.isnan(stream.effect)
    shown = np.where(run, stream.effect, stream.estimate)
    told = {"values": _numbers(shown, stream), "exact": _flags(run, stream)}
    if np.isfinite(stream.by_mean).any():
        told |= {
            "means": _numbers(stream.by_mean, stream),
            "differs": _flags(stream.differs(floor), stream),
        }
    return told


def _numbers(array: Any, stream: StreamEffects) -> list[list[float | None]]:
    return [
        [finite(float(value)) for value in row[:count]]
        for row, count in zip(array, stream.num_heads, strict=True)
    ]


def _flags(array: Any, stream: StreamEffects) -> list[list[bool]]:
    return [
        [bool(one) for one in row[:count]]
        for row, count in zip(array, stream.num_heads, strict=True)
    ]
