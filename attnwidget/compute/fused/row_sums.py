"""`RowSums`: what rows of weights come to beside a column, run by run of the fused kernel.

The rows of a strip of queries are made of pieces of their keys: all keys before the strip, the triangle of a causal mask
under its diagonal, the one above it, or a piece of a window with a mask. Each is a softmax of its own; two of them are one
by their log-sum-exp. The kernel has causal masks of the lower triangle alone: the upper one is read backwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from attnwidget.compute.fused.kernel import HIDDEN, attend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from attnwidget.compute.fused.head_runs import HeadRun
    from attnwidget.compute.masks import Band
    from attnwidget.compute.resumable import Slices

__all__ = ["RowSums", "row_sums"]

# Scores of one run of the kernel: between two runs a kernel that shows the widget may answer something else.
_RUN_SCORES = 1 << 24
# The kernel reads queries in blocks of so many.
_BLOCK = 256
# Queries of a strip of a window, at most: more read more of what the window hides.
_WINDOW_ROWS = 512


@dataclass(slots=True, eq=False)
class RowSums:
    """Means over some keys under the weights that a softmax over these alone has.

    Attributes:
        log: Logarithm of the sum of the exponentials of their scores, float64 ``[head, query]``, ``-inf`` where a query
            sees none of them.
        means: The mean score, the mean distance, the mean of each column, float64 ``[head, query, 2 + column]``.
    """

    log: Tensor
    means: Tensor

    @classmethod
    def nothing(cls, heads: int, queries: int, columns: int, device: torch.device) -> RowSums:
        """Return those of no key."""
        shape = (heads, queries)
        log = torch.full(shape, -torch.inf, dtype=torch.float64, device=device)
        return cls(log, log.new_zeros((*shape, 2 + columns)))

    @property
    def score(self) -> Tensor:
        """The mean score, float64 ``[head, query]``."""
        return self.means[..., 0]

    @property
    def distance(self) -> Tensor:
        """The mean distance, float64 ``[head, query]``."""
        return self.means[..., 1]

    @property
    def columns(self) -> Tensor:
        """The mean of each column, float64 ``[head, query, column]``."""
        return self.means[..., 2:]

    def add(self, rows: slice, heads: slice, other: RowSums) -> None:
        """Add the keys of another softmax to some rows."""
        log, means = self.log[heads, rows], self.means[heads, rows]
        both = torch.logaddexp(log, other.log)
        # Rows that have seen nothing yet: exp(-inf - 0) is 0, where -inf - -inf would be NaN.
        offset = both.masked_fill(both == -torch.inf, 0.0)
        means.mul_((log - offset).exp_()[..., None])
        means.add_(other.means * (other.log - offset).exp_()[..., None])
        log.copy_(both)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some keys of a strip.

    Attributes:
        keys: The keys, counted along the table.
        rows: The queries of the strip that see any of them, counted from its first.
        shape: ``all``; ``lower``: row ``i`` of these sees the keys up to the ``i``-th; ``upper``: those from the ``i``-th
            on, as many keys as rows; ``masked``: those that band and side show.
        before: Whether the keys are the query's own position and those before it, and not those after it.
    """

    keys: range
    rows: range
    shape: Literal["all", "lower", "upper", "masked"]
    before: bool = True


def row_sums(
    run: HeadRun, band: Band | None, own: int | None, columns: int, keys: Tensor | None = None
) -> Slices[RowSums]:
    """Read all rows of some heads, in slices.

    Args:
        run: The heads.
        band: Which keys the queries see.
        own: Where query 0 stands among the keys, of which the table then has the positions; that of the band if it has
            any. ``None`` where there is no distance.
        columns: How many columns stand behind the keys and positions.
        keys: The only keys to read, ascending, int64 ``[key]``; all of them when left out.
    """
    reader = _Reader(run, band, own, columns, keys)
    groups, share, n_query, _ = run.query.shape
    for strip, pieces in reader.strips():
        reach = max(1, sum(len(piece.keys) for piece in pieces))
        count = max(1, _RUN_SCORES // (len(strip) * reach))
        # Whole groups, or heads of one group after the other.
        step, each = max(1, count // share), min(count, share)
        for group in range(0, groups, step):
            for head in range(0, share, each):
                heads = (
                    slice(group, min(group + step, groups)),
                    slice(head, min(head + each, share)),
                )
                for piece in pieces:
                    reader.add(heads, strip, piece)
            yield (strip.start + len(strip) * min(group + step, groups) / groups) / n_query
    return reader.found


class _Reader:
    """Reads the rows of a run piece by piece."""

    def __init__(
        self,
        run: HeadRun,
        band: Band | None,
        own: int | None,
        columns: int,
        keys: Tensor | None,
    ) -> None:
        self._run, self._band, self._own = run, band, own
        self._keys = keys
        self._table = run.key if keys is None else run.key.index_select(2, keys)
        groups, share, self._n_query, _ = run.query.shape
        self._device = run.query.device
        self.found = RowSums.nothing(groups * share, self._n_query, columns, self._device)

    def strips(self) -> Iterator[tuple[range, list[_Piece]]]:
        """Cut the queries into strips, and the keys of each into pieces."""
        windowed = self._band is not None and self._band.window is not None
        n_key = self._table.shape[2]
        rows = max(2 * _BLOCK, _RUN_SCORES // max(1, n_key) // _BLOCK * _BLOCK)
        if windowed or self._keys is not None:
            rows = _WINDOW_ROWS
        for start in range(0, self._n_query, rows):
            strip = range(start, min(start + rows, self._n_query))
            pieces = self._pieces(strip) if self._keys is None else self._listed(strip, self._keys)
            yield strip, [piece for piece in pieces if piece.keys and piece.rows]

    def _pieces(self, strip: range) -> Iterator[_Piece]:
        every, n_key = range(len(strip)), self._run.n_key
        band, own = self._band, self._own
        if band is not None and band.window is not None:
            yield from self._masked(strip, band.span(strip.start, strip.stop - 1, n_key))
            return
        causal = band is not None and band.causal
        offset = band.offset if band is not None and causal else own
        if offset is None:
            yield _Piece(range(n_key), every, "all")
            return
        first, last = min(strip.start + offset, n_key), min(strip.stop + offset, n_key)
        yield _Piece(range(first), every, "all")
        yield _Piece(range(first, last), every, "lower")
        if not causal:
            above = max(0, last - first - 1)
            yield _Piece(range(first + 1, last), range(above), "upper", before=False)
            yield _Piece(range(last, n_key), every, "all", before=False)

    def _masked(self, strip: range, keys: range) -> Iterator[_Piece]:
        every = range(len(strip))
        yield _Piece(keys, every, "masked")
        if self._own is not None and not (self._band is not None and self._band.causal):
            yield _Piece(keys, every, "masked", before=False)

    def _listed(self, strip: range, keys: Tensor) -> Iterator[_Piece]:
        """Cut listed keys into those before the strip, those within it, and those behind it."""
        every, count = range(len(strip)), len(keys)
        band, own = self._band, self._own
        if band is not None and band.window is not None:
            seen = band.span(strip.start, strip.stop - 1, self._run.n_key)
            first, last = self._places(keys, seen.start, seen.stop)
            yield from self._masked(strip, range(first, last))
            return
        causal = band is not None and band.causal
        offset = band.offset if band is not None and causal else own
        if offset is None:
            yield _Piece(range(count), every, "all")
            return
        first, last = self._places(keys, strip.start + offset + 1, strip.stop + offset)
        yield _Piece(range(first), every, "all")
        yield from self._masked(strip, range(first, last))
        if not causal:
            yield _Piece(range(last, count), every, "all", before=False)

    @staticmethod
    def _places(keys: Tensor, *bounds: int) -> list[int]:
        """Return how many of the listed keys stand before each bound."""
        found: list[int] = torch.searchsorted(
            keys, torch.tensor(bounds, device=keys.device)
        ).tolist()
        return found

    def add(self, heads: tuple[slice, slice], strip: range, piece: _Piece) -> None:
        """Run the kernel for a piece, and add what comes of it.

        Args:
            heads: The groups, and the heads of each.
            strip: The queries.
            piece: The keys.
        """
        run, own = self._run, self._own
        rows = slice(strip.start + piece.rows.start, strip.start + piece.rows.stop)
        query = run.query[heads][:, :, rows]
        groups, share, count, _ = query.shape
        table = self._table[heads[0], :, piece.keys.start : piece.keys.stop]
        mask, base = None, 0
        if piece.shape == "masked":
            mask = self._mask(rows, piece)
            if own is not None:
                # Positions from the middle on: those of a long text are large beside distances in a window.
                base = (rows.start + rows.stop) // 2 + own
                table = table.clone()
                table[..., run.place] -= base
        flipped = piece.shape == "upper"
        if flipped:
            query, table = query.flip(2), table.flip(2)
        key = table.expand(-1, share, -1, -1)
        sums, logs = attend(query, key, key, causal=piece.shape in {"lower", "upper"}, mask=mask)
        width = self.found.means.shape[2]
        means = sums.new_empty((groups, share, count, width), dtype=torch.float64)
        means[..., 0] = (query[..., : run.scored] * sums[..., : run.scored]).sum(-1)
        behind = run.scored
        means[..., 1] = 0.0
        if own is not None:
            centre = torch.arange(rows.start - base, rows.stop - base, device=self._device) + own
            far = (centre.flip(0) if flipped else centre) - sums[..., run.place].double()
            means[..., 1] = far if piece.before else far.neg_()
            behind += 1
        means[..., 2:] = sums[..., behind : behind + width - 2]
        if flipped:
            means, logs = means.flip(2), logs.flip(2)
        # Rows that see nothing here have read what is hidden.
        log = logs.masked_fill(logs < HIDDEN / 2, -torch.inf).double()
        first = heads[0].start * run.query.shape[1] + heads[1].start
        here = slice(first, first + groups * share)
        self.found.add(rows, here, RowSums(log.flatten(0, 1), means.flatten(0, 1)))

    def _mask(self, rows: slice, piece: _Piece) -> Tensor:
        """Return what hides the keys that rows do not see, float32 ``[query, key]``."""
        queries = torch.arange(rows.start, rows.stop, device=self._device)
        keys = torch.arange(piece.keys.start, piece.keys.stop, device=self._device)
        if self._keys is not None:
            keys = self._keys[piece.keys.start : piece.keys.stop]
        seen = torch.ones((len(queries), len(keys)), dtype=torch.bool, device=self._device)
        if self._band is not None:
            seen = self._band.visible(queries, keys)
        if self._own is not None:
            before = keys <= queries[:, None] + self._own
            seen = seen & (before if piece.before else ~before)
        return torch.where(seen, 0.0, HIDDEN)
