"""Pieces of text that came as bytes: a character that is split over several of them belongs to the last."""

from __future__ import annotations

import codecs

__all__ = ["complete_characters", "new_characters"]


def new_characters() -> codecs.IncrementalDecoder:
    """Return a decoder for the pieces of one sequence, which keeps the bytes of a character that is not complete."""
    return codecs.getincrementaldecoder("utf-8")()


def complete_characters(data: bytes, characters: codecs.IncrementalDecoder) -> tuple[str, str]:
    """Decode a piece in the light of the bytes before it.

    Args:
        data: Bytes of the piece.
        characters: What `new_characters` gave, with the pieces before decoded.

    Returns:
        The characters this piece completes, and the same followed by any bytes left waiting, as ``⟨e2 80⟩``.
    """
    try:
        text = characters.decode(data)
    except UnicodeDecodeError:
        characters.reset()
        try:  # the bytes waiting were broken, this piece may be sound on its own
            text = characters.decode(data)
        except UnicodeDecodeError:
            characters.reset()
            return "", _hex(data)
    waiting = characters.getstate()[0]
    return text, text + (_hex(waiting[-len(data) :]) if waiting and data else "")


def _hex(data: bytes) -> str:
    return f"⟨{data.hex(' ')}⟩"
