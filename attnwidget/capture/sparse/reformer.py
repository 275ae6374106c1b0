"""Reformer: chunks of the text that see their neighbours, or chunks of positions hashed into the same buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.sparse.rows import (
    BESIDE,
    CannotDensifyError,
    SparseAttention,
    SparseRows,
    read_size,
    split_heads,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.taps.events import ModuleTrace

__all__ = ["ReformerLSH", "ReformerLocal"]


class ReformerLocal:
    """Reads Reformer's ``LocalSelfAttention``."""

    children = ("query", "key", "value")
    projections = BESIDE

    def read(self, module: nn.Module, trace: ModuleTrace, row: int) -> SparseAttention:
        """Concatenate the chunks."""
        heads = read_size(module, "num_attention_heads")
        query, key, value = (
            split_heads(trace.outputs[name][0], heads, row) for name in self.children
        )
        count = key.shape[1]
        _refuse_cache(query, key)
        everyone = torch.arange(count, device=query.device)
        keys = (
            _visible_positions(module, everyone[None])
            if count > read_size(module, "chunk_length")
            else None
        )
        softmax = trace.softmaxes[0]
        slots = everyone.expand(1, count, -1) if keys is None else keys
        group = SparseRows(
            everyone,
            slots,
            *(
                part[row].detach().reshape(heads, count, -1)
                for part in (softmax.logits, softmax.weights)
            ),
        )
        return SparseAttention(query, key, value, key.shape[-1] ** -0.5, (group,))


class ReformerLSH:
    """Reads Reformer's ``LSHSelfAttention``, whose queries are its keys, with another length.

    Rounds of hashing are weighed by what each of them found. That makes them one softmax over the keys of all rounds, of
    which some come more than once.
    """

    children = ("query_key", "value")
    projections = BESIDE

    def read(self, module: nn.Module, trace: ModuleTrace, row: int) -> SparseAttention:
        """Undo the sorting, and concatenate the keys of all rounds of hashing."""
        heads = read_size(module, "num_attention_heads")
        query, value = (split_heads(trace.outputs[name][0], heads, row) for name in self.children)
        count = query.shape[1]
        given = trace.inputs["hidden_states"]
        if given.shape[1] != count:
            _refuse_cache(query[:, :1], query)
        normed: Any = module
        key = normed._len_and_dim_norm(query, query.shape[-1] ** 0.5)  # noqa: SLF001  its own, which keeps no state
        everyone = torch.arange(count, device=query.device)
        softmax = trace.softmaxes[0]
        if count <= read_size(module, "chunk_length"):
            slots = everyone.expand(1, count, -1)
            parts = [part[row].detach() for part in (softmax.logits, softmax.weights)]
        else:
            # [head, sorted position]: round by round, the position that was sorted there.
            order = trace.gather_indices[0][row, :, :, 0]
            rounds = order.shape[1] // count
            back = order.reshape(heads, rounds, count).argsort(dim=-1)
            back = back + torch.arange(rounds, device=back.device)[:, None] * count

            def undone(tensor: Tensor) -> Tensor:
                """``[head, sorted position, slot]`` to ``[head, round, position, slot]``."""
                index = back.flatten(1)[..., None].expand(-1, -1, tensor.shape[-1])
                return tensor.gather(1, index).reshape(heads, rounds, count, -1)

            slots = _join_rounds(undone(_visible_positions(module, order)))
            logits, weights = (
                undone(part[row].detach().reshape(heads, rounds * count, -1))
                for part in (softmax.logits, softmax.weights)
            )
            if rounds > 1:
                share = trace.softmaxes[1]
                logits = logits + share.logits[row].detach()
                weights = weights * share.weights[row].detach()
            parts = [_join_rounds(logits), _join_rounds(weights)]
        return SparseAttention(query, key, value, 1.0, (SparseRows(everyone, slots, *parts),))


def _join_rounds(tensor: Tensor) -> Tensor:
    """``[head, round, position, slot]`` to ``[head, position, slot of any round]``."""
    return tensor.transpose(1, 2).flatten(2)


def _visible_positions(module: nn.Module, order: Tensor) -> Tensor:
    """The positions that each one sees: those of its chunk and of the chunks around it, the last beside the first.

    Args:
        module: Says how many chunks to look at.
        order: The position at each place, ``[head or 1, place]``.

    Returns:
        ``[head or 1, place, slot]``.
    """
    size = read_size(module, "chunk_length")
    chunks = order.reshape(len(order), -1, size)
    before, after = read_size(module, "num_chunks_before"), read_size(module, "num_chunks_after")
    around = [chunks.roll(-step, dims=1) for step in range(-before, after + 1)]
    return torch.cat(around, dim=2).repeat_interleave(size, dim=1)


def _refuse_cache(query: Tensor, key: Tensor) -> None:
    if query.shape[1] != key.shape[1]:
        msg = "looks back into a cache of hidden states, of which it reads some chunks only; record one pass over the whole text"
        raise CannotDensifyError(msg)
