"""Text, pairs and chats to token ids; finding the tokenizer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from attnwidget.capture.hints import Hints
from attnwidget.capture.positions.vocabulary import special_ids
from attnwidget.pocket import NAME, pocket_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

__all__ = ["find_tokenizer", "is_text", "local_tokenizer", "pick_text", "sequence_ids", "tokenize"]


def find_tokenizer(model: nn.Module) -> Any:
    """Load the tokenizer that goes with ``model``, by the name the model was loaded from."""
    name = getattr(model, "name_or_path", "") or ""
    fix = f"pass it: capture(model, inputs, tokenizer=AutoTokenizer.from_pretrained({name or '...'!r}))"
    if _is_bundled(model, name):
        return pocket_tokenizer()
    if not name:
        msg = f"no tokenizer given, and {type(model).__name__} does not know the name it was loaded from; {fix}."
        raise ValueError(msg)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception as error:
        msg = f"no tokenizer given and none found for {name!r} ({type(error).__name__}: {error}); {fix}."
        raise ValueError(msg) from error
    if _is_blank(tokenizer):
        msg = f"no tokenizer given and none found for {name!r} (it has no vocabulary); {fix}."
        raise ValueError(msg)
    return tokenizer


def local_tokenizer(model: nn.Module) -> Any:
    """Load the tokenizer saved beside a local model, or return ``None``: labels are not worth a download."""
    name = getattr(model, "name_or_path", "") or ""
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
    return (
        isinstance(inputs, str)
        or (
            isinstance(inputs, tuple)
            and len(inputs) == 2
            and all(isinstance(part, str) for part in inputs)
        )
        or _is_chat(inputs)
    )


def _is_chat(inputs: Any) -> bool:
    return (
        isinstance(inputs, (list, tuple))
        and len(inputs) > 0
        and all(isinstance(item, Mapping) and "role" in item for item in inputs)
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
        msg = f"batch must be in 0..{len(texts) - 1}, got {batch}."
        raise ValueError(msg)
    return texts[batch or 0]


def tokenize(inputs: Any, tokenizer: Any) -> tuple[Mapping[str, Any], Hints]:
    """Tokenize a text, a pair of texts or a chat.

    Args:
        inputs: What `is_text` accepts.
        tokenizer: Tokenizer, or a processor that holds one.

    Returns:
        The model's inputs, and the text with the token's segments or roles.

    Raises:
        ValueError: If there is no text, or no token comes of it.
    """
    if _is_chat(inputs):
        return _chat(list(inputs), tokenizer)
    parts = (inputs,) if isinstance(inputs, str) else inputs
    if not all(parts):
        msg = "inputs is an empty string; give at least one character of text."
        raise ValueError(msg)
    words = getattr(tokenizer, "tokenizer", tokenizer)  # a processor holds its tokenizer
    encoding = _encoded(words, parts)
    if not encoding["input_ids"].shape[-1]:
        msg = (
            f"the tokenizer makes no tokens of {inputs!r}; give text with at least one token in it."
        )
        raise ValueError(msg)
    return encoding, Hints(text="\n".join(parts), segments=sequence_ids(encoding, 0))


def _encoded(words: Any, parts: Sequence[str]) -> Mapping[str, Any]:
    """Tokenize, also by what is no tokenizer of transformers': tiktoken, ``tokenizers``, open_clip's, one's own."""
    if isinstance(words, PreTrainedTokenizerBase):
        whole: Mapping[str, Any] = words(*parts, return_tensors="pt")
        return whole
    if callable(words):
        takes = inspect.signature(words).parameters.values()
        returns = any(p.name == "return_tensors" or p.kind is p.VAR_KEYWORD for p in takes)
        made = words(*parts, return_tensors="pt") if returns else words(*parts)
    elif callable(getattr(words, "encode", None)):
        made = words.encode(*parts)
    else:
        msg = f"the tokenizer must be callable or have a method encode, got {type(words).__name__}; give token ids instead."
        raise TypeError(msg)
    if isinstance(made, Mapping):
        ids = made["input_ids"]
        beside = {name: value for name, value in made.items() if name != "input_ids"}
    else:
        ids, beside = getattr(made, "ids", made), {}
    tensor = torch.as_tensor(ids)
    return {"input_ids": tensor[None] if tensor.ndim == 1 else tensor, **beside}


def _chat(messages: list[Mapping[str, Any]], tokenizer: Any) -> tuple[Mapping[str, Any], Hints]:
    """Apply the chat template, and find out which tokens each message became."""
    words = getattr(tokenizer, "tokenizer", tokenizer)
    if not getattr(words, "chat_template", None):
        msg = "the tokenizer has no chat template; give the text itself instead of chat messages."
        raise ValueError(msg)
    text: str = words.apply_chat_template(messages, tokenize=False)
    encoding = words(
        text, add_special_tokens=False, return_tensors="pt", return_offsets_mapping=words.is_fast
    )
    if not encoding["input_ids"].shape[-1]:
        msg = "the chat template makes no tokens of these messages; give at least one message with content."
        raise ValueError(msg)
    offsets = encoding.pop("offset_mapping", None)
    if offsets is None:
        return encoding, Hints(text=text)
    ends = [
        (_prefix(words, messages[: index + 1], text), str(m["role"]))
        for index, m in enumerate(messages)
    ]
    starts = [int(start) for start, _ in offsets[0].tolist()]
    roles = tuple(next((role for end, role in ends if start < end), None) for start in starts)
    return encoding, Hints(text=text, roles=roles)


def _prefix(tokenizer: Any, messages: list[Mapping[str, Any]], text: str) -> int:
    """Return how much of ``text`` the first messages make, or 0 where the template looks ahead."""
    try:
        part: str = tokenizer.apply_chat_template(messages, tokenize=False)
    except Exception:  # noqa: BLE001  some templates refuse a chat that ends here
        return 0
    return len(part) if text.startswith(part) else 0


def sequence_ids(inputs: Any, batch: int | None) -> tuple[int | None, ...] | None:
    """Tell first from second text by the tokenizer's own account, which RoBERTa's inputs do not carry."""
    if getattr(inputs, "encodings", None) is None or not 0 <= (batch or 0) < len(inputs.encodings):
        return None
    ids = tuple(inputs.sequence_ids(batch or 0))
    return ids if 1 in ids else None
