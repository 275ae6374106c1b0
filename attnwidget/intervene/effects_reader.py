"""`EffectsReader`: run the heads of a model on one text, and add up what was found in several."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from attnwidget.capture.forward import check_numbers, run_recorded
from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.intervene.effects_table import Effects
from attnwidget.intervene.passes import Proofs
from attnwidget.intervene.random_state import same_random_numbers
from attnwidget.intervene.several_texts import EffectsOverTexts, StreamMoments
from attnwidget.intervene.sweep import Sweep
from attnwidget.metrics.metrics import make_metric
from attnwidget.metrics.outputs import read_output
from attnwidget.surveys.made_models import HasModel
from attnwidget.surveys.reasons import reason_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.edits.ablation import Ablation, How

__all__ = ["EffectsReader", "PartialEffects"]

_OWN = "log p of each text's likeliest choice"


@dataclass(frozen=True, slots=True)
class PartialEffects:
    """What was found in some texts.

    Attributes:
        streams: The moments of each stream.
        names: What was measured, in words.
        total: Sum of the metric with all heads.
        count: Number of texts that were run.
        ways: How many heads were run in which way.
        noise: The largest change of the metric without any edit.
        skipped: The texts that could not be run, by their place among these, and why.
        error: Why the first of them could not be run, if that is so: the call itself may be wrong.
    """

    streams: Mapping[str, StreamMoments] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    total: float = 0.0
    count: int = 0
    ways: Mapping[str, int] = field(default_factory=dict)
    noise: float = 0.0
    skipped: tuple[tuple[int, str], ...] = ()
    error: Exception | None = None

    @classmethod
    def of(cls, one: Effects) -> PartialEffects:
        """Return those of one text."""
        streams = {name: StreamMoments.of(stream) for name, stream in one.streams.items()}
        return cls(streams, frozenset({one.metric}), one.value, 1, dict(one.ways), noise=one.noise)

    @property
    def read(self) -> int:
        """How many texts these are, those that could not be run among them."""
        return self.count + len(self.skipped)

    def fits(self, other: PartialEffects) -> bool:
        """Whether the texts after these have the same heads."""
        return self._unlike(other) is None

    def then(self, other: PartialEffects) -> PartialEffects:
        """Return these and the texts after them; those whose heads are not the same are skipped."""
        why = self._unlike(other)
        if why is not None:
            reason = f"ValueError: {why}"
            other = PartialEffects(skipped=tuple((index, reason) for index in range(other.read)))
        streams = {**self.streams, **other.streams}
        if self.count and other.count:
            streams = {name: one.merge(other.streams[name]) for name, one in self.streams.items()}
        return PartialEffects(
            streams,
            self.names | other.names,
            self.total + other.total,
            self.count + other.count,
            {
                way: self.ways.get(way, 0) + other.ways.get(way, 0)
                for way in {**self.ways, **other.ways}
            },
            max(self.noise, other.noise),
            (*self.skipped, *((self.read + index, reason) for index, reason in other.skipped)),
            self.error if self.read else other.error,
        )

    def _unlike(self, other: PartialEffects) -> str | None:
        """Say in what the heads of the texts after these are others; ``None`` where they are not."""
        if not self.count or not other.count:
            return None
        if self.streams.keys() != other.streams.keys():
            return f"it has the streams {list(other.streams)}, and those before it {list(self.streams)}"
        for name, one in self.streams.items():
            heads = other.streams[name].heads
            if heads != one.heads:
                return f"it has other layers and heads, {heads}, than those before it, {one.heads}"
        return None

    def table(self, how: str, *, interrupted: bool) -> EffectsOverTexts:
        """Return it as `effects` returns it; there is one text at least."""
        name = next(iter(self.names)) if len(self.names) == 1 else _OWN
        return EffectsOverTexts(
            name,
            how,
            self.total / self.count,
            self.streams,
            self.count,
            self.skipped,
            interrupted,
            self.ways,
            self.noise,
        )


@dataclass(frozen=True, slots=True)
class EffectsReader(HasModel):
    """How the heads are run on each text; `effects` describes the attributes.

    Attributes:
        model: The model, or a function that makes it, or it and its tokenizer.
        tokenizer: Its tokenizer, or ``None``.
        metric: What is measured.
        how: What is put in the place of heads.
        source: What that is taken from.
        position: The position that chooses.
        at_once: How many heads of a layer are run in one pass, at most.
        options: Passed on to `capture`.
        proofs: What is known of the model from other texts, and is added to.
        known: What has been read off the source, by stream and ``how``, and is added to.
    """

    model: Any
    tokenizer: Any
    metric: Any
    how: How
    source: Any
    position: Any
    at_once: int
    options: Mapping[str, Any]
    proofs: Proofs = field(default_factory=Proofs)
    known: dict[tuple[str, str], Ablation] = field(default_factory=dict)

    def effects(self, one: Any) -> Effects:
        """Run the heads on one input.

        Raises:
            Exception: As `effects`.
        """
        model = self.model
        check_numbers(model)
        with others_set_aside(), same_random_numbers() as restart:
            clean = run_recorded(model, one, self.tokenizer, **self.options)
            measured = make_metric(clean, read_output(clean, self.position), self.metric)
            sweep = Sweep(model, clean, measured, restart, at_once=self.at_once, proofs=self.proofs)
            found = sweep.begin(self.how, self.source, self.known)
            interrupted = False
            try:
                for _ in sweep.steps():
                    pass
            except KeyboardInterrupt:
                interrupted = True
        return Effects(
            measured.name, self.how, sweep.value, found, interrupted, sweep.noise, sweep.ways
        )

    def nothing(self) -> PartialEffects:
        """Return what was found in no text."""
        return PartialEffects()

    def read(self, one: Any) -> PartialEffects:
        """Run the heads on one text; whatever error this meets, it is skipped.

        Raises:
            KeyboardInterrupt: If it was ended before its last head.
        """
        try:
            found = self.effects(one)
        except Exception as error:  # noqa: BLE001  models, tokenizers and inputs raise what they like
            return self.skip(error)
        if found.interrupted:
            raise KeyboardInterrupt
        return PartialEffects.of(found)

    def skip(self, error: Exception) -> PartialEffects:
        """Return what was found in a text that cannot be run."""
        return replace(self.nothing(), skipped=((0, reason_of(error)),), error=error)
