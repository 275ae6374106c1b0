"""Long records without a model: heads with a diagonal band, a sink and a few blocks, so that there is something to see."""

from __future__ import annotations

import math

import torch

from attnwidget.attention import Attention
from attnwidget.compute.masks import Band
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream

_WAVES = 24
_BLOCKS = 8
_WORDS = ("the", "cat", "sat", "on", "a", "mat", "because", "it", "was", "tired", "then", "left")


def _vectors(length: int, heads: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return query and key ``[head, position, dim]``: waves make the band, a constant the sink, segments the blocks."""
    generator = torch.Generator().manual_seed(seed)
    place = torch.arange(length, dtype=torch.float32)[:, None]
    # Wavelengths from a few positions to a tenth of the input.
    speeds = 2 * math.pi / torch.logspace(math.log10(6), math.log10(max(24, length / 10)), _WAVES)
    waves = torch.cat([torch.cos(place * speeds), torch.sin(place * speeds)], dim=1)
    segments = torch.nn.functional.one_hot((place[:, 0] * _BLOCKS / length).long() % 3, 3).float()
    first = torch.zeros(length, 1)
    first[0] = 1
    query, key = [], []
    for head in range(heads):
        band, sink, block = 0.2 + 0.08 * head, 3.0 + 0.5 * head, 1.0 + 1.5 * (head % 3)
        noise = torch.randn(2, length, 8, generator=generator) * 0.8
        ones = torch.ones(length, 1)
        query.append(torch.cat([waves * band, ones * sink, segments * block, noise[0]], dim=1))
        key.append(torch.cat([waves, first * 3, segments, noise[1]], dim=1))
    return torch.stack(query), torch.stack(key)


def structured(
    length: int,
    heads: int = 2,
    layers: int = 2,
    *,
    causal: bool = True,
    name: str = "Structured",
    sharpness: float = 1.0,
) -> Attention:
    """Return a record of ``layers`` layers of ``heads`` heads over ``length`` tokens; less sharp, weights spread out."""
    made = []
    for number in range(layers):
        query, key = _vectors(length, heads, number)
        made.append(
            Layer(
                stream="self",
                layer=number,
                module_path=f"layers.{number}",
                num_heads=heads,
                query=query,
                key=key,
                value=key[..., :8].contiguous(),
                scaling=sharpness,
                band=Band(causal=True) if causal else None,
            )
        )
    positions = (
        Position("<bos>", kind="special"),
        *(Position(_WORDS[index % len(_WORDS)]) for index in range(1, length)),
    )
    return Attention(name, {"self": Stream("self", tuple(made), positions, positions)})
