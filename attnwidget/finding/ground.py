"""What is to be seen in a block of queries, and the scores of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.finding.kinds import PAIRS, SCORES, SHARES
from attnwidget.finding.sums import Patterns, Sums

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NAMES", "Ground", "row_scores"]

NAMES = tuple(SCORES)


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What the visible keys alone say of a block of queries, first with, then without the sink.

    Attributes:
        counts: How many keys each query sees, ``[2, head or 1, query]``.
        far: Distance of the farthest of them, the same shape, or ``None`` where there is no distance.
        valid: Which rows a score is read from, boolean ``[2, head or 1, query, score]``.
        expected: What even weights would score in them, float64, the same shape.
    """

    counts: Tensor
    far: Tensor | None
    valid: Tensor
    expected: Tensor

    @classmethod
    def of(cls, patterns: Patterns, seen: Tensor) -> Ground:
        """Look at a block.

        Args:
            patterns: Which of its keys each score counts.
            seen: Which of them each query sees, boolean ``[head or 1, query, key]``.
        """
        keys = slice(patterns.keys.start, patterns.keys.stop)
        sums = patterns.sums(seen.float(), slice(0, seen.shape[1]), keys)
        counts = sums.total.double()
        far = None
        if patterns.distance is not None:
            outside = ~patterns.facts.keys["sink"][keys].to(seen.device)
            both = torch.stack([seen, seen & outside])
            far = (both * patterns.distance).amax(-1).double()
        even = Sums(sums.total, sums.shares, sums.pairs, torch.zeros_like(sums.total))
        expected = row_scores(even, counts.clamp(min=1), counts, far)
        expected[..., NAMES.index("broad")] = 1.0
        readable = patterns.queries.take(patterns.facts.counts, 0).to(seen.device) & (counts >= 2)
        found = dict(zip(SHARES, sums.shares.unbind(1), strict=True))
        if far is not None:
            found |= dict(zip(PAIRS, sums.pairs.unbind(1), strict=False))
            found["local"] = far
        found["broad"] = counts
        nothing = torch.zeros_like(counts)
        valid = torch.stack([found.get(name, nothing) > 0 for name in NAMES], -1)
        return cls(counts, far, valid & readable[..., None], expected)

    def part(self, heads: slice, rows: slice) -> Ground:
        """Return some heads and some queries of the block."""
        some = heads if self.counts.shape[1] > 1 else slice(None)
        far = None if self.far is None else self.far[:, some, rows]
        return Ground(
            self.counts[:, some, rows],
            far,
            self.valid[:, some, rows],
            self.expected[:, some, rows],
        )


def row_scores(sums: Sums, over: Tensor, counts: Tensor, far: Tensor | None) -> Tensor:
    """Return the score of every row, float64 ``[2, head, query, score]``, undefined where it is not valid.

    Args:
        sums: What was added up.
        over: What shares are shares of, broadcasting to ``[2, head, query]``.
        counts: How many keys are seen.
        far: How far they are.
    """
    total = sums.total.double().clamp(min=1e-30)
    found = dict(zip(SHARES, (sums.shares.double() / over[:, None]).unbind(1), strict=True))
    if far is not None:
        pairs = sums.pairs.double()
        shares = pairs[:, : len(PAIRS)] / over[:, None]
        found |= dict(zip(PAIRS, shares.unbind(1), strict=True))
        found["local"] = 1 - pairs[:, len(PAIRS)] / total / far.clamp(min=1)
    found["broad"] = (sums.entropy.double() / total + total.log()) / counts.clamp(min=2).log()
    nothing = torch.zeros_like(total)
    return torch.stack([found.get(name, nothing) for name in NAMES], -1)
