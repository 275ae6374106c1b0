"""Token ids, image patches and audio frames to labelled positions."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from attnwidget.capture.positions.vocabulary import read_tokens, special_ids, spells_tokens
from attnwidget.record.byte_pieces import complete_characters, new_characters
from attnwidget.record.positions import (
    BYTE_ALPHABET,
    Position,
    index_position,
    unknown_token,
    visible_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attnwidget.record.positions import Positions

__all__ = [
    "channel_positions",
    "frame_positions",
    "index_positions",
    "patch_position",
    "patch_positions",
    "token_labels",
    "token_positions",
    "virtual_positions",
]

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, slots=True)
class _Piece:
    """One token as bytes of text: what it adds, before any character is completed."""

    data: bytes
    continues: bool | None = None  # None: to be told from the text around it


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How a tokenizer writes text in its vocabulary."""

    byte_level: bool = False
    metaspace: bool = False
    byte_fallback: bool = False
    continuation: str = ""  # WordPiece's "##"
    word_end: str = ""  # CLIP's "</w>"
    words: bool = False  # every token is a whole word


def token_positions(
    ids: Sequence[int],
    tokenizer: Any = None,
    *,
    segments: Sequence[int | None] | None = None,
    roles: Sequence[str | None] | None = None,
) -> Positions:
    """Label token ids.

    Args:
        ids: Token ids, ``[position]``.
        tokenizer: The Hugging Face tokenizer they come from. Without one the ids themselves are the labels.
        segments: 0 or 1 per position for the first or second text of a pair.
        roles: Chat role per position.

    Returns:
        One position per id. Byte-level, WordPiece and SentencePiece spellings are decoded; a character whose bytes
        are split over several tokens is given to the token that completes it, the others show their bytes.

    Example:
        >>> [position.label for position in token_positions(tokenizer("The cat")["input_ids"], tokenizer)]
        ['<bos>', 'the', 'cat']
    """
    if tokenizer is None:
        positions = [Position(label=str(token)) for token in ids]
    else:
        positions = _decoded([int(token) for token in ids], tokenizer)
    if segments is not None:
        positions = [replace(p, segment=s) for p, s in zip(positions, segments, strict=True)]
    if roles is not None:
        positions = [replace(p, role=r) for p, r in zip(positions, roles, strict=True)]
    return tuple(positions)


def token_labels(ids: Sequence[int], tokenizer: Any = None) -> list[str]:
    """Label token ids that are not a sequence: each as if it were alone."""
    if tokenizer is None:
        return [str(token) for token in ids]
    tokens = read_tokens(tokenizer, list(ids), alone=True)
    special = special_ids(tokenizer)
    spelling = _spelling(tokenizer, tokens)
    labels = []
    for token_id, token in zip(ids, tokens, strict=True):
        if token is None:
            labels.append(unknown_token(token_id).label)
            continue
        if token_id in special:
            labels.append(visible_text(_plain(token)))
            continue
        _, label = complete_characters(_piece(token, spelling).data, new_characters())
        labels.append(visible_text(label.removesuffix(" ") if spelling.word_end else label))
    return labels


def index_positions(count: int) -> Positions:
    """Label positions nothing is known about (embeddings, learned queries) by their index."""
    return tuple(index_position(index) for index in range(count))


def virtual_positions(count: int) -> Positions:
    """Label vectors that an adapter learned and puts before the tokens (prompt tuning, prefix tuning)."""
    return tuple(Position(label=f"virtual {index}", kind="latent") for index in range(count))


def channel_positions(
    pieces: int, size: int, channels: int, *, class_token: bool, across: bool = False
) -> Positions | None:
    """Label pieces of a series whose channels are attended to apart, or one piece of each channel to another.

    Args:
        pieces: Number of sequences that attend within themselves.
        size: Positions of each.
        channels: Channels of the series.
        class_token: Whether each channel begins with a class token.
        across: Whether the channels attend to each other, where there are as many channels as patches.

    Returns:
        ``ch0 p0``, ``ch0 p1`` … for channels one after the other, or for pieces with all channels of each; ``None`` where
        the numbers are others.
    """
    if channels not in {pieces, size}:
        return None
    names = [
        f"p{index - class_token}" if index >= class_token else "[CLS]"
        for index in range(max(pieces, size))
    ]
    by_channel = channels == pieces and not (across and channels == size)
    return tuple(
        Position(
            label=f"ch{outer} {names[inner]}" if by_channel else f"ch{inner} {names[outer]}",
            kind="latent",
        )
        for outer in range(pieces)
        for inner in range(size)
    )


def patch_positions(
    rows: int, columns: int, leading: Iterable[str] = (), *, images: int = 1
) -> Positions:
    """Label image patches ``r0 c0`` in reading order, after the special positions named in ``leading``.

    Args:
        rows: Rows of patches of an image.
        columns: Columns of patches.
        leading: Names of the special positions.
        images: How many images of that size there are one after the other.
    """
    special = [Position(label=name, kind="special") for name in leading]
    return tuple(
        special
        + [
            patch_position(image if images > 1 else None, row, column, (rows, columns))
            for image in range(images)
            for row in range(rows)
            for column in range(columns)
        ]
    )


def patch_position(image: int | None, row: int, column: int, grid: tuple[int, int]) -> Position:
    """Label one patch, of the image (or frame of a video) that is counted ``image`` among those of its input."""
    if row < 0:
        return Position(label="[PAD]", kind="special")
    label = f"r{row} c{column}"
    return Position(label=label, kind="patch", row=row, column=column, grid=grid, medium=image)


def frame_positions(count: int, seconds: float | None) -> Positions:
    """Label audio frames by their start, ``seconds`` apart, or by their index when that is not known."""
    if seconds is None:
        return tuple(Position(label=f"#{index}", kind="frame") for index in range(count))
    starts = [round(index * seconds, 6) for index in range(count)]
    return tuple(Position(label=f"{start:.2f} s", kind="frame", time=start) for start in starts)


def _decoded(ids: list[int], tokenizer: Any) -> list[Position]:
    tokens = read_tokens(tokenizer, ids)
    special = special_ids(tokenizer)
    spelling = _spelling(tokenizer, tokens)
    characters = new_characters()
    positions: list[Position] = []
    before = ""  # the text so far that a following piece may continue; empty after a special token
    for token_id, token in zip(ids, tokens, strict=True):
        if token is None or token_id in special:
            characters.reset()
            positions.append(
                unknown_token(token_id)
                if token is None
                else Position(label=visible_text(_plain(token)), kind="special", text=_plain(token))
            )
            before = ""
            continue
        piece = _piece(token, spelling)
        amid = bool(characters.getstate()[0])  # in the middle of a character
        text, label = complete_characters(piece.data, characters)
        if spelling.word_end:
            label = label.removesuffix(" ")
        continues = piece.continues
        if continues is None:
            continues = amid or _continues(before, text or label)
        positions.append(Position(label=visible_text(label), text=text, continues=continues))
        before = text or before
    return positions


def _plain(token: str | bytes) -> str:
    return token if isinstance(token, str) else token.decode(errors="replace")


def _spelling(tokenizer: Any, pieces: Sequence[str | bytes | None]) -> _Spelling:
    # A tokenizer of the library `tokenizers` has its decoder itself.
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", tokenizer), "decoder", None)
    if hasattr(decoder, "__getstate__") and hasattr(decoder, "decode"):
        return _spelling_of(json.loads(cast("bytes", decoder.__getstate__())))
    tokens = [token for token in pieces if isinstance(token, str)]
    if any(isinstance(token, bytes) for token in pieces) or not spells_tokens(tokenizer):
        return _Spelling()  # bytes, or text that was decoded: spelled as it reads
    if hasattr(tokenizer, "byte_decoder") or any("Ġ" in token or "Ċ" in token for token in tokens):
        return _Spelling(byte_level=True)
    if any("▁" in token for token in tokens):
        return _Spelling(metaspace=True, byte_fallback=True)
    if any(token.startswith("##") for token in tokens):
        return _Spelling(continuation="##")
    if any(token.endswith("</w>") for token in tokens):
        return _Spelling(word_end="</w>")
    return _Spelling(words=True)


def _spelling_of(decoder: dict[str, Any]) -> _Spelling:
    """Read the spelling off a ``tokenizers`` decoder, which is the authority on how its pieces join."""
    spelling = _Spelling()
    for step in decoder.get("decoders", [decoder]):
        match step.get("type"):
            case "ByteLevel":
                spelling = replace(spelling, byte_level=True)
            case "Metaspace":
                spelling = replace(spelling, metaspace=True)
            case "ByteFallback":
                spelling = replace(spelling, byte_fallback=True)
            case "WordPiece":
                spelling = replace(spelling, continuation=step.get("prefix", "##"))
            case "BPEDecoder":
                spelling = replace(spelling, word_end=step.get("suffix", "</w>"))
            case "Replace" if step.get("content") == " ":
                pattern = step.get("pattern", {}).get("String", "")
                if pattern == "▁":
                    spelling = replace(spelling, metaspace=True)
                elif pattern:
                    spelling = replace(spelling, word_end=pattern)
    return spelling


def _piece(token: str | bytes, spelling: _Spelling) -> _Piece:
    if isinstance(token, bytes):
        return _Piece(token)
    if spelling.words:
        return _Piece(token.encode(), continues=False)
    if spelling.byte_fallback and (match := _BYTE_TOKEN.fullmatch(token)):
        return _Piece(bytes([int(match[1], 16)]))
    if spelling.continuation:
        if token.startswith(spelling.continuation) and token != spelling.continuation:
            return _Piece(token.removeprefix(spelling.continuation).encode(), continues=True)
        return _Piece(token.encode(), continues=False)
    if spelling.word_end:
        ends = token.endswith(spelling.word_end)
        token = token.removesuffix(spelling.word_end)
        return _Piece(
            (_bytes(token) if spelling.byte_level else token.encode()) + (b" " if ends else b"")
        )
    if spelling.byte_level:
        return _Piece(_bytes(token))
    if spelling.metaspace:
        return _Piece(token.replace("▁", " ").encode())
    return _Piece(token.encode())


def _bytes(token: str) -> bytes:
    if set(token) <= BYTE_ALPHABET.keys():
        return bytes(BYTE_ALPHABET[character] for character in token)
    return token.encode()  # an added token, spelled in plain text


def _continues(before: str, text: str) -> bool:
    first = text[:1]
    return before[-1:].isalnum() and (
        first.isalnum() or first == "⟨" or unicodedata.category(first or " ")[0] == "M"
    )
