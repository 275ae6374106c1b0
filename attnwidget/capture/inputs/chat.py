"""Chats to token ids: the options of chat templates, and whose message each token is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnwidget.capture.hints import Hints
from attnwidget.capture.inputs.options import CHAT_OPTIONS
from attnwidget.capture.positions.chat_roles import chat_roles, token_lengths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["chat_options", "is_chat", "message_roles", "tokenize_chat", "without_ending"]

# What `apply_chat_template` takes by name that says how its result is made into tensors, and not what is in the chat.
_OURS = {
    "conversation",
    "kwargs",
    "max_length",
    "padding",
    "return_assistant_tokens_mask",
    "return_dict",
    "return_tensors",
    "tokenize",
    "tokenizer_kwargs",
    "truncation",
}

_ENDINGS = {"add_generation_prompt", "continue_final_message"}


def is_chat(inputs: Any) -> bool:
    """Tell whether ``inputs`` is a list of chat messages, or one."""
    if isinstance(inputs, Mapping):
        return inputs.keys() >= {"role", "content"}
    return (
        isinstance(inputs, (list, tuple))
        and len(inputs) > 0
        and all(isinstance(item, Mapping) and "role" in item for item in inputs)
    )


def chat_options(inputs: Any, tokenizer: Any, given: Iterable[str]) -> set[str]:
    """Return which of the names that a caller gave are options of the chat template.

    Args:
        inputs: What is to be recorded; anything but a chat has no such options.
        tokenizer: A tokenizer or a processor.
        given: The names: those of ``apply_chat_template`` and those that the template itself reads count.
    """
    names = set(given)
    apply = getattr(tokenizer, "apply_chat_template", None)
    if not names or apply is None or not is_chat(inputs):
        return set()
    words = getattr(tokenizer, "tokenizer", tokenizer)
    templates = [getattr(one, "chat_template", None) for one in (tokenizer, words)]
    read = {word for template in templates for word in re.findall(r"[A-Za-z_]\w*", str(template))}
    taken = CHAT_OPTIONS | (set(inspect.signature(apply).parameters) - _OURS)
    return names & (taken | read)


def tokenize_chat(
    messages: Sequence[Mapping[str, Any]], tokenizer: Any, options: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Hints]:
    """Apply the chat template, and find out which tokens each message became.

    Args:
        messages: The messages.
        tokenizer: Tokenizer, or a processor that holds one.
        options: Options of the template.

    Raises:
        ValueError: If there is no chat template, or no token comes of it.
    """
    words = getattr(tokenizer, "tokenizer", tokenizer)
    if not getattr(words, "chat_template", None) and not options.get("chat_template"):
        msg = (
            "the tokenizer has no chat template; give the text itself instead of chat messages, or a template: "
            "capture(model, messages, tokenizer, chat_template=...)."
        )
        raise ValueError(msg)
    messages = list(messages)
    text: str = words.apply_chat_template(messages, tokenize=False, **options)
    encoding = words(
        text, add_special_tokens=False, return_tensors="pt", return_offsets_mapping=words.is_fast
    )
    if not encoding["input_ids"].shape[-1]:
        msg = "the chat template makes no tokens of these messages; give at least one message with content."
        raise ValueError(msg)
    offsets = encoding.pop("offset_mapping", None)
    if offsets is None:
        return encoding, Hints(text=text)

    parts = [_rendered(words, messages[:count], options) for count in range(1, len(messages) + 1)]
    ends = [len(p) if p is not None and text.startswith(p) else None for p in parts]
    roles = message_roles(
        messages, ends, [int(start) for start, _ in offsets[0].tolist()], len(text), options
    )
    if all(message["role"] != "system" for message in messages):
        # A template may put a system message of its own into what the first message becomes.
        ids = encoding["input_ids"][0].tolist()
        found = chat_roles(ids, words, token_lengths(encoding, 0)) or roles
        roles = tuple(
            own if own == "system" else role for own, role in zip(found, roles, strict=True)
        )
    return encoding, Hints(text=text, roles=roles)


def _rendered(
    tokenizer: Any, messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> str | None:
    """Return the text that the first messages of a chat make, or ``None`` where the template refuses them."""
    kept = without_ending(options)
    try:
        text: str = tokenizer.apply_chat_template(list(messages), tokenize=False, **kept)
    except Exception:  # noqa: BLE001  some templates refuse a chat that ends here
        return None
    return text


def without_ending(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the options that say how a chat ends: they do not hold for its beginning."""
    return {name: value for name, value in options.items() if name not in _ENDINGS}


def message_roles(
    messages: Sequence[Mapping[str, Any]],
    ends: Sequence[int | None],
    starts: Sequence[int],
    total: int,
    options: Mapping[str, Any],
) -> tuple[str | None, ...]:
    """Assign the roles of messages to tokens.

    Args:
        messages: The messages.
        ends: Where each ends when the chat ends there, or ``None`` where the template makes something else of it then.
        starts: Where each token starts.
        total: Where the last one ends.
        options: Options of the template: what it adds after all messages, for the model to go on, is the assistant's.
    """
    known = list(ends)
    if options.get("continue_final_message"):
        known[-1] = total
    roles = [str(message["role"]) for message in messages]
    borders: list[tuple[int, str | None]] = []
    waiting: set[str] = set()
    for role, end in zip(roles, known, strict=True):
        waiting.add(role)
        if end is not None:  # messages whose border is not known share it
            borders.append((end, role if len(waiting) == 1 else None))
            waiting = set()
    if not waiting and options.get("add_generation_prompt"):
        borders.append((total, "assistant"))
    return tuple(next((role for end, role in borders if start < end), None) for start in starts)
