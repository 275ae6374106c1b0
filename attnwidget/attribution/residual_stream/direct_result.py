"""`DirectAttribution`: what each part of the residual stream adds to a logit, as arrays and as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from attnwidget.analysis.tables import table
from attnwidget.compute.checks import check_count, check_name, integer, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from attnwidget.record.record import Record

__all__ = ["DirectAttribution", "OtherPart", "Promoted", "StreamContributions"]

_NAMED = 3  # heads that are named when it is printed


class Promoted(NamedTuple):
    """One token, or label, and what a head adds to its logit.

    Attributes:
        label: As a person reads it.
        id: Its number.
        logit: What the head adds.
    """

    label: str
    id: int
    logit: float


class OtherPart(NamedTuple):
    """A part of the residual stream that is no head.

    Attributes:
        kind: ``"embedding"``: the stream before the first block; ``"module"``: what a module adds, its bias included, such as
            an MLP; ``"bias"``: the bias of an output projection, a norm, or the output embedding.
        path: Path of the module; of the embedding, that of the first block.
        block: Number of the block that it is in, or ``None``.
        contribution: What it adds to the logit.
    """

    kind: Literal["embedding", "module", "bias"]
    path: str
    block: int | None
    contribution: float


@dataclass(frozen=True, slots=True, eq=False)
class StreamContributions:
    """What the heads of one stream add.

    Attributes:
        layers: The numbers of its layers.
        num_heads: How many heads each has.
        contribution: float32 ``[layer, head]``, NaN where a head is not there.
        gradients: For each layer float32 ``[head, value_dim]``, how the logit grows with what a head puts out.
    """

    layers: tuple[int, ...]
    num_heads: tuple[int, ...]
    contribution: NDArray[np.float32]
    gradients: tuple[NDArray[np.float32], ...]

    @classmethod
    def of(
        cls,
        contributions: Mapping[int, NDArray[np.float32]],
        gradients: Mapping[int, NDArray[np.float32]],
    ) -> StreamContributions:
        """Put together what the heads of each layer, by its number, add."""
        layers = tuple(sorted(contributions))
        counts = tuple(len(contributions[layer]) for layer in layers)
        values = np.full((len(layers), max(counts)), np.nan, dtype=np.float32)
        for row, (layer, count) in enumerate(zip(layers, counts, strict=True)):
            values[row, :count] = contributions[layer]
        return cls(layers, counts, values, tuple(gradients[layer] for layer in layers))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DirectAttribution:
    """What each part of the residual stream adds to a logit, or to the difference of two.

    With the scale of each norm held, the logit is the sum of all of them, to 1e-5 of the largest in float32. That is the
    direct path from a part to the output alone: what other heads and MLPs make of what a head writes is theirs.

    Attributes:
        metric: What is attributed, in words.
        value: The logit, or the difference.
        position: The position at which it is read, as the record counts it.
        streams: Stream name to what its heads add; read-only.
        others: The other parts.
        source: The record of the run.
    """

    metric: str
    value: float
    position: int
    streams: Mapping[str, StreamContributions]
    others: tuple[OtherPart, ...]
    source: Record
    projected: Callable[[str, int, int, int], tuple[Promoted, ...]] | None = field(default=None)

    def __post_init__(self) -> None:
        """Freeze what it maps."""
        object.__setattr__(self, "streams", MappingProxyType(dict(self.streams)))

    def __reduce__(self) -> Any:
        # The read-only mapping cannot be copied or pickled, nor what asks the model again.
        parts = (self.metric, self.value, self.position, dict(self.streams), self.others)
        return type(self), (*parts, self.source)

    def __getitem__(self, stream: str) -> NDArray[np.float32]:
        """Return what the heads of a stream add, float32 ``[layer, head]``, in logits.

        Raises:
            KeyError: If there is no such stream.
        """
        return self.streams[check_name("stream", stream, self.streams)].contribution

    def __iter__(self) -> Iterator[str]:
        return iter(self.streams)

    def __len__(self) -> int:
        return len(self.streams)

    @property
    def total(self) -> float:
        """The sum of all parts: `value`, but for rounding."""
        heads = sum(
            float(np.nansum(one.contribution.astype(float))) for one in self.streams.values()
        )
        return heads + sum(part.contribution for part in self.others)

    def links(self, layer: int, head: int, *, stream: str | None = None) -> NDArray[np.float32]:
        """Return what a head adds to the logit by each key that it attends to from the position that is read.

        A head puts out ``Σ_j w_ij · v_j``, so each key's part is ``w_ij`` times what its value would add. Their sum is the
        head's contribution.

        Args:
            layer: Number of the layer.
            head: The head.
            stream: Name of the stream, where there are several.

        Returns:
            float32 ``[key]``, in logits.

        Raises:
            ValueError: If there is no such stream, layer or head.
        """
        name, at, number = self._place(layer, head, stream)
        one = self.streams[name]
        found = self.source.streams[name][one.layers[at]]
        weights = found.weights(head=number, queries=self.position).astype(np.float64)
        added = found.value_vectors(head=number).astype(np.float64) @ one.gradients[at][number]
        links: NDArray[np.float32] = (weights * added).astype(np.float32)
        return links

    def promotes(
        self, layer: int, head: int, top: int = 10, *, stream: str | None = None
    ) -> tuple[Promoted, ...]:
        """Return the tokens, or labels, to whose logits a head adds most at the position that is read.

        It is what the head writes, through the norms as they were and the output embedding: ``W_U · norm · W_O,h · o_h``.
        The model's modules are asked, so it must not have been changed since.

        Args:
            layer: Number of the layer.
            head: The head.
            top: How many.
            stream: Name of the stream, where there are several.

        Raises:
            ValueError: If there is no such stream, layer or head, or this is a copy.
        """
        return self._projected(layer, head, check_count("top", top, least=1), stream)

    def suppresses(
        self, layer: int, head: int, top: int = 10, *, stream: str | None = None
    ) -> tuple[Promoted, ...]:
        """Return the tokens, or labels, from whose logits a head takes most; as `promotes`.

        Args:
            layer: Number of the layer.
            head: The head.
            top: How many.
            stream: Name of the stream, where there are several.

        Raises:
            ValueError: As `promotes`.
        """
        return self._projected(layer, head, -check_count("top", top, least=1), stream)

    def to_dataframe(self) -> Any:
        """Return one row for each part, what adds or takes most first.

        Returns:
            A pandas ``DataFrame`` with the columns ``kind`` (``"head"``, or as in `OtherPart`), ``part`` (``layer.head``, or
            the path of a module), ``stream``, ``layer``, ``head`` (``None`` for other parts) and ``contribution``, or a list
            of dicts where pandas is not installed.
        """
        return table(sorted(self._rows(), key=lambda row: -abs(row["contribution"])))

    def _rows(self) -> Iterator[dict[str, Any]]:
        for name, one in self.streams.items():
            for row, (layer, count) in enumerate(zip(one.layers, one.num_heads, strict=True)):
                for head in range(count):
                    yield {
                        "kind": "head",
                        "part": f"{layer}.{head}",
                        "stream": name,
                        "layer": layer,
                        "head": head,
                        "contribution": float(one.contribution[row, head]),
                    }
        for part in self.others:
            yield {
                "kind": part.kind,
                "part": part.path,
                "stream": None,
                "layer": part.block,
                "head": None,
                "contribution": part.contribution,
            }

    def _place(self, layer: Any, head: Any, stream: str | None) -> tuple[str, int, int]:
        """Return the stream, the row of the layer in it, and the head."""
        if stream is None and len(self.streams) > 1:
            msg = f"there are several streams: say which, such as stream={next(iter(self.streams))!r}."
            raise ValueError(msg)
        name = next(iter(self.streams)) if stream is None else stream
        if name not in self.streams:
            msg = f"no stream {shown(stream)}; there are {list(self.streams)}."
            raise ValueError(msg)
        one = self.streams[name]
        number = integer(layer)
        if number not in one.layers:
            msg = f"no layer {shown(layer)} in stream {name!r}; its layers are {list(one.layers)}."
            raise ValueError(msg)
        at, wanted = one.layers.index(number), integer(head)
        if wanted is None or not 0 <= wanted < one.num_heads[at]:
            msg = f"no head {shown(head)} in layer {number} of stream {name!r}; its heads are 0 .. {one.num_heads[at] - 1}."
            raise ValueError(msg)
        return name, at, wanted

    def _projected(
        self, layer: int, head: int, count: int, stream: str | None
    ) -> tuple[Promoted, ...]:
        name, at, number = self._place(layer, head, stream)
        if self.projected is None:
            msg = "a copy of an attribution has no model to ask: attribute once more for the tokens that a head promotes."
            raise ValueError(msg)
        return self.projected(name, self.streams[name].layers[at], number, count)

    def __repr__(self) -> str:
        """Write the logit and the heads that add or take most."""
        rows = sorted(self._rows(), key=lambda row: -abs(row["contribution"]))
        heads = [row for row in rows if row["kind"] == "head"]
        several = len(self.streams) > 1
        named = ", ".join(
            f"{row['stream'] + ' ' if several else ''}{row['part']} {row['contribution']:+.3g}"
            for row in heads[:_NAMED]
        )
        rest = f"{len(rows) - len(heads)} other parts"
        return f"DirectAttribution({self.metric} {self.value:.4g}, {len(heads)} heads and {rest}: {named})"
