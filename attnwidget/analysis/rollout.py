"""`Attention.rollout`: attention rollout through the layers (Abnar & Zuidema 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.compute.checks import integer
from attnwidget.compute.resumable import finish, share_of
from attnwidget.compute.softmax import exact
from attnwidget.compute.weight_rows import query_blocks, weight_blocks
from attnwidget.record.chosen import chosen_layers, stream_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.compute.resumable import Slices
    from attnwidget.record.layer import Layer
    from attnwidget.record.stream import Stream
    from attnwidget.record.vocabulary import Layers

__all__ = ["rollout", "rollout_missing", "rollout_slices"]


def rollout_missing(stream: Stream) -> str | None:
    """Return why a stream has no rollout, in a sentence, or ``None`` if it has one."""
    if stream.name.startswith("cross"):
        return "queries and keys are positions of different sequences, so layers cannot be chained."
    if stream.query_positions != stream.key_positions:
        return (
            f"{len(stream.query_positions)} queries look at {len(stream.key_positions)} keys; to chain layers each "
            "position must be both."
        )
    return None


def rollout(stream: Stream, layers: Layers = None) -> NDArray[np.float32]:
    """Return `Attention.rollout` of a stream, where it is described."""
    if layers is None:
        return finish(rollout_slices(stream))
    numbers = [layer.layer for layer in stream]
    places = [numbers.index(layer.layer) for layer in chosen_layers(stream, layers)]
    # Nothing above the last layer that is asked for goes into it.
    below = stream_of(stream, stream.layers[: max(places) + 1])
    found: NDArray[np.float32] = finish(rollout_slices(below))[places]
    return found if integer(layers) is None else found[0]


def rollout_slices(stream: Stream) -> Slices[NDArray[np.float32]]:
    """Return `rollout` as a computation in slices."""
    reason = rollout_missing(stream)
    if reason is not None:
        message = f"stream {stream.name!r} has no rollout: {reason}"
        raise ValueError(message)
    count = len(stream.query_positions)
    found = torch.empty((len(stream), count, count), dtype=torch.float32)
    before: Tensor | None = None
    for place, layer in enumerate(stream):
        work = share_of(_mixed(layer), place / len(stream), (place + 1) / len(stream))
        mixed = (yield from work).cpu()
        with torch.no_grad():
            before = mixed if before is None else torch.matmul(mixed, before, out=found[place])
            found[place] = before
    rolled: NDArray[np.float32] = found.numpy()
    return rolled


def _mixed(layer: Layer) -> Slices[Tensor]:
    """Return the mean over heads, half of it replaced by the residual stream, rows summing to 1."""
    mean = torch.zeros((layer.n_query, layer.n_key), dtype=torch.float32, device=layer.device)
    for queries in query_blocks(layer.num_heads, layer.n_query, layer.n_key):
        start = queries.indices[0]
        with exact(layer):
            for block in weight_blocks(layer, queries):
                rows = slice(start + block.queries.start, start + block.queries.stop)
                mean[rows, block.keys] += block.weights.sum(0)
        yield (queries.indices[-1] + 1) / layer.n_query
    with exact(layer):
        mean /= 2 * layer.num_heads
        mean.diagonal().add_(0.5)
        return mean.div_(mean.sum(1, keepdim=True))
