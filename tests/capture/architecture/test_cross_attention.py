"""Cross-attention is told by what it does, whatever it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from attnwidget.recordings import recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Attention(nn.Module):
    """Attention by hand, 2 heads."""

    def __init__(self, kind: str = "product") -> None:
        super().__init__()
        self.kind = kind
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))

    def forward(self, query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = (
            f(x).unflatten(-1, (2, -1)).transpose(1, 2)
            for f, x in ((self.q, query), (self.k, key), (self.v, key))
        )
        if self.kind == "fused":
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            scores = q @ k.mT / 2
            if mask is not None:
                scores = scores.masked_fill(~mask, -1e10)
            mixed = scores.softmax(-1) @ v
        return self.o(mixed.transpose(1, 2).flatten(2))


class DecoderLayer(nn.Module):
    """Keys come as they were given."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.own, self.source, self.norm = Attention(kind), Attention(kind), nn.LayerNorm(8)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.norm(x + self.own(x, x))
        return self.norm(x + self.source(x, memory, mask))


class NormedLayer(nn.Module):
    """Both sides are normalised apart, in self-attention too."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.own, self.source = Attention(kind), Attention(kind)
        self.left, self.right = nn.LayerNorm(8), nn.LayerNorm(8)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.own(self.left(x), self.right(x))
        return x + self.source(self.left(x), self.right(memory), mask)


class PlacedLayer(nn.Module):
    """Queries and keys have positions added, each their own, and self-attention as well."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.own, self.source = Attention(kind), Attention(kind)
        self.places = nn.Parameter(torch.randn(2, 16, 8))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        rows, columns = self.places[:, : x.shape[1]]
        x = x + self.own(x + rows, x + columns)
        memory = memory + self.places[0, : memory.shape[1]]
        return x + self.source(x + rows, memory, mask)


class TorchLayer(nn.Module):
    """PyTorch's module, called by keywords."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.fused = kind == "fused"
        self.own, self.source = (nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        hidden = None if mask is None else ~mask[:, 0, 0]
        more: dict[str, Any] = {"need_weights": not self.fused}
        x = x + self.own(x, x, x, **more)[0]
        return (
            x + self.source(query=x, key=memory, value=memory, key_padding_mask=hidden, **more)[0]
        )


class Model(nn.Module):
    def __init__(self, layer: Callable[[str], nn.Module], kind: str) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.first, self.second = (
            nn.ModuleList([Reader(kind) for _ in range(2)]),
            nn.ModuleList([layer(kind) for _ in range(2)]),
        )

    def forward(self, src: Tensor, trg: Tensor) -> Tensor:
        memory, x = self.words(src), self.words(trg)
        for layer in self.first:
            memory = layer(memory)
        mask = (src != 0)[:, None, None] if bool((src == 0).any()) else None
        for layer in self.second:
            x = layer(x, memory, mask)
        return x


class Reader(nn.Module):
    """Self-attention whose name is one of cross-attention."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.encoder_attn = Attention(kind)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.encoder_attn(x, x)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
@pytest.mark.parametrize("kind", ["product", "fused"])
@pytest.mark.parametrize("layer", [DecoderLayer, NormedLayer, PlacedLayer, TorchLayer])
def test_by_any_name(layer: type[nn.Module], kind: str, mode: Any) -> None:
    model = Model(layer, kind).eval()
    for source, target in (([3, 5, 6], [1, 8, 9]), ([3, 5, 6, 2, 0, 0], [1, 8, 9, 2])):
        src, trg = torch.tensor([source]), torch.tensor([target])
        with mode():
            off = model(src, trg)
            with recording(model) as attention:
                on = model(src, trg)
        assert torch.equal(off, on)
        found = {
            name: [layer.module_path for layer in stream]
            for name, stream in attention.streams.items()
            if name == "cross"
        }
        assert found == {"cross": ["second.0.source", "second.1.source"]}
        cross = attention["cross"]
        assert (len(cross.query_positions), len(cross.key_positions)) == (len(target), len(source))
        others = [
            one.module_path for n, s in attention.streams.items() for one in s if n != "cross"
        ]
        assert sorted(others) == [
            "first.0.encoder_attn",
            "first.1.encoder_attn",
            "second.0.own",
            "second.1.own",
        ]


class Product(nn.Module):
    """Is given what was projected outside: that these are three tensors says nothing."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.mT).softmax(-1) @ v


class MultiHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.attend = (*(nn.Linear(8, 8) for _ in range(3)), Product())

    def forward(self, value: Tensor, key: Tensor, query: Tensor) -> Tensor:
        return self.attend(self.q(query), self.k(key), self.v(value))


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = MultiHead(), MultiHead()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x = x + self.a(x, x, x)
        return x + self.b(y, y, x)


def test_vectors_that_are_projected_outside() -> None:
    model = Pair().eval()
    with torch.no_grad(), recording(model) as attention:
        model(torch.randn(1, 5, 8), torch.randn(1, 5, 8))
    found = {
        name: [one.module_path for one in stream] for name, stream in attention.streams.items()
    }
    assert found == {"encoder": ["a.attend"], "cross": ["b.attend"]}


class Latents(nn.Module):
    """Learned queries that are handed to the attention."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, 4, 8))
        self.read, self.think = Attention(), Attention()

    def forward(self, x: Tensor) -> Tensor:
        latents = self.latents.expand(len(x), -1, -1)
        latents = latents + self.read(latents, x)
        return latents + self.think(latents, latents)


def test_learned_queries() -> None:
    model = Latents().eval()
    with torch.no_grad(), recording(model) as attention:
        model(torch.randn(1, 6, 8))
    found = {
        name: [one.module_path for one in stream] for name, stream in attention.streams.items()
    }
    assert found == {"encoder": ["think"], "cross": ["read"]}


class Compiled(nn.Module):
    """A function of the block, outside of its attention, is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.own = Attention()
        self.act = torch.compile(lambda x: nn.functional.gelu(x) * 2, backend="eager")

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.own(x, x)
        return x + self.act(x)


@pytest.mark.filterwarnings("error")
def test_compiled_functions_do_not_meet_the_tap() -> None:
    model, x = nn.Sequential(Compiled(), Compiled()), torch.randn(1, 5, 8)
    with torch.no_grad():
        off = model(x)
        with recording(model) as attention:
            assert torch.equal(model(x), off)
    with recording(model):
        model(x).sum().backward()
    assert len(attention["encoder"]) == 2
