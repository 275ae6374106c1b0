"""PyTorch's own attention layers, on their fast and their slow paths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import others
from support.model_checks import hooks, wake
from torch import nn

from attnwidget.recordings import recording


def encoder(*, norm_first: bool = False) -> Any:
    layer = nn.TransformerEncoderLayer(24, 4, 32, batch_first=True, norm_first=norm_first)
    return wake(nn.TransformerEncoder(layer, 2, enable_nested_tensor=not norm_first))


def own_weights(model: Any, hidden: torch.Tensor) -> list[np.ndarray]:
    """Ask each layer's attention for its weights, outside the fast path."""
    found = []

    def ask(module: Any, args: Any, kwargs: Any) -> None:
        asked = {**kwargs, "need_weights": True, "average_attn_weights": False}
        found.append(nn.MultiheadAttention.forward(module, *args, **asked)[1][0])

    attentions = [part for part in model.modules() if isinstance(part, nn.MultiheadAttention)]
    handles = [part.register_forward_pre_hook(ask, with_kwargs=True) for part in attentions]
    with torch.no_grad():
        model(hidden)
    for handle in handles:
        handle.remove()
    return [weights.numpy() for weights in found]


@pytest.mark.parametrize("norm_first", [False, True])
def test_fast_path_stays_the_fast_path(norm_first: bool) -> None:  # noqa: FBT001
    model, hidden = encoder(norm_first=norm_first), others.hidden_states()
    own = own_weights(model, hidden)
    with torch.no_grad():
        off = model(hidden)
        with recording(model) as attention:
            on = model(hidden)
    assert torch.equal(off, on)
    assert hooks(model) == []
    stream = attention["encoder"]
    assert [layer.module_path for layer in stream] == ["layers.0.self_attn", "layers.1.self_attn"]
    for layer, expected in zip(stream, own, strict=True):
        assert layer.has_vectors
        np.testing.assert_allclose(layer.weights(), expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_padded_rows_on_the_fast_path() -> None:
    model, hidden = encoder(), others.hidden_states(rows=2)
    hidden_keys = torch.zeros(2, 7, dtype=torch.bool)
    hidden_keys[1, 5:] = True
    own = own_weights(model, hidden[1:, :5])
    with torch.no_grad(), recording(model, batch=1) as attention:
        model(hidden, src_key_padding_mask=hidden_keys)
    for layer, expected in zip(attention["encoder"], own, strict=True):
        np.testing.assert_allclose(layer.weights()[:, :5, :5], expected, rtol=0, atol=1e-5)
        assert not layer.weights()[:, :, 5:].any()


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
def test_multihead_attention(need_weights: bool, gradients: bool) -> None:  # noqa: FBT001
    model = wake(nn.MultiheadAttention(24, 3))
    query, key = torch.randn(5, 1, 24) * 2, torch.randn(7, 1, 24) * 2
    expected = model(query, key, key, average_attn_weights=False)[1][0].detach().numpy()
    with torch.set_grad_enabled(gradients), recording(model) as attention:
        output, _ = model(query, key, key, need_weights=need_weights)
    assert torch.equal(output, model(query, key, key, need_weights=need_weights)[0])
    (layer,) = next(iter(attention.streams.values()))
    assert layer.has_vectors
    np.testing.assert_allclose(layer.weights(), expected, rtol=0, atol=1e-5)


def test_encoder_and_decoder() -> None:
    model = wake(nn.Transformer(24, 4, 2, 3, 32, batch_first=True))
    source, target = others.hidden_states(7), others.hidden_states(5, seed=1)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    with torch.no_grad():
        off = model(source, target, tgt_mask=mask)
        with recording(model) as attention:
            on = model(source, target, tgt_mask=mask)
    assert torch.equal(off, on)
    assert {name: len(stream) for name, stream in attention.streams.items()} == {
        "encoder": 2,
        "decoder": 3,
        "cross": 3,
    }
    assert attention["decoder"][0].band is not None
    assert attention["cross"][0].weights().shape == (4, 5, 7)
