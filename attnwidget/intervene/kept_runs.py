"""`KeptRuns`: a run of a model and one under an edit, of which what is measured is kept, without the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.intervene.random_state import same_random_numbers
from attnwidget.intervene.what_if import effect_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from attnwidget.capture.forward import Ran
    from attnwidget.edits.edits import Edits
    from attnwidget.intervene.effect import Effect
    from attnwidget.metrics.metrics import Metric
    from attnwidget.metrics.outputs import Reading
    from attnwidget.record.record import Record

__all__ = ["KeptRuns", "Measured", "RunCall", "read_and_metric"]

# Logits of both runs that are kept, so that another position is read off them. Larger ones are computed again.
KEPT_BYTES = 256 << 20


class RunCall(NamedTuple):
    """What runs a model: as `capture` takes it."""

    model: nn.Module
    inputs: Any
    tokenizer: Any
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """An effect, and where it was read.

    Attributes:
        effect: The effect.
        kind: What is chosen: ``"token"``, ``"label"``, ``"embedding"`` or ``"nothing"``.
        position: The position that chooses, counted without padding; None where the whole input does.
    """

    effect: Effect
    kind: str
    position: int | None


@dataclass(frozen=True, slots=True)
class KeptRuns:
    """A run without and one under an edit.

    Neither holds the model, and of what it returned only the logits, or the embedding.

    Attributes:
        edits: The edit.
        clean: The run without it.
        changed: The run under it.
        restart: Puts the random generators back to where they were before both.
        whole: Whether the outputs are kept.
    """

    edits: Edits
    clean: Ran
    changed: Ran
    restart: Callable[[], None]
    whole: bool

    @classmethod
    def run(
        cls,
        call: RunCall,
        edits: Edits,
        *,
        record: Record,
        metric: Any,
        position: int,
        before: KeptRuns | None = None,
    ) -> tuple[KeptRuns, Measured]:
        """Run a model under an edit, and without it where that was not done yet.

        Args:
            call: The model and its inputs.
            edits: The edit.
            record: The record without it, which stands in the effect.
            metric: As for `what_if`.
            position: As for `what_if`; the last one where there is none such.
            before: Runs of the same model, as it is, on the same inputs.

        Raises:
            TypeError, ValueError, RuntimeError: As `what_if`.
        """
        from attnwidget.capture.edited_runs import run_edited  # noqa: PLC0415  brings transformers
        from attnwidget.capture.forward import check_numbers, run_recorded  # noqa: PLC0415

        model, inputs, tokenizer, options = call
        check_numbers(model)
        with others_set_aside(), same_random_numbers() as restart:
            if before is not None and before.whole:
                clean, begin = replace(before.clean, model=model), before.restart
            else:
                clean, begin = run_recorded(model, inputs, tokenizer, **options), restart
            clean = replace(clean, record=record)
            # A metric that cannot be measured is refused before the second run.
            reading, measured = _read_or_nothing(clean, metric, position)
            begin()
            changed = run_edited(model, edits, tokenizer, inputs, dict(options))
            runs = cls(edits, clean, changed, begin, whole=True)
            found = _measured(runs, model, reading, measured)
        return _light(runs), found

    def measure(self, call: RunCall, metric: Any, position: int) -> Measured:
        """Read another number, or at another position, off both runs; run again only where that is needed.

        Raises:
            TypeError, ValueError: As `what_if`.
        """
        if not self.whole:
            return self.run(
                call, self.edits, record=self.clean.record, metric=metric, position=position
            )[1]
        clean = replace(self.clean, model=call.model)
        with others_set_aside(), same_random_numbers():
            reading, measured = _read_or_nothing(clean, metric, position)
            return _measured(replace(self, clean=clean), call.model, reading, measured)


def read_and_metric(ran: Ran, metric: Any, position: int) -> tuple[Reading, Metric]:
    """Return how an unedited run is read, and what is measured; at the last position where there is none such.

    Raises:
        TypeError, ValueError: As `what_if`.
    """
    from attnwidget.metrics.metrics import make_metric  # noqa: PLC0415
    from attnwidget.metrics.outputs import read_output  # noqa: PLC0415

    try:
        reading = read_output(ran, position)
    except IndexError:
        # A record may have more positions than the output, such as those of a cache.
        reading = read_output(ran, -1)
    return reading, make_metric(ran, reading, metric)


def _read_or_nothing(ran: Ran, metric: Any, position: int) -> tuple[Reading, Metric]:
    """As `read_and_metric`; off an output without choice and embedding nothing is read, where nothing was asked for.

    The record under the edit is worth a look all the same.
    """
    import torch  # noqa: PLC0415  slow

    from attnwidget.metrics.metrics import Metric  # noqa: PLC0415
    from attnwidget.metrics.outputs import kept_output, read_output  # noqa: PLC0415

    if metric is not None or kept_output(ran.output):
        return read_and_metric(ran, metric, position)
    return read_output(ran, -1), Metric("", lambda _: torch.tensor(torch.nan))


def _measured(runs: KeptRuns, model: nn.Module, reading: Reading, metric: Metric) -> Measured:
    from attnwidget.capture.edited_runs import with_sources  # noqa: PLC0415
    from attnwidget.capture.edits.resolve import with_positions  # noqa: PLC0415
    from attnwidget.metrics.outputs import counted  # noqa: PLC0415

    effect = effect_of(
        model,
        clean=runs.clean,
        changed=runs.changed,
        edits=runs.edits,
        reading=reading,
        measured=metric,
        sources=lambda: with_positions(
            with_sources(model, runs.edits, runs.clean.tokenizer), runs.clean.record
        ),
        restart=runs.restart,
    )
    return Measured(effect, reading.kind, counted(runs.clean, reading))


def _light(runs: KeptRuns) -> KeptRuns:
    """Return runs without the model, and without outputs that take too much."""
    from attnwidget.metrics.outputs import kept_output  # noqa: PLC0415

    both = (runs.clean, runs.changed)
    kept = [kept_output(ran.output) for ran in both]
    size = sum(part.numel() * part.element_size() for one in kept for part in one.values())
    whole = size <= KEPT_BYTES
    clean, changed = (
        replace(ran, output=output if whole else {}, model=cast("nn.Module", None), again=_never)
        for ran, output in zip(both, kept, strict=True)
    )
    return replace(runs, clean=clean, changed=changed, whole=whole)


def _never(_edited: bool) -> Ran:  # noqa: FBT001  as `Ran.again`
    message = "a kept run has no model to run again"
    raise RuntimeError(message)
