"""Modelling code from before `get_interface`: it takes ``ALL_ATTENTION_FUNCTIONS[name]``, or a function of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from attnwidget.recordings import recording

HEADS, SIZE = 3, 8


def own_attention_forward(  # noqa: PLR0917  as transformers calls it
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend with a sink if the module has one, and with a division that the arguments say nothing of."""
    del options
    logits = query @ key.mT * scaling / module.divisor
    if attention_mask is not None:
        logits = logits + attention_mask
    if module.sinks is None:
        weights = logits.softmax(dim=-1)
    else:
        sinks = module.sinks.reshape(1, -1, 1, 1).expand(len(query), -1, query.shape[2], 1)
        weights = torch.cat([logits, sinks], dim=-1).softmax(dim=-1)[..., :-1]
    return (weights @ value).transpose(1, 2), weights


class EarlierAttention(nn.Module):
    """Attention as transformers 4.48 to 5.1 writes it."""

    is_causal = False

    def __init__(self, implementation: str, *, sinks: bool, divisor: float) -> None:
        super().__init__()
        self.implementation, self.divisor, self.num_heads = implementation, divisor, HEADS
        self.qkv = nn.Linear(HEADS * SIZE, 3 * HEADS * SIZE)
        self.o_proj = nn.Linear(HEADS * SIZE, HEADS * SIZE)
        self.sinks = nn.Parameter(torch.randn(HEADS)) if sinks else None
        self.seen: torch.Tensor | None = None

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        parts = self.qkv(states).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (HEADS, SIZE)).transpose(1, 2) for part in parts)
        attend = own_attention_forward
        if self.implementation != "eager":
            attend = ALL_ATTENTION_FUNCTIONS[self.implementation]
        output, self.seen = attend(self, query, key, value, None, scaling=SIZE**-0.5, dropout=0.0)
        return self.o_proj(output.flatten(-2))


def model_of(implementation: str, *, sinks: bool = False, divisor: float = 1.0) -> nn.Sequential:
    torch.manual_seed(0)
    layers = (
        EarlierAttention(implementation, sinks=sinks, divisor=divisor * number) for number in (1, 2)
    )
    return nn.Sequential(*layers).eval()


def record(model: nn.Sequential) -> tuple[Any, torch.Tensor]:
    states = torch.randn(1, 5, HEADS * SIZE, generator=torch.Generator().manual_seed(1)) * 3
    with torch.no_grad():
        without = model(states)
        with recording(model) as attention:
            output = model(states)
    assert torch.equal(output, without)
    (stream,) = attention.streams.values()
    assert [layer.layer for layer in stream] == [0, 1]  # each call once
    return stream, output


@pytest.mark.parametrize("divisor", [1.0, 3.0])
def test_a_function_of_its_own_is_read_by_its_operations(divisor: float) -> None:
    model = model_of("eager", divisor=divisor)
    stream, _ = record(model)
    for layer, module in zip(stream, model, strict=True):
        assert layer.has_vectors
        np.testing.assert_allclose(layer.weights(), module.seen[0].numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("divisor", [1.0, 3.0])
def test_what_it_does_beside_its_arguments_is_never_left_out(divisor: float) -> None:
    model = model_of("eager", sinks=True, divisor=divisor)
    stream, _ = record(model)
    for layer, module in zip(stream, model, strict=True):
        assert not layer.has_vectors
        np.testing.assert_array_equal(layer.weights(), module.seen[0].numpy())
        assert (layer.weights().sum(axis=-1) < 1).all()


def test_a_function_that_is_looked_up_is_heard() -> None:
    model = model_of("sdpa")
    stream, output = record(model)
    for module in model:
        module.implementation = "eager"
        module.divisor = 1.0
    expected, same = record(model)
    assert torch.allclose(output, same, atol=1e-5)
    for layer, own in zip(stream, expected, strict=True):
        np.testing.assert_allclose(layer.weights(), own.weights(), rtol=0, atol=1e-6)


def test_functions_are_as_before() -> None:
    before = ALL_ATTENTION_FUNCTIONS["sdpa"]
    model = model_of("sdpa")
    with recording(model):
        assert ALL_ATTENTION_FUNCTIONS["sdpa"] is not before
        model(torch.randn(1, 5, HEADS * SIZE))
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is before
    with pytest.raises(ArithmeticError), recording(model):
        raise ArithmeticError
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is before
