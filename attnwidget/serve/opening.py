"""`choose`: the link that a view opens on where the caller names none, found by the pass that makes the thumbnails."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.analysis.head_scores import labels
from attnwidget.analysis.largest_link import largest_link
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.compute.indexing import Axis
from attnwidget.compute.overview import overview_rows, sharp_links
from attnwidget.compute.resumable import finish
from attnwidget.record.positions import word_numbers
from attnwidget.serve.streams import num_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.analysis.head_scores import LayerScores
    from attnwidget.compute.overview import SharpLinks
    from attnwidget.compute.sharpest import Aside
    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream
    from attnwidget.serve.head_numbers import RecordNumbers
    from attnwidget.serve.thumbnails import Thumbnails

__all__ = [
    "CHOSEN_BY_CALLER",
    "Chosen",
    "choose",
    "labelled",
    "others",
    "selected_of",
]

# With any of these the caller said what is to be seen.
CHOSEN_BY_CALLER = frozenset({"layer", "heads", "query", "key", "step", "compare", "ranking"})
# A link with less weight is not called sharp.
SHARP = 0.3
# Where thumbnails come later, so many weights are read before the first picture: about 50 ms on one core.
READ_FIRST = 1 << 24
# Up to so many weights the scores that labels come from are had at once; the page asks for the same ones.
LABELS_AT_ONCE = 1 << 21
# A mean weight from which on a head is called after where it looks, where its scores are not computed yet.
MOSTLY = 0.5
# How many other heads are named.
MOST_OTHERS, FEWEST_OTHERS = 4, 2
# What heads do, the more telling first.
_TELLING = (
    "induction", "duplicate", "previous", "next", "self", "same_word", "sentence", "punctuation", "delimiter",
    "local", "first", "special", "sink",
)  # fmt: skip

# Why a link is chosen under a measure of gradients.
_LARGEST = {"gradient": "largest weight × gradient", "relevance": "largest relevance"}

_Link = tuple["Layer", int, int, int]
Chosen = dict[str, Any]
"""What a view opened on; see ``Chosen`` in the schema."""


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """What is known of a layer's heads before the first picture.

    Attributes:
        layer: The layer.
        sharp: The sharpest links.
        first_key: Mean weight on the first key, float32 ``[head]``; None where only some queries were read.
        count: How many of its queries were read.
    """

    layer: Layer
    sharp: SharpLinks
    first_key: NDArray[np.float32] | None
    count: int


@dataclass(frozen=True, slots=True)
class Named:
    """A head that is called after what it does.

    Attributes:
        name: A name in `SCORES`.
        value: How clearly, 0 to 1.
        layer: The model's number of its layer.
        head: Its number there.
    """

    name: str
    value: float
    layer: int
    head: int


def selected_of(chosen: Chosen | None) -> dict[str, Any]:
    """Return the part of a selection that a choice makes."""
    if chosen is None:
        return {}
    pins = {name: chosen[name] for name in ("query", "key") if chosen[name] is not None}
    return {"stream": chosen["stream"], "layer": chosen["layer"], "heads": [chosen["head"]], **pins}


def choose(
    record: Record,
    thumbnails: Thumbnails,
    numbers: RecordNumbers,
    name: str | None = None,
    *,
    words: bool = False,
    measure: str | None = None,
) -> Chosen:
    """Choose the head, the query and the key that say most.

    Among all links, those to the first key, to special tokens, to the query itself and to its neighbours set aside, it is
    the one with the largest weight; where none has more than ``SHARP``, the head with the clearest label; else the head of
    the last layer that spreads its weight most. Under a measure of gradients it is the link where that is largest in size,
    wherever it is: the sharpest link may add nothing to the metric. Streams of text come before those of pictures and sounds alone. Weights
    are read once, for the thumbnails; where these come later, some queries are read for it.

    Args:
        record: The record.
        thumbnails: Its thumbnails.
        numbers: Its head scores, for what other heads do.
        name: The stream to choose from; all of them when left out.
        words: Whether words are shown: a link between the pieces of one word, or of neighbours, is none to be shown then.
        measure: What is shown of the links; weights, or what lengths make of them, when left out.
    """
    asked = [record[name]] if name is not None else list(record.streams.values())
    streams = [stream for stream in asked if stream.has_text] or asked
    read = {stream.name: _read(stream, thumbnails, streams) for stream in streams}
    known = _Known(streams, read, numbers)
    if measure in _LARGEST:
        largest = largest_link(streams, measure, READ_FIRST)
        if largest is not None:
            return known.chosen(*largest, f"the link with the {_LARGEST[measure]}")
    found = known.sharpest(thumbnails, words=words)
    if found is not None:
        stream, link = found
        left_out = _left_out(stream, neighbours=thumbnails.aside(stream).offset is not None)
        return known.chosen(stream, link, f"the sharpest link that is not to {left_out}")
    stream, layer, head, why = known.clearest() or known.broadest()
    query = _last_of_content(stream)
    key = int(np.nan_to_num(layer.weights(head, query), nan=-1.0).argmax())
    few = f"no link has more than {SHARP}"
    return known.chosen(stream, (layer, head, query, key), f"{why}; {few}")


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What is known of a record before the first picture.

    Attributes:
        streams: The streams that are chosen from.
        read: What is known of the layers of each.
        numbers: The head scores.
    """

    streams: Sequence[Stream]
    read: Mapping[str, Sequence[_Read]]
    numbers: RecordNumbers

    def sharpest(self, thumbnails: Thumbnails, *, words: bool) -> tuple[Stream, _Link] | None:
        """Return the sharpest link, the first of equal ones, with its stream; None where none is sharp.

        Args:
            thumbnails: Say what is set aside.
            words: Whether links within a word or between words side by side are set aside as well. Of a head whose
                sharpest link is one, all weights are read, as long as those are few enough together.
        """
        # Of each head its sharpest link; the place in the list keeps equal ones in their order.
        heads = [
            (-float(one.sharp.weight[head]), place, int(one.sharp.query[head]), False)
            for place, (_, one, head) in enumerate(self._heads())
        ]
        heapq.heapify(heads)
        at = list(self._heads())
        numbers = {
            stream.name: torch.tensor(word_numbers(stream.key_positions))
            for stream in self.streams
            if words and thumbnails.aside(stream).offset is not None
        }
        left = READ_FIRST
        while heads and -heads[0][0] > SHARP:
            _, place, query, apart = heapq.heappop(heads)
            stream, one, head = at[place]
            aside, own = thumbnails.aside(stream), numbers.get(stream.name)
            rows = _HeadRows(one.layer, head, aside, own)
            key = rows.largest([query], apart=apart)[2]
            if apart or not rows.near([query])[0, key]:
                return stream, (one.layer, head, query, key)
            left -= one.layer.n_query * one.layer.n_key
            if left >= 0:
                weight, query, _ = rows.largest(range(one.layer.n_query), apart=True)
                heapq.heappush(heads, (-weight, place, query, True))
        return None

    def _heads(self) -> Iterator[tuple[Stream, _Read, int]]:
        return (
            (stream, one, head)
            for stream in self.streams
            for one in self.read[stream.name]
            for head in range(one.layer.num_heads)
        )

    def clearest(self) -> tuple[Stream, Layer, int, str] | None:
        """Return the head with the clearest label, and why it is chosen; None where no head has one."""
        found = [(stream, one) for stream in self.streams for one in self.named(stream)]
        if not found:
            return None
        stream, named = max(found, key=lambda at: at[1].value)
        label = f"{SCORES[named.name].label} {named.value:.2f}"
        why = f"the head with the clearest label, {label}"
        return stream, stream[named.layer], named.head, why

    def broadest(self) -> tuple[Stream, Layer, int, str]:
        """Return the head of the last layer whose queries have the least largest weights, and why it is chosen."""
        stream = self.streams[-1]
        last = self.read[stream.name][-1]
        why = "the broadest head of the last layer, for none has a label"
        return stream, last.layer, int(last.sharp.largest.argmin()), why

    def chosen(self, stream: Stream, link: _Link, why: str) -> Chosen:
        """Return a choice with its reason, and what it was chosen from."""
        layer, head, query, key = link
        if len(self.streams) > 1:
            names = [one.name for one in self.streams]
            why += f", in {', '.join(names[:-1])} and {names[-1]}"
        some, whole = min((one.count, one.layer.n_query) for one in self.read[stream.name])
        if some < whole:
            why += f", among {some:,} of {whole:,} queries"
        weight = float(np.nan_to_num(layer.weights(head, query, key)))
        place = {"layer": layer.layer, "head": head, "query": query, "key": key}
        also = others(self.named(stream), (layer.layer, head))
        return {"stream": stream.name, **place, "weight": weight, "why": why, "also": also}

    def named(self, stream: Stream) -> list[Named]:
        """Return the heads that a word says what they do of: by their scores where those are had at once."""
        return _named(stream, self.read[stream.name], self.numbers)


@dataclass(frozen=True, slots=True, eq=False)
class _HeadRows:
    """The links of one head, with what is set aside.

    Attributes:
        layer: Its layer.
        head: Its number there.
        aside: Which links do not count.
        words: Of each key the number of its word, where words are shown and queries and keys are one sequence.
    """

    layer: Layer
    head: int
    aside: Aside
    words: Tensor | None

    def near(self, queries: Sequence[int]) -> Tensor:
        """Return which keys are pieces of a query's own word or of the words beside it, ``[query, key]``; none of pieces."""
        if self.words is None or self.aside.offset is None:
            return torch.zeros(len(queries), self.layer.n_key, dtype=torch.bool)
        own = self.words[torch.tensor(queries) + self.aside.offset]
        return (own[:, None] - self.words).abs() <= 1

    def largest(self, queries: Sequence[int], *, apart: bool) -> tuple[float, int, int]:
        """Return weight, query and key of the largest link that counts; with ``apart`` none to a word that is near."""
        weights = torch.from_numpy(self.layer.weights([self.head], list(queries)))
        rows = self.aside.links(weights, Axis(tuple(queries)))[0]
        if apart:
            rows = rows.masked_fill(self.near(queries), -1.0)
        row, key = divmod(int(rows.argmax()), rows.shape[1])
        return float(rows[row, key]), queries[row], key


def _read(stream: Stream, thumbnails: Thumbnails, streams: Sequence[Stream]) -> list[_Read]:
    """Return what is known of each layer: of all queries, or of some where thumbnails come later."""
    if not thumbnails.later:
        made = [(layer, finish(thumbnails.layer(layer))) for layer in stream]
        return [
            _Read(
                layer,
                pictures.sharp,
                pictures.first_key,
                len(
                    {row for part in overview_rows(layer.n_query, thumbnails.size) for row in part}
                ),
            )
            for layer, pictures in made
        ]
    each = sum(layer.num_heads * layer.n_key for one in streams for layer in one)
    aside = thumbnails.aside(stream)
    found = []
    for layer in stream:
        count = min(layer.n_query, max(1, READ_FIRST // each))
        places = [(2 * place + 1) * layer.n_query // (2 * count) for place in range(count)]
        found.append(_Read(layer, sharp_links(layer, Axis(tuple(places)), aside), None, count))
    return found


def _left_out(stream: Stream, *, neighbours: bool) -> str:
    special = any(key.kind == "special" for key in stream.key_positions[1:])
    parts = ["the first token" if stream.has_text else "the first position"]
    parts += ["a special token"] if special else []
    parts += ["a neighbour"] if neighbours else []
    return " or ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _last_of_content(stream: Stream) -> int:
    places = [
        place for place, query in enumerate(stream.query_positions) if query.kind != "special"
    ]
    return places[-1] if places else len(stream.query_positions) - 1


def _named(stream: Stream, read: Sequence[_Read], numbers: RecordNumbers) -> list[Named]:
    """Return the heads that a word says what they do of: by their scores where those are had at once."""
    if num_weights(stream) <= LABELS_AT_ONCE or numbers.scores_known(stream):
        return labelled(finish(numbers.scores(stream)))
    found = []
    for one in read:
        columns = {
            name: one.sharp.near[:, place]
            for place, name in enumerate(("previous", "self", "next"))
        }
        if one.first_key is not None:
            columns["first"] = torch.from_numpy(one.first_key)
        found += [
            Named(name, float(values[head]), one.layer.layer, head)
            for name, values in columns.items()
            for head in range(one.layer.num_heads)
            if float(values[head]) >= MOSTLY
        ]
    return found


def labelled(layers: Sequence[LayerScores]) -> list[Named]:
    """Return the heads that have a label, by their scores."""
    return [
        Named(label.name, label.value, layer.layer, head)
        for layer in layers
        for head, label in enumerate(labels(layer))
        if label is not None
    ]


def others(named: Sequence[Named], besides: tuple[int, int]) -> list[dict[str, Any]]:
    """Return up to four heads with what they do, the clearest of each kind, the more telling kinds first."""
    left = [one for one in named if (one.layer, one.head) != besides]
    left.sort(key=lambda one: -one.value)
    kinds = [
        next(one for one in left if one.name == name)
        for name in _TELLING
        if any(one.name == name for one in left)
    ]
    more = [one for one in left if one not in kinds]
    some = kinds[:MOST_OTHERS] + more[: max(0, FEWEST_OTHERS - len(kinds))]
    return [{"label": SCORES[one.name].label, "layer": one.layer, "head": one.head} for one in some]
