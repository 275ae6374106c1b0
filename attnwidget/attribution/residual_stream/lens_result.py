"""`LogitLens`: what a model would predict after each of its layers, at each position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attnwidget.analysis.tables import table
from attnwidget.compute.checks import integer, listed, shown
from attnwidget.record.layer_predictions import LayerPredictions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = ["LogitLens", "TokenByLayer"]

_SHOWN = 6  # layers that are named when it is printed


class TokenByLayer(NamedTuple):
    """How likely one choice is after each layer.

    Attributes:
        probability: float32 ``[layer, position]``.
        rank: int64 ``[layer, position]``, 1 for the likeliest.
    """

    probability: NDArray[np.float32]
    rank: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LogitLens:
    """What a model would predict after each of its layers, at each position.

    Attributes:
        layers: Numbers of the layers, from 0; after the last one the model's own prediction.
        stream: Name of the recorded stream whose query positions these are, or ``None``: the whole input has one label.
        positions: The positions, counted without padding.
        tokens: How each is labelled.
        ids: int64 ``[layer, position, rank]``, the likeliest choices, the likeliest first.
        probabilities: float32 ``[layer, position, rank]``.
        labels: How each of these choices is called, by its id.

    Example:
        >>> import attnwidget as aw
        >>> lens = aw.logit_lens(model, "the cat sat on the mat because it", tokenizer)
        >>> lens.predicted[:, -1].tolist()
        ['was', 'was', 'was', 'was']
        >>> lens.to_dataframe()["predicted"].iloc[-5]
        'was'
    """

    layers: tuple[int, ...]
    stream: str | None
    positions: tuple[int, ...]
    tokens: tuple[str, ...]
    ids: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    labels: Mapping[int, str]
    by_layer: Callable[[Any], TokenByLayer] | None = field(default=None, compare=False)

    @property
    def predicted(self) -> NDArray[np.object_]:
        """The likeliest choice after each layer at each position, as text, ``[layer, position]``."""
        found = np.empty(self.ids.shape[:2], dtype=object)
        for at in np.ndindex(found.shape):
            found[at] = self.labels[int(self.ids[(*at, 0)])]
        return found

    def __getitem__(self, at: tuple[int, int]) -> dict[str, float]:
        """Return the likeliest choices after one layer at one position, and their probabilities, the likeliest first.

        Args:
            at: Layer and position; negative ones count from the end.

        Raises:
            IndexError: If there is no such layer or position.
            TypeError: If it is no such pair.
        """
        pair = listed(at) or []
        layer, position = map(integer, pair) if len(pair) == 2 else (None, None)
        if layer is None or position is None:
            msg = f"a prediction has a layer and a position, such as lens[0, -1], got {shown(at)}."
            raise TypeError(msg)
        for name, number, count in (
            ("layer", layer, len(self.layers)),
            ("position", position, len(self.positions)),
        ):
            if not -count <= number < count:
                msg = f"no {name} {number}: there are {count}, 0 .. {count - 1}."
                raise IndexError(msg)
        return {
            self.labels[int(number)]: float(probability)
            for number, probability in zip(
                self.ids[layer, position], self.probabilities[layer, position], strict=True
            )
        }

    def of(self, choice: Any) -> TokenByLayer:
        """Return how likely one token or label is after each layer at each position.

        The model runs once more for each layer, on what was kept of the blocks; so it must not have been changed since.

        Args:
            choice: A token by its text or id, or a label.

        Raises:
            TypeError: If it is neither.
            ValueError: If there is no such token or label, or it is several tokens; if this is a copy.

        Example:
            >>> import attnwidget as aw
            >>> model, tokenizer = pocket()
            >>> lens = aw.logit_lens(model, "the cat sat on the mat because it", tokenizer)
            >>> lens.of("purred").probability.shape
            (4, 9)
        """
        if self.by_layer is None:
            msg = "a copy of a lens has no model to ask: call attnwidget.logit_lens(model, inputs, tokenizer) for one that has."
            raise ValueError(msg)
        return self.by_layer(choice)

    def for_record(self) -> LayerPredictions | None:
        """Return what a record keeps of it, without the model; ``None`` where it is of no stream's positions."""
        if self.stream is None:
            return None
        first = self.positions[0]
        return LayerPredictions(self.stream, first, self.ids, self.probabilities, self.labels)

    def to_dataframe(self) -> Any:
        """Return one row for each layer, position and rank.

        Returns:
            A pandas ``DataFrame`` with the columns ``layer``, ``position``, ``token`` (at the position), ``rank`` (1 is the
            likeliest), ``predicted`` and ``probability``, or a list of dicts where pandas is not installed.
        """
        return table(
            {
                "layer": layer,
                "position": position,
                "token": token,
                "rank": rank + 1,
                "predicted": self.labels[int(self.ids[at, row, rank])],
                "probability": float(self.probabilities[at, row, rank]),
            }
            for at, layer in enumerate(self.layers)
            for row, (position, token) in enumerate(zip(self.positions, self.tokens, strict=True))
            for rank in range(self.ids.shape[-1])
        )

    def __reduce__(self) -> Any:
        # What asks the model again cannot be copied or pickled.
        parts = (self.layers, self.stream, self.positions, self.tokens, self.ids)
        return type(self), (*parts, self.probabilities, dict(self.labels))

    def __repr__(self) -> str:
        """Write what some layers predict at the last position."""
        count = len(self.layers)
        some = sorted({round(at) for at in np.linspace(0, count - 1, min(count, _SHOWN))})
        named = ", ".join(
            f"{self.layers[at]} {self.labels[int(self.ids[at, -1, 0])]!r} {self.probabilities[at, -1, 0]:.2f}"
            for at in some
        )
        where = f"{count} layers × {len(self.positions)} positions"
        return f"LogitLens({where}; after layer, at the last position: {named})"
