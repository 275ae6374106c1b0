"""`HeadOutputs`: what heads put out on other inputs, as means over these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from attnwidget.compute.checks import integer, listed
from attnwidget.record.record import Record, the_stream
from attnwidget.record.vocabulary import from_the_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.record.layer import Layer

__all__ = ["HasOutputs", "HeadOutputs", "MeanOutputs", "outputs_of_records"]

Vectors = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class HeadOutputs:
    """Mean outputs of some heads over some inputs, before the output projection.

    Attributes:
        inputs: How many inputs they are of.
        means: By layer and head ``(at, all)``: the mean of each position that every input has, from the left
            ``[position][value_dim]``, and that of all positions of all inputs ``[value_dim]``. Numbers are float32.
    """

    inputs: int
    means: tuple[tuple[tuple[int, int], tuple[Vectors, tuple[float, ...]]], ...]

    def __str__(self) -> str:
        return f"{self.inputs} record{'s' * (self.inputs != 1)}"

    def of(self, pair: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return ``[position, value_dim]`` and ``[value_dim]`` of one head.

        Raises:
            KeyError: If it is none of them.
        """
        at, over_all = dict(self.means)[pair]
        return np.array(at, dtype=np.float32), np.array(over_all, dtype=np.float32)

    @classmethod
    def of_arrays(
        cls,
        inputs: int,
        heads: Iterable[tuple[tuple[int, int], NDArray[np.floating], NDArray[np.floating]]],
    ) -> HeadOutputs:
        """Return those of some heads: layer and head, ``[position, value_dim]``, and ``[value_dim]`` over all positions."""
        means = tuple((pair, (_rows(at), _row(over_all))) for pair, at, over_all in heads)
        return cls(inputs, means)

    def to_data(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        heads = [
            {"head": list(pair), "at": [list(row) for row in at], "all": list(over_all)}
            for pair, (at, over_all) in self.means
        ]
        return {"inputs": self.inputs, "heads": heads}

    @classmethod
    def from_data(cls, data: Any) -> HeadOutputs:
        """Return what `to_data` made of one.

        Raises:
            ValueError: If it is not such.
        """
        try:
            means = tuple(
                (
                    (_whole(one["head"][0]), _whole(one["head"][1])),
                    (_rows(one["at"]), _row(one["all"])),
                )
                for one in data["heads"]
            )
            inputs = _whole(data["inputs"])
        except (KeyError, TypeError, IndexError, ValueError) as error:
            message = (
                f"no outputs of heads as to_json writes them ({type(error).__name__}: {error})."
            )
            raise ValueError(message) from error
        widths = {(len(row), len(over_all)) for _, (at, over_all) in means for row in at}
        if inputs < 1 or any(first != second for first, second in widths):
            message = "outputs of heads must be as wide at each position as over all of them."
            raise ValueError(message)
        return cls(inputs, means)


@runtime_checkable
class HasOutputs(Protocol):
    """What has mean outputs of heads over many inputs, such as a survey."""

    def outputs_of(self, pairs: Iterable[tuple[int, int]], stream: str | None) -> HeadOutputs:
        """Return those of some heads of a stream, of the only one there is where none is named."""


class MeanOutputs:
    """Running means of the outputs of some heads over inputs that come one by one.

    Args:
        pairs: The layers and heads, as the records count them.
    """

    def __init__(self, pairs: Iterable[tuple[int, int]]) -> None:
        self._pairs = tuple(pairs)
        self._count = 0
        self._rows = 0
        self._at: dict[tuple[int, int], NDArray[np.float64]] = {}
        self._all: dict[tuple[int, int], NDArray[np.float64]] = {}

    def add(self, layers: Mapping[int, Layer]) -> None:
        """Add one input: its layers by the number they are called by.

        Raises:
            ValueError: If a layer has no values.
        """
        rows = {layer.n_query for layer in layers.values()}
        for pair in self._pairs:
            layer = layers[pair[0]]
            own = layer.output(pair[1]).astype(np.float64)
            before = self._at.get(pair)
            shortest = len(own) if before is None else min(len(own), len(before))
            self._at[pair] = (
                own[:shortest] if before is None else before[:shortest] + own[:shortest]
            )
            self._all[pair] = self._all.get(pair, 0.0) + own.sum(axis=0)
        self._count += 1
        self._rows += max(rows, default=0)

    def finish(self) -> HeadOutputs:
        """Return the means."""
        return HeadOutputs(
            self._count,
            tuple(
                (pair, (_rows(self._at[pair] / self._count), _row(self._all[pair] / self._rows)))
                for pair in self._pairs
            ),
        )


def outputs_of_records(
    records: Sequence[Record], pairs: Sequence[tuple[int, int]], stream: str | None
) -> HeadOutputs:
    """Return the mean outputs of heads in some records.

    Raises:
        ValueError: If a record lacks one of them, or its values, or has several streams and none is named.
    """
    means = MeanOutputs(pairs)
    for record in records:
        means.add(named_layers(record, pairs, stream))
    return means.finish()


def named_layers(
    record: Record, pairs: Iterable[tuple[int, int]], stream: str | None
) -> dict[int, Layer]:
    """Return the layers of a record by the numbers that pairs call them by, negative ones from the end.

    Raises:
        ValueError: If there is no such stream, layer or head.
    """
    try:
        named = the_stream(record, stream)
    except KeyError as error:
        raise ValueError(str(error.args[0])) from None
    if named.first_query is not None:
        message = "a record given as source holds some of its positions only: record it without positions=."
        raise ValueError(message)
    layers = {layer.layer: layer for layer in named}
    found = {}
    for number, head in pairs:
        layer = layers.get(from_the_end(number, sorted(layers)))
        if layer is None:
            message = (
                f"a record given as source has no layer {number}; its layers are {sorted(layers)}."
            )
            raise ValueError(message)
        if not -layer.num_heads <= head < layer.num_heads:
            message = f"layer {layer.layer} of a record given as source has heads 0 .. {layer.num_heads - 1}, not {head}."
            raise ValueError(message)
        found[number] = layer
    return found


def _whole(value: Any) -> int:
    number = integer(value)
    if number is None:
        message = f"{value!r} is no integer"
        raise ValueError(message)
    return number


def _rows(rows: Any) -> Vectors:
    return tuple(_row(row) for row in rows)


def _row(row: Any) -> tuple[float, ...]:
    if not isinstance(row, np.ndarray) and listed(row) is None:
        message = f"{row!r} is no list of numbers"
        raise ValueError(message)
    return tuple(float(np.float32(value)) for value in row)
