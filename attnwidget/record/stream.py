"""`Stream`: the layers that attend between the same two sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from attnwidget.compute.checks import integer, shown
from attnwidget.protocol.text import well_formed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attnwidget.record.layer import Layer
    from attnwidget.record.positions import Positions


__all__ = [
    "NamedAxes",
    "Stream",
    "StreamAxes",
    "has_text",
    "layer_numbers",
    "number_ranges",
    "own_offset",
    "stream_summary",
]

# Kinds of positions that are text.
TEXT_KINDS = frozenset({"token", "special", "word"})


class StreamAxes(Protocol):
    """What queries and keys of a stream are."""

    @property
    def query_positions(self) -> Positions:
        """What each query position is."""

    @property
    def key_positions(self) -> Positions:
        """What each key position is."""


class NamedAxes(StreamAxes, Protocol):
    """What a stream is called, and what its queries and keys are."""

    @property
    def name(self) -> str:
        """Name of the stream."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stream:
    """The layers that attend between the same two sequences.

    Iterating gives the layers in order; ``stream[3]`` is the layer the *model* calls 3, ``stream[-1]`` the last one.

    Attributes:
        name: ``"self"``, ``"encoder"``, ``"decoder"``, ``"cross"``, ``"vision"`` …
        layers: The layers, in order.
        query_positions: What each query position is.
        key_positions: What each key position is.
        first_query: Where the first query stands among the keys, in a record of only some of the query positions;
            ``None`` otherwise: queries of the same sequence as the keys are the last of them.

    Example:
        >>> import attnwidget as aw
        >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
        >>> attention["decoder"]
        Stream(decoder: 4 layers × 4 heads, 7 tokens)
        >>> attention["decoder"][-1].layer
        3
    """

    name: str
    layers: tuple[Layer, ...]
    query_positions: Positions
    key_positions: Positions
    first_query: int | None = None

    def __post_init__(self) -> None:
        """Check the layers against the positions.

        Raises:
            ValueError: If there is no layer, a number comes twice, a layer has another number of positions, or the
                queries do not stand where ``first_query`` says.
        """
        for name in ("layers", "query_positions", "key_positions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        numbers = [layer.layer for layer in self.layers]
        if not numbers or len(set(numbers)) < len(numbers):
            message = f"stream {self.name!r} needs layers with numbers of their own, got {numbers}."
            raise ValueError(message)
        for layer in self.layers:
            expected = (len(self.query_positions), len(self.key_positions))
            if (layer.n_query, layer.n_key) != expected:
                message = (
                    f"layer {layer.layer} of stream {self.name!r} has {layer.n_query} queries × {layer.n_key} keys, but"
                    f" there are {expected[0]} query positions × {expected[1]} key positions."
                )
                raise ValueError(message)
        axes = self.query_positions, self.key_positions
        layers = tuple(layer.of_positions(*axes) for layer in self.layers)
        object.__setattr__(self, "layers", layers)
        room = len(self.key_positions) - len(self.query_positions)
        if self.first_query is not None and not 0 <= self.first_query <= room:
            message = f"first_query of stream {self.name!r} must be in 0..{room}, got {self.first_query!r}."
            raise ValueError(message)

    @property
    def query_offset(self) -> int:
        """Where the first query stands among the keys, if they are of one sequence."""
        if self.first_query is not None:
            return self.first_query
        return len(self.key_positions) - len(self.query_positions)

    @property
    def lies_in_media(self) -> bool:
        """Whether any query or key is a patch of a picture or a frame of a sound that is in the record."""
        positions = (*self.query_positions, *self.key_positions)
        return any(position.medium is not None for position in positions)

    @property
    def has_text(self) -> bool:
        """Whether any query or key is text, and no place in a picture or a sound."""
        return has_text((*self.query_positions, *self.key_positions))

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, number: int) -> Layer:
        """Return a layer by the model's own number, or from the end when negative.

        Raises:
            IndexError: If there is no such layer. A slice is none: it could mean numbers or places.
        """
        wanted = integer(number)
        for layer in self.layers:
            if layer.layer == wanted:
                return layer
        if wanted is not None and -len(self.layers) <= wanted < 0:
            return self.layers[wanted]
        message = f"layer must be one of {layer_numbers(self)} in stream {self.name!r}, got {shown(number)}."
        raise IndexError(message)

    def __repr__(self) -> str:
        return well_formed(f"Stream({stream_summary(self)})")


def own_offset(stream: NamedAxes) -> int | None:
    """Return where query 0 stands among the keys, or ``None`` where queries and keys are different sequences."""
    queries, keys = stream.query_positions, stream.key_positions
    offset: int = getattr(stream, "query_offset", len(keys) - len(queries))
    apart = stream.name.startswith("cross") or offset < 0
    return None if apart or keys[offset : offset + len(queries)] != queries else offset


def has_text(positions: Positions) -> bool:
    """Tell whether any position is text, and no place in a picture or a sound."""
    return any(position.kind in TEXT_KINDS for position in positions)


def number_ranges(numbers: Sequence[int]) -> str:
    """Return numbers as a message names them: ``0..3``, or ``0, 2, 5`` where they have gaps."""
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}..{numbers[-1]}"
    return ", ".join(map(str, numbers))


def layer_numbers(stream: Stream) -> str:
    """Return the numbers of a stream's layers: a range, or a list where there are gaps."""
    numbers = number_ranges([layer.layer for layer in stream.layers])
    return numbers if ".." in numbers else f"[{numbers}]"


def stream_summary(stream: Stream) -> str:
    """Return name, layers, heads and positions of a stream in a few words."""
    heads = sorted({layer.num_heads for layer in stream})
    shown = str(heads[0]) if len(heads) == 1 else f"{heads[0]}–{heads[-1]}"
    sizes = f"{len(stream.query_positions)}"
    if stream.query_positions != stream.key_positions:
        sizes += f" × {len(stream.key_positions)}"
    kinds = {position.kind for position in (*stream.query_positions, *stream.key_positions)}
    noun = "tokens" if kinds <= TEXT_KINDS else "positions"
    layers = "layer" if len(stream) == 1 else "layers"
    return f"{stream.name}: {len(stream)} {layers} × {shown} heads, {sizes} {noun}"
