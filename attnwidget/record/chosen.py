"""Layers and heads of a stream by the model's numbers, one or several, negative from the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import listed
from attnwidget.compute.indexing import head_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnwidget.compute.indexing import Heads
    from attnwidget.record.layer import Layer
    from attnwidget.record.stream import Stream
    from attnwidget.record.vocabulary import Layers

__all__ = ["chosen_heads", "chosen_layers", "only_these", "stream_of"]


def chosen_layers(stream: Stream, layers: Layers) -> list[Layer]:
    """Return layers of a stream by the model's numbers, one or several, negative from the end; None for all.

    Raises:
        IndexError: If there is no such layer, or none is named.
    """
    if layers is None:
        return list(stream)
    found = [stream[layer] for layer in _listed(layers)]
    if not found:
        message = (
            f"layers names none of stream {stream.name!r}: name at least one, or pass None for all."
        )
        raise IndexError(message)
    return found


def _listed(value: Any) -> list[Any]:
    """Return one or several, an array without axes among the former, as a list."""
    several = listed(value)
    return [value] if several is None else several


def chosen_heads(layer: Layer, heads: Heads) -> set[int]:
    """Return the numbers of heads that are asked for, one or several, negative from the end; None for all.

    Raises:
        ValueError: If there is no such head.
    """
    return set(head_axis(heads, layer.num_heads).indices)


def only_these(stream: Stream, layers: Layers) -> Stream:
    """Return a stream of these layers alone, in the stream's order; None for all.

    Raises:
        IndexError: If there is no such layer.
    """
    if layers is None:
        return stream
    asked = {layer.layer for layer in chosen_layers(stream, layers)}
    return stream_of(stream, [layer for layer in stream if layer.layer in asked])


def stream_of(stream: Stream, layers: Sequence[Layer]) -> Stream:
    """Return a stream of other layers at the same positions."""
    axes = stream.query_positions, stream.key_positions
    return type(stream)(stream.name, tuple(layers), *axes, stream.first_query)
