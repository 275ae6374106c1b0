"""`HeadEffects`: how much the metric of a view changes without each of its heads, found while the kernel is free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from anywidget.experimental import command

from attnwidget.compute.checks import check_choice, check_flag
from attnwidget.compute.resumable import advance
from attnwidget.edits.ablation import HOW
from attnwidget.intervene.sliced_effects import SlicedEffects
from attnwidget.protocol.constants import EFFECT
from attnwidget.serve.jobs import SLICE_SECONDS, error_text
from attnwidget.widget.between_messages import BetweenMessages
from attnwidget.widget.commands import answered
from attnwidget.widget.interventions import Intervened, finite

if TYPE_CHECKING:
    from attnwidget.attention import Attention
    from attnwidget.compute.resumable import Slices
    from attnwidget.edits.ablation import How
    from attnwidget.edits.edits import Edits
    from attnwidget.intervene.effects_table import Effects, StreamEffects

__all__ = ["HeadEffects"]


class HeadEffects(Intervened):
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
    _effects_work: Slices[None] | None = None
    _effects_go_on: BetweenMessages | None = None

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
        go_on = self._effects_go_on = BetweenMessages(self, HeadEffects._effects_step)
        # The first slice says whether it can be done at all.
        more = self._effects_slice()
        while more and wait:
            more = self._effects_slice()
        if more:
            go_on.begin()
        sliced = self._sliced
        done = sliced is not None and self._effects_work is None
        return sliced.table(interrupted=False) if sliced is not None and done else None

    def stop_finding_effects(self) -> None:
        """Run the model for no further head; what was found stays."""
        if self._effects_work is not None:
            self._end_effects("stopped")

    @command
    @answered
    def start_effects(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Begin to find the effects for the reader who asked; why not, the trait says."""
        try:
            self._begin_effects(message["how"], None)
        except ValueError as error:
            self._tell_effects("refused", str(error))
            return {}, []
        self._tell_effects("running")
        self._effects_go_on = BetweenMessages(self, HeadEffects._effects_step)
        self._effects_go_on.begin()
        return {}, []

    @command
    @answered
    def stop_effects(
        self, _message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Stop for the reader who asked."""
        self.stop_finding_effects()
        return {}, []

    def _begin_effects(self, how: How, source: Any) -> None:
        _, call = self._call_of_run()
        if self._effects_go_on is not None:
            self._effects_go_on.stop()
        position = self._position() if self._left is None else -1
        self._sliced = SlicedEffects(how, source)
        work = self._sliced.work(call, self._recorded, self.metric, position)
        # None of its steps while a request of the page is worked on.
        self._effects_work = self._jobs.apart(work)

    def _effects_slice(self) -> bool:
        """Find some effects, and tell whether there are more; errors are raised once nothing is under way any more."""
        work, recipe = self._effects_work, self._recipe
        if work is None or recipe is None:
            return False
        try:
            with recipe.lock:
                step = advance(work, SLICE_SECONDS)
        except BaseException as error:
            ended = isinstance(error, Exception)
            self._end_effects(
                "refused" if ended else "stopped",
                error_text(error) if isinstance(error, Exception) else "",
            )
            raise
        if step.results:
            self._end_effects("done")
            return False
        self._tell_effects("running")
        return True

    def _effects_step(self) -> bool:
        try:
            return self._effects_slice()
        except Exception:  # noqa: BLE001 - the trait says what it was
            self.offer()
            return False

    def _end_effects(self, state: str, message: str = "") -> None:
        if self._effects_work is not None:
            self._effects_work.close()
        self._effects_work = None
        if self._effects_go_on is not None:
            self._effects_go_on.stop()
        self._tell_effects(state, message)

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
        self._set_effects(told)

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
        if self._effects_work is not None:
            self._effects_work.close()
        self._effects_work = self._sliced = None
        if self._effects_go_on is not None:
            self._effects_go_on.stop()
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
