"""LongT5: blocks that see their neighbours, and in its transient-global form a sum of each block of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.capture.sparse.rows import SparseAttention, SparseRows, read_size, split_heads

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.taps.events import ModuleTrace

__all__ = ["LongT5"]


class LongT5:
    """Reads ``LongT5LocalAttention`` and ``LongT5TransientGlobalAttention``."""

    children = ("q", "k", "v")
    projections = ("o",)

    def read(self, module: nn.Module, trace: ModuleTrace, row: int) -> SparseAttention:
        """Concatenate the blocks, and the side keys after the text's."""
        heads, length = read_size(module, "n_heads"), read_size(module, "block_len")
        parts = {
            name: torch.cat([split_heads(part, heads, row) for part in trace.outputs[name]], dim=1)
            for name in self.children
        }
        query = parts["q"]
        count = query.shape[1]
        sides = parts["k"].shape[1] - count
        softmax = trace.softmaxes[0]
        blocks = softmax.logits.shape[1]
        everyone = torch.arange(blocks * length, device=query.device)
        start = (everyone // length - 1) * length
        slots = start[:, None] + torch.arange(3 * length, device=query.device)
        slots = slots.masked_fill((slots < 0) | (slots >= count), -1)
        side = torch.arange(count, count + sides, device=query.device)
        slots = torch.cat([slots, side.expand(len(slots), -1)], dim=1)[:count]
        added = None
        if trace.result is not None:  # it has returned
            added = trace.result[1]
            added = added[min(row, len(added) - 1)].expand(blocks, -1, -1, -1)
        group = SparseRows(
            everyone[:count],
            slots[None],
            _flat(softmax.logits[row])[:, :count],
            _flat(softmax.weights[row])[:, :count],
            None if added is None else _flat(added)[:, :count],
        )
        return SparseAttention(query, parts["k"], parts["v"], 1.0, (group,), extra_keys=sides)


def _flat(tensor: Tensor) -> Tensor:
    """``[block, head, query, slot]`` to ``[head, position, slot]``."""
    return tensor.detach().transpose(0, 1).flatten(1, 2)
