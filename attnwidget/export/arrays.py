"""A record as numpy array, xarray DataArray or pandas DataFrame of links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.compute.indexing import head_axis
from attnwidget.record.byte_sizes import parse_bytes, shown_bytes
from attnwidget.record.record import the_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attnwidget.compute.indexing import Heads
    from attnwidget.record.layer import Layer
    from attnwidget.record.positions import Positions
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream

__all__ = ["check_size", "chosen", "labels", "layers_of", "links"]


def layers_of(stream: Stream, layers: int | Sequence[int] | None) -> list[Layer]:
    """Return these layers, or all.

    Raises:
        IndexError: If there is no such layer.
    """
    if layers is None:
        return list(stream)
    return [stream[layer] for layer in np.atleast_1d(np.asarray(layers)).tolist()]


def chosen(
    attention: Record,
    stream: str | None,
    what: str,
    layers: int | Sequence[int] | None,
    heads: Heads,
) -> tuple[list[Layer], range | tuple[int, ...]]:
    """Return layers, and heads that all of them have.

    Raises:
        KeyError, IndexError: If there is no such stream or layer.
        ValueError: If a stream must be named, a head does not exist, ``what`` is neither weights nor scores, or the
            layers have different numbers of heads.
    """
    if what not in {"weights", "scores"}:
        message = f"what must be 'weights' or 'scores', got {what!r}."
        raise ValueError(message)
    found = the_stream(attention, stream)
    taken = layers_of(found, layers)
    counts = {layer.layer: layer.num_heads for layer in taken}
    if heads is None and len(set(counts.values())) > 1:
        few = [number for number, count in counts.items() if count == min(counts.values())]
        message = f"the layers of stream {found.name!r} have {sorted(set(counts.values()))} heads: choose layers={few}, or heads."
        raise ValueError(message)
    return taken, head_axis(heads, min(counts.values())).indices


def check_size(
    shape: Sequence[int | str], size: int, limit: int | str, *, top: int | None = None
) -> None:
    """Refuse what would be too large.

    Raises:
        ValueError: If ``size`` bytes are more than the limit.
    """
    if size <= parse_bytes(limit, "limit"):
        return
    shown = " × ".join(f"{part:,}" if isinstance(part, int) else part for part in shape)
    less = "choose layers and heads" + ("" if top is None else f", fewer than top={top}")
    message = (
        f"{shown} would take {shown_bytes(size)}, more than limit={limit!r}: {less}, or pass"
        f" limit={shown_bytes(size)!r}."
    )
    raise ValueError(message)


def labels(positions: Positions) -> NDArray[np.object_]:
    """Return the labels, one an element."""
    return np.array([position.label for position in positions], dtype=object)


def links(stream: Stream, layer: Layer, head: int, top: int | None) -> dict[str, NDArray[Any]]:
    """Return the columns of one head's links."""
    weights = layer.weights(head)
    if top is None or top >= layer.n_key:
        kept = np.broadcast_to(np.arange(layer.n_key), weights.shape)
    else:
        kept = np.argpartition(-weights, top - 1, axis=1)[:, :top]
    if top is not None:
        # Stable, so that equal weights keep the order of the keys.
        kept = np.sort(kept, axis=1)
        order = np.argsort(-np.take_along_axis(weights, kept, 1), axis=1, kind="stable")
        kept = np.take_along_axis(kept, order, 1)
    values = np.take_along_axis(weights, kept, 1)
    query, place = np.nonzero(values > 0)
    key = kept[query, place]
    return {
        "stream": np.full(len(query), stream.name, dtype=object),
        "layer": np.full(len(query), layer.layer),
        "head": np.full(len(query), head),
        "query": query,
        "key": key,
        "query_label": labels(stream.query_positions)[query],
        "key_label": labels(stream.key_positions)[key],
        "weight": values[query, place],
    }
