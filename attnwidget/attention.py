"""The record: an `Attention` holds `Stream`s, a `Stream` holds `Layer`s, a `Layer` does the maths when asked."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from attnwidget.drawing.draws import Draws
from attnwidget.exchange import Exchange
from attnwidget.layer import Layer
from attnwidget.selection import integer

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from attnwidget.finding.find import Pattern
    from attnwidget.finding.places import Place
    from attnwidget.media import Medium
    from attnwidget.next_tokens import NextTokens
    from attnwidget.positions import Positions

__all__ = ["Attention", "Layer", "Stream"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stream:
    """The layers that attend between the same two sequences.

    Iterating gives the layers in order; ``stream[3]`` is the layer the *model* calls 3, ``stream[-1]`` the last one.

    Attributes:
        name: ``"self"``, ``"encoder"``, ``"decoder"``, ``"cross"``, ``"vision"`` …
        layers: The layers, in order.
        query_positions: What each query position is.
        key_positions: What each key position is.
    """

    name: str
    layers: tuple[Layer, ...]
    query_positions: Positions
    key_positions: Positions

    def __post_init__(self) -> None:
        """Check the layers against the positions.

        Raises:
            ValueError: If there is no layer, a number comes twice, or a layer has another number of positions.
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

    @property
    def lies_in_media(self) -> bool:
        """Whether any query or key is a patch of a picture or a frame of a sound that is in the record."""
        positions = (*self.query_positions, *self.key_positions)
        return any(position.medium is not None for position in positions)

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
        message = f"layer must be one of {_numbers(self)} in stream {self.name!r}, got {number!r}."
        raise IndexError(message)

    def __repr__(self) -> str:
        return f"Stream({_summary(self)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Attention(Exchange, Draws):
    """One forward pass: every attention layer of a model on one input.

    Attributes:
        model_name: Class of the model, or what the caller called it.
        streams: Stream name to `Stream`, in order; read-only.
        text: The text that went in, where there was one.
        next_tokens: Query position to the most probable next tokens there, where the model gave logits of them.
        media: The pictures and sounds that went in; positions name theirs by its index.
    """

    model_name: str
    streams: Mapping[str, Stream]
    text: str | None = None
    next_tokens: NextTokens | None = None
    media: tuple[Medium, ...] = ()

    def __post_init__(self) -> None:
        """Check and freeze the streams.

        Raises:
            ValueError: If there is no stream, if one stands under another name than its own, or if a position lies in
                a medium that is not there.
        """
        wrong = [name for name, stream in self.streams.items() if name != stream.name]
        if not self.streams or wrong:
            message = f"streams must map each stream's own name to it, got {wrong or 'no stream'}."
            raise ValueError(message)
        object.__setattr__(self, "streams", MappingProxyType(dict(self.streams)))
        object.__setattr__(self, "media", tuple(self.media))
        for stream in self.streams.values():
            for position in (*stream.query_positions, *stream.key_positions):
                if position.medium is not None and not 0 <= position.medium < len(self.media):
                    message = (
                        f"position {position.label!r} of stream {stream.name!r} lies in medium {position.medium}, but"
                        f" there are {len(self.media)} media: pass media=(...)."
                    )
                    raise ValueError(message)

    def __reduce__(self) -> tuple[type[Attention], tuple[object, ...]]:
        # The read-only mapping cannot be copied or pickled itself.
        parts = (self.model_name, dict(self.streams), self.text, self.next_tokens, self.media)
        return Attention, parts

    def __len__(self) -> int:
        return len(self.streams)

    def __iter__(self) -> Iterator[str]:
        return iter(self.streams)

    def __getitem__(self, name: str) -> Stream:
        """Return a stream by name.

        Raises:
            KeyError: If there is no such stream.
        """
        try:
            return self.streams[name]
        except (KeyError, TypeError):
            message = f"no stream {name!r}; available: {list(self.streams)}"
            raise KeyError(message) from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the record to one safetensors file; `attnwidget.load` reads it back exactly.

        Args:
            path: File to write; an existing one is replaced.
        """
        from attnwidget import storage  # noqa: PLC0415  (storage builds on this module)

        storage.save(self, path)

    def head_scores(
        self,
        scores: str | Sequence[str] | None = None,
        *,
        stream: str | None = None,
        sink: int | Sequence[int] | None = None,
        measure: str = "weights",
    ) -> Any:
        """Score every head: previous token, induction, delimiters, how broad … `attnwidget.SCORES` has the formulas.

        A score is a mean over the queries that see at least two keys, one of which the score is about; padding is left
        out. Memory is bounded by a block of queries.

        Args:
            scores: Names of `attnwidget.SCORES`; ``None`` for all.
            stream: Name of a stream; ``None`` for all.
            sink: Key positions to set aside in the column ``without_sink``; ``None`` for the first position and all
                special tokens. Each row is then divided by what remains; a row with less than 1e-6 left is left out.
            measure: ``"weights"``, or ``"value"`` or ``"norm"`` (see `Layer.measure`), each row divided by its sum.

        Returns:
            One row per stream, layer, head and score: a pandas ``DataFrame`` with the columns ``stream``, ``layer``,
            ``head``, ``score``, ``value`` and ``without_sink``, or a list of dicts where pandas is not installed.
            ``None`` stands where only one of the two values is defined; scores that make no sense in a stream (the
            token before, in cross-attention) have no rows.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If a score, position or measure does not exist, or cannot be given here, with the reason.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
            >>> len(attention.head_scores(["previous", "broad"]))  # of 4 × 4 heads
            32
        """
        from attnwidget.finding import tables  # noqa: PLC0415  (it builds on this module)

        return tables.head_scores(self, scores, stream, sink, measure)

    def head_labels(
        self,
        *,
        stream: str | None = None,
        sink: int | Sequence[int] | None = None,
        measure: str = "weights",
    ) -> Any:
        """Give each head at most one short label: the score that stands out, read with the sink set aside.

        The rule is in `attnwidget.finding.labels.labels`; even attention has no label.

        Args:
            stream: Name of a stream; ``None`` for all.
            sink: As for `head_scores`.
            measure: As for `head_scores`.

        Returns:
            ``stream``, ``layer``, ``head``, ``label``, the name of its ``score`` and the ``value`` of that, for the heads
            that have one: a pandas ``DataFrame``, or a list of dicts where pandas is not installed.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If a position or measure does not exist, or cannot be given here.

        Example:
            >>> import attnwidget as aw
            >>> len(aw.capture(model, "the cat sat on the mat because it was tired", tokenizer).head_labels())
            7
        """
        from attnwidget.finding import tables  # noqa: PLC0415  (it builds on this module)

        return tables.head_labels(self, stream, sink, measure)

    def find(
        self,
        query: Place | None = None,
        key: Place | None = None,
        *,
        pattern: Pattern | None = None,
        top: int | None = 10,
        stream: str | None = None,
        measure: str = "weights",
    ) -> Any:
        """Rank all heads by the weight of some links: the mean over the queries of the weight summed over their keys.

        Args:
            query: A query's position, a slice, a token's text, or several of either; ``None`` for all queries.
            key: Keys, in the same way. The text of a word stands for all its pieces.
            pattern: Instead of both, a 0/1 mask ``[query, key]``, or a function from query positions and key positions
                to one. The mean is over the queries that have a key.
            top: How many heads to return; ``None`` for all.
            stream: Name of the stream; needed when there are several.
            measure: As for `head_scores`.

        Returns:
            The best heads with ``rank``, ``stream``, ``layer``, ``head`` and ``weight``: a pandas ``DataFrame``, or a
            list of dicts where pandas is not installed.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If a token is not there, or is there several times (the message has the places), a position does
                not exist, the pattern is no mask, or the model's mask hides all of the links.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat because it was tired", tokenizer)
            >>> len(attention.find(query="it", key="cat", top=3))
            3
        """
        from attnwidget.finding import find  # noqa: PLC0415  (it builds on this module)

        return find.find(self, query, key, pattern=pattern, top=top, stream=stream, measure=measure)

    def words(self) -> Attention:
        """Merge the pieces of words: the same record with one position for each word.

        The weight from one word to another is summed over the pieces of the key and averaged over the pieces of the
        query, so rows still sum to what they did. Pieces belong to a word by `Position.continues`; positions that are
        no text, and special tokens, stay as they are.

        Returns:
            A record of weights alone, held in float32; a stream without any word of several pieces is the same stream,
            vectors included.

        Raises:
            ValueError: If the weights would take more than 4 GB.

        Example:
            >>> import attnwidget as aw
            >>> weights = [[[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]]]
            >>> words = aw.from_weights(weights, ["the", "cat", "##s"]).words()
            >>> words["self"][0].weights(0).round(2).tolist()
            [[1.0, 0.0], [0.3499999940395355, 0.6499999761581421]]
        """
        from attnwidget.finding import words  # noqa: PLC0415  (it builds on this module)

        return words.words(self)

    def rollout(self, stream: str | None = None) -> NDArray[np.float32]:
        """Follow attention through the layers of a stream (Abnar & Zuidema 2020, Quantifying Attention Flow).

        With ``A`` a layer's mean weights over its heads and ``I`` the residual stream, each layer mixes by
        ``(A + I) / 2``, rows divided by their sum; the rollout at a layer is the product of the layers up to it.

        Args:
            stream: Name of the stream; needed when there are several.

        Returns:
            float32 ``[layer, query, key]``: how much of each position below the first layer is in each position above
            that layer. Rows sum to 1.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If the stream attends between different sequences, which cannot be chained.

        Example:
            >>> import attnwidget as aw
            >>> aw.capture(model, "the cat sat", tokenizer).rollout().shape
            (4, 4, 4)
        """
        from attnwidget.finding import rollout  # noqa: PLC0415  (it builds on this module)
        from attnwidget.finding.find import the_stream  # noqa: PLC0415

        return rollout.rollout(the_stream(self, stream))

    def __repr__(self) -> str:
        return f"Attention({self.model_name}, {'; '.join(map(_summary, self.streams.values()))})"


def _numbers(stream: Stream) -> str:
    numbers = [layer.layer for layer in stream.layers]
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}..{numbers[-1]}"
    return str(numbers)


def _summary(stream: Stream) -> str:
    heads = sorted({layer.num_heads for layer in stream})
    shown = str(heads[0]) if len(heads) == 1 else f"{heads[0]}–{heads[-1]}"
    sizes = f"{len(stream.query_positions)}"
    if stream.query_positions != stream.key_positions:
        sizes += f" × {len(stream.key_positions)}"
    textual = {"token", "special", "word"}
    kinds = {position.kind for position in (*stream.query_positions, *stream.key_positions)}
    noun = "tokens" if kinds <= textual else "positions"
    layers = "layer" if len(stream) == 1 else "layers"
    return f"{stream.name}: {len(stream)} {layers} × {shown} heads, {sizes} {noun}"
