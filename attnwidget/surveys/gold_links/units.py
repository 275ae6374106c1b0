"""Which tokens make the tokens or words that links are between, and links as ranges of these."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attnwidget.record.positions import word_numbers
from attnwidget.record.stream import has_text, own_offset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from attnwidget.record.positions import Positions
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream
    from attnwidget.surveys.gold_links.given import Link, LinksAsked, Span

    Whole = NDArray[np.int64]

__all__ = ["Placed", "Text", "Units", "links_of_stream", "the_text"]


class Placed(NamedTuple):
    """A link between units.

    Attributes:
        query: First unit that it comes from, and past the last.
        key: First unit that it goes to, and past the last.
        label: What kind of link it is.
    """

    query: Span
    key: Span
    label: str


class Text(NamedTuple):
    """What is known of an input's text.

    Attributes:
        spans: Where each token stands in it, ``(0, 0)`` for those that are not of it; None where links are of tokens.
        words: Where each word stands in it.
    """

    spans: Sequence[Span] | None
    words: Sequence[Span]


@dataclass(frozen=True, slots=True)
class Units:
    """Tokens, or the words that they make.

    Attributes:
        queries: The unit of each query token, ascending without gaps.
        keys: The unit of each key token.
        special: Whether each unit of the keys is a special token.
        same: Whether queries and keys are one sequence.
    """

    queries: Whole
    keys: Whole
    special: NDArray[np.bool_]
    same: bool


def the_text(one: Any, words: bool) -> tuple[Any, list[Span]]:  # noqa: FBT001
    """Return an input and where its words stand: those of a list, joined by spaces, or what spaces separate in a text."""
    if not words:
        return one, []
    if isinstance(one, (list, tuple)) and one and all(isinstance(word, str) for word in one):
        ends = np.cumsum([len(word) + 1 for word in one]).tolist()
        spans = [(end - 1 - len(word), end - 1) for word, end in zip(one, ends, strict=True)]
        return " ".join(one), spans
    if isinstance(one, str):
        spans, start = [], 0
        for word in one.split():
            start = one.index(word, start)
            spans.append((start, start + len(word)))
            start += len(word)
        return one, spans
    return one, []


def links_of_stream(
    record: Record, asked: LinksAsked, links: Iterable[Link], text: Text
) -> tuple[Stream, Units, list[Placed]]:
    """Return the stream that links are of, its units, and the links between these.

    Raises:
        KeyError: If there is no such stream.
        ValueError: If there is none of text, or a link names what is not there.
    """
    stream = _stream(record, asked.stream)
    same = own_offset(stream) is not None
    if stream.first_query is not None:
        message = "links are read of inputs that are recorded whole: leave positions= out."
        raise ValueError(message)
    if asked.unit == "tokens":
        axes = (len(stream.query_positions), len(stream.key_positions))
        queries, keys = (np.arange(count) for count in axes)
        placed = [
            Placed(
                _counted(one.query, axes[0], "token"),
                _counted(one.key, axes[1], "token"),
                one.label,
            )
            for one in links
        ]
        return stream, Units(queries, keys, _special(stream.key_positions, keys), same), placed
    if not same or text.spans is None:
        message = (
            f"links_as={asked.unit!r} is for one text within one sequence; the links of stream {stream.name!r} of this input "
            "are between tokens: links_as='tokens'."
        )
        raise ValueError(message)
    if len(text.spans) != len(stream.key_positions):
        message = (
            f"the tokenizer makes {len(text.spans)} tokens of the text, and {len(stream.key_positions)} were recorded: give "
            "links between tokens, links_as='tokens'."
        )
        raise ValueError(message)
    of_words = text.words if asked.unit == "words" else None
    numbers = _units(text.spans, of_words, stream.key_positions)
    units = Units(numbers, numbers, _special(stream.key_positions, numbers), same=True)
    placed = []
    for one in links:
        query, key = (
            end if of_words is None else _characters(end, of_words) for end in (one.query, one.key)
        )
        ends = [_covered(end, text.spans, numbers) for end in (query, key)]
        placed.append(Placed(ends[0], ends[1], one.label))
    return stream, units, placed


def _stream(record: Record, name: str | None) -> Stream:
    if name is not None:
        return record[name]
    for stream in record.streams.values():
        if has_text(stream.query_positions) and has_text(stream.key_positions):
            return stream
    message = (
        f"links are between tokens of text, and no stream has any: {', '.join(record.streams)}."
    )
    raise ValueError(message)


def _counted(end: Span, count: int, what: str) -> Span:
    """Check a range of tokens or words; one number counts from the end where it is negative."""
    start, stop = end
    if start < 0:
        start, stop = start + count, stop + count
    if 0 <= start < stop <= count:
        return start, stop
    named = end[0] if end[1] == end[0] + 1 else end
    message = f"a link names {what} {named}; this input has {what}s 0 .. {count - 1}."
    raise ValueError(message)


def _characters(end: Span, words: Sequence[Span]) -> Span:
    start, stop = _counted(end, len(words), "word")
    return words[start][0], words[stop - 1][1]


def _covered(end: Span, spans: Sequence[Span], numbers: Whole) -> Span:
    """Return the units of the tokens that some characters touch."""
    found = [
        number
        for (start, stop), number in zip(spans, numbers.tolist(), strict=True)
        if start < end[1] and end[0] < stop
    ]
    if found:
        return min(found), max(found) + 1
    message = (
        f"a link names the characters {end[0]} .. {end[1]} of the text, in which no token lies."
    )
    raise ValueError(message)


def _units(spans: Sequence[Span], words: Sequence[Span] | None, positions: Positions) -> Whole:
    """Number the words of a text, tokens that are of none each for itself."""
    if words is None:
        return np.asarray(word_numbers(positions))
    numbers, before, last = [], None, -1
    starts, stops = [start for start, _ in words], [stop for _, stop in words]
    for span in spans:
        first = bisect.bisect_right(stops, span[0])
        some = words[first : bisect.bisect_left(starts, span[1])]
        shared = [min(span[1], stop) - max(span[0], start) for start, stop in some]
        word = first + int(np.argmax(shared)) if shared and max(shared) > 0 else None
        last += word is None or word != before
        before = word
        numbers.append(last)
    return np.asarray(numbers)


def _special(positions: Positions, numbers: Whole) -> NDArray[np.bool_]:
    found = np.zeros(int(numbers[-1]) + 1, dtype=bool)
    found[numbers] = [position.kind == "special" for position in positions]
    return found
