"""Thumbnails and strongest links per layer, at once where they are soon computed, else on demand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from attnwidget.analysis.token_features import is_padding
from attnwidget.compute.overview import overview_rows, sampled_overview, summary_slices
from attnwidget.compute.resumable import finish
from attnwidget.compute.sharpest import Aside
from attnwidget.protocol.codec import encode, shade
from attnwidget.protocol.constants import SINK_SHARE, THUMBNAIL_SIZE
from attnwidget.record.aside import FIRST_AND_SPECIAL, aside_keys
from attnwidget.record.stream import own_offset
from attnwidget.serve.jobs import SharedComputations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attnwidget.compute.overview import SharpLinks
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream
    from attnwidget.serve.streams import ShownStream

__all__ = ["OVERVIEW_KINDS", "Thumbnails", "aside_of", "thumbnail_size"]

OVERVIEW_KINDS = ("thumbnails", "links", "sample")
# All thumbnails together: small enough to come with the first message.
OVERVIEW_BYTES = 1_300_000
SMALLEST_THUMBNAIL = 8
# Thumbnails that are made of more weights than this come after the first message: so many take about a fifth of a
# second on one core.
AT_ONCE = 1 << 26
# Where they do, those of a sample come first, of all layers together made of this many weights: a third of a second.
SAMPLED = 3 << 24


def thumbnail_size(streams: Mapping[str, ShownStream]) -> int:
    """Return how many rows and columns a head's thumbnail has at most."""
    num_heads = sum(layer.num_heads for stream in streams.values() for layer in stream)
    size = math.isqrt(OVERVIEW_BYTES // num_heads)
    return max(SMALLEST_THUMBNAIL, min(THUMBNAIL_SIZE, size))


def aside_of(stream: Stream) -> Aside:
    """Return which links say little: to the first key, special tokens, the query and its neighbours; and of padding."""
    keys = torch.zeros(len(stream.key_positions), dtype=torch.bool)
    keys[list(aside_keys(FIRST_AND_SPECIAL, stream.key_positions))] = True
    queries = [is_padding(position) for position in stream.query_positions]
    return Aside(keys, torch.tensor(queries), own_offset(stream))


@dataclass(frozen=True, slots=True, eq=False)
class LayerThumbnails:
    """What one pass over a layer's weights says about its heads.

    Attributes:
        thumbnails: uint8 ``[head, row, column]`` holding ``255 * sqrt(weight)``, max-pooled.
        top: ``[query, key, weight]`` of each head's strongest link, float64 ``[head, 3]``; see `LayerSummary`.
        first_key: Mean weight on the first key, float32 ``[head]``.
        sharp: The sharpest link of each head that `aside_of` leaves, and how its weight lies.
    """

    thumbnails: NDArray[np.uint8]
    top: NDArray[np.float64]
    first_key: NDArray[np.float32]
    sharp: SharpLinks


class Thumbnails:
    """The thumbnails of one record, each layer's made when they are first asked for, and kept."""

    def __init__(self, attention: Record) -> None:
        """Start without any."""
        self._attention = attention
        self._made = SharedComputations()
        self._asides: dict[str, Aside] = {}
        self.size = thumbnail_size(attention.streams)

    @property
    def later(self) -> bool:
        """Whether making all of them would hold up the first message."""
        weights = 0
        for stream in self._attention.streams.values():
            for layer in stream:
                rows = sum(len(part) for part in overview_rows(layer.n_query, self.size))
                weights += layer.num_heads * rows * layer.n_key
        return weights > AT_ONCE

    def aside(self, stream: Stream) -> Aside:
        """Return which links of a stream say little; see `aside_of`."""
        if stream.name not in self._asides:
            self._asides[stream.name] = aside_of(stream)
        return self._asides[stream.name]

    def shape(self, stream: Stream) -> tuple[int, int]:
        """Return rows and columns of a stream's thumbnails."""
        queries, keys = len(stream.query_positions), len(stream.key_positions)
        return min(self.size, queries), min(self.size, keys)

    def layer(self, layer: Layer) -> Slices[LayerThumbnails]:
        """Make the pictures of a layer's heads, in slices, or return those that are made."""

        def begin() -> Slices[LayerThumbnails]:
            aside = self.aside(self._attention[layer.stream])
            found = yield from summary_slices(layer, self.size, None, aside)
            thumbnails = shade(found.pooled.cpu().numpy())
            top, first_key = found.top.cpu().numpy(), found.first_key.cpu().numpy()
            # Asked for by `aside`.
            sharp = cast("SharpLinks", found.sharp)
            return LayerThumbnails(thumbnails, top, first_key, sharp)

        return (yield from self._made.wait((layer.stream, layer.layer), begin))

    def sample(self, layer: Layer) -> NDArray[np.uint8]:
        """Make the pictures of a layer's heads from some of its query rows, as few as let all layers come at once.

        Of a layer whose weights are computed as the model does it they are those of float32, which need no whole heads.
        """
        each = sum(
            one.num_heads * one.n_key
            for stream in self._attention.streams.values()
            for one in stream
        )
        plain = layer.of_precision("float32") if layer.has_vectors else layer
        found = sampled_overview(plain, self.size, max(1, SAMPLED // each))
        return shade(found.cpu().numpy())

    def stream(self, stream: Stream) -> tuple[dict[str, Any], bytes]:
        """Return what ``StreamMeta`` in the schema says of all pictures of a stream, but where they lie, and their bytes."""
        found = [finish(self.layer(layer)) for layer in stream]
        thumbnails = np.concatenate([pictures.thumbnails for pictures in found])
        share = float(np.mean(np.concatenate([pictures.first_key for pictures in found])))
        top = np.concatenate([pictures.top for pictures in found])
        meta: dict[str, Any] = {"top": top.ravel().tolist()}
        if share > SINK_SHARE and next(iter(stream)).n_key > 2:
            meta["sink"] = {"share": round(share, 4)}
        return meta, thumbnails.tobytes()

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute what a request for ``thumbnails``, ``links`` or a ``sample`` of the former asks for, in slices.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If there is no such layer.
        """
        layer = self._attention[request["stream"]][request["layer"]]
        if request["what"] == "sample":
            return encode(self.sample(layer))
        pictures = yield from self.layer(layer)
        if request["what"] == "thumbnails":
            return encode(pictures.thumbnails)
        links = np.concatenate([pictures.top, pictures.first_key[:, None]], axis=1)
        return encode(links.astype(np.float32))

    def complete(self, meta: Mapping[str, Any], overview: bytes) -> tuple[dict[str, Any], bytes]:
        """Return meta and bytes with the pictures that were to come later: for a copy without a kernel."""
        if not any("later" in stream["overview"] for stream in meta["streams"]):
            return dict(meta), overview
        streams, chunks, offset = [], [], 0
        for described in meta["streams"]:
            more, data = self.stream(self._attention[described["name"]])
            place = {
                name: value for name, value in described["overview"].items() if name != "later"
            }
            streams.append({**described, **more, "overview": {**place, "offset": offset}})
            chunks.append(data)
            offset += len(data)
        return {**meta, "streams": streams}, b"".join(chunks)
