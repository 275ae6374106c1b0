"""Tokenizers that name their tokens with bytes, with nothing, or that only decode."""

from __future__ import annotations

from typing import Any

import pytest
from support import words, zoo

from attnwidget.capture.positions.labels import token_labels, token_positions
from attnwidget.pocket import pocket_tokenizer
from attnwidget.recordings import capture

SMILE = "😀".encode()
PIECES = ["你".encode(), b" the", b" cat", b"s", SMILE[:2], SMILE[2:], b"\n", "<|im_end|>"]
LABELS = ["你", "the", "cat", "s", "⟨f0 9f⟩", "😀", "↵", "<|im_end|>"]
IDS = list(range(len(PIECES)))


class BytesTokenizer:
    """Converts ids to bytes, special tokens to text, as Qwen's first tokenizer does."""

    all_special_ids = (7,)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[Any]:
        return [PIECES[token] for token in ids]


class Encoding:
    """Looks one id up, as tiktoken does."""

    def decode_single_token_bytes(self, token: int) -> bytes:
        if token == 7:
            raise KeyError(token)
        return PIECES[token]  # type: ignore[return-value]


class DecodeOnly:
    """Decodes, and has no other method."""

    def decode(self, ids: list[int]) -> str:
        whole = b"".join(p.encode() if isinstance(p, str) else p for p in (PIECES[i] for i in ids))
        return whole.decode(errors="replace")


class Inherited(DecodeOnly):
    """Has a method that it only inherits."""

    def convert_ids_to_tokens(self, _ids: list[int]) -> list[str]:
        raise NotImplementedError


def labels(tokenizer: Any, ids: list[int] = IDS) -> list[str]:
    return [position.label for position in token_positions(ids, tokenizer)]


def test_bytes_are_text() -> None:
    positions = token_positions(IDS, BytesTokenizer())
    assert [position.label for position in positions] == LABELS
    assert [p.text for p in positions] == ["你", " the", " cat", "s", "", "😀", "\n", "<|im_end|>"]
    assert [position.kind for position in positions] == ["token"] * 7 + ["special"]
    assert [position.continues for position in positions[1:4]] == [False, False, True]
    alone = ["你", "the", "cat", "s", "⟨f0 9f⟩", "⟨98 80⟩", "↵", "<|im_end|>"]
    assert token_labels(IDS, BytesTokenizer()) == alone


def test_ids_without_a_token_are_visibly_unknown() -> None:
    class Gaps(BytesTokenizer):
        def convert_ids_to_tokens(self, ids: list[int]) -> list[Any]:
            return [None if token == 2 else PIECES[token] for token in ids]

    positions = token_positions([1, 2, 3], Gaps())
    assert [position.label for position in positions] == ["the", "⟨id 2⟩", "s"]
    assert [position.kind for position in positions] == ["token", "latent", "token"]
    assert token_labels([2], Gaps()) == ["⟨id 2⟩"]
    # Beyond the vocabulary, which some models are larger than.
    assert labels(BytesTokenizer(), [1, 99]) == ["the", "⟨id 99⟩"]
    piece = words.word_piece(words.WORDS)
    assert labels(piece, [*piece("cat", add_special_tokens=False)["input_ids"], 9_999]) == [
        "cat",
        "⟨id 9999⟩",
    ]


def test_other_ways_to_look_a_token_up() -> None:
    assert labels(Encoding()) == [*LABELS[:7], "⟨id 7⟩"]
    tokenizer = pocket_tokenizer()
    ids = tokenizer("The cats sat")["input_ids"]
    assert labels(tokenizer.backend_tokenizer, ids) == labels(tokenizer, ids)
    special = token_positions(ids, tokenizer.backend_tokenizer)[0]
    assert (special.label, special.kind) == ("<bos>", "special")


@pytest.mark.parametrize("kind", [DecodeOnly, Inherited])
def test_decode_alone_will_do(kind: Any) -> None:
    shown = ["你", "the", "cat", "s", "⟨id 4⟩", "😀", "↵", "<|im_end|>"]
    assert labels(kind()) == shown
    texts = [position.text for position in token_positions(IDS, kind())]
    assert texts[1:3] == [" the", " cat"]
    assert token_labels([4, 5], kind()) == ["⟨id 4⟩", "⟨id 5⟩"]


def test_a_space_that_decoding_drops_is_found_again() -> None:
    class Stripping:
        def decode(self, ids: list[int]) -> str:
            return " ".join(("the", "cat", "sat")[token] for token in ids)

    assert [p.text for p in token_positions([0, 1, 2], Stripping())] == ["the", " cat", " sat"]


def test_a_record_names_them() -> None:
    attention = capture(zoo.build("gpt2"), [0, 1, 2, 5], BytesTokenizer())
    assert [p.label for p in attention["decoder"].key_positions][:3] == ["你", "the", "cat"]
    expected = attention.next_tokens
    assert expected is not None
    shown = [token.label for tokens in expected.values() for token in tokens]
    assert not any(label.startswith("b'") or label == "None" for label in shown)
