"""Which streams, layers and heads of a comparison a caller names, and what is wrong with a name that it has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attnwidget.compute.checks import integer, is_word, listed, shown
from attnwidget.record.vocabulary import from_the_end

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.record.vocabulary import Layers

__all__ = ["checked_layer", "compared_stream", "several_layers"]


class _Stream(Protocol):
    @property
    def stream(self) -> str: ...
    @property
    def layers(self) -> tuple[int, ...]: ...
    @property
    def left_out(self) -> Mapping[int, str]: ...


Found = TypeVar("Found", bound=_Stream)


def compared_stream(streams: Mapping[str, Found], stream: str | None, *, of: str) -> Found:
    """Return what was compared of a stream, or of the only one there is.

    Args:
        streams: What was compared, by the stream's name.
        stream: The name; ``None`` where there is one stream.
        of: What has the streams, in messages: ``"both records"``.

    Raises:
        KeyError: If it was not compared.
        ValueError: If none is named of several.
    """
    names = list(streams)
    if stream is None and len(names) > 1:
        message = f"there are several streams, {names}: choose one, such as stream={names[0]!r}."
        raise ValueError(message)
    name = names[0] if stream is None else stream
    if not is_word(name, streams):
        message = f"no stream {shown(name)} in {of}; compared: {names}"
        raise KeyError(message)
    return streams[name]


def several_layers(found: _Stream, layers: Layers, *, nowhere: str) -> set[int]:
    """Return the numbers of the layers that are named, all of them for ``None``; see `checked_layer`."""
    if layers is None:
        return set(found.layers)
    several = listed(layers)
    return {
        checked_layer(found, layer, nowhere=nowhere)
        for layer in ([layers] if several is None else several)
    }


def checked_layer(found: _Stream, layer: Any, *, nowhere: str) -> int:
    """Return the number of a layer that was compared.

    Args:
        found: What was compared of its stream.
        layer: The number, negative from the end.
        nowhere: Why a number that no record has was not compared: ``"there is no such layer in either"``.

    Raises:
        ValueError: If it was not compared; says which were, and why not.
    """
    number = integer(from_the_end(layer, found.layers))
    if number in found.layers:
        return int(number)
    reason = nowhere if number is None else found.left_out.get(number, nowhere)
    if layer is None:
        reason = f"pass layer={found.layers[0]}, for instance"
    message = f"layer must be one of {list(found.layers)} in stream {found.stream!r}, got {shown(layer)}: {reason}."
    raise ValueError(message)
