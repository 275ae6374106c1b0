"""`InputTokens`: the tokens around the places that a survey keeps, by input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnwidget.protocol.text import well_formed
from attnwidget.record.stream import own_offset
from attnwidget.surveys.contexts.rules import NEAR, NEAR_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.record.positions import Positions
    from attnwidget.record.stream import Stream
    from attnwidget.surveys.contexts.places import Places

__all__ = ["InputTokens", "TokenAxis", "labels_of", "pruned"]

# Characters that are kept of a token: a "token" that a caller gave may be a whole page.
_LENGTH = 60

# Runs of tokens that are shown together: position and label of each, and whether it joins the token before.
TokenAxis = dict[int, tuple[str, bool]]


def labels_of(positions: Positions) -> tuple[str, ...]:
    """Return what tokens are called in contexts and counts: one line each, no surrogates, at most 60 characters."""
    return tuple(
        well_formed(one.label if len(one.label) <= _LENGTH else one.label[: _LENGTH - 1] + "…")
        for one in positions
    )


def _joined(positions: Positions) -> tuple[bool, ...]:
    """Return which positions stand right after the one before, with no space between."""
    spaced = any((one.text or "").startswith((" ", "\n")) for one in positions)
    if not spaced:
        return tuple(one.continues for one in positions)
    return tuple(
        one.kind != "special" and not (one.text or "").startswith((" ", "\n")) for one in positions
    )


@dataclass(frozen=True, slots=True, eq=False)
class InputTokens:
    """Tokens of one input.

    Attributes:
        queries: Those around queries, by query position; empty where queries stand among the keys.
        keys: Those around keys, and around queries that stand among them, by key position.
        offset: Where query 0 stands among the keys; None where queries and keys are different sequences.
    """

    queries: TokenAxis
    keys: TokenAxis
    offset: int | None

    @classmethod
    def of(cls, stream: Stream, places: Places) -> InputTokens:
        """Return the tokens around all places of one input."""
        offset = own_offset(stream)
        there = places.input >= 0
        query, key = np.unique(places.query[there]), np.unique(places.key[there])
        keys = _near(key, NEAR_KEY, len(stream.key_positions))
        if offset is not None:
            keys |= _near(query + offset, NEAR, len(stream.key_positions))
            return cls({}, _axis(stream.key_positions, keys), offset)
        queries = _near(query, NEAR, len(stream.query_positions))
        return cls(_axis(stream.query_positions, queries), _axis(stream.key_positions, keys), None)

    def limited(self, query: NDArray[np.int32], key: NDArray[np.int32]) -> InputTokens:
        """Return the tokens around some places only."""
        far = 1 + max([-1, *self.queries, *self.keys])
        keys = _near(np.unique(key), NEAR_KEY, far)
        if self.offset is not None:
            keys |= _near(np.unique(query) + self.offset, NEAR, far)
            return InputTokens({}, _some(self.keys, keys), self.offset)
        queries = _near(np.unique(query), NEAR, far)
        return InputTokens(_some(self.queries, queries), _some(self.keys, keys), None)


def _near(places: NDArray[np.int32], near: int, size: int) -> set[int]:
    if not len(places):
        return set()
    around = (places[:, None] + np.arange(-near, near + 1)).reshape(-1)
    return set(around[(around >= 0) & (around < size)].tolist())


def _axis(positions: Positions, chosen: set[int]) -> TokenAxis:
    labels, joined = labels_of(positions), _joined(positions)
    return {place: (labels[place], joined[place]) for place in sorted(chosen)}


def _some(axis: TokenAxis, chosen: set[int]) -> TokenAxis:
    return {place: token for place, token in axis.items() if place in chosen}


def pruned(windows: Mapping[int, InputTokens], places: Places) -> dict[int, InputTokens]:
    """Return the tokens around some places only, by input, in the order of the inputs."""
    there = places.input >= 0
    inputs, query, key = places.input[there], places.query[there], places.key[there]
    order = np.argsort(inputs, kind="stable")
    numbers, starts = np.unique(inputs[order], return_index=True)
    parts: Sequence[NDArray[np.int64]] = np.split(order, starts[1:])
    return {
        number: windows[number].limited(query[part], key[part])
        for number, part in zip(numbers.tolist(), parts, strict=False)
    }
