"""`Places`: the queries in which each head has the highest values of a rule, and how they are found in one input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from attnwidget.analysis.score_definitions import PAIRS, SCORES, SHARES
from attnwidget.compute.block_sizes import current_sizes
from attnwidget.surveys.contexts.rules import DIGITS, RULES, THRESHOLD

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.analysis.score_sums import Patterns
    from attnwidget.analysis.scored_rows import ScoredRows
    from attnwidget.record.stream import Stream

__all__ = ["FiringLinks", "PlaceFinder", "Places"]

_SCALE = 10**DIGITS
_FIELDS = ("value", "weight", "input", "query", "key")


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The places with the highest values, best first, of each head and rule; of equal ones the earlier input and query.

    Attributes:
        value: What they are ranked by, float32 ``[head, rule, place]``, -1 where there is none.
        weight: Weight of the link from query to key.
        input: Number of the input, int64, -1 where there is none.
        query: The query position, int32.
        key: The key position: of those that the rule is about the one with the most weight, the first of equal ones.
    """

    value: NDArray[np.float32]
    weight: NDArray[np.float32]
    input: NDArray[np.int64]
    query: NDArray[np.int32]
    key: NDArray[np.int32]

    @classmethod
    def none(cls, heads: int, count: int) -> Places:
        """Return room for so many places without any."""
        shape = (heads, len(RULES), count)
        return cls(
            np.full(shape, -1, np.float32),
            np.zeros(shape, np.float32),
            np.full(shape, -1, np.int64),
            np.full(shape, -1, np.int32),
            np.full(shape, -1, np.int32),
        )

    @property
    def arrays(self) -> tuple[NDArray[np.generic], ...]:
        """The arrays, in the order of the fields."""
        return tuple(getattr(self, name) for name in _FIELDS)

    def shifted(self, shift: int) -> Places:
        """Return the same with inputs numbered from ``shift`` on."""
        moved = np.where(self.input >= 0, self.input + shift, -1)
        return Places(self.value, self.weight, moved, self.query, self.key)

    def widened(self, count: int) -> Places:
        """Return the same with room for so many places."""
        more = count - self.value.shape[-1]
        if more <= 0:
            return self
        room = ((0, 0), (0, 0), (0, more))
        nothing = (-1, 0, -1, -1, -1)
        filled = (
            np.pad(array, room, constant_values=value)
            for array, value in zip(self.arrays, nothing, strict=True)
        )
        return Places(*filled)

    def merge(self, other: Places) -> Places:
        """Return the best of both, as many as ``self`` has; the inputs of ``other`` are later ones, or its queries are."""
        keep = self.value.shape[-1]
        if not keep or not other.value.shape[-1]:
            return self
        # Of equal values those of `self` stay, so only rows with a higher one change.
        better = other.value[..., 0] > self.value[..., -1]
        if not better.any():
            return self
        value = np.concatenate([self.value[better], other.value[better]], -1)
        order = np.argsort(-value, axis=-1, kind="stable")[..., :keep]
        made = []
        for mine, others in zip(self.arrays, other.arrays, strict=True):
            both = np.concatenate([mine[better], others[better]], -1)
            array = mine.copy()
            array[better] = np.take_along_axis(both, order, -1)
            made.append(array)
        return Places(*made)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class FiringLinks:
    """The strongest link of each query of one input, where it has `THRESHOLD` or more, in order of heads and queries.

    Attributes:
        head: Head among all of the stream, int32 ``[link]``.
        query: Query position.
        key: Key position.
    """

    head: NDArray[np.int32]
    query: NDArray[np.int32]
    key: NDArray[np.int32]


class PlaceFinder:
    """Looks for places while the rows of one stream of one input are scored.

    Args:
        stream: The stream.
        keep: How many places to keep for each head and rule.
    """

    def __init__(self, stream: Stream, keep: int) -> None:
        counts = [layer.num_heads for layer in stream]
        self._starts = np.cumsum([0, *counts]).tolist()
        self._found = Places.none(self._starts[-1], min(keep, len(stream.query_positions)))
        self._plain = torch.tensor([one.kind != "special" for one in stream.query_positions])
        self._links: list[FiringLinks] = []
        self._masks: tuple[Patterns, Tensor] | None = None

    def see(self, place: int, rows: ScoredRows) -> None:
        """Look at some rows of a layer; see `RowWatcher`."""
        masks = self._masks_of(rows.patterns)
        queries = rows.patterns.queries.indices[rows.rows]
        first, start = queries[0], rows.keys.start
        some = slice(start - rows.patterns.keys.start, rows.keys.stop - rows.patterns.keys.start)
        masks = masks[:, rows.rows, some]
        allowed = torch.where(masks[0], rows.weights, -1.0)
        strongest, at = allowed.max(-1)
        plain = self._plain[first : first + len(queries)].to(strongest.device)
        values, valid = self._values(rows, strongest)
        valid[..., 0] = (strongest > 0) & plain
        # One number for value and query: the largest are the highest values, of equal ones the first queries.
        rounded = torch.where(valid, (values.double() * _SCALE).round(), -1.0).long()
        number = torch.arange(len(queries), device=rounded.device)
        ranked = rounded * len(queries) + (len(queries) - 1 - number)[None, :, None]
        keep = min(self._found.value.shape[-1], len(queries))
        chosen = ranked.transpose(1, 2).topk(keep, dim=-1).values
        rank = torch.div(chosen, len(queries), rounding_mode="floor")
        query = len(queries) - 1 - chosen.remainder(len(queries))
        weight, key = _strongest(rows.weights, masks, query)
        there = rank >= 0
        part = Places(
            torch.where(there, rank.double() / _SCALE, -1.0).float().cpu().numpy(),
            torch.where(there, weight, 0.0).cpu().numpy(),
            torch.where(there, 0, -1).cpu().numpy(),
            torch.where(there, query + first, -1).int().cpu().numpy(),
            torch.where(there, key + start, -1).int().cpu().numpy(),
        )
        begin = self._starts[place] + rows.heads.start
        self._add(slice(begin, begin + len(rank)), part)
        self._note(begin, valid[..., 0] & (strongest >= THRESHOLD), at + start, first)

    def found(self) -> tuple[Places, FiringLinks]:
        """Return the places of the input, and its links that fire."""
        head, query, key = (
            np.concatenate([getattr(one, name) for one in self._links] or [np.zeros(0, np.int32)])
            for name in ("head", "query", "key")
        )
        order = np.lexsort((query, head))
        return self._found, FiringLinks(head[order], query[order], key[order])

    def _values(self, rows: ScoredRows, strongest: Tensor) -> tuple[Tensor, Tensor]:
        """Return value of each row by each rule, and whether it has one, ``[head, query, rule]``."""
        values, names = rows.values.clone(), list(SCORES)
        seen = rows.counts[..., None].to(values)
        far = [names.index("local"), names.index("broad")]
        values[..., far] *= seen / (seen + 1)
        valid = rows.valid & ~values.isnan()
        valid = valid.expand(values.shape).clone()
        for name in rows.patterns.features.absent:
            valid[..., names.index(name)] = False
        values = torch.cat([strongest[..., None].to(values), values], -1).nan_to_num()
        return values, torch.cat([torch.zeros_like(valid[..., :1]), valid], -1)

    def _masks_of(self, patterns: Patterns) -> Tensor:
        """Return the keys that each rule is about, boolean ``[rule, query, key]`` over the block; kept for its layers."""
        if self._masks is not None and self._masks[0] is patterns:
            return self._masks[1]
        outside = ~patterns.mask("sink")
        link = outside & ~patterns.mask("self")
        special = patterns.features.keys["special"][patterns.keys.start : patterns.keys.stop]
        link &= ~special.to(link.device)
        any_key = torch.ones_like(link)
        known = {*SHARES, *PAIRS}
        masks = torch.stack(
            [link, *(patterns.mask(name) if name in known else any_key for name in SCORES)]
        )
        self._masks = patterns, masks
        return masks

    def _add(self, heads: slice, part: Places) -> None:
        held = Places(*(array[heads] for array in self._found.arrays))  # type: ignore[arg-type]
        merged = held.merge(part)
        for array, new in zip(self._found.arrays, merged.arrays, strict=True):
            array[heads] = new

    def _note(self, begin: int, fires: Tensor, key: Tensor, first: int) -> None:
        head, query = fires.nonzero(as_tuple=True)
        found = head + begin, query + first, key[head, query]
        self._links.append(FiringLinks(*(one.int().cpu().numpy() for one in found)))


def _strongest(weights: Tensor, masks: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight and place of the strongest key that each rule is about, ``[head, rule, place]``.

    Args:
        weights: ``[head, query, key]``.
        masks: Which keys each rule is about, ``[rule, query, key]``.
        query: Queries of each head and rule, ``[head, rule, place]``.
    """
    heads, rules, places = query.shape
    head = torch.arange(heads, device=query.device)[:, None, None]
    rule = torch.arange(rules, device=query.device)[None, :, None]
    row_bytes = 4 * heads * places * weights.shape[-1]
    # For short inputs all rules at once, for long ones one by one.
    step = max(1, current_sizes().row_bytes // max(1, row_bytes))
    found = []
    for at in range(0, rules, step):
        some = slice(at, at + step)
        chosen = weights[head, query[:, some]]
        about = masks[rule[:, some], query[:, some]]
        found.append(torch.where(about, chosen.nan_to_num(), -1.0).max(-1))
    return torch.cat([one[0] for one in found], 1), torch.cat([one[1] for one in found], 1)
