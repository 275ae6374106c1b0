"""`LayerPredictions`: the likeliest tokens after each layer of a model, at each position of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LayerPredictions"]


@dataclass(frozen=True, slots=True, eq=False)
class LayerPredictions:
    """What a model would predict if it ended after each of its layers; `attnwidget.logit_lens` says how that is read.

    Attributes:
        stream: Name of the stream whose query positions these are.
        first: The query position of the first row; the others follow it.
        ids: int64 ``[layer, row, rank]``, the likeliest first.
        probabilities: float32 ``[layer, row, rank]``.
        labels: Token id to label, for all ids above.
    """

    stream: str
    first: int
    ids: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    labels: Mapping[int, str]
