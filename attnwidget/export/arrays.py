"""A record as numpy array, xarray DataArray or pandas DataFrame of links."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.compute.checks import check_choice, check_count
from attnwidget.compute.indexing import head_axis
from attnwidget.compute.not_numbers import warn_not_numbers
from attnwidget.record.byte_sizes import parse_bytes, shown_bytes
from attnwidget.record.chosen import chosen_layers
from attnwidget.record.record import the_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attnwidget.compute.indexing import Heads
    from attnwidget.record.layer import Layer
    from attnwidget.record.positions import Positions
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream
    from attnwidget.record.vocabulary import Layers

__all__ = ["library", "to_dataframe", "to_numpy", "to_xarray"]

# One row of a table of links: five integers, a float, three references to names.
ROW_BYTES = 72


def to_numpy(
    record: Record,
    stream: str | None,
    *,
    what: str,
    layers: Layers,
    heads: Heads,
    limit: int | str,
) -> NDArray[np.float32]:
    """Return what `Attention.numpy` describes."""
    taken, indices = _chosen(record, stream, what, layers, heads)
    first = taken[0]
    shape = (len(taken), len(indices), first.n_query, first.n_key)
    _check_size(shape, 4 * int(np.prod(shape, dtype=np.int64)), limit)
    array = np.empty(shape, np.float32)
    for place, layer in enumerate(taken):
        for row, head in enumerate(indices):
            array[place, row] = getattr(layer, what)(head)
    return array


def to_xarray(
    record: Record,
    stream: str | None,
    *,
    what: str,
    layers: Layers,
    heads: Heads,
    limit: int | str,
) -> Any:
    """Return what `Attention.to_xarray` describes."""
    xarray = library("xarray")
    array = to_numpy(record, stream, what=what, layers=layers, heads=heads, limit=limit)
    taken, indices = _chosen(record, stream, what, layers, heads)
    found = the_stream(record, stream)
    coordinates = {
        "layer": [layer.layer for layer in taken],
        "head": list(indices),
        "query": np.arange(len(found.query_positions)),
        "key": np.arange(len(found.key_positions)),
        "query_label": ("query", _labels(found.query_positions)),
        "key_label": ("key", _labels(found.key_positions)),
    }
    attributes = {"model": record.model_name, "stream": found.name}
    if record.text is not None:
        attributes["text"] = record.text
    dims = ("layer", "head", "query", "key")
    return xarray.DataArray(array, coordinates, dims, name=what, attrs=attributes)


def to_dataframe(
    record: Record,
    stream: str | None,
    *,
    top: int | None,
    layers: Layers,
    heads: Heads,
    limit: int | str,
) -> Any:
    """Return what `Attention.to_dataframe` describes."""
    pandas = library("pandas")
    if top is not None:
        top = check_count("top", top, "or None for all keys")
    names = list(record) if stream is None else [record[stream].name]
    parts = [
        (record[name], layer, head_axis(heads, layer.num_heads).indices)
        for name in names
        for layer in chosen_layers(record[name], layers)
    ]
    rows = sum(
        len(indices) * layer.n_query * min(layer.n_key, top or layer.n_key)
        for _, layer, indices in parts
    )
    _check_size((rows, "rows"), rows * ROW_BYTES, limit, top=top)
    columns = [
        _links(found, layer, head, top) for found, layer, indices in parts for head in indices
    ]
    warn_not_numbers(
        (
            (part["stream"][0], int(part["layer"][0]), int(part["head"][0]))
            for part in columns
            if np.isnan(part["weight"]).any()
        ),
        "so are the rows here, and come last where keys are ranked",
        stacklevel=3,
    )
    return pandas.DataFrame(
        {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    )


def library(name: str) -> Any:
    """Return a library that is installed only where it is wanted.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        message = f"This needs {name}, which is not installed: pip install {name}."
        raise ImportError(message) from error


def _chosen(
    record: Record,
    stream: str | None,
    what: str,
    layers: Layers,
    heads: Heads,
) -> tuple[list[Layer], range | tuple[int, ...]]:
    """Return layers, and heads that all of them have.

    Raises:
        KeyError, IndexError: If there is no such stream or layer.
        ValueError: If a stream must be named, a head does not exist, ``what`` is neither weights nor scores, or the
            layers have different numbers of heads.
    """
    check_choice("what", what, ("weights", "scores"), said="'weights' or 'scores'")
    found = the_stream(record, stream)
    taken = chosen_layers(found, layers)
    counts = {layer.layer: layer.num_heads for layer in taken}
    # Negative heads are others in a layer of more heads.
    axes = {head_axis(heads, count).indices for count in set(counts.values())}
    if len(axes) > 1:
        few = [number for number, count in counts.items() if count == min(counts.values())]
        message = f"the layers of stream {found.name!r} have {sorted(set(counts.values()))} heads: choose layers={few}, or heads."
        raise ValueError(message)
    return taken, axes.pop()


def _check_size(
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


def _labels(positions: Positions) -> NDArray[np.object_]:
    """Return the labels, one an element."""
    return np.array([position.label for position in positions], dtype=object)


def _links(stream: Stream, layer: Layer, head: int, top: int | None) -> dict[str, NDArray[Any]]:
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
    # NaN is no link of weight 0.
    query, place = np.nonzero((values > 0) | np.isnan(values))
    key = kept[query, place]
    return {
        "stream": np.full(len(query), stream.name, dtype=object),
        "layer": np.full(len(query), layer.layer),
        "head": np.full(len(query), head),
        "query": query,
        "key": key,
        "query_label": _labels(stream.query_positions)[query],
        "key_label": _labels(stream.key_positions)[key],
        "weight": values[query, place],
    }
