"""Attention rollout as an attribution: the rows of the positions that a metric reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnwidget.analysis.rollout import rollout
from attnwidget.attribution.relevance import only_stream, rows_read
from attnwidget.metrics.metrics import make_metric
from attnwidget.metrics.outputs import counted, read_output

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attnwidget.attribution.runs import Call
    from attnwidget.record.record import Record

__all__ = ["rolled_out"]


def rolled_out(
    call: Call,
) -> tuple[Record, str, dict[str, NDArray[np.float64]], dict[str, NDArray[np.float32]]]:
    """Return the record, the metric in words, the row that is read, and the rollout of all layers, by stream.

    Where the metric is read at a position, its row. Of a label of the whole input, and of a function of the output, the
    mean over the positions that have a part in it, which a pass with gradients tells; of an embedding compared with itself,
    the mean over all.

    Raises:
        ValueError: If the model's streams are not one sequence.
    """
    ran = call.run()
    stream = only_stream(ran.record, "rollout")
    reading = read_output(ran, call.position)
    name = make_metric(ran, reading, call.metric).name
    rolled = rollout(stream)
    at = None if callable(call.metric) else counted(ran, reading)
    if at is not None:
        row = rolled[-1, at].astype(np.float64)
    elif reading.kind == "embedding" and call.metric is None:
        row = rolled[-1].mean(0, dtype=np.float64)
    else:
        read = rows_read(call.with_gradients().record[stream.name]).numpy()
        row = read @ rolled[-1].astype(np.float64)
    return ran.record, name, {stream.name: row}, {stream.name: rolled}
