"""Running means of what each head puts out, over inputs, mergeable: what heads can be replaced by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnwidget.edits.head_outputs import HeadOutputs
from attnwidget.record.vocabulary import from_the_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream

    Numbers = NDArray[np.float64]

__all__ = ["HeadMeans", "head_means"]


@dataclass(frozen=True, slots=True, eq=False)
class HeadMeans:
    """The outputs of one stream's heads, before the output projection, over many inputs.

    Attributes:
        layers: Number of each layer and how many heads it has.
        inputs: Number of inputs.
        rows: Number of positions of all inputs together, of each layer.
        at: Of each layer the sum at each position that every input has, from the left, ``[head, position, value_dim]``.
        over_all: Of each layer the sum over all positions of all inputs, ``[head, value_dim]``.
    """

    layers: tuple[tuple[int, int], ...]
    inputs: int
    rows: tuple[int, ...]
    at: tuple[Numbers, ...]
    over_all: tuple[Numbers, ...]

    @classmethod
    def of(cls, stream: Stream) -> HeadMeans:
        """Return those of one input.

        Raises:
            ValueError: If it holds some of its positions only, or a layer has no values.
        """
        if stream.first_query is not None:
            message = "outputs are kept of inputs that are recorded whole: leave positions= out, or outputs=True."
            raise ValueError(message)
        layers = list(stream)
        at = tuple(layer.output().astype(np.float64) for layer in layers)
        return cls(
            tuple((layer.layer, layer.num_heads) for layer in layers),
            1,
            tuple(layer.n_query for layer in layers),
            at,
            tuple(one.sum(axis=1) for one in at),
        )

    def merge(self, other: HeadMeans) -> HeadMeans:
        """Return those of both sets of inputs together.

        Raises:
            ValueError: If the heads are not the same.
        """
        widths = [[one.shape[-1] for one in each.over_all] for each in (self, other)]
        if self.layers != other.layers or widths[0] != widths[1]:
            message = (
                "outputs of different heads have no mean: survey inputs of one model at a time."
            )
            raise ValueError(message)
        least = [min(a.shape[1], b.shape[1]) for a, b in zip(self.at, other.at, strict=True)]
        both = zip(self.at, other.at, least, strict=True)
        return HeadMeans(
            self.layers,
            self.inputs + other.inputs,
            tuple(a + b for a, b in zip(self.rows, other.rows, strict=True)),
            tuple(a[:, :count] + b[:, :count] for a, b, count in both),
            tuple(a + b for a, b in zip(self.over_all, other.over_all, strict=True)),
        )

    def outputs(self, pairs: Iterable[tuple[int, int]]) -> HeadOutputs:
        """Return the means of some heads, layers and heads counted from the end where they are negative.

        Raises:
            ValueError: If there is no such layer or head.
        """
        numbers = [number for number, _ in self.layers]
        found = []
        for layer, head in pairs:
            number = from_the_end(layer, numbers)
            if number not in numbers:
                message = (
                    f"the survey given as source has no layer {layer}; its layers are {numbers}."
                )
                raise ValueError(message)
            place = numbers.index(number)
            count = self.layers[place][1]
            if not -count <= head < count:
                message = f"layer {number} of the survey given as source has heads 0 .. {count - 1}, not {head}."
                raise ValueError(message)
            at = self.at[place][head] / self.inputs
            found.append(((layer, head), at, self.over_all[place][head] / self.rows[place]))
        return HeadOutputs.of_arrays(self.inputs, found)


def head_means(record: Record, *, wanted: bool) -> Mapping[str, HeadMeans]:
    """Return the outputs of one input by the stream's name, where they are wanted.

    Raises:
        ValueError: As `HeadMeans.of`.
    """
    return {name: HeadMeans.of(record[name]) for name in record} if wanted else {}
