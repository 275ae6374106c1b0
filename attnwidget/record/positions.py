"""`Position`: text piece, word, image patch, audio frame or special token; labels, and which pieces make a word."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attnwidget.compute.checks import shown
from attnwidget.record.byte_pieces import complete_characters, new_characters

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = [
    "BYTE_ALPHABET",
    "Position",
    "Positions",
    "index_position",
    "is_special",
    "position_from_token",
    "positions_from_tokens",
    "unknown_token",
    "visible_text",
    "word_numbers",
]


@dataclass(frozen=True, slots=True)
class Position:
    """One query or key position, with the label a person reads.

    Attributes:
        label: One line of text with whitespace made visible where there is nothing else to see.
        kind: ``"token"``, ``"special"``, ``"word"``, ``"patch"``, ``"frame"``, or ``"latent"`` for what is no token, or
            none that is known: it is drawn paler.
        text: The decoded text of the piece as it stands in the source, leading space included.
        row: Row of an image patch.
        column: Column of an image patch.
        time: Start of an audio frame in seconds.
        grid: Rows and columns of the grid that ``row`` and ``column`` count in; it covers the image evenly.
        medium: Which of the record's ``media`` a patch or a frame lies in.
        segment: 0 or 1 for the first or second text of a pair.
        role: Chat role, such as ``"user"``.
        continues: Whether this piece continues the word before it.

    Example:
        >>> import attnwidget as aw
        >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
        >>> attention["decoder"].query_positions[2].label
        'cat'
    """

    label: str
    kind: str = "token"
    text: str | None = None
    row: int | None = None
    column: int | None = None
    time: float | None = None
    grid: tuple[int, int] | None = None
    medium: int | None = None
    segment: int | None = None
    role: str | None = None
    continues: bool = False


Positions = tuple[Position, ...]

_EMPTY = "∅"

_GLYPHS = {
    " ": "␣",
    "\n": "↵",
    "\t": "⇥",
    "\r": "␍",
    "\x0b": "↵",
    "\x0c": "↵",
    "\u2028": "↵",
    "\u2029": "↵",
}

# Joiners shape emoji and Indic or Persian words from the inside; every other format character is invisible or, like
# the bidirectional overrides, rearranges what stands around it.
_JOINERS = "\u200c\u200d"

_NAMES = "s|pad|unk|mask|cls|sep|bos|eos|start_of_turn|end_of_turn|extra_id_[0-9]+"

_SPECIAL = re.compile(
    rf"\[(?:CLS|SEP|PAD|UNK|MASK|BOS|EOS|unused[0-9]+)\]|</?(?:{_NAMES})>|<[|｜][^<>]*[|｜]>"  # noqa: RUF001
)

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")

# GPT-2's byte alphabet: printable bytes stand for themselves, the others are shifted past 255 in order.
_PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]

_SHIFTED = [byte for byte in range(256) if byte not in set(_PRINTABLE)]

_FIRST_SHIFTED = chr(256)

BYTE_ALPHABET = {chr(byte): byte for byte in _PRINTABLE} | {
    chr(256 + place): byte for place, byte in enumerate(_SHIFTED)
}


def visible_text(text: str) -> str:
    r"""Return ``text`` as one line in which nothing is invisible.

    One ordinary leading space is dropped; other outer spaces, newlines and tabs become ``␣ ↵ ⇥``; control and format
    characters and lone surrogates become ``⟨U+202E⟩``; nothing at all becomes ``∅``.

    Example:
        >>> visible_text(" the"), visible_text(" "), visible_text("a\n"), visible_text("")
        ('the', '␣', 'a↵', '∅')
    """
    if not text:
        return _EMPTY
    if text[0] == " " and text.strip():
        text = text[1:]
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    return "".join(
        _visible(char, outer=not first <= place < last) for place, char in enumerate(text)
    )


def _visible(char: str, *, outer: bool) -> str:
    if char in _GLYPHS and (outer or char != " "):
        return _GLYPHS[char]
    category = unicodedata.category(char)
    if category in {"Cc", "Co", "Cs"} or (category == "Cf" and char not in _JOINERS):
        return f"⟨U+{ord(char):04X}⟩"
    if category == "Zs":
        return "␣" if outer else " "
    return char


def index_position(index: int) -> Position:
    """Return a position nothing is known about but its number: ``#3``, which no one takes for the token "3"."""
    return Position(label=f"#{index}", kind="latent")


def unknown_token(token_id: int | None = None) -> Position:
    """Return a position whose token has no text: an id that its vocabulary does not hold, say."""
    return Position(label="⟨?⟩" if token_id is None else f"⟨id {token_id}⟩", kind="latent")


def is_special(token: str) -> bool:
    """Tell whether a string is spelled as special tokens are: ``[CLS]``, ``<|endoftext|>``."""
    return bool(_SPECIAL.fullmatch(token))


def position_from_token(token: str, *, byte_level: bool | None = None) -> Position:
    """Return the position of one string of a tokenizer's vocabulary, cleaned the way a reader expects.

    ``"Ġthe"`` and ``"▁the"`` read "the", ``"##ing"`` continues a word, ``"Ċ"`` is a newline, ``"[CLS]"`` and
    ``"<|endoftext|>"`` are special; a token that looks like none of these stays as it is.

    Args:
        token: The string, for instance from ``tokenizer.convert_ids_to_tokens``.
        byte_level: Whether the tokenizer writes bytes in GPT-2's alphabet; ``None`` judges from this token alone,
            which leaves ``"Ã©"`` (é in that alphabet, but also two letters) as it is.

    Example:
        >>> position_from_token("Ġcafé", byte_level=False).label, position_from_token("Ġthe").label
        ('Ġcafé', 'the')
    """
    if is_special(token):
        return Position(label=visible_text(token), kind="special", text=token)
    piece = _BYTE_PIECE.fullmatch(token)
    if piece:
        return _from_bytes(bytes([int(piece[1], 16)]))
    if token and set(token) <= BYTE_ALPHABET.keys():
        data = bytes(BYTE_ALPHABET[char] for char in token)
        if _is_byte_level(token, data) if byte_level is None else byte_level:
            return _from_bytes(data)
    if len(token) > 2 and token.startswith("##") and token[2] != "#":
        return Position(label=visible_text(token[2:]), text=token[2:], continues=True)
    text = token.removesuffix("</w>") or token
    text = text.replace("▁", " ")
    return Position(label=visible_text(text), text=text)


def positions_from_tokens(tokens: Sequence[object]) -> Positions:
    """Return the positions of a whole sequence; see `position_from_token`.

    The sequence tells what one token cannot: whether its tokenizer writes bytes, and which pieces continue a word.

    Args:
        tokens: Strings of a tokenizer's vocabulary, or bytes, a character of which may be split over several of them;
            ``None`` where the token is not known. Positions are kept as they are.

    Raises:
        ValueError: If ``tokens`` is one string, or holds something else.
    """
    fix = "pass tokenizer.convert_ids_to_tokens(ids)"
    if isinstance(tokens, (str, bytes)):
        message = f"tokens must be a sequence of strings, one per position, got one string: {fix}."
        raise ValueError(message)  # noqa: TRY004  (one error type for a wrong argument)
    nothing = len(tokens) > 0 and all(token is None for token in tokens)
    sequence = _Sequence(tokens)
    positions: list[Position] = []
    for place, token in enumerate(tokens):
        if nothing or not (token is None or isinstance(token, (str, bytes, bytearray, Position))):
            message = (
                f"tokens must be strings, bytes or Position, got {shown(token)} at {place}: {fix}."
            )
            raise ValueError(message)
        positions.append(sequence.position(token, positions[-1] if positions else None))
    return tuple(positions)


class _Sequence:
    """Reads the tokens of one sequence, which tells what one token cannot."""

    def __init__(self, tokens: Sequence[object]) -> None:
        strings = [token for token in tokens if isinstance(token, str)]
        plain = [token for token in strings if token and not is_special(token)]
        spelled = all(set(token) <= BYTE_ALPHABET.keys() for token in plain)
        self._byte_level = True if spelled and any(_tells_bytes(token) for token in plain) else None
        spaced = any(token.startswith(("▁", "Ġ")) for token in plain) or any(
            isinstance(token, (bytes, bytearray)) and token[:1] == b" " for token in tokens
        )
        self._ended = any(token.endswith("</w>") for token in plain)
        # Whether pieces keep the space before a word, so that one without continues it.
        self._marked = self._byte_level is True or spaced
        self._characters = new_characters()
        self._before: object = None

    def position(
        self, token: str | bytes | bytearray | Position | None, last: Position | None
    ) -> Position:
        """Return the position of the next token, after ``last``."""
        before, self._before = self._before, token
        amid = bool(self._characters.getstate()[0])
        if not isinstance(token, (bytes, bytearray)):
            self._characters.reset()
        if token is None:
            return unknown_token()
        if isinstance(token, Position):
            return token
        if isinstance(token, str):
            position = position_from_token(token, byte_level=self._byte_level)
        else:
            position = self._of_bytes(bytes(token), amid=amid)
        if last is not None and isinstance(before, (str, bytes, bytearray)):
            ends = isinstance(before, str) and before.endswith("</w>")
            joined = (self._marked and not self._ended) or (self._ended and not ends)
            joined = joined and _joins(last, position)
            position = replace(position, continues=position.continues or joined)
        return position

    def _of_bytes(self, data: bytes, *, amid: bool) -> Position:
        spelled = data.decode(errors="replace")
        if is_special(spelled):
            self._characters.reset()
            return Position(label=visible_text(spelled), kind="special", text=spelled)
        text, label = complete_characters(data, self._characters)
        return Position(label=visible_text(label), text=text, continues=amid)


def _joins(before: Position, position: Position) -> bool:
    if "special" in (before.kind, position.kind):
        return False
    left, right = before.text or "", position.text or ""
    return left[-1:].isalnum() and right[:1].isalnum()


def _tells_bytes(token: str) -> bool:
    return _is_byte_level(token, bytes(BYTE_ALPHABET[char] for char in token))


def _is_byte_level(token: str, data: bytes) -> bool:
    """Tell whether a token can only be bytes spelled in the alphabet, and not, say, a Czech or Polish word."""
    if max(token) < _FIRST_SHIFTED:
        return False
    try:
        # The incremental decoder lets a token end in the middle of a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    # A lone carriage return is "č": far more often a letter than a token of its own.
    return not any(
        unicodedata.category(char) == "Cc" and char not in "\n\t"
        for char in text.replace("\r\n", "\n")
    )


def _decode(data: bytes) -> tuple[list[str], list[int]]:
    """Return pieces of text and the places of those that are bytes which form no character, as ``⟨e2 80⟩``."""
    pieces: list[str] = []
    bad: list[int] = []
    while data:
        try:
            pieces.append(data.decode())
            break
        except UnicodeDecodeError as error:
            if error.start:
                pieces.append(data[: error.start].decode())
            shown = data[error.start : error.end].hex(" ")
            if bad and bad[-1] == len(pieces) - 1:
                pieces[-1] = f"{pieces[-1][:-1]} {shown}⟩"
            else:
                bad.append(len(pieces))
                pieces.append(f"⟨{shown}⟩")
            data = data[error.end :]
    return pieces, bad


def _from_bytes(data: bytes) -> Position:
    pieces, bad = _decode(data)
    text = data.decode(errors="replace")
    if not bad:
        return Position(label=visible_text(text), text=text)
    if pieces[0] == " ":
        pieces[0] = ""
    label = "".join(
        visible_text(piece) if piece and place not in bad else piece
        for place, piece in enumerate(pieces)
    )
    return Position(label=label, text=text)


def word_numbers(positions: Positions) -> list[int]:
    """Return for each position the number of the word it belongs to: a piece that ``continues`` joins the one before."""
    numbers: list[int] = []
    before: Position | None = None
    for position in positions:
        joins = (
            position.continues
            and before is not None
            and position.kind == before.kind
            and position.segment == before.segment
        )
        numbers.append((numbers[-1] if numbers else -1) + (not joins))
        before = position
    return numbers
