"""Annotated links as a caller gives them: beside the inputs, with them, or by a function of each."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, NamedTuple

from attnwidget.compute.checks import check_choice, integer, listed, shown
from attnwidget.surveys.lengths import length_of

__all__ = [
    "Link",
    "Linked",
    "LinkedInputs",
    "LinksAsked",
    "Span",
    "asked_links",
    "read_links",
    "with_links",
]

UNITS = ("tokens", "characters", "words")

UNNAMED = "link"
"""The label of links that have none."""

_SUCH = "[(query, key), (query, key, 'label'), …]"

Span = tuple[int, int]
"""First and past the last; an integer ``n`` is ``(n, n + 1)``, negative where it counts from the end: ``(-1, 0)``."""


class Linked(NamedTuple):
    """An input and its links.

    Attributes:
        one: The input.
        links: The links, as they were given.
    """

    one: Any
    links: Any


class Link(NamedTuple):
    """One link, checked.

    Attributes:
        query: Where it comes from.
        key: Where it goes to.
        label: What kind of link it is.
    """

    query: Span
    key: Span
    label: str


@dataclass(frozen=True, slots=True)
class LinksAsked:
    """How links are given.

    Attributes:
        of: Makes the links of an input, or the name of a column of the rows; None where they come with the inputs.
        unit: What they count: ``"tokens"``, ``"characters"`` or ``"words"``.
        stream: The stream that they are of; None for the first of text.
    """

    of: Any
    unit: str
    stream: str | None

    def described(self) -> dict[str, Any]:
        """Return what a file says of it: links that come with the inputs are told apart with these."""
        return {"links": self.of or "given", "links_as": self.unit, "links_stream": self.stream}


class LinkedInputs:
    """Inputs with the links beside each, read once for each time they are iterated.

    Args:
        texts: The inputs.
        links: The links of each; ``True`` where each input is a pair of the input itself and its links.
    """

    def __init__(self, texts: Iterable[Any], links: Any) -> None:
        """Compare the lengths where both are known.

        Raises:
            ValueError: If they differ.
        """
        self._texts, self._links = texts, links
        given = [None if each is True else length_of(each) for each in (texts, links)]
        if None not in given and given[0] != given[1]:
            raise ValueError(_not_parallel(*given))
        self._length = given[0]

    def __len__(self) -> int:
        if self._length is None:
            message = "only reading the inputs tells how many there are"
            raise TypeError(message)
        return self._length

    def __iter__(self) -> Iterator[Linked]:
        if self._links is True:
            yield from map(_pair, self._texts)
            return
        nothing = object()
        links = iter(self._links)
        read = 0
        for one in self._texts:
            own = next(links, nothing)
            if own is nothing:
                raise ValueError(_not_parallel("more", read))
            read += 1
            yield Linked(one, _kept(own))
        if next(links, nothing) is not nothing:
            raise ValueError(_not_parallel(read, "more"))


def _kept(links: Any) -> Any:
    """Return links that can be read more than once."""
    return list(links) if isinstance(links, Iterator) else links


def _not_parallel(texts: object, links: object) -> str:
    return (
        f"links must have one entry for each input, got links of {links} inputs for {texts}: pass an empty list for an "
        "input without, or a function of an input, links=find_links."
    )


def _pair(one: Any) -> Linked:
    if isinstance(one, tuple) and len(one) == 2:
        return Linked(one[0], _kept(one[1]))
    message = f"with links=True each input is a pair, (input, {_SUCH}), got {shown(one)}."
    raise ValueError(message)


def asked_links(links: Any, unit: Any, stream: str | None) -> LinksAsked | None:
    """Return how links are given, if they are.

    Raises:
        TypeError: If they are no links.
        ValueError: If there is no such unit.
    """
    check_choice("links_as", unit, UNITS)
    if links is None or links is False:
        return None
    called = (FunctionType, MethodType, BuiltinFunctionType, functools.partial)
    if isinstance(links, (str, *called)):
        return LinksAsked(links, unit, stream)
    if callable(links) and not isinstance(links, type):
        return LinksAsked(links, unit, stream)
    # Without an order, as a set, they are beside no inputs; an array without axes is one number.
    several = isinstance(links, Iterable) and not isinstance(
        links, (Mapping, set, frozenset, bytes)
    )
    if links is True or (several and getattr(links, "ndim", 1) != 0):
        return LinksAsked(None, unit, stream)
    message = (
        f"links must be a sequence with one entry for each input, {_SUCH}, a function that makes it of an input, the name of "
        f"a column, or True where each input is (input, links); got {shown(links)}."
    )
    raise TypeError(message)


def with_links(texts: Iterable[Any], links: Any, asked: LinksAsked | None) -> Iterable[Any]:
    """Return the inputs with the links that are given beside them."""
    return texts if asked is None or asked.of is not None else LinkedInputs(texts, links)


def read_links(given: Any) -> tuple[Link, ...]:
    """Check the links of one input.

    Raises:
        ValueError: If one is none; it says which.
    """
    several = listed(given)
    if several is None:
        message = f"the links of an input must be {_SUCH}, got {shown(given)}."
        raise ValueError(message)
    return tuple(dict.fromkeys(_link(number, one) for number, one in enumerate(several)))


def _link(number: int, one: Any) -> Link:
    parts = listed(one)
    if parts is not None and len(parts) in {2, 3}:
        query, key = (_span(part) for part in parts[:2])
        label = parts[2] if len(parts) == 3 else UNNAMED
        if query is not None and key is not None and isinstance(label, str) and label:
            return Link(query, key, label)
    message = (
        f"link {number} must be (query, key) or (query, key, 'label'), each end an integer or (start, end) with the end past "
        f"the last, got {shown(one)}."
    )
    raise ValueError(message)


def _span(end: Any) -> Span | None:
    number = integer(end)
    if number is not None:
        return number, number + 1
    ends = listed(end)
    if ends is None or len(ends) != 2:
        return None
    start, stop = (integer(each) for each in ends)
    return None if start is None or stop is None or not 0 <= start < stop else (start, stop)
