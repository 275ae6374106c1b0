"""Values behind the output projection: the model's own projection of each head's value, of every kind of model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import builders, zoo
from torch import nn

import attnwidget as aw
from attnwidget.recordings import capture

if TYPE_CHECKING:
    from attnwidget.record.layer import Layer

NAMES = ("o_proj", "out_proj", "c_proj", "out_lin", "Wo", "o", "output.dense", "dense")


def projection(model: Any, layer: Layer) -> nn.Module:
    """Find the output projection by the names that models give it, in the attention module or beside it."""
    inner, outer = layer.module_path, layer.module_path.rpartition(".")[0]
    modules = dict(model.named_modules())
    (found,) = {
        modules[f"{place}.{name}"]
        for place in (inner, outer)
        for name in NAMES
        if f"{place}.{name}" in modules and "mlp" not in f"{place}.{name}"
    }
    return found


def own_norms(module: nn.Module, layer: Layer) -> np.ndarray[Any, Any]:
    """Send each head's value through the module alone, all else being zero, ``[head, key]``."""
    values = torch.from_numpy(layer.value_vectors())
    heads, keys, width = values.shape
    alone = torch.zeros(heads, keys, heads * width)
    for head in range(heads):
        alone[head, :, head * width : (head + 1) * width] = values[head]
    with torch.no_grad():
        nothing = module(torch.zeros(1, heads * width))
        return (module(alone) - nothing).norm(dim=-1).numpy()


@pytest.mark.parametrize("name", zoo.KINDS)
def test_norms_are_those_of_the_models_own_projection(name: str) -> None:
    model = zoo.build(name)
    attention = capture(model, zoo.inputs_of(name))
    for stream in attention.streams.values():
        for layer in stream:
            assert layer.norm_reason is None
            norms = own_norms(projection(model, layer), layer)
            expected = layer.weights() * norms[:, None]
            np.testing.assert_allclose(layer.measure("norm"), expected, rtol=1e-4, atol=1e-5)
            block = layer.measure("norm", 1, slice(1, 4), [0, 2])
            np.testing.assert_allclose(block, expected[1, 1:4][:, [0, 2]], rtol=1e-4, atol=1e-5)
            lengths = np.linalg.norm(layer.value_vectors(), axis=-1)
            np.testing.assert_allclose(
                layer.measure("value"), layer.weights() * lengths[:, None], rtol=1e-5, atol=1e-6
            )


def test_models_that_do_their_own_attention_have_norms_too() -> None:
    model = zoo.wake(builders.bloom())
    for layer in capture(model, zoo.ids(7))["decoder"]:
        expected = layer.weights() * own_norms(projection(model, layer), layer)[:, None]
        np.testing.assert_allclose(layer.measure("norm"), expected, rtol=1e-4, atol=1e-5)


def test_of_a_batch_the_row_that_is_recorded() -> None:
    model = zoo.build("bert")
    ids = zoo.ids(7, rows=3)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    batched = capture(model, {"input_ids": ids, "attention_mask": mask}, batch=1)["encoder"]
    alone = capture(model, ids[1:2, :5])["encoder"]
    for layer, expected in zip(batched, alone, strict=True):
        np.testing.assert_allclose(layer.measure("norm"), expected.measure("norm"), atol=1e-5)


def test_over_a_generation_every_key_has_its_norm() -> None:
    model = zoo.build("llama")
    with aw.recording(model) as attention:
        ids = model.generate(zoo.ids(5), max_new_tokens=4, do_sample=False)
    whole = capture(model, ids[:, :-1])["decoder"]
    for layer, expected in zip(attention["decoder"], whole, strict=True):
        np.testing.assert_allclose(
            layer.measure("norm"), expected.measure("norm"), rtol=1e-3, atol=1e-4
        )


def test_half_precision() -> None:
    exact = capture(zoo.build("llama"), zoo.inputs_of("llama"))["decoder"]
    half = capture(zoo.build("llama", dtype=torch.bfloat16), zoo.inputs_of("llama"))["decoder"]
    for layer, expected in zip(half, exact, strict=True):
        assert layer.norm_reason is None
        np.testing.assert_allclose(layer.value_norms, expected.value_norms, rtol=0.1, atol=0.05)


class _Gated(nn.Module):
    """Something between the attention and its output projection."""

    def __init__(self, projection: nn.Module) -> None:
        super().__init__()
        self.inner = projection

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.inner(states * states.sigmoid())


class _Adapter(nn.Module):
    """The shape of a low-rank adapter around a linear layer."""

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.added = nn.Linear(base_layer.in_features, base_layer.out_features, bias=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.base_layer(states) + self.added(states)


class _Strange(nn.Module):
    """A projection that is no linear layer."""

    def __init__(self, projection: nn.Linear) -> None:
        super().__init__()
        self.weight = projection.weight

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return (states @ self.weight.T).tanh()


@pytest.mark.parametrize(
    ("wrap", "reason"),
    [
        (_Gated, "no plain linear layer is given just its output"),
        (_Adapter, "wrapped by an adapter: merge it first"),
        (_Strange, "could not be told"),
    ],
)
def test_a_layer_that_cannot_tell_says_why(wrap: Any, reason: str) -> None:
    model = zoo.build("llama")
    attend = model.model.layers[1].self_attn
    attend.o_proj = wrap(attend.o_proj)
    attention = capture(model, zoo.inputs_of("llama"))
    first, second = attention["decoder"]
    assert first.value_norms is not None
    assert second.value_norms is None
    for ask in (
        lambda: second.measure("norm"),
        lambda: attention.head_scores(measure="norm"),
        lambda: attention.find(query=3, key=1, measure="norm"),
    ):
        with pytest.raises(ValueError, match=rf"layer 1 .* no measure 'norm': .*{reason}"):
            ask()
    assert second.measure("value").shape == second.weights().shape


def test_norms_are_saved_and_the_model_is_let_go(tmp_path: Any) -> None:
    model = zoo.build("gpt2")
    attention = capture(model, zoo.inputs_of("gpt2"))
    expected = attention["decoder"][1].measure("norm")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(attention["decoder"][1].measure("norm"), expected)
    attention.save(tmp_path / "a.safetensors")
    loaded = aw.load(tmp_path / "a.safetensors")["decoder"][1]
    np.testing.assert_array_equal(loaded.measure("norm"), expected)


def test_scores_and_links_of_another_measure_are_shares() -> None:
    attention = capture(zoo.build("gpt2"), zoo.inputs_of("gpt2"))
    layer = attention["decoder"][1]
    shares = layer.measure("norm")
    shares /= shares.sum(-1, keepdims=True)
    rows = attention.find(query=[4, 6], key=[1, 2], measure="norm", top=None)
    records = rows if isinstance(rows, list) else rows.to_dict("records")
    for row in records:
        if row["layer"] == 1:
            expected = shares[row["head"], [4, 6], 1:3].sum(-1).mean()
            assert row["weight"] == pytest.approx(expected, abs=1e-6)
