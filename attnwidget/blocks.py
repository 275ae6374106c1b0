"""Answers to the front end's requests for numbers, read from a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.drawn import (
    Rollouts,
    columns,
    drawn_tile,
    key_lengths,
    layer_overview,
    mean_row,
)
from attnwidget.finding.measures import missing
from attnwidget.pairing import PairedLayer
from attnwidget.protocol.codec import encode, shade
from attnwidget.slices import finish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from attnwidget.attention import Attention, Stream
    from attnwidget.layer import Layer
    from attnwidget.protocol.codec import Block
    from attnwidget.slices import Slices

__all__ = ["BAND_WEIGHTS", "answer", "requests_for_head", "work"]

# Weights per band of query rows; `bandRows` in js/src/data/requests.ts asks in the same bands. 64 kB of float32: a
# window onto a head takes a few, and what is not in it does not travel.
BAND_WEIGHTS = 1 << 14

_BY_QUERY = {"weights": "weights", "scores": "scores", "bias": "bias_block"}
# Measures that are no shares: they have no upper bound.
_LENGTHS = ("value", "norm")
_BY_POSITION = ("query_vectors", "key_vectors", "value_vectors", "output")


def answer(
    attention: Attention, request: Mapping[str, Any], rollouts: Rollouts | None = None
) -> tuple[Block, bytes]:
    """Return the block that a request asks for, however long it takes; arguments and errors are those of `work`."""
    return finish(work(attention, request, rollouts))


def work(
    attention: Attention, request: Mapping[str, Any], rollouts: Rollouts | None = None
) -> Slices[tuple[Block, bytes]]:
    """Compute the block that a request (see ``Request`` in the schema) asks for, in slices.

    Args:
        attention: The record.
        request: What is asked for.
        rollouts: Where the record's rollouts are kept from one request to the next.

    Raises:
        KeyError: If there is no such stream.
        ValueError: If the layer, the head or the range does not exist, if the layer cannot give what is asked, or if
            the numbers are not numbers.
    """
    what = request["what"]
    stream, number, head = request["stream"], request["layer"], request["head"]
    layer = attention[stream][number]
    array: NDArray[np.float32]
    two: object = layer
    if isinstance(two, PairedLayer):
        array = two.block(request, rollouts or Rollouts())
    elif what in _BY_QUERY:
        start, stop = request["queries"]
        array = getattr(layer, _BY_QUERY[what])(head=[head], queries=slice(start, stop))
    elif what in _BY_POSITION:
        array = getattr(layer, what)(head)
    elif what == "lengths":
        array = key_lengths(layer, head, request["measure"])
    else:
        array = yield from _drawn(attention[stream], layer, request, rollouts or Rollouts())
    if np.isnan(array).any():
        row = int(np.argwhere(np.isnan(array))[0][-2])
        message = (
            f"Layer {number} · head {head} of stream {stream!r} has {what.replace('_', ' ')} that are not numbers "
            f"(NaN, first at position {row}): the model's own values overflowed, try it in float32."
        )
        raise ValueError(message)
    if what == "tile" and request["level"] > 0 and request.get("measure") not in _LENGTHS:
        return encode(shade(array))
    return encode(array)


def _drawn(
    stream: Stream, layer: Layer, request: Mapping[str, Any], rollouts: Rollouts
) -> Slices[NDArray[np.float32]]:
    """Compute what is made from more than some rows of one head, or pooled before it travels."""
    what = request["what"]
    if what == "tile":
        return (yield from drawn_tile(stream, layer, request, rollouts))
    if what == "mean":
        return (yield from mean_row(stream, layer, request, rollouts))
    if what == "column":
        return (yield from columns(stream, layer, request, rollouts))
    if what == "overview":
        measure, size = request["measure"], request["size"]
        return (yield from layer_overview(stream, layer, measure, size, rollouts))
    if what == "rollout":
        start, stop = request["queries"]
        whole = yield from rollouts.work(stream, layer.layer)
        return whole[None, start:stop]
    kinds = [
        *_BY_QUERY,
        *_BY_POSITION,
        "mean",
        "lengths",
        "overview",
        "rollout",
        "tile",
        "column",
    ]
    message = f"what must be one of {', '.join(kinds)}, got {what!r}."
    raise ValueError(message)


def requests_for_head(layer: Layer, head: int) -> Iterator[dict[str, Any]]:
    """Yield every request that the views make about one head, the weights first."""
    rows = max(1, BAND_WEIGHTS // layer.n_key)
    two: object = layer
    if isinstance(two, PairedLayer):
        yield from two.requests(head, rows)
        return
    base = {"stream": layer.stream, "layer": layer.layer, "head": head}
    by_query = tuple(_BY_QUERY) if layer.has_vectors else ("weights",)
    by_position = _BY_POSITION if layer.has_vectors and layer.value is not None else ()
    for what in by_query:
        for start in range(0, layer.n_query, rows):
            yield {"what": what, **base, "queries": [start, min(layer.n_query, start + rows)]}
    for what in by_position:
        yield {"what": what, **base}
    for measure in ("value", "norm"):
        if missing(layer, measure) is None:
            yield {"what": "lengths", **base, "measure": measure}
