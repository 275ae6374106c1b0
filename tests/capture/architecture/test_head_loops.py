"""Heads that are computed one after the other are heads of one layer, and layers stay layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from attnwidget.recordings import recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Product(nn.Module):
    """One head, which keeps its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = q @ k.mT / q.shape[-1] ** 0.5
        causal = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        weights = scores.masked_fill(~causal, float("-inf")).softmax(-1)
        self.seen.append(weights)
        return weights @ v


class LoopedAttention(nn.Module):
    """A loop over projections, one product for all; the values are shared."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k = (nn.ModuleList([nn.Linear(12, 4) for _ in range(3)]) for _ in range(2))
        self.v, self.product, self.out = nn.Linear(12, 4), Product(), nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        v = self.v(x)
        heads = [self.product(q(x), k(x), v) for q, k in zip(self.q, self.k, strict=True)]
        return self.out(torch.stack(heads).mean(0))

    def weights(self) -> list[Tensor]:
        return self.product.seen


class SlicedAttention(nn.Module):
    """A loop over slices of one projection, inside of the attention's own code."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(12, 36), nn.Linear(12, 12)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
        heads = []
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            scores = q[..., part] @ k[..., part].mT / 2
            weights = torch.softmax(scores.masked_fill(~causal, float("-inf")), dim=-1)
            self.seen.append(weights)
            heads.append(weights @ v[..., part])
        return self.out(torch.cat(heads, dim=-1))

    def weights(self) -> list[Tensor]:
        return self.seen


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(12, 4, bias=False) for _ in range(3))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x) @ self.key(x).transpose(-2, -1) * 0.5
        causal = torch.ones(x.shape[1], x.shape[1]).tril()
        weights = nn.functional.softmax(scores.masked_fill(causal == 0, float("-inf")), dim=-1)
        self.seen.append(weights)
        return weights @ self.value(x)


class HeadModules(nn.Module):
    """A module for each head, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.proj = nn.ModuleList([Head() for _ in range(3)]), nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(torch.cat([head(x) for head in self.heads], dim=-1))

    def weights(self) -> list[Tensor]:
        return [head.seen[0] for head in self.heads]  # type: ignore[union-attr, index]


class NamedHeads(HeadModules):
    """The same, each with a name of its own."""

    def __init__(self) -> None:
        super().__init__()
        for number, head in enumerate(self.heads):
            setattr(self, f"head_{number}", head)
        self.heads = None

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(torch.cat([self.head_0(x), self.head_1(x), self.head_2(x)], dim=-1))

    def weights(self) -> list[Tensor]:
        return [head.seen[0] for head in (self.head_0, self.head_1, self.head_2)]


class Block(nn.Module):
    def __init__(self, kind: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.sa, self.norm = kind(), nn.LayerNorm(12)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.sa(self.norm(x))


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("kind", [LoopedAttention, SlicedAttention, HeadModules, NamedHeads])
def test_heads_of_one_layer(kind: Callable[[], nn.Module], rows: int) -> None:
    model = nn.Sequential(Block(kind), Block(kind)).eval()
    with torch.no_grad(), recording(model, batch=rows - 1) as attention:
        model(torch.randn(rows, 6, 12))
    (stream,) = attention.streams.values()
    assert [(layer.layer, layer.num_heads) for layer in stream] == [(0, 3), (1, 3)]
    for layer, block in zip(stream, model, strict=True):
        assert layer.module_path.startswith(f"{layer.layer}.sa")
        assert layer.has_vectors
        expected = torch.stack([weights[rows - 1] for weights in block.sa.weights()])  # type: ignore[union-attr, operator]
        np.testing.assert_allclose(layer.weights(), expected.numpy(), rtol=0, atol=1e-6)


class Single(nn.Module):
    """Attention of one head."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.out = Head(), nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.head(x))


class Shared(nn.Module):
    """One module of one head for three layers."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(Single)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.block(x)
        return x


class Flat(nn.Module):
    """Layers of one head, without a block around each."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.out = nn.ModuleList([Head() for _ in range(3)]), nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        for head in self.heads:
            x = x + self.out(head(x))
        return x


@pytest.mark.parametrize("kind", [Shared, Flat])
def test_layers_of_one_head(kind: Callable[[], nn.Module]) -> None:
    model = kind().eval()
    with torch.no_grad(), recording(model) as attention:
        model(torch.randn(1, 6, 12))
    (stream,) = attention.streams.values()
    assert [(layer.layer, layer.num_heads) for layer in stream] == [(0, 1), (1, 1), (2, 1)]


class Steps(nn.Module):
    """A loop over the queries, two at a time, of one head."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.attention = nn.Linear(12, 4), nn.Linear(12, 4), Product()

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.q(x), self.k(x)
        return torch.cat([self.attention(q[:, at : at + 2], k, k) for at in (0, 2, 4)], dim=1)


def test_a_loop_over_queries_makes_no_heads() -> None:
    model = Steps().eval()
    with torch.no_grad(), recording(model) as attention:
        model(torch.randn(1, 6, 12))
    assert {layer.num_heads for s in attention.streams.values() for layer in s} == {1}
