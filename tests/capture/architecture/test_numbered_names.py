"""Layers that are numbered inside a name make one stream, as those of a `ModuleList` do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from attnwidget.capture.architecture.numbered_names import numbered_paths
from attnwidget.recordings import recording

if TYPE_CHECKING:
    from torch import Tensor


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.self_attention(x, x, x, need_weights=False)[0]


class Named(nn.Module):
    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names
        for name in names:
            outer, _, inner = name.partition(".")
            if inner and not hasattr(self, outer):
                setattr(self, outer, nn.ModuleDict())
            (getattr(self, outer) if inner else self).add_module(inner or outer, Block())

    def forward(self, x: Tensor) -> Tensor:
        for name in self.names:
            x = self.get_submodule(name)(x)
        return x


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["encoder_layer_0", "encoder_layer_1", "encoder_layer_2"], [0, 1, 2]),
        (["block1", "block2"], [1, 2]),
        (["h_3", "h_10"], [3, 10]),
        (["layer3.0", "layer4.0", "layer4.1"], [0, 1, 2]),
        (["layer_0_block", "layer_1_block"], [0, 1]),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_layers_numbered_in_a_name(names: list[str], numbers: list[int]) -> None:
    model = Named(names).eval()
    with torch.no_grad(), recording(model) as attention:
        model(torch.randn(1, 5, 16))
    (stream,) = attention.streams.values()
    assert [layer.layer for layer in stream] == numbers
    assert [layer.module_path for layer in stream] == [f"{name}.self_attention" for name in names]


@pytest.mark.parametrize(
    "paths",
    [
        ["blocks.0.attn1", "blocks.0.attn2"],  # two kinds of attention in one layer
        ["encoder1.layers.0.attn", "encoder2.layers.0.attn"],  # two encoders
        ["wav2vec2.layers.0.attn", "wav2vec2.layers.1.attn"],
        ["vit_b16.blocks.0.attn", "vit_b32.blocks.0.attn"],
        ["encoder1.attn", "encoder2.attn"],
    ],
    ids=lambda paths: paths[0],
)
def test_numbers_that_count_no_layers(paths: list[str]) -> None:
    assert numbered_paths(paths) == {path: path for path in paths}
