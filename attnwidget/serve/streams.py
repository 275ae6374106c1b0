"""`ShownStream`, `ShownLayer`: what the front end lays out of a stream, whatever is behind it, and how much that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnwidget.record.positions import Positions

__all__ = ["CHEAP", "ShownLayer", "ShownStream", "is_cheap", "num_weights"]

# What is computed of all weights of a stream is had at once up to so many: a copy without a kernel brings it along.
CHEAP = 1 << 26


class ShownLayer(Protocol):
    """A layer as the front end lays it out; a `Layer` of a record is one."""

    @property
    def stream(self) -> str:
        """Name of the stream."""

    @property
    def layer(self) -> int:
        """The model's number of the layer."""

    @property
    def num_heads(self) -> int:
        """Number of heads."""

    @property
    def n_query(self) -> int:
        """Number of query positions."""

    @property
    def n_key(self) -> int:
        """Number of key positions."""


class ShownStream(Protocol):
    """A stream as the front end lays it out; a `Stream` of a record is one."""

    @property
    def name(self) -> str:
        """Name of the stream."""

    @property
    def query_positions(self) -> Positions:
        """What each query position is."""

    @property
    def key_positions(self) -> Positions:
        """What each key position is."""

    @property
    def lies_in_media(self) -> bool:
        """Whether any query or key lies in a picture or a sound."""

    @property
    def has_text(self) -> bool:
        """Whether any query or key is text."""

    def __len__(self) -> int:
        """Return how many layers there are."""

    def __iter__(self) -> Iterator[ShownLayer]:
        """Yield the layers in order."""

    def __getitem__(self, number: int) -> ShownLayer:
        """Return the layer that the model calls so; IndexError if there is none."""


def num_weights(stream: ShownStream) -> int:
    """Return how many weights the heads of a stream have."""
    return sum(layer.num_heads * layer.n_query * layer.n_key for layer in stream)


def is_cheap(stream: ShownStream) -> bool:
    """Tell whether what is computed of all weights of a stream is had at once."""
    return num_weights(stream) <= CHEAP
