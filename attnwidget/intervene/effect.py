"""`Effect`: what an edit changes about what a model says, and both records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnwidget.analysis.tables import table
from attnwidget.intervene.zero_and_mean import differ, rounding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.attention import Attention
    from attnwidget.edits.edits import Edits

__all__ = ["Effect"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Effect:
    """What becomes of a model's output under an edit.

    Attributes:
        edit: The edit.
        metric: What is measured, in words.
        value_before: Its value without the edit.
        value_after: Its value under the edit.
        kl: Σ p log(p / q), in nats, of the probabilities before (p) and under (q) the edit of all next tokens or labels;
            ``None`` where the model chooses among nothing.
        before: The probabilities of the five likeliest choices without and the five under the edit, by label, without it.
        after: The same under it.
        clean: The record without the edit.
        changed: The record under it.
        by_mean: How much the metric changes where the heads that the edit zeroes are set to their means instead; ``None``
            where no source of means was given.

    Example:
        >>> import attnwidget as aw
        >>> effect = aw.what_if(model, "the cat sat on the mat because it", tokenizer, aw.ablate(heads=[(3, 3)]), metric="purred")
        >>> round(effect.value_before, 2), round(effect.delta, 2)
        (-0.74, -4.68)
        >>> effect.to_dataframe()["label"].tolist()[:2]
        ['was', 'purred']
    """

    edit: Edits
    metric: str
    value_before: float
    value_after: float
    kl: float | None
    before: Mapping[str, float]
    after: Mapping[str, float]
    clean: Attention
    changed: Attention
    by_mean: float | None = None

    @property
    def differs(self) -> bool:
        """Whether zero and mean differ by more than a factor of 3, or in sign, and the larger is no rounding."""
        if self.by_mean is None:
            return False
        return bool(differ(self.delta, self.by_mean, rounding(self.value_before, 0.0)))

    @property
    def delta(self) -> float:
        """How much the metric changes: its value under the edit less that without it."""
        return self.value_after - self.value_before

    def to_dataframe(self) -> Any:
        """Return one row for each choice, the likeliest without the edit first.

        Returns:
            A pandas ``DataFrame`` with the columns ``label``, ``before``, ``after`` and ``change``, or a list of dicts where
            pandas is not installed. For a model that chooses among nothing, one row that is the metric.
        """
        before, after = self.before, self.after
        if not before:
            before, after = {self.metric: self.value_before}, {self.metric: self.value_after}
        return table(
            {
                "label": label,
                "before": probability,
                "after": after[label],
                "change": after[label] - probability,
            }
            for label, probability in before.items()
        )

    def __repr__(self) -> str:
        """Write the edit, the metric before and after, and how far all probabilities moved."""
        kl = "" if self.kl is None else f", KL {self.kl:.3g}"
        change = f"{self.value_before:.4g} → {self.value_after:.4g} ({self.delta:+.4g}{kl})"
        means = "" if self.by_mean is None else f"; by mean {self.by_mean:+.4g}"
        apart = ", which differs" if self.differs else ""
        return f"Effect({self.edit!r}: {self.metric} {change}{means}{apart})"
