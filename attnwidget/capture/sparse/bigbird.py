"""BigBird: blocks that see their neighbours, the first and the last block, and some blocks drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.capture.sparse.rows import Sparse, Strip, heads_of, number

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.taps.events import Noted, Notes

__all__ = ["BigBird"]


class BigBird:
    """Reads ``BigBirdBlockSparseAttention`` and its copy in BigBird-Pegasus.

    The same block may be there twice, as a neighbour and as one drawn: its keys then have a slot for each.
    """

    children = ("query", "key", "value")

    def read(self, module: nn.Module, notes: Notes, row: int) -> Sparse:
        """Put the five kinds of rows together."""
        heads, size = number(module, "num_attention_heads"), number(module, "block_size")
        query, key, value = (heads_of(notes.outputs[name][0], heads, row) for name in self.children)
        count = query.shape[1]
        blocks = count // size
        drawn = _drawn(notes, heads, blocks, row)
        every = torch.arange(blocks, device=query.device)
        first, last = every[:1], every[-1:]
        strips = []
        for noted, rows, seen in zip(
            notes.softmaxes,
            (every[:1], every[1:2], every[2:-2], every[-2:-1], every[-1:]),
            (
                every.expand(1, 1, -1),
                _seen(heads, torch.cat([every[:3], last])[None], drawn[:, :1]),
                torch.cat(
                    [
                        first.expand(heads, blocks - 4, 1),
                        (every[2:-2, None] + every[:3] - 1).expand(heads, -1, -1),
                        drawn[:, 1:-1],
                        last.expand(heads, blocks - 4, 1),
                    ],
                    dim=2,
                ),
                _seen(heads, torch.cat([first, every[-3:]])[None], drawn[:, -1:]),
                every.expand(1, 1, -1),
            ),
            strict=True,
        ):
            strips.append(_strip(noted, rows, seen, size, row))
        return Sparse(query, key, value, query.shape[-1] ** -0.5, tuple(strips))


def _seen(heads: int, fixed: Tensor, drawn: Tensor) -> Tensor:
    """Blocks seen by one block of queries, ``[head, 1, block]``."""
    return torch.cat([fixed.expand(heads, 1, -1), drawn], dim=2)


def _strip(noted: Noted, rows: Tensor, seen: Tensor, size: int, row: int) -> Strip:
    """Make positions of blocks: ``seen`` is ``[head or 1, block of queries, block of keys]``."""
    inside = torch.arange(size, device=rows.device)
    queries = (rows[:, None] * size + inside).flatten()
    keys = (seen[..., None] * size + inside).flatten(2).repeat_interleave(size, dim=1)
    slots = keys.shape[-1]
    logits, weights = (
        part[row].detach().reshape(-1, len(queries), slots)
        for part in (noted.logits, noted.weights)
    )
    return Strip(queries, keys, logits, weights)


def _drawn(notes: Notes, heads: int, blocks: int, row: int) -> Tensor:
    """Read which blocks were drawn off where their keys were looked up, ``[head, block of queries, drawn block]``."""
    looked = next(index for index in notes.gathered if index.ndim == 5)
    return looked[row, :, :, 0, 0].reshape(heads, blocks - 2, -1)
