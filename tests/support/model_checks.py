"""A model's own side of a comparison: its hooks, outputs and weights, and the checks of a record against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from capture.coverage.reference import Reference

if TYPE_CHECKING:
    from torch import nn

    from attnwidget import Attention
    from attnwidget.record.layer import Layer

# The length is exact: the tiny models' random end-of-text must not cut it short.
GREEDY: dict[str, Any] = {"do_sample": False, "max_new_tokens": 6, "min_new_tokens": 6}


def hooks(model: nn.Module) -> list[tuple[str, object]]:
    """List every hook of every module. Transformers leaves some of its own behind."""
    return [
        (f"{path}.{name}", dict(value) if hasattr(value, "keys") else value)
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if "hooks" in name and value
    ]


def tensors(output: Any) -> list[torch.Tensor]:
    """Flatten everything a forward pass returns, its cache included."""
    if isinstance(output, torch.Tensor):
        return [output]
    if isinstance(output, dict):
        return [tensor for value in output.values() for tensor in tensors(value)]
    if isinstance(output, (list, tuple)):
        return [tensor for value in output for tensor in tensors(value)]
    layers = getattr(output, "layers", None)
    if layers is not None:
        kept = (tensor for layer in layers for tensor in (layer.keys, layer.values))
        return [tensor for tensor in kept if tensor is not None]  # a layer may not be filled
    return []


def own(model: Any, inputs: dict[str, Any]) -> list[np.ndarray]:
    """Weights as the model returns them, ``[head, query, key]``."""
    with torch.no_grad():
        found = model(**inputs, output_attentions=True).attentions
    return [weights[0].numpy() for weights in found]


def compare(attention: Attention, expected: list[np.ndarray]) -> None:
    (stream,) = attention.streams.values()
    assert len(stream) == len(expected)
    for layer, weights in zip(stream, expected, strict=True):
        np.testing.assert_allclose(layer.weights(), weights, rtol=0, atol=1e-5)
        assert (weights.max(axis=-1) * (weights > 0).sum(axis=-1)).mean() > 1.3


def layers(attention: Attention) -> list[Layer]:
    return [layer for stream in attention.streams.values() for layer in stream]


def multiplied(model: Any, inputs: dict[str, torch.Tensor], seed: int = 0) -> list[np.ndarray]:
    """What the model itself multiplied its values with, ``[head, query, key]`` for each call of one row."""
    with torch.no_grad(), Reference() as reference:
        torch.manual_seed(seed)
        model(**inputs)
    return [
        seen.weights.reshape(-1, *seen.weights.shape[-2:]).numpy()
        for seen in reference.seen
        if seen.weights.shape[-2] > 1
    ]


def wake(model: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                spread = 2.0 if "in_proj_weight" in name else 1.0
                size = parameter.shape[-1] ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread * size)
    return model.eval()


def assert_same(stream: Any, whole: Any, atol: float = 1e-5) -> None:
    assert [p.label for p in stream.key_positions] == [p.label for p in whole.key_positions]
    assert len(stream.query_positions) == len(whole.query_positions)
    for layer, expected in zip(stream, whole, strict=True):
        assert layer.band == expected.band
        assert (layer.bias is None) == (expected.bias is None)
        assert (layer.value_norms is None) == (expected.value_norms is None)
        np.testing.assert_allclose(layer.weights(), expected.weights(), rtol=0, atol=atol)
        np.testing.assert_allclose(layer.output(1), expected.output(1), rtol=0, atol=1e-4)
