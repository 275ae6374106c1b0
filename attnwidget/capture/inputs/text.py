"""Text, pairs and chats to token ids; finding the tokenizer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from attnwidget.capture.architecture.wrappers import own_tokenizer, unwrapped
from attnwidget.capture.hints import Hints
from attnwidget.capture.inputs.chat import is_chat, tokenize_chat
from attnwidget.capture.inputs.local_files import how_to_load, load_from_files, model_name
from attnwidget.capture.positions.chat_roles import chat_roles, token_lengths
from attnwidget.capture.positions.vocabulary import special_ids
from attnwidget.compute.checks import shown
from attnwidget.pocket import NAME, pocket_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

__all__ = ["find_tokenizer", "is_text", "local_tokenizer", "pick_text", "sequence_ids", "tokenize"]


# What a tokenizer raises on text that it cannot read, and what is made of its answer where that is none.
_NOT_TOKENS = (TypeError, ValueError, AttributeError, LookupError, RuntimeError)


def find_tokenizer(model: nn.Module) -> Any:
    """Load the tokenizer that goes with ``model``, by the name the model was loaded from, from files of this machine.

    Raises:
        ValueError: If there is none.
    """
    name = model_name(model)
    fix = how_to_load(model, "tokenizer", "text")
    if _is_bundled(model, name):
        return pocket_tokenizer()
    if not name and not isinstance(model, PreTrainedModel):
        names = ", ".join(f"{name!r}: …" for name in _required(model))
        msg = (
            f"no tokenizer given, and {type(model).__name__} is no model of transformers', whose tokenizer could be "
            f"looked up; pass it, capture(model, inputs, tokenizer), or what its forward takes, capture(model, "
            f"{{{names}}})."
        )
        raise ValueError(msg)
    if not name:
        msg = f"no tokenizer given, and {type(model).__name__} does not know the name it was loaded from; {fix}."
        raise ValueError(msg)
    tokenizer = load_from_files(model, "tokenizer", "text", AutoTokenizer)
    if _is_blank(tokenizer):
        msg = f"no tokenizer given and none found for {name!r} (it has no vocabulary); {fix}."
        raise ValueError(msg)
    return tokenizer


def _required(model: nn.Module) -> list[str]:
    """Return the names of what a model's forward has to be given."""
    own = inspect.signature(model.forward).parameters.values()
    plain = [one for one in own if one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}]
    return [one.name for one in plain if one.default is one.empty] or [
        plain[0].name for _ in plain[:1]
    ]


def tokenizer_of(model: nn.Module, given: Any) -> Any:
    """Return the tokenizer that was given, else the one that a model has or that goes with it.

    Raises:
        ValueError: As `find_tokenizer`.
    """
    own = own_tokenizer(model) if given is None else given
    return find_tokenizer(unwrapped(model)) if own is None else own


def local_tokenizer(model: nn.Module) -> Any:
    """Load the tokenizer saved beside a local model, or return ``None``: labels are not worth a download."""
    name = model_name(model)
    if _is_bundled(model, name):
        return pocket_tokenizer()
    if not name or not Path(name).is_dir():
        return None
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=True)
    except Exception:  # noqa: BLE001  whatever is wrong with it, token ids will do
        return None
    return None if _is_blank(tokenizer) else tokenizer


def _is_bundled(model: Any, name: str) -> bool:
    """Tell the package's own model from one that was saved under the same name."""
    return name == NAME and type(model).__name__ == "GPT2LMHeadModel" and not Path(name).exists()


def _is_blank(tokenizer: Any) -> bool:
    """Tell a tokenizer that transformers made up, for want of files, from one that knows words."""
    return len(tokenizer) - len(special_ids(tokenizer)) <= 1


def is_text(inputs: Any) -> bool:
    """Tell whether ``inputs`` is a text, a pair of texts or a chat."""
    return not isinstance(inputs, Mapping) and (
        isinstance(inputs, str)
        or (
            isinstance(inputs, tuple)
            and len(inputs) == 2
            and all(isinstance(part, str) for part in inputs)
        )
        or is_chat(inputs)
    )


def pick_text(texts: list[str], batch: int | None) -> str:
    """Choose one text of a list; a list of two is no pair, that would be a guess."""
    if len(texts) > 1 and batch is None:
        msg = (
            f"inputs has {len(texts)} texts; say which with batch=0 .. batch={len(texts) - 1}, "
            "or give a pair of texts as a tuple."
        )
        raise ValueError(msg)
    if not 0 <= (batch or 0) < len(texts):
        msg = f"batch must be in 0..{len(texts) - 1}, got {shown(batch)}."
        raise ValueError(msg)
    return texts[batch or 0]


def tokenize(
    inputs: Any, tokenizer: Any, options: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Hints]:
    """Tokenize a text, a pair of texts or a chat.

    Args:
        inputs: What `is_text` accepts.
        tokenizer: Tokenizer, or a processor that holds one.
        options: Options of the chat template.

    Returns:
        The model's inputs, and the text with the token's segments or roles.

    Raises:
        ValueError: If there is no text, or no token comes of it.
    """
    if is_chat(inputs):
        return tokenize_chat(inputs, tokenizer, options)
    parts = (inputs,) if isinstance(inputs, str) else inputs
    if not all(parts):
        msg = "inputs is an empty string; give at least one character of text."
        raise ValueError(msg)
    words = getattr(tokenizer, "tokenizer", tokenizer)  # a processor holds its tokenizer
    try:
        encoding = _encoded(words, parts)
        ids_there = bool(encoding["input_ids"].shape[-1])
    except _NOT_TOKENS as error:
        msg = (
            f"the tokenizer, {type(words).__name__}, makes no tokens of inputs {shown(inputs)} ({type(error).__name__}: "
            f"{error}); pass transformers' tokenizer, AutoTokenizer.from_pretrained(...), and text without lone surrogates, "
            "or give token ids instead."
        )
        raise ValueError(msg) from error
    if not ids_there:
        msg = f"the tokenizer makes no tokens of {shown(inputs)}; give text with at least one token in it."
        raise ValueError(msg)
    ids = encoding["input_ids"][0].tolist()
    roles = chat_roles(ids, words, token_lengths(encoding, 0))
    return encoding, Hints("\n".join(parts), segments=sequence_ids(encoding, 0), roles=roles)


def _encoded(words: Any, parts: Sequence[str]) -> Mapping[str, Any]:
    """Tokenize, also by what is no tokenizer of transformers': tiktoken, ``tokenizers``, open_clip's, one's own."""
    _check_makes_tokens(words)
    if isinstance(words, PreTrainedTokenizerBase):
        bare = len(parts) == 1 and has_special_tokens(parts[0], words)
        options = {"add_special_tokens": False} if bare else {}
        whole: Mapping[str, Any] = words(*parts, return_tensors="pt", **options)
        return whole
    if not callable(words):
        made = words.encode(*parts)
    elif _takes_return_tensors(words):
        made = words(*parts, return_tensors="pt")
    else:
        made = words(*parts)
    if isinstance(made, Mapping):
        ids = made["input_ids"]
        beside = {name: value for name, value in made.items() if name != "input_ids"}
    else:
        ids, beside = getattr(made, "ids", made), {}
    tensor = torch.as_tensor(ids)
    return {"input_ids": tensor[None] if tensor.ndim == 1 else tensor, **beside}


def _takes_return_tensors(words: Any) -> bool:
    try:
        takes = inspect.signature(words).parameters.values()
    except (TypeError, ValueError):  # what is written in C need not have one
        return False
    return any(one.name == "return_tensors" or one.kind is one.VAR_KEYWORD for one in takes)


def _check_makes_tokens(tokenizer: Any) -> None:
    """Refuse what makes other things than tokens."""
    makes = getattr(tokenizer, "model_input_names", None)
    name = type(tokenizer).__name__
    if makes and "input_ids" not in makes and not hasattr(tokenizer, "convert_ids_to_tokens"):
        msg = f"{name} makes no tokens of text: pass the tokenizer, AutoTokenizer.from_pretrained(...), or the processor that holds one."
        raise ValueError(msg)
    if not callable(tokenizer) and not callable(getattr(tokenizer, "encode", None)):
        msg = f"the tokenizer must be callable or have a method encode, got {name}; pass transformers' tokenizer, AutoTokenizer.from_pretrained(...), or give token ids instead."
        raise TypeError(msg)


def has_special_tokens(text: str, tokenizer: Any) -> bool:
    """Tell whether a text has the special tokens already that the tokenizer would put around it, as templates write them."""
    names = [str(name) for name in getattr(tokenizer, "all_special_tokens", ())]
    if not any(name and (text.startswith(name) or text.endswith(name)) for name in names):
        return False
    bare = tokenizer(text, add_special_tokens=False)["input_ids"]
    whole = tokenizer(text)["input_ids"]
    count = len(whole) - len(bare)
    before = next((n for n in range(count + 1) if whole[n : n + len(bare)] == bare), None)
    if not count or before is None:
        return False
    if before:
        return bool(whole[:before] == bare[:before])
    return bool(whole[len(bare) :] == bare[-count:])


def sequence_ids(inputs: Any, batch: int | None) -> tuple[int | None, ...] | None:
    """Tell first from second text by the tokenizer's own account, which RoBERTa's inputs do not carry."""
    if getattr(inputs, "encodings", None) is None or not 0 <= (batch or 0) < len(inputs.encodings):
        return None
    ids = tuple(inputs.sequence_ids(batch or 0))
    return ids if 1 in ids else None
