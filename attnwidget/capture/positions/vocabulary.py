"""What a tokenizer calls the tokens of its vocabulary: strings, bytes, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "is_tokenizer",
    "known_id",
    "piece_ids",
    "read_tokens",
    "special_ids",
    "spells_tokens",
    "unknown_id",
]

# How libraries look one id up in the vocabulary: tokenizers, sentencepiece, tiktoken.
_LOOK_UPS = ("id_to_token", "id_to_piece", "decode_single_token_bytes")
# And one token, for its id: transformers, tokenizers, sentencepiece, tiktoken.
_ID_LOOK_UPS = ("convert_tokens_to_ids", "token_to_id", "piece_to_id", "encode_single_token")

# What tokenizers raise for an id that they do not know, and for a method that they only inherit.
_UNKNOWN = (LookupError, TypeError, ValueError, OverflowError, NotImplementedError)

_REPLACEMENT = "\ufffd"
_LONGEST = 4  # tokens that one character may be split over: each has at least one of its bytes


def is_tokenizer(words: Any) -> bool:
    """Tell whether an object can say what token ids read: an image processor cannot."""
    return any(
        callable(getattr(words, name, None))
        for name in ("convert_ids_to_tokens", *_LOOK_UPS, "decode")
    )


def spells_tokens(tokenizer: Any) -> bool:
    """Tell whether a tokenizer has strings of its vocabulary, with marks for spaces and the like, or decoded text only."""
    return any(hasattr(tokenizer, name) for name in ("convert_ids_to_tokens", *_LOOK_UPS))


def read_tokens(
    tokenizer: Any, ids: Sequence[int], *, alone: bool = False
) -> list[str | bytes | None]:
    """Return what a tokenizer calls each id.

    Args:
        tokenizer: See `is_tokenizer`.
        ids: Token ids, ``[position]``.
        alone: Whether they are no sequence, in which a token may complete a character.

    Returns:
        A string of its vocabulary, bytes, decoded text where it has nothing else, or ``None`` where it has no token.
    """
    tokens = _looked_up(tokenizer, ids)
    decode = getattr(tokenizer, "decode", None)
    if None in tokens and callable(decode):
        text = _decoded(decode, ids, alone=alone)
        tokens = [
            found if token is None else token for token, found in zip(tokens, text, strict=True)
        ]
    return tokens


def known_id(tokenizer: Any, token: str) -> int | None:
    """Return the id of a token as the vocabulary has it, ``None`` where there is none or none can be looked up."""
    for name in _ID_LOOK_UPS:
        look_up = getattr(tokenizer, name, None)
        if callable(look_up):
            try:
                found = look_up(token)
            except _UNKNOWN:
                return None
            there = isinstance(found, int) and found >= 0 and found != unknown_id(tokenizer)
            return int(found) if there else None
    return None


def unknown_id(tokenizer: Any) -> int | None:
    """Return the id that stands for what a tokenizer does not know, or ``None`` where it has none."""
    token = getattr(getattr(tokenizer, "model", None), "unk_token", None)  # of tokenizers
    if isinstance(token, str) and callable(getattr(tokenizer, "token_to_id", None)):
        return _whole(tokenizer.token_to_id(token))
    found = getattr(tokenizer, "unk_token_id", getattr(tokenizer, "unk_id", None))
    return _whole(found() if callable(found) else found)  # sentencepiece has a method


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def piece_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of a text that stands inside of another, without special tokens; also of what is not transformers'."""
    if hasattr(tokenizer, "convert_tokens_to_ids"):
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    own, around = _encoded(tokenizer, text), _encoded(tokenizer, "")
    # What is put around any text, around none as well, is no part of this one.
    for before in range(len(around) + 1):
        inner = own[before : len(own) - len(around) + before]
        if own == [*around[:before], *inner, *around[before:]]:
            return inner
    return own


def _encoded(tokenizer: Any, text: str) -> list[int]:
    encode = getattr(tokenizer, "encode", tokenizer)
    try:
        made = encode(text, add_special_tokens=False)
    except TypeError:  # it takes no such option
        made = encode(text)
    ids = made["input_ids"] if isinstance(made, Mapping) else getattr(made, "ids", made)
    return [int(each) for each in ids]


def special_ids(tokenizer: Any) -> set[int]:
    """Return the ids of special tokens, which represent no text."""
    special = {int(token) for token in getattr(tokenizer, "all_special_ids", ())}
    added = getattr(tokenizer, "added_tokens_decoder", None)
    if added is None and callable(getattr(tokenizer, "get_added_tokens_decoder", None)):
        added = tokenizer.get_added_tokens_decoder()
    return special | {
        int(token) for token, entry in (added or {}).items() if getattr(entry, "special", False)
    }


def _looked_up(tokenizer: Any, ids: Sequence[int]) -> list[str | bytes | None]:
    convert = getattr(tokenizer, "convert_ids_to_tokens", None)
    if callable(convert):
        try:
            return [_token(token) for token in convert(list(ids))]
        except _UNKNOWN:  # one of them is not in the vocabulary: which, each alone tells
            return [_attempt(lambda one: convert([one])[0], token_id) for token_id in ids]
    names = (name for name in _LOOK_UPS if callable(getattr(tokenizer, name, None)))
    name = next(names, None)
    if name is None:
        return [None] * len(ids)
    return [_attempt(getattr(tokenizer, name), token_id) for token_id in ids]


def _attempt(look_up: Callable[[Any], Any], argument: Any) -> str | bytes | None:
    try:
        return _token(look_up(argument))
    except _UNKNOWN:
        return None


def _token(token: Any) -> str | bytes | None:
    if isinstance(token, (bytes, bytearray)):
        return bytes(token)
    return None if token is None else str(token)


def _decoded(
    decode: Callable[[list[int]], Any], ids: Sequence[int], *, alone: bool
) -> list[str | bytes | None]:
    """Decode each id; a character that is split over several goes to the one that completes it."""

    def read(some: list[int]) -> str | bytes | None:
        return _attempt(decode, some)

    found: list[str | bytes | None] = []
    waiting: list[int] = []
    for place, token_id in enumerate(ids):
        text = read([*waiting, token_id])
        if waiting and _is_broken(text) and not _is_broken(own := read([token_id])):
            waiting, text = [], own
        if _is_broken(text):
            found.append(None)
            waiting = [] if alone or len(waiting) + 1 == _LONGEST else [*waiting, token_id]
            continue
        if place and not alone and not waiting and isinstance(text, str):
            text = _after(read, ids[place - 1], token_id, text)
        found.append(text or None)
        waiting = []
    return found


def _is_broken(text: str | bytes | None) -> bool:
    return isinstance(text, str) and _REPLACEMENT in text


def _after(
    read: Callable[[list[int]], str | bytes | None], before: int, token_id: int, text: str
) -> str:
    """Return the text of a token as it reads after another: alone, some lose the space before a word."""
    first, both = read([before]), read([before, token_id])
    if isinstance(first, str) and isinstance(both, str) and both.startswith(first):
        rest = both[len(first) :]
        return rest if rest.strip() == text.strip() and rest else text
    return text
