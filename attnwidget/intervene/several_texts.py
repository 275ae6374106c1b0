"""`EffectsOverTexts`: what each head is worth on several texts: mean, spread, interval and sign, as a table and as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.tables import table
from attnwidget.intervene.effects_table import OfStreams, named_heads, rows_of
from attnwidget.intervene.student import two_sided_95
from attnwidget.intervene.zero_and_mean import differ
from attnwidget.surveys.running_means import RunningMeans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from attnwidget.intervene.effects_table import StreamEffects

    Array = NDArray[np.float64]

__all__ = ["EffectsOverTexts", "MeanMoments", "StreamMoments"]


class _Sample(RunningMeans):
    """Numbers of which the texts are a sample of all that there could be."""

    __slots__ = ()

    @property
    def sd(self) -> Array:
        """Standard deviation between texts (divided by their number less one), NaN of fewer than two."""
        variance = self.squares / np.maximum(self.count - 1, 1)
        return np.where(self.count > 1, np.sqrt(variance), np.nan)

    @property
    def interval(self) -> tuple[Array, Array]:
        """The two ends of the mean's 95 % confidence interval, by Student's t, NaN of fewer than two texts."""
        width = self.sd / np.sqrt(np.maximum(self.count, 1))
        wide = width * np.vectorize(two_sided_95, otypes=[float])(np.maximum(self.count - 1, 1))
        return self.means - wide, self.means + wide

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Whether this interval leaves 0 out; of fewer than two texts there is none, and nothing speaks against it."""
        low, high = self.interval
        return ~((low <= 0) & (high >= 0))


@dataclass(frozen=True, slots=True, eq=False)
class MeanMoments(_Sample):
    """The effects of heads that are set to their means, over several texts; its attributes are `RunningMeans`'."""

    count: Array
    mean: Array
    squares: Array

    @classmethod
    def of(cls, numbers: Array) -> MeanMoments:
        """Return those of one text, NaN where a number is not known."""
        count = (~np.isnan(numbers)).astype(np.float64)
        return cls(count, np.nan_to_num(numbers), np.zeros_like(count))


@dataclass(frozen=True, slots=True, eq=False)
class StreamMoments(_Sample):
    """The effects of the heads of one stream, over several texts.

    Every text gives each head one difference, with and without it, so that texts that are easy or hard do not spread them.

    Attributes:
        layers: The numbers of its layers.
        num_heads: How many heads each has.
        count: float64 ``[layer, head]``, in how many texts each was run.
        mean: Mean effect over them.
        squares: Sum of squared distances from the mean.
        ups: In how many its effect was above 0.
        downs: In how many it was below 0.
        estimates: Sum of its first-order estimates.
        estimated: In how many there was one.
        set_to_mean: Of heads that are zeroed, the effects of setting them to their means.
    """

    layers: tuple[int, ...]
    num_heads: tuple[int, ...]
    count: Array
    mean: Array
    squares: Array
    ups: Array
    downs: Array
    estimates: Array
    estimated: Array
    set_to_mean: MeanMoments

    @classmethod
    def of(cls, one: StreamEffects) -> StreamMoments:
        """Return those of one text."""
        count = (~np.isnan(one.effect)).astype(np.float64)
        mean = np.nan_to_num(one.effect)
        return cls(
            one.layers,
            one.num_heads,
            count,
            mean,
            np.zeros_like(mean),
            (mean > 0).astype(np.float64),
            (mean < 0).astype(np.float64),
            np.nan_to_num(one.estimate),
            (~np.isnan(one.estimate)).astype(np.float64),
            MeanMoments.of(one.by_mean),
        )

    def merge(self, other: StreamMoments) -> StreamMoments:
        """Return those of both sets of texts together.

        Raises:
            ValueError: If the heads are not the same.
        """
        if self.heads != other.heads:
            message = (
                f"it has other layers and heads, {other.heads}, than those before it, {self.heads}"
            )
            raise ValueError(message)
        count, mean, squares = self.merged(other)
        return StreamMoments(
            self.layers,
            self.num_heads,
            count,
            mean,
            squares,
            self.ups + other.ups,
            self.downs + other.downs,
            self.estimates + other.estimates,
            self.estimated + other.estimated,
            MeanMoments(*self.set_to_mean.merged(other.set_to_mean)),
        )

    @property
    def heads(self) -> dict[int, int]:
        """How many heads each layer has, by its number."""
        return dict(zip(self.layers, self.num_heads, strict=True))

    @property
    def effect(self) -> Array:
        """Mean effect, ``[layer, head]``, NaN where a head was not run."""
        return self.means

    @property
    def by_mean(self) -> Array:
        """Of heads that are zeroed, the mean effect of setting them to their means, NaN where it is not known."""
        return self.set_to_mean.means

    @property
    def estimate(self) -> Array:
        """Mean first-order estimate, ``[layer, head]``, NaN where there is none."""
        known = self.estimated > 0
        return np.where(known, self.estimates / np.maximum(self.estimated, 1), np.nan)

    @property
    def same_sign(self) -> Array:
        """The share of texts in which the effect has the sign of the mean, NaN where a head was not run."""
        same = np.where(self.mean > 0, self.ups, np.where(self.mean < 0, self.downs, 0.0))
        neither = self.count - self.ups - self.downs
        same = np.where(self.mean == 0, neither, same)
        return np.where(self.count > 0, same / np.maximum(self.count, 1), np.nan)

    def differs(self, floor: float) -> NDArray[np.bool_]:
        """Tell, ``[layer, head]``, where zero and mean differ by more than a factor of 3, or in sign.

        The larger of the two must be more than ``floor``, and over several texts its confidence interval must leave 0 out.
        """
        by_zero = np.abs(self.effect) >= np.nan_to_num(np.abs(self.by_mean))
        sure = np.where(by_zero, self.sure, self.set_to_mean.sure)
        return differ(self.effect, self.by_mean, floor) & sure

    def rows(self, floor: float) -> Iterator[dict[str, Any]]:
        """Yield what a table says of each head, that of means included; ``floor`` is as of `differs`."""
        low, high = self.interval
        columns = {
            "effect": self.effect,
            "estimate": self.estimate,
            "exact": self.count > 0,
            "sd": self.sd,
            "low": low,
            "high": high,
            "same_sign": self.same_sign,
            "texts": self.count.astype(np.int64),
            "by_mean": self.by_mean,
            "differs": self.differs(floor),
        }
        return rows_of(self.layers, self.num_heads, columns)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EffectsOverTexts(OfStreams[StreamMoments]):
    """How much a metric changes without each head of a model, on several texts.

    Attributes:
        metric: What is measured, in words.
        how: What is put in the place of a head's output: ``"zero"``, ``"mean"`` or ``"resample"``.
        value: The metric with all heads, mean over the texts.
        streams: Stream name to the effects of its heads; read-only.
        count: Number of texts.
        skipped: The texts that could not be run, ``(index, reason)``.
        interrupted: Whether it was ended before the last text; a text that was not finished is left out.
        ways: As of `Effects`, all texts together.
        noise: As of `Effects`, the largest over the texts.

    Example:
        >>> import attnwidget as aw
        >>> texts = ["the cat sat on the mat because it", "the dog sat on the mat because it"]
        >>> effects = aw.effects(model, texts, tokenizer, metric="purred", progress=False)
        >>> effects.count, round(effects.value, 2)
        (2, -3.54)
        >>> effects.to_dataframe()[["layer", "head"]].values.tolist()[0]
        [3, 3]
    """

    metric: str
    how: str
    value: float
    streams: Mapping[str, StreamMoments]
    count: int
    skipped: tuple[tuple[int, str], ...] = ()
    interrupted: bool = False
    ways: Mapping[str, int] = field(default_factory=dict)
    noise: float = 0.0

    def __reduce__(self) -> Any:
        # The read-only mapping cannot be copied or pickled itself.
        parts = (self.metric, self.how, self.value, dict(self.streams), self.count)
        return type(self), (*parts, self.skipped, self.interrupted, dict(self.ways), self.noise)

    def to_dataframe(self) -> Any:
        """Return one row for each head, the largest mean effect, up or down, first; then those that were not run.

        Returns:
            A pandas ``DataFrame``, or a list of dicts where pandas is not installed, with the columns of
            `Effects.to_dataframe` (``effect`` and ``estimate`` are means over the texts) and ``sd`` (between texts),
            ``low`` and ``high`` (the ends of the 95 % confidence interval of the mean, by Student's t), ``same_sign`` (the
            share of texts in which the effect has the sign of the mean) and ``texts`` (in how many the head was run). Where
            heads were set to their means, too, ``by_mean`` is the mean effect of that, and ``differs`` is as of `Effects`,
            where the confidence interval of the larger of the two leaves 0 out.
        """
        return table(self._rows())

    def __repr__(self) -> str:
        """Write the metric and the heads whose mean effect is largest, with their intervals."""
        rows = self._rows()
        # One text has no interval.
        spread = " [{low:+.3g}, {high:+.3g}]" if self.count > 1 else ""
        numbers = f"{{effect:+.3g}}{spread}"
        named = named_heads(rows, numbers, several=len(self.streams) > 1)
        ended = ", interrupted" if self.interrupted else ""
        more = f", {len(self.skipped)} skipped" if self.skipped else ""
        return (
            f"EffectsOverTexts({self.metric} {self.value:.4g}, {self.count} text{'s' * (self.count != 1)}{more}{ended}, {len(rows)} heads, {self.how}: "
            f"{named}{self._differing(rows)})"
        )
