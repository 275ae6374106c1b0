"""`Effects`: what each head is worth on one input, as a table and as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from attnwidget.analysis.tables import table
from attnwidget.compute.checks import check_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Effects", "OfStreams", "StreamEffects", "largest_first", "named_heads"]

_NAMED = 3  # heads that are named when it is printed


class _HasEffect(Protocol):
    @property
    def effect(self) -> Array: ...


Stream = TypeVar("Stream", bound=_HasEffect)


@dataclass(frozen=True, slots=True, eq=False)
class StreamEffects:
    """The effects of the heads of one stream.

    Attributes:
        layers: The numbers of its layers.
        num_heads: How many heads each has.
        effect: float64 ``[layer, head]``, NaN where a head was not run, cannot be edited, or is not there.
        estimate: float64 ``[layer, head]``, the first-order estimate, NaN where there is none.
    """

    layers: tuple[int, ...]
    num_heads: tuple[int, ...]
    effect: Array
    estimate: Array

    @classmethod
    def of(cls, num_heads: Mapping[int, int]) -> StreamEffects:
        """Return effects that are not known yet, of layers with so many heads."""
        shape = len(num_heads), max(num_heads.values())
        counts = tuple(num_heads.values())
        return cls(tuple(num_heads), counts, np.full(shape, np.nan), np.full(shape, np.nan))

    def rows(self) -> Iterator[tuple[int, int, float, float]]:
        """Yield layer, head, effect and estimate."""
        for at, (layer, count) in enumerate(zip(self.layers, self.num_heads, strict=True)):
            for head in range(count):
                yield layer, head, float(self.effect[at, head]), float(self.estimate[at, head])


class OfStreams(Generic[Stream]):
    """What `Effects` and `EffectsOverTexts` have in common: numbers of heads by the stream they are of, read-only."""

    __slots__ = ()

    streams: Mapping[str, Stream]
    ways: Mapping[str, int]

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


def largest_first(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
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
            one) and ``exact`` (whether the head was run), or a list of dicts where pandas is not installed.
        """
        return table(self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        rows = [
            {
                "stream": name,
                "layer": layer,
                "head": head,
                "effect": effect,
                "estimate": estimate,
                "exact": not np.isnan(effect),
            }
            for name, stream in self.streams.items()
            for layer, head, effect, estimate in stream.rows()
        ]
        return largest_first(rows)

    def __repr__(self) -> str:
        """Write the metric and the heads whose effect is largest."""
        rows = self._rows()
        done = [row for row in rows if row["exact"]]
        named = named_heads(rows, "{effect:+.3g}", several=len(self.streams) > 1)
        count = (
            f"{len(rows)} heads" if len(done) == len(rows) else f"{len(done)} of {len(rows)} heads"
        )
        ways = " and ".join(self.ways) or "none run"
        return f"Effects({self.metric} {self.value:.4g}, {count}, {self.how}, {ways}: {named})"
