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
        keys: The keys.
        rows: The queries of the strip that see any of them, counted from its first.
        shape: ``all``; ``lower``: row ``i`` of these sees the keys up to the ``i``-th; ``upper``: those from the ``i``-th
            on, as many keys as rows; ``window``: those that the band shows.
        before: Whether the keys are the query's own position and those before it, and not those after it.
    """

    keys: range
    rows: range
    shape: Literal["all", "lower", "upper", "window"]
    before: bool = True


def row_sums(run: HeadRun, band: Band | None, own: int | None, columns: int) -> Slices[RowSums]:
    """Read all rows of some heads, in slices.

    Args:
        run: The heads.
        band: Which keys the queries see.
        own: Where query 0 stands among the keys, of which the table then has the positions; that of the band if it has
            any. ``None`` where there is no distance.
        columns: How many columns stand behind the keys and positions.
    """
    groups, share, n_query, _ = run.query.shape
    found = RowSums.nothing(groups * share, n_query, columns, run.query.device)
    for strip, pieces in _strips(band, own, n_query, run.n_key):
        reach = max(1, sum(len(piece.keys) for piece in pieces))
        count = max(1, _RUN_SCORES // (len(strip) * reach))
        # Whole groups, or heads of one group after the other.
        step, each = max(1, count // share), min(count, share)
        for group in range(0, groups, step):
            for head in range(0, share, each):
                some = slice(group, min(group + step, groups)), slice(head, min(head + each, share))
                for piece in pieces:
                    _add_piece(found, run, some, strip, piece, band, own)
            yield (strip.start + len(strip) * min(group + step, groups) / groups) / n_query
    return found


def _strips(
    band: Band | None, own: int | None, n_query: int, n_key: int
) -> Iterator[tuple[range, list[_Piece]]]:
    """Cut the queries into strips, and the keys of each into pieces."""
    windowed = band is not None and band.window is not None
    rows = max(2 * _BLOCK, _RUN_SCORES // max(1, n_key) // _BLOCK * _BLOCK)
    if windowed:
        rows = _WINDOW_ROWS
    for start in range(0, n_query, rows):
        strip = range(start, min(start + rows, n_query))
        yield strip, [piece for piece in _pieces(band, own, strip, n_key) if piece.keys]


def _pieces(band: Band | None, own: int | None, strip: range, n_key: int) -> Iterator[_Piece]:
    every = range(len(strip))
    if band is not None and band.window is not None:
        seen = band.span(strip.start, strip.stop - 1, n_key)
        yield _Piece(seen, every, "window", before=True)
        if not band.causal and own is not None:
            yield _Piece(seen, every, "window", before=False)
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


def _add_piece(
    found: RowSums,
    run: HeadRun,
    some: tuple[slice, slice],
    strip: range,
    piece: _Piece,
    band: Band | None,
    own: int | None,
) -> None:
    rows = slice(strip.start + piece.rows.start, strip.start + piece.rows.stop)
    query = run.query[some][:, :, rows]
    groups, share, count, _ = query.shape
    table = run.key[some[0], :, piece.keys.start : piece.keys.stop]
    device = query.device
    centre = None
    mask = None
    if own is not None:
        centre = torch.arange(rows.start, rows.stop, device=device) + own
    base = 0
    if piece.shape == "window":
        mask = _mask(band, rows, piece, own, device)
        if own is not None:
            # Positions from the middle of the window on: those of the whole text are large beside distances in it.
            base = piece.keys.start + len(piece.keys) // 2
            table = table.clone()
            table[..., run.place] -= base
    flipped = piece.shape == "upper"
    if flipped:
        query, table = query.flip(2), table.flip(2)
    key = table.expand(-1, share, -1, -1)
    sums, logs = attend(query, key, key, causal=piece.shape in {"lower", "upper"}, mask=mask)
    means = sums.new_empty((groups, share, count, found.means.shape[2]), dtype=torch.float64)
    means[..., 0] = (query[..., : run.scored] * sums[..., : run.scored]).sum(-1)
    behind = run.scored + (own is not None)
    means[..., 2:] = sums[..., behind : behind + means.shape[3] - 2]
    means[..., 1] = sums[..., run.place] if centre is not None else 0.0
    log = logs.double()
    if flipped:
        means, log = means.flip(2), log.flip(2)
    if centre is not None:
        means[..., 1] = (centre - base) - means[..., 1]
        if not piece.before:
            means[..., 1].neg_()
    # Rows that see nothing here have read what is hidden.
    empty = log < HIDDEN / 2
    log = log.masked_fill_(empty, -torch.inf).flatten(0, 1)
    heads = _heads(some, run)
    found.add(rows, heads, RowSums(log, means.flatten(0, 1)))


def _heads(some: tuple[slice, slice], run: HeadRun) -> slice:
    """Return where heads of groups stand among those of the run."""
    share = run.query.shape[1]
    groups, heads = some
    return slice(groups.start * share + heads.start, (groups.stop - 1) * share + heads.stop)


def _mask(
    band: Band | None, rows: slice, piece: _Piece, own: int | None, device: torch.device
) -> Tensor:
    """Return what hides the keys outside of a window, float32 ``[query, key]``."""
    queries = torch.arange(rows.start, rows.stop, device=device)
    keys = torch.arange(piece.keys.start, piece.keys.stop, device=device)
    if band is None:
        message = "a window without a band"
        raise RuntimeError(message)
    seen = band.visible(queries, keys)
    if own is not None and not band.causal:
        before = keys <= queries[:, None] + own
        seen = seen & (before if piece.before else ~before)
    return torch.where(seen, 0.0, HIDDEN)
