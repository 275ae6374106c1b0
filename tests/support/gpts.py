"""Language models written by hand, as code that comes along with weights writes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

WIDTH, HEADS, GROUPS, VOCABULARY = 48, 6, 2, 61


class CausalSelfAttention(nn.Module):
    """One projection for all three, a registered triangle, a softmax: nanoGPT's."""

    def __init__(self) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.n_head, self.dropout = HEADS, nn.Dropout(0.0)
        self.register_buffer("bias", torch.tril(torch.ones(32, 32)).view(1, 1, 32, 32))

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.size()
        query, key, value = self.c_attn(x).split(width, dim=2)
        query, key, value = (
            part.view(batch, count, self.n_head, -1).transpose(1, 2) for part in (query, key, value)
        )
        scores = (query @ key.transpose(-2, -1)) * (1.0 / math.sqrt(key.size(-1)))
        scores = scores.masked_fill(self.bias[:, :, :count, :count] == 0, float("-inf"))
        weights = self.dropout(functional.softmax(scores, dim=-1))
        return self.c_proj((weights @ value).transpose(1, 2).contiguous().view(batch, count, width))


class Rearranged(nn.Module):
    """Heads folded into the batch, as ``rearrange(x, 'b n (h d) -> (b h) n d')`` does, and einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.scale = HEADS, (WIDTH // HEADS) ** -0.5
        self.to_qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.to_out = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.0))

    def forward(self, x: Tensor) -> Tensor:
        batch, count, _ = x.shape
        query, key, value = (
            part.unflatten(2, (self.heads, -1))
            .permute(0, 2, 1, 3)
            .reshape(-1, count, WIDTH // HEADS)
            for part in self.to_qkv(x).chunk(3, dim=-1)
        )
        scores = torch.einsum("b i d, b j d -> b i j", query, key) * self.scale
        ahead = torch.ones(count, count, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.masked_fill(ahead, -torch.finfo(scores.dtype).max).softmax(dim=-1)
        mixed = torch.einsum("b i j, b j d -> b i d", weights, value)
        return self.to_out(mixed.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2))


class GroupedAttention(nn.Module):
    """Fewer keys than queries, left to PyTorch: ``enable_gqa``."""

    def __init__(self) -> None:
        super().__init__()
        size = WIDTH // HEADS
        self.wq, self.wo = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wkv = nn.Linear(WIDTH, 2 * GROUPS * size)

    def forward(self, x: Tensor) -> Tensor:
        query = self.wq(x).unflatten(2, (HEADS, -1)).transpose(1, 2)
        key, value = (
            p.unflatten(2, (GROUPS, -1)).transpose(1, 2) for p in self.wkv(x).chunk(2, dim=-1)
        )
        mixed = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, enable_gqa=True
        )
        return self.wo(mixed.transpose(1, 2).flatten(2))


class TimmAttention(nn.Module):
    """timm's, with its switch between the two ways."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.num_heads, self.head_dim = HEADS, WIDTH // HEADS
        self.scale, self.fused_attn = self.head_dim**-0.5, fused
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.q_norm, self.k_norm = nn.LayerNorm(self.head_dim), nn.LayerNorm(self.head_dim)
        self.attn_drop = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        qkv = self.qkv(x).reshape(batch, count, 3, self.num_heads, self.head_dim)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        query, key = self.q_norm(query), self.k_norm(key)
        if self.fused_attn:
            dropout = self.attn_drop.p if self.training else 0.0
            x = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        else:
            weights = (query * self.scale) @ key.transpose(-2, -1)
            x = self.attn_drop(weights.softmax(dim=-1)) @ value
        return self.proj(x.transpose(1, 2).reshape(batch, count, width))


class Gpt(nn.Module):
    """Embeddings, two blocks of an attention and a perceptron, logits.

    Args:
        attention: Makes the attention of a block.
    """

    def __init__(self, attention: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(32, WIDTH)
        self.h = nn.ModuleList(
            nn.ModuleDict({"norm": nn.LayerNorm(WIDTH), "attn": attention(), "mlp": nn.Linear(WIDTH, WIDTH)})
            for _ in range(2)
        )  # fmt: skip
        self.lm_head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, idx: Tensor) -> Tensor:
        x: Any = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        for block in self.h:
            x = x + block["attn"](block["norm"](x))
            x = x + block["mlp"](x).relu()
        return self.lm_head(x)
