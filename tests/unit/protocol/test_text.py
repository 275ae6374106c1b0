"""Text that UTF-8 has no bytes for, written out before it travels."""

from __future__ import annotations

import pytest

from attnwidget.protocol.text import sendable, well_formed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("größer 😀", "größer 😀"),
        ("a\ud800b", "a⟨U+D800⟩b"),
        ("\udc80", "⟨U+DC80⟩"),
        ("\udfff\ud800", "⟨U+DFFF⟩⟨U+D800⟩"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d\ud83d\ude00", "⟨U+D83D⟩😀"),
    ],
)
def test_lone_surrogates_are_written_out(text: str, expected: str) -> None:
    assert well_formed(text) == expected
    well_formed(text).encode()


def test_all_of_a_message_is_made_well_formed() -> None:
    message = {"a": ["\ud800", {"\udc80": ("x", "\udc81")}], "n": 1, "b": b"\x00", "none": None}
    assert sendable(message) == {
        "a": ["⟨U+D800⟩", {"⟨U+DC80⟩": ("x", "⟨U+DC81⟩")}],
        "n": 1,
        "b": b"\x00",
        "none": None,
    }
    assert message["a"][0] == "\ud800"


def test_what_is_well_formed_is_not_copied() -> None:
    message = {"a": ["x", {"y": ("z", 1.5)}], "empty": [], "b": b""}
    assert sendable(message) is message
