"""Features of a stream's tokens: equal, special, punctuation, sentence end, same word, padding."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.record.aside import FIRST_AND_SPECIAL, aside_keys
from attnwidget.record.positions import word_numbers
from attnwidget.record.stream import own_offset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from attnwidget.record.positions import Position, Positions
    from attnwidget.record.stream import Stream


__all__ = [
    "TokenFeatures",
    "closes",
    "ends_sentence",
    "is_padding",
    "is_punctuation",
]

_NO_TEXT = "the positions have no text."

_APART = "queries and keys are positions of different sequences."

_STOPS = tuple(".!?…。！？")  # noqa: RUF001  (the full-width forms end Chinese and Japanese sentences)

_CLOSERS = "\"'”’»)]}"

_PADDING = frozenset({"[PAD]", "<pad>", "<|pad|>", "<|padding|>"})


@dataclass(frozen=True, slots=True, eq=False)
class TokenFeatures:
    """Features of a stream's positions, as tensors on the CPU.

    Attributes:
        n_query: Number of queries.
        n_key: Number of keys.
        offset: Where query 0 stands among the keys, or ``None`` where queries and keys are different sequences.
        query_tokens: A number for each query's token, -1 where there is none to compare, int64 ``[query]``.
        key_tokens: The same numbers for keys, -2 where there is none.
        query_words: A number for each query's word where that has several pieces, else -1.
        key_words: The same numbers for keys, else -2.
        keys: Which keys each of `SHARES` is about, boolean ``[key]``; ``"sink"`` among them.
        counts: Which queries are no padding, boolean ``[query]``.
        sink: Key positions of the sink.
        absent: Scores that make no sense here, with the reason.
    """

    n_query: int
    n_key: int
    offset: int | None
    query_tokens: Tensor
    key_tokens: Tensor
    query_words: Tensor
    key_words: Tensor
    keys: dict[str, Tensor]
    counts: Tensor
    sink: tuple[int, ...]
    absent: dict[str, str]

    @classmethod
    def of(cls, stream: Stream, sink: Sequence[int] | None = None) -> TokenFeatures:
        """Read the positions of a stream.

        Args:
            stream: The stream.
            sink: Key positions to take as the sink; ``None`` for the first one and all special tokens.
        """
        queries, keys = stream.query_positions, stream.key_positions
        offset = own_offset(stream)
        apart = offset is None
        start = max(0, stream.query_offset)
        own = slice(start, start + len(queries))
        special = [key.kind == "special" for key in keys]
        positions = aside_keys(FIRST_AND_SPECIAL, keys) if sink is None else tuple(sink)
        aside = set(positions)
        masks = {
            "first": [place == 0 for place in range(len(keys))],
            "sink": [place in aside for place in range(len(keys))],
            "sentence": [ends_sentence(key) for key in keys],
            "punctuation": [is_punctuation(key) for key in keys],
            "special": special,
        }
        masks["delimiter"] = [
            marked or mark or "\n" in (key.text or "")
            for marked, mark, key in zip(special, masks["punctuation"], keys, strict=True)
        ]
        numbers = _Numbers((*queries, *keys))
        words = word_numbers(keys)
        pieces = Counter(words)
        key_words = [word if pieces[word] > 1 else -2 for word in words]
        tail = key_words[own]
        return cls(
            n_query=len(queries),
            n_key=len(keys),
            offset=offset,
            query_tokens=torch.tensor([numbers.of(position, -1) for position in queries]),
            key_tokens=torch.tensor([numbers.of(position, -2) for position in keys]),
            query_words=torch.tensor(
                [-1] * len(queries) if apart else [word if word >= 0 else -1 for word in tail]
            ),
            key_words=torch.tensor(key_words),
            keys={name: torch.tensor(mask) for name, mask in masks.items()},
            counts=torch.tensor([not is_padding(position) for position in queries]),
            sink=positions,
            absent=_absent(keys, masks, apart=apart),
        )


def _absent(keys: Positions, masks: dict[str, list[bool]], *, apart: bool) -> dict[str, str]:
    """Say which scores make no sense for these positions."""
    absent: dict[str, str] = {}
    textual = any(key.text is not None for key in keys)
    if not textual:
        texts = ("duplicate", "induction", "same_word", "sentence", "punctuation", "delimiter")
        absent |= dict.fromkeys(texts, _NO_TEXT)
    if apart:
        pairs = ("previous", "next", "self", "duplicate", "induction", "same_word", "local")
        absent |= dict.fromkeys(pairs, _APART)
    for name, what in (
        ("special", "no position is a special token."),
        ("punctuation", "no position is punctuation."),
        ("sentence", "no position ends a sentence."),
        ("delimiter", "no position is a special token, punctuation or a line break."),
        ("sink", "no position is taken as the sink."),
    ):
        if name not in absent and not any(masks[name]):
            absent[name] = what
    return absent


class _Numbers:
    """Gives equal tokens equal numbers."""

    def __init__(self, positions: Positions) -> None:
        # Where spaces are part of the pieces, the text is the token; elsewhere "##s" and "s" share one text.
        self._spaced = any((position.text or "").startswith(" ") for position in positions)
        self._known: dict[tuple[str, bool], int] = {}

    def of(self, position: Position, none: int) -> int:
        """Return the number of a position's token, ``none`` where there is no text to compare."""
        if position.text is None or position.kind == "special":
            return none
        token = (position.text, position.continues and not self._spaced)
        return self._known.setdefault(token, len(self._known))


def is_punctuation(position: Position) -> bool:
    """Tell whether a position is a piece of nothing but punctuation and symbols."""
    text = (position.text or "").strip()
    return (
        position.kind != "special"
        and bool(text)
        and all(unicodedata.category(char)[0] in "PS" for char in text)
    )


def ends_sentence(position: Position) -> bool:
    """Tell whether a position ends a sentence: a full stop, its kin, or a line break."""
    text = position.text or ""
    if position.kind == "special":
        return False
    return "\n" in text or text.strip().rstrip(_CLOSERS).endswith(_STOPS)


def closes(position: Position) -> bool:
    """Tell whether a position is a piece of nothing but closing quotes and brackets, with no space before them."""
    text = position.text or ""
    return bool(text) and not text.strip(_CLOSERS)


def is_padding(position: Position) -> bool:
    """Tell whether a position is a padding token, which a record made from weights may hold."""
    return position.kind == "special" and position.text in _PADDING
