"""PEGASUS-X: blocks that see themselves and learned global tokens, which see everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.capture.sparse.rows import SparseAttention, SparseRows, read_size, split_heads

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.taps.events import ModuleTrace

__all__ = ["PegasusX"]


class PegasusX:
    """Reads ``PegasusXGlobalLocalAttention``; the global tokens come after those of the text."""

    children = ("q_proj", "k_proj", "v_proj")
    projections = ("out_proj",)

    def read(self, module: nn.Module, trace: ModuleTrace, row: int) -> SparseAttention:
        """Put text and global tokens into one matrix."""
        heads, size = read_size(module, "num_heads"), read_size(module, "block_size")
        query, key, value = (
            torch.cat([split_heads(part, heads, row) for part in trace.outputs[name]], dim=1)
            for name in self.children
        )
        count = trace.outputs["q_proj"][0].shape[1]
        globals_ = query.shape[1] - count
        text = torch.arange(count, device=query.device)
        side = torch.arange(count, count + globals_, device=query.device)
        own = (text // size * size)[:, None] + torch.arange(size, device=query.device)
        from_global, from_text = trace.softmaxes
        groups = (
            SparseRows(
                text,
                torch.cat([side.expand(count, -1), own], dim=1)[None],
                *(
                    part[row].detach().flatten(1, 2)
                    for part in (from_text.logits, from_text.weights)
                ),
            ),
            SparseRows(
                side,
                torch.cat([side, text]).expand(1, globals_, -1),
                from_global.logits[row].detach(),
                from_global.weights[row].detach(),
            ),
        )
        return SparseAttention(
            query,
            key,
            value,
            query.shape[-1] ** -0.5,
            groups,
            extra_queries=globals_,
            extra_keys=globals_,
            num_padding=_padded(trace.inputs["token_hidden_states"], size),
        )


def _padded(states: Tensor, size: int) -> int:
    """Number of positions before the text: every other layer shifts its blocks by half of one."""
    half = size // 2
    empty = half and not bool(states[:, :half].any()) and not bool(states[:, -half:].any())
    return half if empty else 0
