"""Attention weights from elsewhere, such as ``outputs.attentions``, as a record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attnwidget.arrays import checked, choose_item, read_layers
from attnwidget.attention import Attention, Layer, Stream
from attnwidget.positions import Position, Positions, positions_from_tokens
from attnwidget.selection import integer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Tokens = Sequence[str | Position]

__all__ = ["from_weights"]

_REASON = "the record was made from weights alone; attnwidget.capture(model, inputs) records query and key vectors too."


def from_weights(
    attention: Any = None,
    tokens: Tokens | None = None,
    *,
    encoder_attention: Any = None,
    decoder_attention: Any = None,
    cross_attention: Any = None,
    encoder_tokens: Tokens | None = None,
    decoder_tokens: Tokens | None = None,
    batch: int | None = None,
    sentence_b_start: int | None = None,
    include_layers: Sequence[int] | None = None,
    model_name: str = "weights",
) -> Attention:
    """Make a record of weights that were computed elsewhere.

    Each attention is a sequence with one entry per layer, ``[batch, head, query, key]`` or ``[head, query, key]``, or
    one array of them all, ``[layer, batch, head, query, key]`` or ``[layer, head, query, key]``: torch of any device
    and dtype, numpy, or nested lists. ``None`` in place of a layer leaves it out and the others keep their numbers.
    Floating-point CPU arrays are not copied.

    Args:
        attention: Self-attention; the stream is called ``"self"``.
        tokens: Its tokens, as the tokenizer spells them, or `Position` values; numbered when left out.
        encoder_attention: Encoder self-attention, stream ``"encoder"``.
        decoder_attention: Decoder self-attention, stream ``"decoder"``.
        cross_attention: Attention of decoder queries to encoder keys, stream ``"cross"``.
        encoder_tokens: Tokens of the encoder.
        decoder_tokens: Tokens of the decoder.
        batch: Which item of a batch; needed when there is more than one.
        sentence_b_start: Index of the first token of the second text of a pair.
        include_layers: Numbers of the layers to keep.
        model_name: What to call the model.

    Returns:
        A record whose layers have weights but no vectors.

    Raises:
        ValueError: If there is no attention, a shape or token count does not fit, the batch is ambiguous, or a weight
            is not a number in 0..1.

    Example:
        >>> import torch
        >>> from_weights(torch.full((2, 3, 5, 5), 0.2), ["[CLS]", "the", "cat", "##s", "[SEP]"])
        Attention(weights, self: 2 layers × 3 heads, 5 tokens)
    """
    pairs = {"encoder": encoder_attention, "decoder": decoder_attention, "cross": cross_attention}
    other = [*pairs.values(), encoder_tokens, decoder_tokens]
    if (attention is None) == all(given is None for given in pairs.values()) or (
        attention is not None and any(given is not None for given in other)
    ):
        message = (
            "from_weights takes attention and tokens, or encoder_attention, decoder_attention and cross_attention with"
            f" encoder_tokens and decoder_tokens; got {_given(attention, pairs, encoder_tokens, decoder_tokens)}."
        )
        raise ValueError(message)
    if attention is None and (tokens is not None or sentence_b_start is not None):
        message = "tokens and sentence_b_start belong to attention: pass encoder_tokens and decoder_tokens instead."
        raise ValueError(message)
    if attention is not None:
        source = _Source("attention", "self", tokens, tokens, ("tokens", "tokens"))
        stream = source.stream(attention, batch, include_layers)
        if sentence_b_start is not None:
            stream = _with_segments(stream, sentence_b_start)
        return Attention(model_name, {"self": stream})
    sources = {
        "encoder": (encoder_tokens, encoder_tokens, ("encoder_tokens", "encoder_tokens")),
        "decoder": (decoder_tokens, decoder_tokens, ("decoder_tokens", "decoder_tokens")),
        "cross": (decoder_tokens, encoder_tokens, ("decoder_tokens", "encoder_tokens")),
    }
    streams = {
        name: _Source(f"{name}_attention", name, *sources[name]).stream(
            given, batch, include_layers
        )
        for name, given in pairs.items()
        if given is not None
    }
    return Attention(model_name, streams)


def _given(
    attention: object, pairs: Mapping[str, object], encoder_tokens: object, decoder_tokens: object
) -> str:
    named = {
        "attention": attention,
        **{f"{name}_attention": given for name, given in pairs.items()},
    }
    named |= {"encoder_tokens": encoder_tokens, "decoder_tokens": decoder_tokens}
    return ", ".join(name for name, given in named.items() if given is not None) or "no attention"


@dataclass(frozen=True, slots=True)
class _Source:
    """One attention argument: its name, the stream it becomes, its tokens and what those are called."""

    name: str
    stream_name: str
    query_tokens: Tokens | None
    key_tokens: Tokens | None
    token_names: tuple[str, str]

    def stream(
        self, attention: object, batch: int | None, include_layers: Sequence[int] | None
    ) -> Stream:
        entries = dict(read_layers(self.name, attention))
        if not entries:
            message = (
                f"{self.name} holds no weights. Fused attention returns none: load the model with"
                ' attn_implementation="eager" and pass output_attentions=True, or call'
                " attnwidget.capture(model, inputs)."
            )
            raise ValueError(message)
        if include_layers is not None:
            missing = [number for number in include_layers if number not in entries]
            if missing or not len(include_layers):
                message = (
                    f"include_layers must be among {list(entries)}, got {list(include_layers)}."
                )
                raise ValueError(message)
            entries = {
                number: entry for number, entry in entries.items() if number in set(include_layers)
            }
        layers = []
        for number, entry in entries.items():
            weights = checked(self.name, choose_item(self.name, entry, batch), number)
            layers.append(
                Layer(
                    stream=self.stream_name,
                    layer=number,
                    module_path=f"{self.name}[{number}]",
                    num_heads=weights.shape[0],
                    recorded=weights,
                    reason=_REASON,
                )
            )
        queries, keys = self._positions(layers, batch)
        return Stream(self.stream_name, tuple(layers), queries, keys)

    def _positions(self, layers: Sequence[Layer], batch: int | None) -> tuple[Positions, Positions]:
        keys = _read(self.key_tokens, layers[0].n_key, batch)
        if self.token_names[0] == self.token_names[1]:
            # Fewer queries than keys: the last ones, as with a key/value cache.
            queries = (
                keys[-layers[0].n_query :]
                if layers[0].n_query < len(keys) == layers[0].n_key
                else keys
            )
        else:
            queries = _read(self.query_tokens, layers[0].n_query, batch)
        for layer in layers:
            sides = (("query", layer.n_query, queries), ("key", layer.n_key, keys))
            for (side, size, positions), name in zip(sides, self.token_names, strict=True):
                if size != len(positions):
                    message = (
                        f"{name} must have one entry per position, got {len(positions)} for {size} {side} positions"
                        f" in layer {layer.layer} of {self.name}: pass"
                        f" {name}=tokenizer.convert_ids_to_tokens(input_ids[0])."
                    )
                    raise ValueError(message)
        return queries, keys


def _read(tokens: Tokens | None, size: int, batch: int | None) -> Positions:
    if tokens is None:
        return tuple(Position(label=str(number)) for number in range(size))
    if isinstance(tokens, str):
        return positions_from_tokens(tokens)  # which refuses it
    tokens = list(tokens)
    if tokens and all(isinstance(item, (list, tuple)) for item in tokens):
        # A batch of token lists, as a tokenizer returns it for a batch of texts.
        nested: list[Any] = tokens
        # One list serves whichever item of the attention is chosen.
        item = 0 if len(nested) == 1 else integer(batch)
        if item is None or not 0 <= item < len(nested):
            message = (
                f"tokens hold a batch of {len(nested)}: choose an item in 0..{len(nested) - 1}, for instance"
                f" from_weights(..., batch=0), got batch={batch!r}."
            )
            raise ValueError(message)
        tokens = list(nested[item])
    return positions_from_tokens(tokens)


def _with_segments(stream: Stream, start: int) -> Stream:
    count = len(stream.key_positions)
    number = integer(start)
    if number is None or not 0 < number < count:
        message = f"sentence_b_start must be an integer in 1..{count - 1}, got {start!r}."
        raise ValueError(message)
    keys = tuple(
        replace(position, segment=int(place >= number))
        for place, position in enumerate(stream.key_positions)
    )
    return Stream(stream.name, stream.layers, keys[-len(stream.query_positions) :], keys)
