"""Models that are not in transformers: code that comes along with weights, PyTorch's own layers, timm's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import gpts, zoo
from support.model_checks import hooks, layers, multiplied, wake
from torch import nn
from torch.nn.attention import flex_attention as flexible
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

KINDS = {
    "nanogpt": gpts.CausalSelfAttention,
    "rearranged": gpts.Rearranged,
    "grouped": gpts.GroupedAttention,
    "timm": lambda: gpts.TimmAttention(fused=False),
    "timm-fused": lambda: gpts.TimmAttention(fused=True),
}


def build(kind: Callable[[], nn.Module]) -> nn.Module:
    """Build a language model whose heads attend to something."""
    model = zoo.wake(gpts.Gpt(kind))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and name.rpartition(".")[0].endswith(
                ("attn", "qkv", "wq", "wkv")
            ):
                parameter.mul_(3)
            elif "_norm.weight" in name:
                parameter.fill_(1.5)
    return model


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_models_by_hand(kind: str, dtype: torch.dtype, rows: int) -> None:
    model = build(KINDS[kind]).to(dtype)
    inputs = {"idx": zoo.ids(7, rows=rows)}
    own = multiplied(model, inputs)
    with torch.no_grad():
        off = model(**inputs)
        with recording(model, batch=rows - 1) as attention:
            on = model(**inputs)
    assert torch.equal(off, on)
    assert hooks(model) == []
    name = "encoder" if "timm" in kind else "decoder"
    assert [layer.module_path for layer in attention[name]] == ["h.0.attn", "h.1.attn"]
    for layer, expected in zip(attention[name], own, strict=True):
        assert layer.has_vectors, layer.reason
        assert layer.num_heads == gpts.HEADS
        assert (layer.band is not None) == (name == "decoder")
        theirs = expected.reshape(rows, gpts.HEADS, 7, 7)[rows - 1]
        atol = 1e-5 if dtype == torch.float32 else 3e-2
        np.testing.assert_allclose(layer.weights(), theirs, rtol=0, atol=atol)
        assert (theirs.max(axis=-1) * (theirs > 0).sum(axis=-1)).mean() > 1.3


def test_keys_that_several_queries_share_are_kept_once() -> None:
    model = build(gpts.GroupedAttention)
    for gradients in (False, True):
        with torch.set_grad_enabled(gradients), recording(model) as attention:
            model(zoo.ids(7))
        layer = attention["decoder"][0]
        assert (layer.num_heads, layer.num_key_value_heads) == (gpts.HEADS, gpts.GROUPS)


def test_capture_takes_ids_for_a_model_by_hand() -> None:
    model = build(gpts.CausalSelfAttention)
    attention = capture(model, {"idx": zoo.ids(7)})
    assert len(attention["decoder"].key_positions) == 7


def test_rows_are_counted_whatever_the_input_is_called() -> None:
    model = build(gpts.CausalSelfAttention)
    with pytest.raises(ValueError, match="a batch of 3; say which row"), recording(model):
        model(zoo.ids(7, rows=3))
    with (
        pytest.raises(ValueError, match=r"batch must be in 0\.\.2, got 3"),
        recording(model, batch=3),
    ):
        model(zoo.ids(7, rows=3))


class Windows(nn.Module):
    """An image cut into four windows that attend within themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = gpts.TimmAttention(fused=True)

    def forward(self, x: Tensor) -> Tensor:
        cut = x.unflatten(3, (2, -1)).unflatten(2, (2, -1)).permute(0, 2, 4, 3, 5, 1)
        return self.attn(cut.flatten(3, 4).flatten(0, 2))


def test_windows_are_no_rows() -> None:
    model = wake(Windows())
    image = torch.randn(1, gpts.WIDTH, 4, 4, generator=torch.Generator().manual_seed(0)) * 2
    with torch.no_grad(), recording(model) as attention:
        model(image)
    (layer,) = layers(attention.attention)
    assert layer.weights().shape == (gpts.HEADS, 16, 16)
    assert (layer.weights() > 0).sum() == gpts.HEADS * 4 * 4 * 4


def test_timm_itself() -> None:
    try:
        from timm.layers import Attention
    except (ImportError, RuntimeError) as error:  # its torchvision does not go with every PyTorch
        pytest.skip(f"timm cannot be imported here: {type(error).__name__}")
    for fused in (False, True):
        model = wake(Attention(24, num_heads=3, qkv_bias=True))
        model.fused_attn = fused
        hidden = torch.randn(1, 7, 24, generator=torch.Generator().manual_seed(0)) * 2
        own = multiplied(model, {"x": hidden})
        with torch.no_grad(), recording(model) as attention:
            model(hidden)
        (layer,) = layers(attention.attention)
        assert layer.has_vectors
        np.testing.assert_allclose(layer.weights(), own[0], rtol=0, atol=1e-5)


def test_decoder_layers_of_pytorch() -> None:
    stack = nn.TransformerDecoder(nn.TransformerDecoderLayer(24, 3, 32, batch_first=True), 2)
    model = wake(stack)
    generator = torch.Generator().manual_seed(0)
    target, memory = (torch.randn(2, count, 24, generator=generator) * 2 for count in (5, 7))
    options = {"tgt_mask": nn.Transformer.generate_square_subsequent_mask(5), "tgt_is_causal": True}
    own = multiplied(model, {"tgt": target, "memory": memory, **options})
    with torch.no_grad():
        off = model(target, memory, **options)
        with recording(model, batch=1) as attention:
            on = model(target, memory, **options)
    assert torch.equal(off, on)
    assert hooks(model) == []
    found = [
        attention["decoder"][0],
        attention["cross"][0],
        attention["decoder"][1],
        attention["cross"][1],
    ]
    for layer, expected in zip(found, own, strict=True):
        assert layer.has_vectors
        theirs = expected.reshape(2, 3, *expected.shape[1:])[1]
        np.testing.assert_allclose(layer.weights(), theirs, rtol=0, atol=1e-5)


TABLE = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))


def slopes(score: Tensor, _batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return score + (key - query) * 0.3 * (head + 1)


def looked_up(score: Tensor, _batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return score + TABLE[head, query - key + 10]


def capped(score: Tensor, *_: Tensor) -> Tensor:
    return 2 * torch.tanh(score / 2)


class FlexAttention(nn.Module):
    """Attention by ``flex_attention``, found under a name of this file."""

    def __init__(self, change: Callable[..., Tensor] | None, block_mask: Any) -> None:
        super().__init__()
        self.q, self.kv, self.options = nn.Linear(24, 24), nn.Linear(24, 16), {}
        self.change, self.block_mask = change, block_mask

    def attend(self, *args: Any, **kwargs: Any) -> Tensor:
        return flex_attention(*args, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        query = self.q(x).unflatten(2, (3, 8)).transpose(1, 2)
        key, value = (part[:, None] for part in self.kv(x).chunk(2, dim=-1))
        return self.attend(
            query, key, value, score_mod=self.change, block_mask=self.block_mask, enable_gqa=True
        )


class ThroughModule(FlexAttention):
    def attend(self, *args: Any, **kwargs: Any) -> Tensor:
        return flexible.flex_attention(*args, **kwargs)


class ThroughAttribute(FlexAttention):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.function = flex_attention

    def attend(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.function(*args, **kwargs)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (FlexAttention, None),
        (FlexAttention, slopes),
        (FlexAttention, looked_up),
        (FlexAttention, capped),
        (ThroughModule, slopes),
        (ThroughAttribute, slopes),
    ],
)
def test_flexible_attention(kind: Any, change: Any, causal: bool) -> None:  # noqa: FBT001
    """Its output is the check: the weights that are shown, times the values."""

    def seen(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return query >= key

    mask = create_block_mask(seen, None, None, 7, 7, device="cpu") if causal else None
    model = wake(kind(change, mask))
    hidden = torch.randn(2, 7, 24, generator=torch.Generator().manual_seed(0)) * 2
    with torch.no_grad():
        off = model(hidden)
        with recording(model, batch=1) as attention:
            assert flexible.flex_attention is not flex_attention or kind is not ThroughModule
            on = model(hidden)
    assert torch.equal(off, on)
    assert flex_attention is flexible.flex_attention
    assert flex_attention.__module__ == flexible.__name__
    assert not hasattr(flex_attention, "__wrapped__")
    (layer,) = layers(attention.attention)
    np.testing.assert_allclose(layer.output(), on[1].numpy(), rtol=0, atol=1e-5)
    assert layer.has_vectors == (change is not capped)
    assert not causal or not np.triu(layer.weights(0), 1).any()
    if layer.has_vectors:
        assert layer.num_key_value_heads == 1
        assert (layer.bias is not None) == (change is not None)
    else:
        assert "does more than add to them" in layer.reason


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flexible_attention_that_raises_leaves_the_name_as_it_was() -> None:
    model = wake(FlexAttention(None, None))
    with pytest.raises(ArithmeticError), recording(model):
        raise ArithmeticError
    assert flex_attention is flexible.flex_attention
    assert not hasattr(flex_attention, "__wrapped__")
