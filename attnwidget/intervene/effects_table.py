"""`Effects`: what each head is worth on one input, as a table and as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from attnwidget.analysis.tables import table
from attnwidget.compute.checks import check_name
from attnwidget.intervene.zero_and_mean import differ, rounding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Effects", "OfStreams", "StreamEffects", "named_heads", "rows_of"]

_NAMED = 3  # heads that are named when it is printed
_OF_MEANS = ("by_mean", "differs")
_BOTH = "{effect:+.3g} and {by_mean:+.3g}"


class _HasEffect(Protocol):
    @property
    def effect(self) -> Array: ...
    def rows(self, floor: float) -> Iterator[dict[str, Any]]: ...


Stream = TypeVar("Stream", bound=_HasEffect)


@dataclass(frozen=True, slots=True, eq=False)
class StreamEffects:
    """The effects of the heads of one stream.

    Attributes:
        layers: The numbers of its layers.
        num_heads: How many heads each has.
        effect: float64 ``[layer, head]``, NaN where a head was not run, cannot be edited, or is not there.
        estimate: float64 ``[layer, head]``, the first-order estimate, NaN where there is none.
        by_mean: float64 ``[layer, head]``, of heads that are zeroed the effect of setting them to their mean, NaN where it is
            not known.
    """

    layers: tuple[int, ...]
    num_heads: tuple[int, ...]
    effect: Array
    estimate: Array
    by_mean: Array

    @classmethod
    def of(cls, num_heads: Mapping[int, int]) -> StreamEffects:
        """Return effects that are not known yet, of layers with so many heads."""
        shape = len(num_heads), max(num_heads.values())
        counts = tuple(num_heads.values())
        return cls(tuple(num_heads), counts, *(np.full(shape, np.nan) for _ in range(3)))

    def differs(self, floor: float) -> NDArray[np.bool_]:
        """Tell, ``[layer, head]``, where zero and mean differ by more than a factor of 3, or in sign; see `differ`."""
        return differ(self.effect, self.by_mean, floor)

    def rows(self, floor: float) -> Iterator[dict[str, Any]]:
        """Yield what a table says of each head, that of means included; ``floor`` is as of `differ`."""
        columns = {
            "effect": self.effect,
            "estimate": self.estimate,
            "exact": ~np.isnan(self.effect),
            "by_mean": self.by_mean,
            "differs": self.differs(floor),
        }
        return rows_of(self.layers, self.num_heads, columns)


def rows_of(
    layers: Iterable[int], num_heads: Iterable[int], columns: Mapping[str, NDArray[Any]]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each head of some layers, with its numbers of arrays ``[layer, head]``."""
    for at, (layer, count) in enumerate(zip(layers, num_heads, strict=True)):
        for head in range(count):
            numbers = {name: array[at, head].item() for name, array in columns.items()}
            yield {"layer": layer, "head": head, **numbers}


class OfStreams(Generic[Stream]):
    """What `Effects` and `EffectsOverTexts` have in common: numbers of heads by the stream they are of, read-only."""

    __slots__ = ()

    streams: Mapping[str, Stream]
    ways: Mapping[str, int]
    value: float
    noise: float

    def __post_init__(self) -> None:
        """Freeze what it maps."""
        object.__setattr__(self, "streams", MappingProxyType(dict(self.streams)))
        object.__setattr__(self, "ways", MappingProxyType(dict(self.ways)))

    def __getitem__(self, stream: str) -> Array:
        """Return the effects of a stream, float64 ``[layer, head]``, its layers in the order of the record.

        Raises:
            KeyError: If there is no such stream.
        """
        return self.streams[check_name("stream", stream, self.streams)].effect

    def __iter__(self) -> Iterator[str]:
        return iter(self.streams)

    def __len__(self) -> int:
        return len(self.streams)

    def _rows(self) -> list[dict[str, Any]]:
        floor = rounding(self.value, self.noise)
        rows = [
            {"stream": name, **row}
            for name, stream in self.streams.items()
            for row in stream.rows(floor)
        ]
        if all(np.isnan(row["by_mean"]) for row in rows):  # nobody asked for them
            rows = [{key: row[key] for key in row if key not in _OF_MEANS} for row in rows]
        return _largest_first(rows)

    def _differing(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """Name the heads that are worth something else by mean, in words that end what is printed of the others."""
        apart = [row for row in rows if row.get("differs")]
        if not apart:
            return ""
        named = named_heads(apart, _BOTH, several=len(self.streams) > 1)
        more = f" and {len(apart) - _NAMED} more" if len(apart) > _NAMED else ""
        return f"; zero and mean differ: {named}{more}"


def _largest_first(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of heads, the largest effect, up or down, first; then those that were not run."""
    return sorted(rows, key=lambda row: -abs(row["effect"]) if row["exact"] else 1.0)


def named_heads(rows: Iterable[Mapping[str, Any]], number: str, *, several: bool) -> str:
    """Name the first heads that were run, each with its numbers as ``number``, a format of its row, writes them."""
    done = [row for row in rows if row["exact"]][:_NAMED]
    head = "{stream} {layer}.{head} " if several else "{layer}.{head} "
    return ", ".join((head + number).format(**row) for row in done) or "none"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Effects(OfStreams[StreamEffects]):
    """How much a metric changes without each head of a model, on one input.

    Attributes:
        metric: What is measured, in words.
        how: What is put in the place of a head's output: ``"zero"``, ``"mean"`` or ``"resample"``.
        value: The metric with all heads.
        streams: Stream name to the effects of its heads; read-only.
        interrupted: Whether the run was ended before its last head.
        noise: The largest change of the metric that was seen without any edit; effects no larger than it are 0.
        ways: How many heads were run in which way: ``"grown"`` (several in one pass whose batch has one row as far as the
            layer's output projection), ``"batched"`` (several in one pass, each in a row of its batch) or ``"one by one"``.
            The first two were compared with the run that has all heads, and with a pass without one head.

    Example:
        >>> import attnwidget as aw
        >>> effects = aw.effects(model, "the cat sat on the mat because it", tokenizer, metric="purred")
        >>> effects
        Effects(log p(“purred”) -0.738, 16 heads, zero, grown: 3.3 -4.68, 1.2 -0.664, 0.2 -0.492)
        >>> effects.to_dataframe()[["layer", "head"]].values.tolist()[0]
        [3, 3]
    """

    metric: str
    how: str
    value: float
    streams: Mapping[str, StreamEffects]
    interrupted: bool = False
    noise: float = 0.0
    ways: Mapping[str, int] = field(default_factory=dict)

    def __reduce__(self) -> Any:
        # The read-only mapping cannot be copied or pickled itself.
        parts = (self.metric, self.how, self.value, dict(self.streams), self.interrupted)
        return type(self), (*parts, self.noise, dict(self.ways))

    def to_dataframe(self) -> Any:
        """Return one row for each head, the largest effect, up or down, first; then those that were not run.

        Returns:
            A pandas ``DataFrame`` with the columns ``stream``, ``layer``, ``head``, ``effect``, ``estimate`` (the first-order
            one) and ``exact`` (whether the head was run), or a list of dicts where pandas is not installed. Where heads were
            zeroed and set to their means, too, ``by_mean`` is the effect of that and ``differs`` whether the two are further
            apart than a factor of 3, or of two signs, and one of them at least is no noise.
        """
        return table(self._rows())

    def __repr__(self) -> str:
        """Write the metric and the heads whose effect is largest."""
        rows = self._rows()
        done = [row for row in rows if row["exact"]]
        named = named_heads(rows, "{effect:+.3g}", several=len(self.streams) > 1)
        count = (
            f"{len(rows)} heads" if len(done) == len(rows) else f"{len(done)} of {len(rows)} heads"
        )
        ways = " and ".join(self.ways) or "none run"
        return f"Effects({self.metric} {self.value:.4g}, {count}, {self.how}, {ways}: {named}{self._differing(rows)})"
