"""What a position *is*: a text piece, a special token, a word, an image patch, an audio frame."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Position", "Positions"]


@dataclass(frozen=True, slots=True)
class Position:
    """One query or key position, with the label a person reads.

    Attributes:
        label: One line of text with whitespace made visible where there is nothing else to see.
        kind: ``"token"``, ``"special"``, ``"word"``, ``"patch"``, ``"frame"`` or ``"latent"``.
        text: The decoded text of the piece as it stands in the source, leading space included.
        row: Row of an image patch.
        column: Column of an image patch.
        time: Start of an audio frame in seconds.
        segment: 0 or 1 for the first or second text of a pair.
        role: Chat role, such as ``"user"``.
        continues: Whether this piece continues the word before it.
    """

    label: str
    kind: str = "token"
    text: str | None = None
    row: int | None = None
    column: int | None = None
    time: float | None = None
    segment: int | None = None
    role: str | None = None
    continues: bool = False


Positions = tuple[Position, ...]
