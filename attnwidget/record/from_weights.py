"""A record from attention weights computed elsewhere (``outputs.attentions``, numpy, lists)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.compute.checks import check_not_masked, check_tensor, integer, listed, shown
from attnwidget.record.layer import Layer
from attnwidget.record.positions import (
    Position,
    Positions,
    index_position,
    positions_from_tokens,
)
from attnwidget.record.record import Record
from attnwidget.record.stream import Stream
from attnwidget.record.vocabulary import from_the_end

if TYPE_CHECKING:
    from torch import Tensor

    Tokens = Sequence[str | bytes | Position | None]

__all__ = ["record_from_weights"]

# Rounding in half precision lifts a weight of 1 by less than this.
_ROUNDING = 1e-3

_GENERATE = (
    "{name} holds one tuple of layers per generated token: choose a step, from_weights(outputs.{name}[0], tokens),"
    " or record every step with attnwidget.recording(model)."
)


def _read_layers(name: str, attention: object) -> list[tuple[int, Tensor]]:
    """Return the layers that are there, by number, each with or without a batch axis."""
    if isinstance(attention, (str, bytes, Mapping)) or callable(attention):
        message = (
            f"{name} must be weights, got {type(attention).__name__}: pass outputs.attentions."
        )
        raise ValueError(message)  # noqa: TRY004  (one error type for a wrong argument)
    if isinstance(attention, Sequence):
        if any(_is_step(entry) for entry in attention):
            raise ValueError(_GENERATE.format(name=name))
        return [
            (number, _tensor(name, entry))
            for number, entry in enumerate(attention)
            if entry is not None
        ]
    stacked = _tensor(name, attention)
    # A lone [head, query, key] is a model of one layer.
    return list(enumerate(stacked if stacked.ndim > 3 else stacked[None]))


def _tensor(name: str, entry: object) -> Tensor:
    if isinstance(entry, (list, tuple)) and any(isinstance(part, torch.Tensor) for part in entry):
        parts = [_tensor(name, part) for part in entry]
        if len({(part.shape, part.dtype) for part in parts}) > 1:
            shapes = [list(part.shape) for part in parts]
            message = f"{name} must hold arrays of one shape and dtype per layer, got parts of the shapes {shapes}."
            raise ValueError(message)
        entry = torch.stack(parts)
    if isinstance(entry, torch.Tensor):
        tensor = check_tensor(name, entry)
    else:
        tensor = _read_numbers(name, entry)
    if tensor.is_complex():
        message = f"{name} must hold real numbers, got {tensor.dtype}."
        raise ValueError(message)
    if not tensor.is_floating_point() or tensor.dtype == torch.float64:
        tensor = tensor.to(torch.float32)
    return tensor.cpu()


def _read_numbers(name: str, entry: object) -> Tensor:
    check_not_masked(name, entry)
    try:
        return _from_numpy(np.asarray(entry))
    except (TypeError, ValueError, RuntimeError, OverflowError, AttributeError) as error:
        message = (
            f"{name} must hold arrays of numbers with one entry per layer, got {shown(entry)} ({error}): pass"
            " outputs.attentions."
        )
        raise ValueError(message) from error


def _choose_item(name: str, entry: Tensor, batch: int | None) -> Tensor:
    """Return one item of the batch, ``[head, query, key]``."""
    shape = list(entry.shape)
    if entry.ndim not in (3, 4) or 0 in shape:
        message = f"{name} must hold [batch, head, query, key] or [head, query, key] per layer, got {shape}."
        raise ValueError(message)
    size = shape[0] if len(shape) == 4 else 1
    if batch is None and size > 1:
        message = (
            f"{name} holds a batch of {size}: choose one item, for instance from_weights(..., batch=0) with"
            " the tokens of that item."
        )
        raise ValueError(message)
    number = integer(0 if batch is None else batch)
    if number is None or not 0 <= number < size:
        message = f"batch must be an integer in 0..{size - 1} for {name} of shape {shape}, got {shown(batch)}."
        raise ValueError(message)
    return entry if len(shape) == 3 else entry[number]


def _checked(name: str, weights: Tensor, number: int) -> Tensor:
    """Return ``weights`` if each is a number in 0..1, or name the first that is not."""
    lowest, highest = (float(bound) for bound in weights.float().aminmax())
    if lowest >= 0 and highest <= 1 + _ROUNDING:
        return weights
    values = weights.float()
    wrong = ~values.isfinite() | (values < 0) | (values > 1 + _ROUNDING)
    head, query, key = wrong.nonzero()[0].tolist()
    value = float(values[head, query, key])
    if not math.isfinite(value):
        fix = (
            "A query whose keys are all masked comes out so: pass numpy.nan_to_num(weights), or leave the layer"
            " out with include_layers=[...]"
        )
    elif value < 0 or highest > 2:
        fix = "These look like scores before softmax: pass torch.softmax(scores, -1)"
    else:
        fix = "Dropout scales weights up while a model trains: call model.eval() first"
    message = (
        f"{name} must hold numbers in 0..1, got {value:g} at layer {number}, head {head}, query {query},"
        f" key {key}. {fix}."
    )
    raise ValueError(message)


def _is_step(entry: object) -> bool:
    """Tell whether an entry is itself a tuple of layers, as ``generate`` returns them."""
    return isinstance(entry, Sequence) and len(entry) > 0 and getattr(entry[0], "ndim", 0) == 4


def _from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    if array.dtype.kind == "V" or array.dtype.name.startswith(("bfloat", "float8")):
        # numpy's extension types, which torch does not read.
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiubc":
        message = f"got dtype {array.dtype}"
        raise TypeError(message)
    # torch warns of read-only memory and refuses negative strides.
    plain = array.flags.writeable and min(array.strides, default=0) >= 0
    return torch.from_numpy(array if plain else array.copy())


_REASON = "the record was made from weights alone; attnwidget.capture(model, inputs) records query and key vectors too."


def record_from_weights(
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
) -> Record:
    """Return the record of weights that were computed elsewhere; `attnwidget.from_weights` describes the arguments."""
    called: object = model_name
    if not isinstance(called, str):
        message = f"model_name must be text, got {shown(called)}."
        raise TypeError(message)
    pairs = {"encoder": encoder_attention, "decoder": decoder_attention, "cross": cross_attention}
    other = [*pairs.values(), encoder_tokens, decoder_tokens]
    if (attention is None) == all(given is None for given in pairs.values()) or (
        attention is not None and any(given is not None for given in other)
    ):
        fix = (
            " Fused attention (sdpa, flash) returns None for weights; none are needed: capture(model, inputs)."
            if all(given is None for given in (attention, *pairs.values()))
            else ""
        )
        message = (
            "from_weights takes attention and tokens, or encoder_attention, decoder_attention and cross_attention with"
            f" encoder_tokens and decoder_tokens; got {_given(attention, pairs, encoder_tokens, decoder_tokens)}.{fix}"
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
        return Record(model_name, {"self": stream})
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
    return Record(model_name, streams)


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
        entries = dict(_read_layers(self.name, attention))
        if not entries:
            message = (
                f"{self.name} holds no weights. Fused attention returns none: load the model with"
                ' attn_implementation="eager" and pass output_attentions=True, or call'
                " attnwidget.capture(model, inputs)."
            )
            raise ValueError(message)
        if include_layers is not None:
            wanted = [
                integer(from_the_end(number, list(entries)))
                for number in listed(include_layers) or ()
            ]
            if not wanted or any(number not in entries for number in wanted):
                message = (
                    f"include_layers must be among {list(entries)}, got {shown(include_layers)}: pass"
                    f" include_layers=[{next(iter(entries))}], for instance."
                )
                raise ValueError(message)
            entries = {number: entry for number, entry in entries.items() if number in wanted}
        layers = []
        for number, entry in entries.items():
            weights = _checked(self.name, _choose_item(self.name, entry, batch), number)
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
        keys = _read(self.token_names[1], self.key_tokens, layers[0].n_key, batch)
        if self.token_names[0] == self.token_names[1]:
            # Fewer queries than keys: the last ones, as with a key/value cache.
            queries = (
                keys[-layers[0].n_query :]
                if layers[0].n_query < len(keys) == layers[0].n_key
                else keys
            )
        else:
            queries = _read(self.token_names[0], self.query_tokens, layers[0].n_query, batch)
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


def _read(name: str, tokens: Tokens | None, size: int, batch: int | None) -> Positions:
    if tokens is None:
        return tuple(index_position(number) for number in range(size))
    if isinstance(tokens, (str, bytes)):
        return positions_from_tokens(tokens)  # which refuses it
    several = listed(tokens)
    if several is None:
        message = (
            f"{name} must be one string, bytes or Position for each position, got {shown(tokens)}: pass"
            f" {name}=tokenizer.convert_ids_to_tokens(input_ids[0])."
        )
        raise ValueError(message)
    tokens = several
    if tokens and all(isinstance(item, (list, tuple)) for item in tokens):
        # A batch of token lists, as a tokenizer returns it for a batch of texts.
        nested: list[Any] = tokens
        # One list serves whichever item of the attention is chosen.
        item = 0 if len(nested) == 1 else integer(batch)
        if item is None or not 0 <= item < len(nested):
            message = (
                f"tokens hold a batch of {len(nested)}: choose an item in 0..{len(nested) - 1}, for instance"
                f" from_weights(..., batch=0), got batch={shown(batch)}."
            )
            raise ValueError(message)
        tokens = list(nested[item])
    return positions_from_tokens(tokens)


def _with_segments(stream: Stream, start: int) -> Stream:
    count = len(stream.key_positions)
    number = integer(start)
    if number is None or not 0 < number < count:
        message = f"sentence_b_start must be an integer in 1..{count - 1}, got {shown(start)}."
        raise ValueError(message)
    keys = tuple(
        replace(position, segment=int(place >= number))
        for place, position in enumerate(stream.key_positions)
    )
    return Stream(stream.name, stream.layers, keys[-len(stream.query_positions) :], keys)
