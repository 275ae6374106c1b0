"""Word pieces merged to words: sum over key pieces, mean over query pieces, for whole records and for blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from attnwidget.compute.softmax import exact
from attnwidget.compute.weight_rows import query_blocks, weight_blocks
from attnwidget.record.layer import Layer
from attnwidget.record.positions import visible_text, word_numbers
from attnwidget.record.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from attnwidget.compute.resumable import Slices
    from attnwidget.record.positions import Position, Positions
    from attnwidget.record.record import Record

    Numbers = NDArray[np.float32]
    # Of pieces along an axis.
    Places = range | NDArray[np.int64]

__all__ = ["REASON", "Words", "merged_positions", "words"]

AnyRecord = TypeVar("AnyRecord", bound="Record")

REASON = (
    "pieces were merged to words, which have weights but no vectors; the record of pieces has both."
)
# Merged weights are kept, [head, word, word] for each layer; this much of them, in bytes.
MOST = 4 << 30

# Query pieces of a block that are read at a time.
_ROWS = 256


def words(attention: AnyRecord) -> AnyRecord:
    """Return `Attention.words`, where it is described."""
    size = sum(
        4 * layer.num_heads * _count(stream.query_positions) * _count(stream.key_positions)
        for stream in attention.streams.values()
        for layer in stream
    )
    if size > MOST:
        message = (
            f"the words of this record would take {size / 2**30:.1f} GB of weights, at most {MOST / 2**30:.0f} are "
            "made: record a shorter input, or fewer layers."
        )
        raise ValueError(message)
    streams = {name: _stream(stream) for name, stream in attention.streams.items()}
    # A recording is made by its block alone; its finished record is a record like any other.
    plain: AnyRecord = getattr(attention, "attention", attention)
    expected = plain.next_tokens
    if expected is not None and streams[expected.stream] is not plain[expected.stream]:
        # They follow pieces; of a word half given and half generated there would be no telling which it is.
        expected = None
    return replace(plain, streams=streams, next_tokens=expected)


def _count(positions: Positions) -> int:
    return len(set(word_numbers(positions)))


def _stream(stream: Stream) -> Stream:
    """Merge the pieces of one stream; one whose positions are words already is returned as it is."""
    same = stream.query_positions == stream.key_positions
    keys, key_words = merged_positions(stream.key_positions)
    queries, query_words = (keys, key_words) if same else merged_positions(stream.query_positions)
    if len(keys) == len(stream.key_positions) and len(queries) == len(stream.query_positions):
        return stream
    layers = tuple(_layer(layer, query_words, key_words) for layer in stream)
    first = None if stream.first_query is None else key_words[stream.first_query]
    return Stream(stream.name, layers, queries, keys, first)


def merged_positions(positions: Positions) -> tuple[Positions, list[int]]:
    """Return the words, and for each piece the number of its word."""
    numbers = word_numbers(positions)
    pieces: dict[int, list[Position]] = {}
    for number, position in zip(numbers, positions, strict=True):
        pieces.setdefault(number, []).append(position)
    return tuple(_word(parts) for parts in pieces.values()), numbers


def _word(pieces: Sequence[Position]) -> Position:
    first = pieces[0]
    if len(pieces) == 1:
        # A cache may begin in the middle of a word.
        return replace(first, continues=False)
    text = "".join(piece.text or "" for piece in pieces)
    label = visible_text(text) if text else "".join(piece.label for piece in pieces)
    return replace(first, label=label, text=text, kind="word", continues=False)


def _layer(layer: Layer, queries: list[int], keys: list[int]) -> Layer:
    """Add up over the pieces of a key, take the mean over the pieces of a query."""
    device = layer.device
    into = torch.zeros((len(keys), keys[-1] + 1), device=device)
    into[range(len(keys)), keys] = 1
    numbers = torch.tensor(queries, device=device)
    merged = torch.zeros((layer.num_heads, queries[-1] + 1, keys[-1] + 1), device=device)
    with exact(layer):
        for some in query_blocks(layer.num_heads, layer.n_query, layer.n_key):
            for block in weight_blocks(layer, some):
                at = some.take(numbers, 0)[block.queries]
                summed = torch.matmul(block.weights, into[block.keys])
                merged[block.heads].index_add_(1, at, summed)
        merged /= torch.bincount(numbers)[:, None]
    return Layer(
        stream=layer.stream,
        layer=layer.layer,
        module_path=layer.module_path,
        num_heads=layer.num_heads,
        recorded=merged,
        reason=REASON,
        norm_reason=REASON,
    )


@dataclass(frozen=True, slots=True)
class Words:
    """The words that the pieces of two axes belong to, for blocks of a head.

    Attributes:
        rows: Of each query piece the number of its word, ascending.
        columns: The same of each key piece.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @classmethod
    def of(cls, stream: Stream) -> Words:
        """Return the words of all pieces of a stream."""
        axes = (stream.query_positions, stream.key_positions)
        return cls(*(np.asarray(word_numbers(positions)) for positions in axes))

    @property
    def all(self) -> tuple[range, range]:
        """Every word of the queries, and of the keys."""
        return range(int(self.rows[-1]) + 1), range(int(self.columns[-1]) + 1)

    def block(
        self,
        read: Callable[[Any, Any], Slices[Numbers]],
        queries: range | NDArray[np.int64],
        keys: range | NDArray[np.int64],
    ) -> Slices[Numbers]:
        """Compute one head between words, float32 ``[query, key]``, in slices.

        Args:
            read: Computes the head between pieces, named by their places in ``rows`` and ``columns``: ranges for ranges
                of words.
            queries: The words of the rows, in any order.
            keys: The words of the columns, in any order.
        """
        rows, of_word = _pieces(self.rows, queries)
        columns, key_words = _pieces(self.columns, keys)
        merged = np.zeros((len(queries), len(keys)))
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            block = yield from read(some, columns)
            at = of_word[start : start + len(some)]
            np.add.at(merged, at, _sum_pieces(block, key_words))
            yield (start + len(some)) / len(rows)
        merged /= np.bincount(of_word)[:, None]
        single: Numbers = merged.astype(np.float32)
        return single


def _pieces(
    numbers: NDArray[np.intp], words: range | NDArray[np.int64]
) -> tuple[Places, NDArray[np.intp]]:
    """Return where the pieces of some words stand, and of each the place of its word among these."""
    if isinstance(words, range):
        first, last = np.searchsorted(numbers, (words.start, words.stop)).tolist()
        return range(first, last), numbers[first:last] - words.start
    found = np.flatnonzero(np.isin(numbers, words))
    order = np.argsort(words)
    return found, order[np.searchsorted(words[order], numbers[found])]


def _sum_pieces(block: Numbers, key_words: NDArray[np.intp]) -> Numbers:
    """Add up the pieces of each key, ``[query, word]``; the pieces of a word stand side by side."""
    starts = np.flatnonzero(np.diff(key_words, prepend=-1))
    summed: Numbers = np.add.reduceat(block, starts, axis=1)
    in_order = key_words[starts]
    if not (np.diff(in_order) > 0).all():
        summed = summed[:, np.argsort(in_order)]
    return summed
