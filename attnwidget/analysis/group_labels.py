"""The groupings that are known without being told: texts of a pair, chat roles and turns, pictures, sentences."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from attnwidget.analysis.token_features import closes, ends_sentence
from attnwidget.record.prompts import prompt_sizes
from attnwidget.record.stream import TEXT_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.record.positions import Position, Positions
    from attnwidget.record.record import Record

    Labels = list[str | None]

__all__ = ["GROUPINGS", "known_labels"]

_LETTERS = 26

GROUPINGS: Mapping[str, str] = MappingProxyType(
    {
        "segment": "the first and the second text of a pair: A and B, the special tokens that close them among them",
        "role": "who speaks in a chat",
        "turn": "each message of a chat: 1 user, 2 assistant …; two messages of one role in a row count as one",
        "modality": "text (special, where it is special tokens alone), each picture (picture 1 …), and sound, each where there are several (sound 1 …)",
        "part": "prompt and answer of a generation",
        "special": "special tokens, and the content between them",
        "sentence": "sentence 1 …: each ends with a token that ends in . ! ? …, with what closes quotes and brackets right after it, or with a line break; "
        "another text or speaker begins a new one, and special tokens are in none",
    }
)
"""Every grouping, and what its groups are."""


def known_labels(
    record: Record | None,
    stream: str,
    by: str,
    positions: Positions,
    *,
    axis: Literal["queries", "keys"],
) -> Labels:
    """Return the group of each position of an axis, None for what is in no group.

    Args:
        record: The record, whose pictures and sounds are numbered; None for two that are compared.
        stream: Name of the stream.
        by: One of `GROUPINGS`.
        positions: The axis.
        axis: Which of the stream's it is.
    """
    if by == "segment":
        return [None if each.segment is None else _letter(each.segment) for each in positions]
    if by == "role":
        return [each.role for each in positions]
    if by == "turn":
        return _turns(positions)
    if by == "modality":
        return _modalities(record, positions)
    if by == "part":
        return _parts(record, stream, len(positions), axis)
    if by == "special":
        names = {"special": "special", "latent": None}
        return [names.get(each.kind, "content") for each in positions]
    return _sentences(positions)


def _letter(segment: int) -> str:
    return chr(ord("A") + segment) if segment < _LETTERS else f"text {segment + 1}"


def _turns(positions: Positions) -> Labels:
    found: Labels = []
    number, speaker = 0, None
    for position in positions:
        if position.role is not None and position.role != speaker:
            number, speaker = number + 1, position.role
        found.append(None if position.role is None else f"{number} {speaker}")
    return found


def _modalities(record: Record | None, positions: Positions) -> Labels:
    pictures, sounds = (_numbers(record, kind) for kind in ("patch", "frame"))
    # [CLS] before the patches of a picture is no text.
    text = "text" if any(each.kind in TEXT_KINDS - {"special"} for each in positions) else "special"

    def name(position: Position) -> str | None:
        if position.kind == "patch":
            return f"picture {pictures.get(position.medium, 1)}"
        if position.kind == "frame":
            return f"sound {sounds.get(position.medium, 1)}" if len(sounds) > 1 else "sound"
        return text if position.kind in TEXT_KINDS else None

    return [name(position) for position in positions]


def _numbers(record: Record | None, kind: str) -> dict[int | None, int]:
    """Number the media in which positions of a kind lie, from 1, the same in all streams."""
    media = {
        position.medium
        for stream in (() if record is None else record.streams.values())
        for axis in (stream.query_positions, stream.key_positions)
        for position in axis
        if position.kind == kind and position.medium is not None
    }
    return {medium: number for number, medium in enumerate(sorted(media), start=1)}


def _parts(
    record: Record | None, stream: str, count: int, axis: Literal["queries", "keys"]
) -> Labels:
    sizes = None if record is None else prompt_sizes(record, record[stream])
    prompt = None if sizes is None else sizes[axis]
    if prompt is None:
        return [None] * count
    return ["prompt" if place < prompt else "answer" for place in range(count)]


def _sentences(positions: Positions) -> Labels:
    found: Labels = []
    number, ended = 0, True
    before: Position | None = None
    for position in positions:
        if position.kind == "special" or position.kind not in TEXT_KINDS or position.text is None:
            found.append(None)
            continue
        other = before is not None and (before.segment, before.role) != (
            position.segment,
            position.role,
        )
        if other or before is None or (ended and not closes(position)):
            number += 1
        ended = ends_sentence(position) or (ended and closes(position) and not other)
        before = position
        found.append(f"sentence {number}")
    return found
