"""`EffectsOverTexts`: what each head is worth on several texts: mean, spread, interval and sign, as a table and as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.tables import table
from attnwidget.intervene.effects_table import OfStreams, largest_first, named_heads
from attnwidget.intervene.student import two_sided_95
from attnwidget.surveys.running_means import RunningMeans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from attnwidget.intervene.effects_table import StreamEffects

    Array = NDArray[np.float64]

__all__ = ["EffectsOverTexts", "StreamMoments"]


@dataclass(frozen=True, slots=True, eq=False)
class StreamMoments(RunningMeans):
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
        )

    def merge(self, other: StreamMoments) -> StreamMoments:
        """Return those of both sets of texts together.

        Raises:
            ValueError: If the heads are not the same.
        """
        heads = [dict(zip(one.layers, one.num_heads, strict=True)) for one in (self, other)]
        if heads[0] != heads[1]:
            message = f"it has other layers and heads, {heads[1]}, than those before it, {heads[0]}"
            raise ValueError(message)
        summed = ("ups", "downs", "estimates", "estimated")
        return StreamMoments(
            self.layers,
            self.num_heads,
            *self.merged(other),
            *(getattr(self, name) + getattr(other, name) for name in summed),
        )

    @property
    def effect(self) -> Array:
        """Mean effect, ``[layer, head]``, NaN where a head was not run."""
        return self.means

    @property
    def estimate(self) -> Array:
        """Mean first-order estimate, ``[layer, head]``, NaN where there is none."""
        known = self.estimated > 0
        return np.where(known, self.estimates / np.maximum(self.estimated, 1), np.nan)

    @property
    def sd(self) -> Array:
        """Standard deviation of the effect between texts (divided by their number less one), NaN of fewer than two."""
        variance = self.squares / np.maximum(self.count - 1, 1)
        return np.where(self.count > 1, np.sqrt(variance), np.nan)

    @property
    def interval(self) -> tuple[Array, Array]:
        """The two ends of the mean's 95 % confidence interval, by Student's t, NaN of fewer than two texts."""
        width = self.sd / np.sqrt(np.maximum(self.count, 1))
        wide = width * np.vectorize(two_sided_95, otypes=[float])(np.maximum(self.count - 1, 1))
        return self.effect - wide, self.effect + wide

    @property
    def same_sign(self) -> Array:
        """The share of texts in which the effect has the sign of the mean, NaN where a head was not run."""
        same = np.where(self.mean > 0, self.ups, np.where(self.mean < 0, self.downs, 0.0))
        neither = self.count - self.ups - self.downs
        same = np.where(self.mean == 0, neither, same)
        return np.where(self.count > 0, same / np.maximum(self.count, 1), np.nan)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield what a table says of each head."""
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
        }
        for at, (layer, count) in enumerate(zip(self.layers, self.num_heads, strict=True)):
            for head in range(count):
                numbers = {name: array[at, head].item() for name, array in columns.items()}
                yield {"layer": layer, "head": head, **numbers}


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
    """

    metric: str
    how: str
    value: float
    streams: Mapping[str, StreamMoments]
    count: int
    skipped: tuple[tuple[int, str], ...] = ()
    interrupted: bool = False
    ways: Mapping[str, int] = field(default_factory=dict)

    def __reduce__(self) -> Any:
        # The read-only mapping cannot be copied or pickled itself.
        parts = (self.metric, self.how, self.value, dict(self.streams), self.count)
        return type(self), (*parts, self.skipped, self.interrupted, dict(self.ways))

    def to_dataframe(self) -> Any:
        """Return one row for each head, the largest mean effect, up or down, first; then those that were not run.

        Returns:
            A pandas ``DataFrame``, or a list of dicts where pandas is not installed, with the columns of
            `Effects.to_dataframe` (``effect`` and ``estimate`` are means over the texts) and ``sd`` (between texts),
            ``low`` and ``high`` (the ends of the 95 % confidence interval of the mean, by Student's t), ``same_sign`` (the
            share of texts in which the effect has the sign of the mean) and ``texts`` (in how many the head was run).
        """
        return table(self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        return largest_first(
            {"stream": name, **row}
            for name, stream in self.streams.items()
            for row in stream.rows()
        )

    def __repr__(self) -> str:
        """Write the metric and the heads whose mean effect is largest, with their intervals."""
        rows = self._rows()
        numbers = "{effect:+.3g} [{low:+.3g}, {high:+.3g}]"
        named = named_heads(rows, numbers, several=len(self.streams) > 1)
        ended = ", interrupted" if self.interrupted else ""
        more = f", {len(self.skipped)} skipped" if self.skipped else ""
        return (
            f"EffectsOverTexts({self.metric} {self.value:.4g}, {self.count} texts{more}{ended}, {len(rows)} heads, {self.how}: "
            f"{named})"
        )
