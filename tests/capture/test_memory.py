"""What is kept of a long input grows with its length, not with its square."""

from __future__ import annotations

import gc
import math
from typing import Any

import pytest
import torch
from support import zoo

from attnwidget.recordings import recording

LENGTH = 60


def largest(heads: int) -> list[tuple[int, ...]]:
    """Shapes of all tensors there are that could hold a number for each head, query and key."""
    return [
        tuple(found.shape)
        for found in gc.get_objects()
        if issubclass(type(found), torch.Tensor)  # `isinstance` would wake modules that load late
        and not isinstance(found, torch.nn.Parameter)
        and found.ndim >= 2
        and tuple(found.shape[-2:]) == (LENGTH, LENGTH)
        and math.prod(found.shape[:-2]) >= heads
    ]


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "qwen3", "gemma3"])
def test_no_matrix_of_all_heads_is_kept(name: str, implementation: str) -> None:
    model = zoo.build(name, implementation)
    seen: list[Any] = []
    last = [part for part in model.modules() if isinstance(part, torch.nn.Linear)][-1]
    with torch.no_grad(), recording(model) as attention:
        last.register_forward_hook(
            lambda *_: seen.append(largest(model.config.num_attention_heads))
        )
        model(zoo.ids(LENGTH))
    assert seen == [[]]
    assert largest(model.config.num_attention_heads) == []
    (stream,) = attention.streams.values()
    held = [
        tensor.numel()
        for layer in stream
        for tensor in (layer.query, layer.key, layer.value, layer.bias, layer.recorded)
        if tensor is not None
    ]
    assert max(held) <= LENGTH * model.config.num_attention_heads * 10
