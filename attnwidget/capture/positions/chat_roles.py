"""`chat_roles`: which token of a templated chat belongs to whose message, by what the template puts between messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnwidget.capture.positions.vocabulary import special_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["chat_roles", "token_lengths"]

Roles = tuple["str | None", ...]

# Chats that are rendered to learn what stands between two messages. Templates refuse some of them.
_PROBES = (
    ("user", "assistant", "user", "assistant"),
    ("system", "user", "assistant"),
    ("user", "user"),
    ("user", "assistant", "assistant"),
    ("user", "assistant", "tool", "assistant"),
    ("user", "assistant", "tool", "user"),
)
_WORDS = ("alpha", "bravo", "delta", "gamma")


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a template puts in front of a message, from the content of the one before it.

    Attributes:
        before: Role of the message before, or ``None`` at the beginning of the chat.
        after: Role of the message, or ``None`` at the end of the chat.
        tokens: Token ids with the number of characters that each stands for.
        turn: How many of the tokens still belong to the message before.
    """

    before: str | None
    after: str | None
    tokens: tuple[tuple[int, int], ...]
    turn: int

    def roles(self, count: int) -> list[str | None]:
        """Return the roles of its first ``count`` tokens."""
        return [self.before if place < self.turn else self.after for place in range(count)]


def chat_roles(
    ids: Sequence[int], tokenizer: Any, lengths: Sequence[int] | None = None
) -> Roles | None:
    """Find the messages of a chat in token ids that a chat template made, and what a model wrote after them.

    Args:
        ids: The token ids, ``[position]``.
        tokenizer: A tokenizer with a chat template.
        lengths: How many characters each stands for, where that is known: unknown words of different lengths differ.

    Returns:
        A role for each token, ``None`` for padding and for a first message that may hold a system's, too; or ``None``
        where the ids are no chat, or it cannot be told for sure.
    """
    if not getattr(tokenizer, "chat_template", None) or not getattr(tokenizer, "is_fast", False):
        return None
    opening = _marks_of(tokenizer, _PROBES[0])
    if opening is None:
        return None
    system = _marks_of(tokenizer, _PROBES[1])
    marks = opening + (system or [])
    given = list(zip(ids, [-1] * len(ids) if lengths is None else lengths, strict=True))
    first, last = _bounds(ids, tokenizer)
    starts = [
        start
        for start in dict.fromkeys(mark for mark in marks if mark.before is None)
        if _matches(given, first, _without_bos(start.tokens, tokenizer))
    ]
    if not starts or _in_doubt(starts, lengths is None):
        return None
    for roles in _PROBES[2:]:
        # A template that knows no tools may write their messages like another role's.
        known = {(mark.before, mark.tokens) for mark in marks}
        marks += [
            mark
            for mark in _marks_of(tokenizer, roles) or []
            if mark.after != "tool" or (mark.before, mark.tokens) not in known
        ]
    # Where a system message is part of the user's, the first message may be either.
    unsure = system is not None and not system
    for start in sorted(starts, key=lambda mark: mark.after != "system"):
        skipped = first + len(_without_bos(start.tokens, tokenizer))
        found = _parse(given[:last], skipped, start, marks, special_ids(tokenizer))
        if found is not None:
            turns = [place for place, role in enumerate(found) if role != start.after]
            hidden = (turns[0] if turns else last) if unsure else _padding(ids, tokenizer)
            return (*[None] * hidden, *found[hidden:], *[None] * (len(ids) - last))
    return None


def _in_doubt(marks: Sequence[_Mark], without_lengths: bool) -> bool:  # noqa: FBT001 - private
    """Tell whether marks are the same tokens, and one role follows here, another there."""
    shown = [
        tuple(token if without_lengths else (token, n) for token, n in mark.tokens)
        for mark in marks
    ]
    return any(
        one == other and a.after != b.after
        for one, a in zip(shown, marks, strict=True)
        for other, b in zip(shown, marks, strict=True)
    )


def token_lengths(encoding: Any, row: int | None) -> list[int] | None:
    """Return how many characters each token of a row stands for, by the tokenizer's own account."""
    encodings = getattr(encoding, "encodings", None)
    if encodings is None or not 0 <= (row or 0) < len(encodings):
        return None
    return [stop - start for start, stop in encodings[row or 0].offsets]


def _padding(ids: Sequence[int], tokenizer: Any) -> int:
    """Count the padding in front."""
    pad, bos = tokenizer.pad_token_id, tokenizer.bos_token_id
    return next((n for n, token in enumerate(ids) if token != pad or pad == bos), len(ids))


def _bounds(ids: Sequence[int], tokenizer: Any) -> tuple[int, int]:
    """Return where the chat begins, behind padding and the start of the text, and where padding behind it begins."""
    first, last = _padding(ids, tokenizer), len(ids)
    while first < last and ids[first] == tokenizer.bos_token_id:
        first += 1
    # Where the end of a message is used as padding, one of them is the message's.
    while last > first + 1 and ids[last - 1] == ids[last - 2] == tokenizer.pad_token_id:
        last -= 1
    if last > first and ids[last - 1] == tokenizer.pad_token_id != tokenizer.eos_token_id:
        last -= 1
    return first, last


def _without_bos(
    tokens: tuple[tuple[int, int], ...], tokenizer: Any
) -> tuple[tuple[int, int], ...]:
    kept = 0
    while kept < len(tokens) and tokens[kept][0] == tokenizer.bos_token_id:
        kept += 1
    return tokens[kept:]


def _render(tokenizer: Any, roles: Sequence[str]) -> str | None:
    chat = [{"role": role, "content": word} for role, word in zip(roles, _WORDS, strict=False)]
    try:
        text: str = tokenizer.apply_chat_template(chat, tokenize=False)
    except Exception:  # noqa: BLE001  a template is a program, and refuses a chat in its own way
        return None
    return text


def _marks_of(tokenizer: Any, roles: Sequence[str]) -> list[_Mark] | None:
    """Render a chat and read off what stands between its messages.

    Returns:
        The marks, none where messages follow each other with nothing between them; or ``None`` where the template refuses
        such a chat, or leaves messages out.
    """
    text = _render(tokenizer, roles)
    if text is None:
        return None
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    tokens = list(zip(encoding["input_ids"], encoding["offset_mapping"], strict=True))
    marks: list[_Mark] = []
    end = 0
    for place in range(len(roles) + 1):
        start = text.find(_WORDS[place], end) if place < len(roles) else len(text)
        part = _render(tokenizer, roles[:place]) if place else ""
        if start < 0:
            return None
        between = _trimmed(
            [(token, span) for token, span in tokens if end <= span[0] < span[1] <= start], text
        )
        known = part is not None and text.startswith(part) and end <= len(part) <= start
        if place < len(roles) and (not between or not known):
            return []
        turn = sum(span[0] < len(part or "") for _, span in between)
        lengths = tuple((token, stop - begin) for token, (begin, stop) in between)
        before = roles[place - 1] if place else None
        after = roles[place] if place < len(roles) else None
        marks.append(_Mark(before, after, lengths, turn if after else len(lengths)))
        end = start + len(_WORDS[place]) if place < len(roles) else end
    return marks


def _trimmed(
    tokens: list[tuple[int, tuple[int, int]]], text: str
) -> list[tuple[int, tuple[int, int]]]:
    """Leave out blank tokens at both ends: they may be one with those of the content."""
    solid = [n for n, (_, (start, stop)) in enumerate(tokens) if text[start:stop].strip()]
    return tokens[solid[0] : solid[-1] + 1] if solid else []


def _matches(given: Sequence[tuple[int, int]], at: int, tokens: Sequence[tuple[int, int]]) -> bool:
    """Tell whether ``tokens`` stand at a place; a length of -1 is not known."""
    part = given[at : at + len(tokens)]
    return (
        len(tokens) > 0
        and len(part) == len(tokens)
        and all(a == b and m in (-1, n) for (a, m), (b, n) in zip(part, tokens, strict=True))
    )


def _parse(
    given: Sequence[tuple[int, int]],
    at: int,
    start: _Mark,
    marks: Sequence[_Mark],
    special: set[int],
) -> list[str | None] | None:
    """Assign roles, or return ``None`` where the next role is in doubt, or a message holds what none does.

    Args:
        given: The tokens.
        at: Where the content of the first message begins.
        start: What stands in front of it.
        marks: What may stand between messages.
        special: Special tokens.
    """
    inner = special & {token for mark in marks for token, _ in mark.tokens}
    role = start.after
    roles: list[str | None] = [role] * at
    while at < len(given):
        here = [m for m in marks if m.before == role and m.after and _matches(given, at, m.tokens)]
        most = max((len(mark.tokens) for mark in here), default=0)
        longest = {mark for mark in here if len(mark.tokens) == most}
        if len({mark.after for mark in longest}) > 1:
            return None
        if longest:
            mark = longest.pop()
            roles += mark.roles(most)
            role, at = mark.after, at + most
        elif given[at][0] in inner:
            rest = len(given) - at
            ends = [m for m in marks if m.before == role and _matches(given, at, m.tokens[:rest])]
            tail = next((mark for mark in ends if len(mark.tokens) >= rest), None)
            if tail is None:
                return None
            return roles + tail.roles(rest)
        else:
            roles.append(role)
            at += 1
    return roles
