"""What a metric loses without each token, or each head: exact, by a pass of the model for each, or several in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnwidget.edits.ablation import Ablation
from attnwidget.edits.edits import Edits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attnwidget.attribution.runs import ExactRuns
    from attnwidget.record.record import Record

    Array = NDArray[np.float64]

__all__ = ["lost_without_head", "sequences", "tokens_lost"]


def sequences(record: Record) -> dict[str, tuple[str, ...]]:
    """Return the streams that share their keys, under the name of the first of them.

    An encoder-decoder has two: the encoder's tokens, which the cross-attention looks at too, and the decoder's.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, stream in record.streams.items():
        first = next(
            (one for one in found if record[one].key_positions == stream.key_positions), name
        )
        found[first] = (*found.get(first, ()), name)
    return found


def tokens_lost(runs: ExactRuns) -> dict[str, Array]:
    """Return what the metric loses without each token, float64 ``[key]`` by stream, as `sequences` names them.

    Raises:
        ValueError: If links of the model cannot be cut.
    """
    record = runs.clean.record
    return {
        name: np.array(runs.lost_keys(range(len(record[name].key_positions)), streams))
        for name, streams in sequences(record).items()
    }


def lost_without_head(runs: ExactRuns, stream: str, layer: int, head: int) -> float:
    """Return what the metric loses when a head puts out zeros.

    Raises:
        ValueError: If the head cannot be edited.
    """
    return runs.lost(Edits((Ablation.of([(layer, head)], "zero", None, stream),)))
