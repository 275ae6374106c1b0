"""`Groups`: which group each query and each key of a stream is in, by what is known of positions or by the caller's word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from attnwidget.analysis.group_labels import GROUPINGS, known_labels
from attnwidget.compute.checks import is_word, options, shown
from attnwidget.compute.group_sums import GroupNumbers
from attnwidget.protocol.constants import REST_GROUP
from attnwidget.record.position_lookup import resolve
from attnwidget.record.positions import word_numbers
from attnwidget.record.stream import own_offset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attnwidget.record.position_lookup import Place
    from attnwidget.record.positions import Position, Positions
    from attnwidget.record.record import Record
    from attnwidget.record.stream import NamedAxes, Stream

By: TypeAlias = "str | Mapping[str, Place] | Callable[[Position], str | None]"

OWN = "own"
"""What the caller's own grouping is called."""

_LACKING = {
    "segment": "its input is not known to be a pair of texts; record one by capture(model, (first, second), tokenizer)",
    "role": "its input is not known to be a chat; record one by capture(model, [{'role': 'user', 'content': '…'}], tokenizer)",
    "turn": "its input is not known to be a chat; record one by capture(model, [{'role': 'user', 'content': '…'}], tokenizer)",
    "modality": "nothing is known of its positions but their numbers",
    "part": "nothing was generated in it; record a generation by recording(model)",
    "special": "nothing is known of its positions but their numbers",
    "sentence": "its positions have no text",
}

__all__ = [
    "OWN",
    "By",
    "Groups",
    "check_by",
    "groups_by_stream",
    "groups_of",
    "no_groups",
    "stream_groups",
]


@dataclass(frozen=True, slots=True)
class Groups:
    """Which group each position of a stream is in; every position is in one.

    Attributes:
        by: The grouping: one of `GROUPINGS`, or ``"own"``.
        names: The groups, in the order in which they come among the keys, then among the queries; ``"rest"`` last.
        queries: Number of each query's group among ``names``.
        keys: Number of each key's group.
    """

    by: str
    names: tuple[str, ...]
    queries: tuple[int, ...]
    keys: tuple[int, ...]

    @classmethod
    def of(
        cls, by: str, queries: Sequence[str | None], keys: Sequence[str | None]
    ) -> Groups | None:
        """Return the groups that these names of positions make, None where no position has a name."""
        names = [name for name in dict.fromkeys((*keys, *queries)) if name is not None]
        if not names:
            return None
        if None in queries or None in keys:
            names.append(REST_GROUP)
        places: dict[str | None, int] = {name: place for place, name in enumerate(names)}
        places[None] = len(names) - 1
        numbers = (tuple(places[name] for name in axis) for axis in (queries, keys))
        return cls(by, tuple(names), *numbers)

    @property
    def asked(self) -> list[int]:
        """Numbers of the groups that have queries."""
        return sorted(set(self.queries))

    @property
    def seen(self) -> list[int]:
        """Numbers of the groups that have keys: there is a share to each of them from each of `asked`."""
        return sorted(set(self.keys))

    @property
    def numbers(self) -> GroupNumbers:
        """The groups as sums of weights take them."""
        return GroupNumbers(len(self.names), self.queries, self.keys)

    def until(self, queries: int, keys: int | None = None) -> Groups:
        """Return the same of the first queries and keys, such as those that there were at a step of a generation."""
        return replace(self, queries=self.queries[:queries], keys=self.keys[:keys])

    def of_words(self, stream: Stream) -> GroupNumbers:
        """Return the groups with each word in that of its first piece, and each word counted once among queries."""
        axes = stream.query_positions, stream.key_positions
        words = [word_numbers(axis) for axis in axes]
        words[0] = words[0][: len(self.queries)]
        found = [
            _of_first(numbers, group)
            for numbers, group in zip(words, (self.queries, self.keys), strict=True)
        ]
        pieces = Counter(words[0])
        rows = [1 / pieces[word] for word in words[0]]
        return GroupNumbers(len(self.names), found[0], found[1], rows)

    def sides(self, name: str | None, other: str | None) -> tuple[list[int] | None, list[int]]:
        """Return the queries of one group, None for all, and the keys of another; None stands for all positions.

        Raises:
            ValueError: If there is no such group, or it has no queries, or no keys.
        """
        queries = None if name is None else self.places(name, "from_group")[0]
        keys = list(range(len(self.keys))) if other is None else self.places(other, "to_group")[1]
        if queries == [] or not keys:
            empty, what = (name, "queries") if queries == [] else (other, "keys")
            message = f"group {empty!r} by {self.by} has no {what}: choose another of {', '.join(self.names)}."
            raise ValueError(message)
        return queries, keys

    def between(self, name: str | None, other: str | None) -> GroupNumbers:
        """Return two groups: the share from 0 to 0 is that from one group to another, None for all positions.

        Raises:
            ValueError: As `sides`.
        """
        found, wanted = self.sides(name, other)
        queries = set(range(len(self.queries)) if found is None else found)
        keys = set(wanted)
        return GroupNumbers(
            2,
            [int(place not in queries) for place in range(len(self.queries))],
            [int(place not in keys) for place in range(len(self.keys))],
        )

    def places(self, name: str, called: str = "group") -> tuple[list[int], list[int]]:
        """Return the queries and the keys of a group; ``called`` is the caller's word for its name.

        Raises:
            ValueError: If there is no such group.
        """
        if not is_word(name, self.names):
            message = f"{called} must be a group by {self.by}, one of {', '.join(self.names)}, got {shown(name)}."
            raise ValueError(message)
        number = self.names.index(name)
        queries, keys = (
            [place for place, group in enumerate(axis) if group == number]
            for axis in (self.queries, self.keys)
        )
        return queries, keys


def _of_first(words: Sequence[int], groups: Sequence[int]) -> list[int]:
    first: dict[int, int] = {}
    for word, group in zip(words, groups, strict=True):
        first.setdefault(word, group)
    return [first[word] for word in words]


def check_by(by: object, name: str = "by") -> None:
    """Refuse what names no grouping.

    Raises:
        ValueError: If it is none of `GROUPINGS`, no mapping from names to positions and no function.
    """
    if isinstance(by, Mapping):
        wrong = [one for one in by if not isinstance(one, str) or not one or one == REST_GROUP]
        if wrong or not by:
            message = (
                f"{name} must map names of groups to positions, such as {name}={{'question': range(0, 5)}}, got "
                f"{'the name ' + shown(wrong[0]) if wrong else 'nothing'}"
                f"{': positions in no group are ' + repr(REST_GROUP) + ' already' if REST_GROUP in wrong else ''}."
            )
            raise ValueError(message)
        return
    if not is_word(by, GROUPINGS) and not callable(by):
        message = (
            f"{name} must be {options(GROUPINGS)}, a dict from names to positions, or a function of a position, got "
            f"{shown(by)}: for instance {name}='segment' or {name}={{'question': range(0, 5)}}."
        )
        raise ValueError(message)


def groups_of(record: Record, by: By, stream: str | None = None) -> dict[str, Groups]:
    """Return the groups of one stream, or of all that have any, by the stream's name.

    Raises:
        KeyError: If there is no such stream.
        ValueError: If ``by`` is no grouping, no stream has groups of this kind, positions of several streams are given
            at once, a position does not exist or is in two groups, or a function gives what is no name.
    """
    check_by(by)
    streams = list(record.streams.values()) if stream is None else [record[stream]]
    if isinstance(by, Mapping) and len(streams) > 1:
        message = (
            f"by={shown(by)} names positions of one stream, there are {list(record)}: pass "
            f"stream={streams[0].name!r} besides."
        )
        raise ValueError(message)
    found = {one.name: stream_groups(record, one, by) for one in streams}
    there = {name: groups for name, groups in found.items() if groups is not None}
    if not there:
        raise ValueError(no_groups(by, found, "by"))
    return there


def groups_by_stream(
    record: Record | None, streams: Mapping[str, NamedAxes], by: By, called: str
) -> dict[str, Groups]:
    """Return the groups of those streams that have any; positions of one of several need not be in the others.

    Raises:
        ValueError: If the caller's own positions are in none of them.
    """
    found: dict[str, Groups] = {}
    refused: ValueError | None = None
    for name, stream in streams.items():
        try:
            groups = stream_groups(record, stream, by, called)
        except ValueError as error:
            refused = error
            continue
        if groups is not None:
            found[name] = groups
    if refused is not None and not found:
        raise refused
    return found


def no_groups(by: By, streams: Iterable[str], name: str) -> str:
    """Return the message that no stream has such groups; ``name`` is what the caller calls ``by``."""
    where = ", ".join(streams)
    if not isinstance(by, str):
        return f"{name} puts no position of {where} in any group: return a name for some, or pass a dict of positions."
    return f"there are no groups by {by} in {where}: {_LACKING[by]}."


def stream_groups(
    record: Record | None, stream: NamedAxes, by: By, called: str = "by"
) -> Groups | None:
    """Return the groups of a stream, None where no position is in any; errors are those of `groups_of`.

    Args:
        record: The record, None for two that are compared.
        stream: The stream.
        by: The grouping.
        called: The caller's word for it.
    """
    queries, keys = stream.query_positions, stream.key_positions
    offset = own_offset(stream)
    # Where the queries stand among the keys.
    own = None if offset is None else slice(offset, offset + len(queries))
    if isinstance(by, Mapping):
        of_keys = _given(by, keys, called)
        # Positions of one sequence are named once; the queries of another one are in no group.
        of_queries = [None] * len(queries) if own is None else of_keys[own]
        return Groups.of(OWN, of_queries, of_keys)
    if callable(by):
        return Groups.of(OWN, _by_function(by, queries, called), _by_function(by, keys, called))
    of_keys = known_labels(record, stream.name, by, keys, axis="keys")
    of_queries = (
        known_labels(record, stream.name, by, queries, axis="queries")
        if own is None
        else of_keys[own]
    )
    return Groups.of(by, of_queries, of_keys)


def _given(by: Mapping[str, Place], positions: Positions, called: str) -> list[str | None]:
    names: list[str | None] = [None] * len(positions)
    for name, place in by.items():
        for at in resolve(f"{called}[{name!r}]", place, positions):
            if names[at] is not None:
                message = (
                    f"{called}: position {at} ({positions[at].label}) is in the groups {names[at]!r} and {name!r}: a position is in "
                    "one group, take it out of the other."
                )
                raise ValueError(message)
            names[at] = name
    return names


def _by_function(
    by: Callable[[Position], str | None], positions: Positions, called: str
) -> list[str | None]:
    names: list[str | None] = []
    for position in positions:
        try:
            name: Any = by(position)
        except TypeError as error:
            message = (
                f"{called}: a function that groups positions takes a Position and returns a name or None, got {shown(by)}, which raised "
                f"TypeError: {error}."
            )
            raise ValueError(message) from error
        if name is not None and (not isinstance(name, str) or not name):
            message = (
                f"{called}: a function that groups positions must return a name, or None for the rest, got {shown(name)} for "
                f"{position.label!r}."
            )
            raise ValueError(message)
        names.append(None if name == REST_GROUP else name)
    return names
