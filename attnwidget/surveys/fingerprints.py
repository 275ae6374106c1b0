"""Digests of a survey's model, tokenizer and inputs, and its settings in words: what a survey is resumed with."""

from __future__ import annotations

import contextlib
import hashlib
from collections import UserDict
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["digest", "following", "model_digest", "settings", "tokenizer_digest"]

# Characters of a digest: enough that no two models or corpora meet by accident.
_LENGTH = 32
# Numbers that are read of a parameter: reading all of a large model would take minutes.
_SAMPLE = 64
# How deep an input is looked into; what lies deeper counts by its type.
_DEEPEST = 8
# Configuration that says where a model came from or how it is run, and leaves its numbers alone.
_NO_CONTENT = ("_attn_implementation", "_name_or_path", "name_or_path", "transformers_version")


def digest(thing: Any) -> str:
    """Return a digest of an input or an option by its contents.

    Text, numbers, arrays, tensors and collections of them count in full, anything else by its type: an object may be
    described by where it lies in memory, which is another place in the next process.
    """
    return hashlib.sha256(b"".join(_parts(thing))).hexdigest()[:_LENGTH]


def following(before: str, one: str) -> str:
    """Return the digest of a sequence: ``before`` of all but its last part, ``one`` of that."""
    return hashlib.sha256(f"{before},{one}".encode()).hexdigest()[:_LENGTH]


def settings(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options by name as short texts that are equal if the options are."""
    return {name: _short(value) for name, value in sorted(options.items())}


def model_digest(model: Any) -> str:
    """Return a digest of a model's class, configuration and parameters, a few numbers of each of these.

    It does not depend on the device, nor on the attention implementation.
    """
    parts: list[Any] = [_name_of(type(model)), _configuration(getattr(model, "config", None))]
    if isinstance(model, nn.Module):
        for name, parameter in model.named_parameters():
            parts += [name, str(parameter.dtype), _sample(parameter)]
    return digest(parts)


def tokenizer_digest(tokenizer: Any) -> str:
    """Return a digest of a tokenizer's class and vocabulary, also of the one inside of a processor."""
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    vocabulary: dict[Any, Any] = {}
    with contextlib.suppress(NotImplementedError):  # tokenizers of bytes need none
        vocabulary = getattr(inner, "get_vocab", dict)()
    return digest([_name_of(type(tokenizer)), sorted(map(repr, vocabulary.items()))])


def _configuration(config: Any) -> dict[str, Any]:
    made: dict[str, Any] = getattr(config, "to_dict", dict)()
    return {name: value for name, value in sorted(made.items()) if name not in _NO_CONTENT}


def _sample(parameter: torch.Tensor) -> Any:
    """Return some numbers of a parameter, spread over all of it, where there are any to be read."""
    if not _readable(parameter):
        return None
    flat = parameter.detach().reshape(-1)
    return list(parameter.shape), flat[:: max(1, len(flat) // _SAMPLE)].float()


def _readable(tensor: torch.Tensor) -> bool:
    plain = type(tensor) in {torch.Tensor, nn.Parameter}
    return plain and tensor.layout == torch.strided and not (tensor.is_meta or tensor.is_quantized)


def _short(value: Any) -> str:
    if value is None or type(value) in {bool, int, float, str}:
        text = repr(value)
        if len(text) <= 80:
            return text
    return f"{type(value).__name__} {digest(value)}"


def _name_of(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _parts(thing: Any, depth: int = 0) -> Iterable[bytes]:
    """Yield the bytes that tell a thing, each part led by its type and length, so that no two run into each other."""
    yield f"{_name_of(type(thing))}:".encode()
    kind = type(thing)
    if kind in {str, bytes}:
        raw = thing.encode("utf-8", "surrogatepass") if kind is str else thing
        yield f"{len(raw)}:".encode() + raw
    elif thing is None or kind in {bool, int, float, complex}:
        yield f"{thing!r},".encode()
    elif kind in {FunctionType, BuiltinFunctionType, type}:
        yield f"{_name_of(thing)},".encode()
    elif isinstance(thing, torch.Tensor):
        yield f"{thing.dtype}{tuple(thing.shape)}:".encode()
        if _readable(thing):
            flat = thing.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
            yield flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    elif kind is np.ndarray:
        yield f"{thing.dtype}{thing.shape}:".encode()
        yield b"" if thing.dtype.hasobject else thing.tobytes()
    elif depth < _DEEPEST:
        yield from _parts_within(thing, kind, depth)


def _parts_within(thing: Any, kind: type, depth: int) -> Iterable[bytes]:
    if isinstance(thing, UserDict):
        thing, kind = thing.data, dict
    if kind in {list, tuple}:
        yield f"{len(thing)}:".encode()
        for each in thing:
            yield from _parts(each, depth + 1)
    elif kind is dict:
        yield f"{len(thing)}:".encode()
        for name, value in thing.items():
            yield from _parts(name, depth + 1)
            yield from _parts(value, depth + 1)
