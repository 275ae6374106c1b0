"""Longformer and LED: a window to both sides, and a few global tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.capture.sparse.rows import BESIDE, SparseAttention, SparseRows, read_size

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.taps.events import ModuleTrace

__all__ = ["Longformer"]


class Longformer:
    """Reads ``LongformerSelfAttention`` and its copy in LED.

    Tokens with global attention have projections of their own. Where there are such tokens, vectors are twice as long:
    first what the other tokens use, then what these use. A query is 0 in the half that it does not use, so that each
    product meets its kind; of an output, the half of its query's kind is what the model goes on with.
    """

    children = ("query", "key", "value", "query_global", "key_global", "value_global")
    projections = BESIDE

    def read(self, module: nn.Module, trace: ModuleTrace, row: int) -> SparseAttention:
        """Put together the windows and the rows of the global tokens."""
        heads, one_side = (
            read_size(module, "num_heads"),
            read_size(module, "one_sided_attn_window_size"),
        )

        def vectors(name: str) -> Tensor:
            # [position, batch, head * dim]; the model scales its queries in place.
            one = trace.outputs[name][0][:, row].detach()
            return one.reshape(len(one), heads, -1).transpose(0, 1)

        query, key, value = vectors("query"), vectors("key"), vectors("value")
        count = query.shape[1]
        everyone = torch.arange(count, device=query.device)
        local = trace.softmaxes[0]
        windows = everyone[:, None] + torch.arange(-one_side, one_side + 1, device=query.device)
        windows = windows.masked_fill((windows < 0) | (windows >= count), -1)
        is_global = trace.inputs["is_index_global_attn"]
        most = local.logits.shape[-1] - windows.shape[1]
        if not most:
            group = SparseRows(
                everyone,
                windows[None],
                *(_turned(part[row]) for part in (local.logits, local.weights)),
            )
            return SparseAttention(query, key, value, 1.0, (group,))
        chosen = is_global[row].nonzero()[:, 0]
        others = (~is_global[row]).nonzero()[:, 0]
        # Rows of the batch with fewer global tokens leave slots empty.
        first = chosen.new_full((most,), -1)
        first[: len(chosen)] = chosen
        slots = torch.cat([first.expand(count, -1), windows], dim=1)[others]
        groups = [
            SparseRows(
                others,
                slots[None],
                *(_turned(part[row])[:, others] for part in (local.logits, local.weights)),
            )
        ]
        wide_key = torch.cat([key, vectors("key_global")], dim=-1)
        wide_value = torch.cat([value, vectors("value_global")], dim=-1)
        wide_query = torch.cat([query, torch.zeros_like(query)], dim=-1)
        if len(chosen):
            own = vectors("query_global")[:, : len(chosen)]
            wide_query[:, chosen] = torch.cat([torch.zeros_like(own), own], dim=-1)
            batch = len(is_global)
            rows = (
                part.reshape(batch, heads, most, count)[row, :, : len(chosen)]
                for part in (trace.softmaxes[1].logits, trace.softmaxes[1].weights)
            )
            groups.append(SparseRows(chosen, everyone.expand(1, len(chosen), -1), *rows))
        return SparseAttention(
            wide_query, wide_key, wide_value, 1.0, tuple(groups), second_half=is_global[row]
        )


def _turned(tensor: Tensor) -> Tensor:
    """``[position, head, slot]`` to ``[head, position, slot]``."""
    return tensor.detach().transpose(0, 1)
