"""How often each head's strongest key is a gold one, and how often one at a fixed offset is: counts, mergeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnwidget.compute.indexing import Axis
from attnwidget.compute.visible_keys import VisibleKeys
from attnwidget.record.stream import own_offset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from attnwidget.record.layer import Layer
    from attnwidget.record.stream import Stream
    from attnwidget.surveys.gold_links.units import Placed, Units

    Numbers = NDArray[np.float64]
    Whole = NDArray[np.int64]
    Bools = NDArray[np.bool_]

__all__ = ["COUNTS", "DIRECTIONS", "LinkCounts"]

COUNTS = (
    "queries",
    "query_hits",
    "query_hits_of_all",
    "links",
    "link_hits",
    "link_hits_of_all",
    "unseen",
)
"""What is counted of each head, in the order of `LinkCounts.counts`."""

DIRECTIONS = ("forward", "backward")
"""From a link's query to its key, and from its key to its query."""

MOST_LABELS = 256
"""Labels of all inputs together, at most."""

# Bytes of weights that are read at a time.
_BLOCK = 1 << 26


@dataclass(frozen=True, slots=True, eq=False)
class LinkCounts:
    """One stream's heads against gold links, over many inputs.

    Heads of all layers stand in one axis, in order. A link counts for a head that may see its key from its query; a query
    counts once for each label of which it has such a link. It is a hit if the strongest of its keys is a gold one; a link is
    one if that is its own key. ``…_of_all`` are the hits among all keys, the others those with special tokens and the query
    itself left out, but for gold keys. A head whose weights are NaN there has no count of it.

    Attributes:
        unit: What links are between: ``"tokens"`` or ``"words"``.
        labels: The labels of all inputs, in the order in which they came.
        layers: Number of each layer and how many heads it has.
        counts: `COUNTS` of them, ``[count, direction, label, head]``.
        weight: Sum of the weights on the links that count, ``[direction, label, head]``.
        seen: Queries and links that count for any head, ``[2, direction, label]``.
        offsets: Of each offset at which a key was gold its direction, label and offset, and the number of queries and of
            links that it hits, ``[offset, 5]``, ascending.
    """

    unit: str
    labels: tuple[str, ...]
    layers: tuple[tuple[int, int], ...]
    counts: Whole
    weight: Numbers
    seen: Whole
    offsets: Whole

    @classmethod
    def of(
        cls, stream: Stream, units: Units, links: Sequence[Placed], unit: str, measure: str
    ) -> LinkCounts:
        """Return those of one input.

        Raises:
            ValueError: If there are too many labels, or a layer cannot give the measure.
        """
        labels = tuple(dict.fromkeys(link.label for link in links))
        _check_labels(labels)
        layers = tuple((layer.layer, layer.num_heads) for layer in stream)
        heads = sum(count for _, count in layers)
        counts = np.zeros((len(COUNTS), 2, len(labels), heads), dtype=np.int64)
        weight = np.zeros((2, len(labels), heads))
        seen = np.zeros((2, 2, len(labels)), dtype=np.int64)
        offsets: list[list[int]] = []
        for direction in range(2 if units.same else 1):
            ends = [(one.key, one.query) if direction else (one.query, one.key) for one in links]
            asked = _Asked.of(ends, [labels.index(link.label) for link in links], units)
            if asked is None:
                continue
            any_seen = np.zeros(len(links), dtype=bool)
            start = 0
            for layer in stream:
                part = slice(start, start + layer.num_heads)
                found = asked.read(layer, own_offset(stream), measure, len(labels))
                counts[:, direction, :, part], weight[direction, :, part], layer_seen = found
                any_seen |= layer_seen
                start = part.stop
            seen[:, direction], rows = asked.baseline(any_seen, len(labels))
            offsets += [[direction, *row] for row in rows]
        table = np.array(sorted(offsets), dtype=np.int64).reshape(-1, 5)
        return cls(unit, labels, layers, counts, weight, seen, table)

    def merge(self, other: LinkCounts) -> LinkCounts:
        """Return those of both sets of inputs together.

        Raises:
            ValueError: If they are of other heads or units, or there are too many labels.
        """
        if (self.unit, self.layers) != (other.unit, other.layers):
            message = (
                f"links between {self.unit} and between {other.unit} of {len(self.layers)} and {len(other.layers)} layers do not "
                "add up: survey all inputs of one model with one links_as=."
            )
            raise ValueError(message)
        labels = tuple(dict.fromkeys((*self.labels, *other.labels)))
        _check_labels(labels)
        first, second = self._with(labels), other._with(labels)
        return LinkCounts(
            self.unit,
            labels,
            self.layers,
            first.counts + second.counts,
            first.weight + second.weight,
            first.seen + second.seen,
            _added(first.offsets, second.offsets),
        )

    def _with(self, labels: tuple[str, ...]) -> LinkCounts:
        """Return the same among more labels."""
        if labels == self.labels:
            return self
        at = np.array([labels.index(label) for label in self.labels], dtype=np.int64)
        heads = self.weight.shape[-1]
        counts = np.zeros((len(COUNTS), 2, len(labels), heads), dtype=np.int64)
        weight = np.zeros((2, len(labels), heads))
        seen = np.zeros((2, 2, len(labels)), dtype=np.int64)
        counts[:, :, at], weight[:, at], seen[:, :, at] = self.counts, self.weight, self.seen
        offsets = self.offsets.copy()
        offsets[:, 1] = at[offsets[:, 1]]
        return LinkCounts(self.unit, labels, self.layers, counts, weight, seen, offsets)


def _check_labels(labels: tuple[str, ...]) -> None:
    if len(labels) > MOST_LABELS:
        message = (
            f"links have {len(labels)} labels, such as {labels[-1]!r}; a survey keeps at most {MOST_LABELS} of all inputs "
            "together."
        )
        raise ValueError(message)


def _added(first: Whole, second: Whole) -> Whole:
    both = np.concatenate([first, second])
    places, of = np.unique(both[:, :3], axis=0, return_inverse=True)
    sums = np.zeros((len(places), 2), dtype=np.int64)
    np.add.at(sums, of.reshape(-1), both[:, 3:])
    return np.concatenate([places, sums], axis=1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The links of one direction, put in order by their queries.

    Attributes:
        queries: The units that each query is made of, first and past the last, ``[query, 2]``.
        query_of: The query of each link.
        pair_of: The number of the query and label of each link, among those that occur.
        label_of: The label of each link.
        pair_labels: The label of each of these pairs.
        keys: The units that each link's key is made of, ``[link, 2]``.
        rows: The tokens of each query.
        columns: The first token of each unit of the keys.
        num_keys: Number of the tokens of the keys.
        left_out: Whether a unit is left out of the keys of a query, ``[query, unit]``.
    """

    queries: Whole
    query_of: Whole
    pair_of: Whole
    label_of: Whole
    pair_labels: Whole
    keys: Whole
    rows: tuple[Whole, ...]
    columns: Whole
    num_keys: int
    left_out: Bools

    @classmethod
    def of(
        cls,
        ends: Sequence[tuple[tuple[int, int], tuple[int, int]]],
        labels: Sequence[int],
        units: Units,
    ) -> _Asked | None:
        if not ends:
            return None
        queries, query_of = np.unique(
            np.array([query for query, _ in ends], dtype=np.int64), axis=0, return_inverse=True
        )
        query_of = query_of.reshape(-1)
        label_of, keys = np.array(labels), np.array([key for _, key in ends], dtype=np.int64)
        pairs, pair_of = np.unique(np.stack([query_of, label_of], 1), axis=0, return_inverse=True)
        left_out = np.repeat(units.special[None], len(queries), axis=0)
        if units.same:
            for row, (first, last) in zip(left_out, queries.tolist(), strict=True):
                row[first:last] = True
        for number, (first, last) in zip(query_of.tolist(), keys.tolist(), strict=True):
            left_out[number, first:last] = False
        rows = tuple(
            np.flatnonzero((units.queries >= first) & (units.queries < last))
            for first, last in queries.tolist()
        )
        columns = np.flatnonzero(np.diff(units.keys, prepend=-1))
        return cls(
            queries, query_of, pair_of.reshape(-1), label_of, pairs[:, 1], keys, rows, columns, len(units.keys), left_out
        )  # fmt: skip

    def read(
        self, layer: Layer, offset: int | None, measure: str, num_labels: int
    ) -> tuple[Whole, Numbers, Bools]:
        """Return counts, sums of weights, and which links any head may see."""
        strongest = np.zeros((2, layer.num_heads, len(self.queries)), dtype=np.int64)
        there = np.zeros((2, layer.num_heads, len(self.queries)), dtype=bool)
        weight = np.zeros((layer.num_heads, len(self.keys)))
        # Links that each head may see, and those that it may not: rows of NaN are neither.
        seen, hidden = np.zeros((2, layer.num_heads, len(self.keys)), dtype=bool)
        visible = VisibleKeys(layer, offset=offset)
        for some, rows in self._blocks(layer.num_heads):
            block = layer.measure(measure, queries=rows).astype(np.float64)
            sees = visible.of(Axis(tuple(rows)), range(self.num_keys)).cpu().numpy()
            starts = np.cumsum([0, *(len(self.rows[one]) for one in some)])[:-1]
            summed = np.add.reduceat(block, self.columns, axis=2)
            lengths = np.array([len(self.rows[one]) for one in some])
            merged = np.add.reduceat(summed, starts, axis=1) / lengths[:, None]
            sees = np.logical_or.reduceat(sees, self.columns, axis=2)
            sees = np.logical_or.reduceat(sees, starts, axis=1)
            part = slice(some.start, some.stop)
            good = ~np.isnan(merged).any(-1)
            merged = np.nan_to_num(merged)
            left = np.where(self.left_out[part], -1.0, merged)
            for rule, numbers in enumerate((left, merged)):
                strongest[rule, :, part] = numbers.argmax(-1)
                there[rule, :, part] = good & (numbers.max(-1) > 0)
            for number in np.flatnonzero(
                (self.query_of >= some.start) & (self.query_of < some.stop)
            ):
                at, (first, last) = self.query_of[number] - some.start, self.keys[number]
                weight[:, number] = merged[:, at, first:last].sum(-1)
                visible_any = sees[:, at, first:last].any(-1)
                seen[:, number], hidden[:, number] = visible_any & good[:, at], ~visible_any
        return self._counted(strongest, there, weight, (seen, hidden), num_labels)

    def _blocks(self, heads: int) -> Iterator[tuple[range, list[int]]]:
        """Yield queries, and their tokens, so that the weights of a block stay small."""
        most = max(1, _BLOCK // (8 * heads * self.num_keys))
        start, tokens = 0, 0
        for number, rows in enumerate(self.rows):
            if number > start and tokens + len(rows) > most:
                yield range(start, number), np.concatenate(self.rows[start:number]).tolist()
                start, tokens = number, 0
            tokens += len(rows)
        yield range(start, len(self.rows)), np.concatenate(self.rows[start:]).tolist()

    def _counted(
        self,
        strongest: Whole,
        there: Bools,
        weight: Numbers,
        seen_or_hidden: tuple[Bools, Bools],
        num_labels: int,
    ) -> tuple[Whole, Numbers, Bools]:
        seen, hidden = seen_or_hidden
        at = strongest[:, :, self.query_of]
        hits = (at >= self.keys[:, 0]) & (at < self.keys[:, 1]) & there[:, :, self.query_of] & seen
        of_links = _one_hot(self.label_of, num_labels)
        of_pairs = _one_hot(self.pair_labels, num_labels)
        order = np.argsort(self.pair_of, kind="stable")
        starts = np.flatnonzero(np.diff(self.pair_of[order], prepend=-1))
        queries, query_hits = (
            np.logical_or.reduceat(each[..., order], starts, axis=-1) @ of_pairs
            for each in (seen, hits)
        )
        links, link_hits = seen @ of_links, hits @ of_links
        unseen = hidden @ of_links
        found = np.stack([queries, *query_hits, links, *link_hits, unseen])
        any_head: Bools = np.asarray(seen.any(0))
        return found.swapaxes(1, 2), ((weight * seen) @ of_links).T, any_head

    def baseline(self, seen: Bools, num_labels: int) -> tuple[Whole, list[list[int]]]:
        """Return how many queries and links any head may see, of each label, and what each offset hits of them."""
        pairs = np.unique(self.pair_of[seen])
        counted = (self.pair_labels[pairs], self.label_of[seen])
        totals = np.stack([np.bincount(one, minlength=num_labels) for one in counted])
        hit_links: dict[tuple[int, int], int] = {}
        hit_pairs: dict[tuple[int, int], set[int]] = {}
        for number in np.flatnonzero(seen).tolist():
            label, first = int(self.label_of[number]), int(self.queries[self.query_of[number], 0])
            for key in range(*self.keys[number].tolist()):
                place = (label, key - first)
                hit_links[place] = hit_links.get(place, 0) + 1
                hit_pairs.setdefault(place, set()).add(int(self.pair_of[number]))
        rows = [[*place, len(hit_pairs[place]), count] for place, count in hit_links.items()]
        return totals, rows


def _one_hot(numbers: Whole, size: int) -> Whole:
    return np.eye(size, dtype=np.int64)[numbers]
