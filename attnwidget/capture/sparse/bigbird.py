"""BigBird: blocks that see their neighbours, the first and the last block, and some random blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.capture.sparse.rows import (
    BESIDE,
    SparseAttention,
    SparseRows,
    read_size,
    split_heads,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.taps.events import ModuleTrace, SoftmaxCall

__all__ = ["BigBird"]


class BigBird:
    """Reads ``BigBirdBlockSparseAttention`` and its copy in BigBird-Pegasus.

    The same block may be there twice, as a neighbour and as one drawn: its keys then have a slot for each.
    """

    children = ("query", "key", "value")
    projections = BESIDE

    def read(self, module: nn.Module, trace: ModuleTrace, row: int) -> SparseAttention:
        """Put the five kinds of rows together."""
        heads, size = read_size(module, "num_attention_heads"), read_size(module, "block_size")
        query, key, value = (
            split_heads(trace.outputs[name][0], heads, row) for name in self.children
        )
        count = query.shape[1]
        blocks = count // size
        random = _random_blocks(trace, heads, blocks, row)
        every = torch.arange(blocks, device=query.device)
        first, last = every[:1], every[-1:]
        groups = []
        for softmax, rows, seen in zip(
            trace.softmaxes,
            (every[:1], every[1:2], every[2:-2], every[-2:-1], every[-1:]),
            (
                every.expand(1, 1, -1),
                _with_random_blocks(heads, torch.cat([every[:3], last])[None], random[:, :1]),
                torch.cat(
                    [
                        first.expand(heads, blocks - 4, 1),
                        (every[2:-2, None] + every[:3] - 1).expand(heads, -1, -1),
                        random[:, 1:-1],
                        last.expand(heads, blocks - 4, 1),
                    ],
                    dim=2,
                ),
                _with_random_blocks(heads, torch.cat([first, every[-3:]])[None], random[:, -1:]),
                every.expand(1, 1, -1),
            ),
            strict=True,
        ):
            groups.append(_rows_of_blocks(softmax, rows, seen, size, row))
        return SparseAttention(query, key, value, query.shape[-1] ** -0.5, tuple(groups))


def _with_random_blocks(heads: int, fixed: Tensor, random: Tensor) -> Tensor:
    """Blocks seen by one block of queries, ``[head, 1, block]``."""
    return torch.cat([fixed.expand(heads, 1, -1), random], dim=2)


def _rows_of_blocks(
    softmax: SoftmaxCall, rows: Tensor, seen: Tensor, size: int, row: int
) -> SparseRows:
    """Make positions of blocks: ``seen`` is ``[head or 1, block of queries, block of keys]``."""
    inside = torch.arange(size, device=rows.device)
    queries = (rows[:, None] * size + inside).flatten()
    keys = (seen[..., None] * size + inside).flatten(2).repeat_interleave(size, dim=1)
    slots = keys.shape[-1]
    logits, weights = (
        part[row].detach().reshape(-1, len(queries), slots)
        for part in (softmax.logits, softmax.weights)
    )
    return SparseRows(queries, keys, logits, weights)


def _random_blocks(trace: ModuleTrace, heads: int, blocks: int, row: int) -> Tensor:
    """Read which blocks were drawn off where their keys were looked up, ``[head, block of queries, drawn block]``."""
    looked = next(index for index in trace.gather_indices if index.ndim == 5)
    return looked[row, :, :, 0, 0].reshape(heads, blocks - 2, -1)
