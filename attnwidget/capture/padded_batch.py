"""Records of several texts from one padded forward pass, made as the record of one of them was."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.uncompiled import running_uncompiled
from attnwidget.capture.architecture.wrappers import called_module, max_tokens, unwrapped
from attnwidget.capture.edits.editor import active_editors
from attnwidget.capture.inputs.arrays import to_model
from attnwidget.capture.inputs.text import is_text, tokenize, tokenizer_of
from attnwidget.capture.positions.labels import token_positions
from attnwidget.capture.taps.attention_interface import listening
from attnwidget.capture.taps.listeners import ModuleHooks, Turn, others_set_aside
from attnwidget.record.stream import Stream, has_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.hints import Hints
    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record

__all__ = ["PaddedPass", "Tokens", "padded_pass", "tokens_of"]

# What a tokenizer may say of a text that can be padded: each is one number for a token.
_PADDED = ("input_ids", "attention_mask", "token_type_ids")

_NO_NORMS = "was read in a padded batch, which does not look at output projections"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as one model is given it.

    Attributes:
        inputs: Each of its inputs, ``[token]``.
        hints: What is known of the tokens.
    """

    inputs: dict[str, Tensor]
    hints: Hints

    def __len__(self) -> int:
        return len(self.inputs["input_ids"])


def tokens_of(model: nn.Module, one: Any, tokenizer: Any) -> Tokens | str:
    """Return the tokens of a text, a pair or a chat, or why an input cannot be padded, and what can be done.

    Raises:
        ValueError: If there is no tokenizer, or it makes no tokens of it.
    """
    if not is_text(one):
        return f"{type(one).__name__} is no text: pass texts, or leave batch_size= out"
    named, hints = tokenize(one, tokenizer_of(model, tokenizer), {})
    if not set(named) <= set(_PADDED) or any(len(value) != 1 for value in named.values()):
        others = ", ".join(sorted(set(named) - set(_PADDED))) or "several rows of each input"
        return f"the tokenizer gives {others}, which cannot be padded: leave batch_size= out"
    found = Tokens({name: torch.as_tensor(value)[0] for name, value in named.items()}, hints)
    most = max_tokens(model)
    if most is None or len(found) <= most:
        return found
    return f"it has {len(found):,} tokens, and the model reads {most:,} at once: pass shorter texts, or leave batch_size= out"


def padded_pass(model: nn.Module, record: Record, tokenizer: Any) -> PaddedPass | str:
    """Return how texts are read together, as the record of one text shows it, or why they cannot be.

    Args:
        model: The model.
        record: The record of one text, whole.
        tokenizer: Its tokenizer.
    """
    inner = unwrapped(model)
    called = called_module(inner)
    if len(record.streams) != 1 or record.media:
        return "its records have several streams"
    (stream,) = record.streams.values()
    if stream.query_positions != stream.key_positions or not has_text(stream.key_positions):
        return "its queries and keys are not the tokens of a text"
    if any(
        layer.bias is not None or not layer.has_vectors or layer.recorded is not None
        for layer in stream
    ):
        return "its attention has a bias for each position, or no vectors"
    if active_editors(called):
        return "it is edited while it runs"
    paths = [layer.module_path for layer in stream]
    if len(set(paths)) < len(paths):
        return "its layers share a module"
    words = tokenizer_of(model, tokenizer)
    return PaddedPass(inner, called, record, stream, getattr(words, "tokenizer", words))


@dataclass(frozen=True, slots=True)
class PaddedPass:
    """Reads several texts of one model together.

    Attributes:
        model: The model.
        called: The module whose parts the layers are.
        record: The record of one text.
        stream: Its only stream.
        words: The tokenizer.
    """

    model: nn.Module
    called: nn.Module
    record: Record
    stream: Stream
    words: Any

    def read(self, texts: Sequence[Tokens]) -> list[Record]:
        """Run the model once over all texts, padded on the right, and return the record of each.

        Raises:
            ValueError: If a layer did not run once, or on other shapes.
            Exception: Whatever the model raises.
        """
        rows = _Rows({id(self.called.get_submodule(one.module_path)) for one in self.stream})
        told = listening(rows, self.called.modules())
        with running_uncompiled(self.model), others_set_aside(), torch.no_grad(), told:
            self.model(**to_model(self.model, self._padded(texts)))
        calls = [
            rows.calls.get(id(self.called.get_submodule(one.module_path)), [])
            for one in self.stream
        ]
        length = max(map(len, texts))
        for found, layer in zip(calls, self.stream, strict=True):
            if len(found) != 1 or not _fits(found[0], layer, len(texts), length):
                message = f"{layer.module_path} did not attend once from all {len(texts)} × {length} tokens to all."
                raise ValueError(message)
        return [
            self._record(row, one, [found[0] for found in calls]) for row, one in enumerate(texts)
        ]

    def _padded(self, texts: Sequence[Tokens]) -> dict[str, Any]:
        length = max(map(len, texts))
        pad = getattr(self.words, "pad_token_id", None) or 0
        fill = {"input_ids": pad, "attention_mask": 0, "token_type_ids": 0}
        names = [name for name in _PADDED if all(name in one.inputs for one in texts)]
        made = {
            name: torch.stack(
                [
                    torch.nn.functional.pad(
                        one.inputs[name], (0, length - len(one)), value=fill[name]
                    )
                    for one in texts
                ]
            )
            for name in names
        }
        if "attention_mask" not in made:
            mask = torch.zeros((len(texts), length), dtype=torch.int64)
            for row, one in zip(mask, texts, strict=True):
                row[: len(one)] = 1
            made["attention_mask"] = mask
        return made

    def _record(self, row: int, text: Tokens, calls: Sequence[_Call]) -> Record:
        ids = text.inputs["input_ids"].tolist()
        positions = token_positions(
            ids, self.words, segments=text.hints.segments, roles=text.hints.roles
        )
        layers = tuple(
            _layer(layer, call, row, len(text))
            for layer, call in zip(self.stream, calls, strict=True)
        )
        stream = Stream(self.stream.name, layers, positions, positions)
        return replace(
            self.record, streams={stream.name: stream}, text=text.hints.text, next_tokens=None
        )


@dataclass(frozen=True, slots=True)
class _Call:
    """What one call of the attention interface was given, of all rows."""

    query: Tensor
    key: Tensor
    value: Tensor


@dataclass(slots=True)
class _Rows:
    """Listens to attention calls, and keeps the vectors of some modules.

    Attributes:
        wanted: The ids of the modules.
        calls: Their calls.
        module_hooks: None: nothing is done around modules.
        turn: Which thread is recorded.
    """

    wanted: set[int]
    calls: dict[int, list[_Call]] = field(default_factory=dict)
    module_hooks: ModuleHooks = field(default_factory=ModuleHooks)
    turn: Turn = field(default_factory=Turn)

    def on_passed_by(self, reason: str) -> None:
        """Take no notice: a layer that is missing is found at the end."""

    def set_aside(self) -> AbstractContextManager[None]:
        """Go on listening: no other recording begins here."""
        return nullcontext()

    def on_attention_call(self, arguments: AttentionArguments) -> AbstractContextManager[None]:
        """Keep one call, if it is of a module that is wanted."""
        if id(arguments.module) in self.wanted:
            vectors = (arguments.query, arguments.key, arguments.value)
            found = _Call(*(each.detach().clone() for each in vectors))
            self.calls.setdefault(id(arguments.module), []).append(found)
        return nullcontext()

    def edited(self, arguments: AttentionArguments, result: Any) -> Any:  # noqa: ARG002
        """Return what the call returned."""
        return result

    def on_flex_attention(
        self,
        args: tuple[Any, ...],  # noqa: ARG002
        kwargs: dict[str, Any],  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Take no notice: a layer that is missing is found at the end."""
        return nullcontext()


def _fits(call: _Call, layer: Layer, rows: int, length: int) -> bool:
    kept = (layer.query, layer.key, layer.value)
    given = (call.query, call.key, call.value)
    return all(
        own is not None
        and each.ndim == 4
        and each.shape == (rows, own.shape[0], length, own.shape[-1])
        for own, each in zip(kept, given, strict=True)
    )


def _layer(layer: Layer, call: _Call, row: int, length: int) -> Layer:
    """Return a layer as another, with the vectors of one row without its padding."""
    vectors = {
        name: getattr(call, name)[row, :, :length].to(layer.device).contiguous()
        for name in ("query", "key", "value")
    }
    return replace(layer, **vectors, value_norms=None, norm_reason=_NO_NORMS)
