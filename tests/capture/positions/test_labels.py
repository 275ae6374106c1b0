"""Labels a person can read, whatever the tokenizer's spelling."""

from __future__ import annotations

from typing import Any

import pytest
from support import words

from attnwidget.capture.positions.labels import (
    frame_positions,
    index_positions,
    patch_positions,
    token_positions,
)

GPT2 = (
    ("Ġ", "c"),
    ("a", "t"),
    ("Ġc", "at"),
    ("t", "h"),
    ("th", "e"),
    ("Ã", "©"),
    ("Ċ", "Ċ"),
    ("Ġ", "Ġ"),
)


def labels(tokenizer: Any, text: str, *, add_special_tokens: bool = False) -> list[str]:
    ids = tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"]
    return [position.label for position in token_positions(ids, tokenizer)]


def test_byte_level_pieces_are_decoded() -> None:
    tokenizer = words.byte_level(GPT2)
    positions = token_positions(tokenizer("the cats café")["input_ids"], tokenizer)
    assert [p.label for p in positions] == ["the", "cat", "s", "c", "a", "f", "é"]
    assert [p.text for p in positions][:3] == ["the", " cat", "s"]
    assert [p.continues for p in positions] == [False, False, True, False, True, True, True]
    assert {p.kind for p in positions} == {"token"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n\n", ["a", "↵↵"]),
        ("a\tthe", ["a", "⇥", "the"]),
        ("a   the", ["a", "␣␣", "␣", "the"]),
        ("a\u200bthe", ["a", "⟨e2⟩", "⟨80⟩", "⟨U+200B⟩", "the"]),
        ("\x00", ["⟨U+0000⟩"]),
        ("</script>", list("</script>")),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, expected: list[str]) -> None:
    assert labels(words.byte_level(GPT2), text) == expected


def test_a_character_goes_to_the_token_that_completes_it() -> None:
    tokenizer = words.byte_level()
    positions = token_positions(tokenizer("a\U0001f600b ")["input_ids"], tokenizer)
    assert [p.label for p in positions] == ["a", "⟨f0⟩", "⟨9f⟩", "⟨98⟩", "\U0001f600", "b", "␣"]
    assert [p.continues for p in positions[2:5]] == [True, True, True]
    # “ is e2 80 9c: two tokens' worth when the tokenizer has merged the first two bytes.
    merged = words.byte_level((("Ġ", "â"), ("Ġâ", "Ģ")))
    assert labels(merged, "a “b") == ["a", "⟨e2 80⟩", "“", "b"]


def test_broken_bytes_stay_bytes() -> None:
    tokenizer = words.byte_level()
    ids = tokenizer("é")["input_ids"]
    assert [p.label for p in token_positions([ids[0], ids[0], *ids], tokenizer)] == [
        "⟨c3⟩",
        "⟨c3⟩",
        "⟨c3⟩",
        "é",
    ]
    assert [p.label for p in token_positions([ids[1]], tokenizer)] == ["⟨a9⟩"]


def test_word_pieces_are_decoded() -> None:
    tokenizer = words.word_piece(["un", "##believ", "##able", "cat", "##", "#", "s", "##s"])
    ids = tokenizer("unbelievable cats #")["input_ids"]
    positions = token_positions(ids, tokenizer)
    assert [p.label for p in positions] == [
        "[CLS]",
        "un",
        "believ",
        "able",
        "cat",
        "s",
        "#",
        "[SEP]",
    ]
    assert [p.continues for p in positions] == [False, False, True, True, False, True, False, False]
    assert [p.kind for p in positions] == ["special", *["token"] * 6, "special"]


@pytest.mark.parametrize("bytes_too", [False, True])
def test_sentence_pieces_are_decoded(bytes_too: bool) -> None:  # noqa: FBT001
    tokenizer = words.sentence_piece(["▁the", "▁cat", "s", "▁", ".", "a"], bytes_too=bytes_too)
    ids = tokenizer("the cats .")["input_ids"]
    positions = token_positions(ids, tokenizer)
    assert [p.label for p in positions] == ["the", "cat", "s", "␣", ".", "</s>"]
    assert [p.continues for p in positions] == [False, False, True, False, False, False]
    assert positions[-1].kind == "special"


def test_sentence_piece_bytes_make_characters() -> None:
    tokenizer = words.sentence_piece(["▁the", "▁"], bytes_too=True)
    assert labels(tokenizer, "the é") == ["the", "␣", "⟨c3⟩", "é"]


def test_whole_words_are_left_alone() -> None:
    tokenizer = words.whole_words(["the", "cat", "##s"])
    assert labels(tokenizer, "the cat") == ["the", "cat"]
    assert not any(p.continues for p in token_positions([1, 2], tokenizer))


def test_without_a_tokenizer_ids_are_labels() -> None:
    assert [p.label for p in token_positions([464, 3797])] == ["464", "3797"]


def test_segments_and_roles() -> None:
    positions = token_positions([1, 2], segments=[0, 1], roles=["user", None])
    assert [(p.segment, p.role) for p in positions] == [(0, "user"), (1, None)]


def test_every_label_is_one_line() -> None:
    tokenizer = words.byte_level()
    for text in ("\r\n", "\u2028", "\v\f", "\u202e", "\u00a0"):
        assert len(" ".join(labels(tokenizer, text)).splitlines()) == 1
        assert all(label.strip() for label in labels(tokenizer, text))


def test_patches_frames_and_the_unknown() -> None:
    patches = patch_positions(2, 3, ["[CLS]"])
    assert [p.label for p in patches] == [
        "[CLS]",
        "r0 c0",
        "r0 c1",
        "r0 c2",
        "r1 c0",
        "r1 c1",
        "r1 c2",
    ]
    assert [p.kind for p in patches[:2]] == ["special", "patch"]
    frames = frame_positions(13, 0.02)
    assert (frames[12].label, frames[12].time, frames[12].kind) == ("0.24 s", 0.24, "frame")
    # No one takes them for the tokens "0" and "1".
    assert [p.label for p in frame_positions(2, None)] == ["#0", "#1"]
    assert [(p.label, p.kind) for p in index_positions(2)] == [("#0", "latent"), ("#1", "latent")]
