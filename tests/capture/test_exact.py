"""Every kind of model: the record's weights are those of the model's own eager attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as hf
from support import zoo
from support.model_checks import multiplied, tensors
from transformers.models.t5.modeling_t5 import T5Attention

from attnwidget.capture.architecture.attention_modules import code_mentions
from attnwidget.capture.architecture.static_layout import INTERFACE_NAMES
from attnwidget.recordings import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attnwidget import Attention

UNEVEN = 1.3  # mean over rows: the largest weight, in multiples of an even share
CASES = [
    pytest.param(name, implementation, id=f"{name}-{implementation}")
    for name, kind in zoo.KINDS.items()
    for implementation in kind.implementations
]


def pairs(name: str, attention: Attention, own: dict) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pair the record's weights with the model's own, over all layers of all streams."""
    assert set(attention.streams) == set(zoo.KINDS[name].streams)
    for stream, (field, num_layers) in zoo.KINDS[name].streams.items():
        assert len(attention[stream]) == len(own[field]) == num_layers
        for number, expected in enumerate(own[field]):
            layer = attention[stream][number]
            assert (layer.stream, layer.layer) == (stream, number)
            yield layer.weights(), expected[0].float().numpy()


def computes_as_eager(name: str, implementation: str, output: Any) -> bool:
    """Tell whether an implementation gives the model's eager output: GPT-2's left out a scaling before transformers 5.2."""
    with torch.no_grad():
        other = zoo.build(name, implementation)(**zoo.inputs_of(name))
    return torch.allclose(tensors(other)[0], tensors(output)[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "implementation"), CASES)
def test_weights_are_the_models_own(name: str, implementation: str) -> None:
    inputs = zoo.inputs_of(name)
    with torch.no_grad():
        own = zoo.build(name)(**inputs, output_attentions=True)
    model = zoo.build(name, implementation)
    attention = capture(model, inputs)
    if not computes_as_eager(name, implementation, own):
        (field,) = (field for field, _ in zoo.KINDS[name].streams.values())
        own = {field: [torch.from_numpy(one)[None] for one in multiplied(model, inputs)]}
    for weights, expected in pairs(name, attention, own):
        assert weights.shape == expected.shape
        assert weights.dtype == np.float32
        # The zoo must not attend evenly, or the comparison below would say little.
        assert (expected.max(axis=-1) * (expected > 0).sum(axis=-1)).mean() > UNEVEN
        np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-5)
        if name != "gpt-oss":
            np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", zoo.KINDS)
def test_weights_in_half_precision(name: str) -> None:
    inputs = zoo.inputs_of(name, torch.bfloat16)
    model = zoo.build(name, "eager", torch.bfloat16)
    with torch.no_grad():
        own = model(**inputs, output_attentions=True)
    attention = capture(model, inputs)
    for weights, expected in pairs(name, attention, own):
        np.testing.assert_allclose(weights, expected, rtol=0, atol=2e-2)
    assert all(
        layer.query.dtype == torch.bfloat16
        for stream in attention.streams.values()
        for layer in stream
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("name", "implementation"), CASES)
def test_output_is_what_the_module_went_on_with(
    name: str, implementation: str, dtype: torch.dtype
) -> None:
    """Weights times values, per head, against what the output projection was given in the same pass."""
    model, inputs = zoo.build(name, implementation, dtype), zoo.inputs_of(name, dtype)
    given: dict[str, torch.Tensor] = {}
    for path, module in model.named_modules():
        if path.rpartition(".")[2] in OUTPUT_PROJECTIONS:
            module.register_forward_pre_hook(keeping(given, path))
    attention = capture(model, inputs)
    for stream in attention.streams.values():
        for layer in stream:
            expected = given.pop(projection_of(model, layer.module_path))[0].float()
            expected = expected.unflatten(-1, (layer.num_heads, -1)).transpose(0, 1)
            actual = np.stack([layer.output(head) for head in range(layer.num_heads)])
            tolerance = 1e-5 if dtype == torch.float32 else 2e-2
            scale = max(1.0, float(expected.abs().max()))
            np.testing.assert_allclose(actual, expected.numpy(), rtol=0, atol=tolerance * scale)


# Names of the modules that put the heads' outputs together: inside of the attention module, or beside it.
OUTPUT_PROJECTIONS = ("o_proj", "c_proj", "out_proj", "out_lin", "Wo", "o", "dense")


def keeping(given: dict[str, torch.Tensor], path: str) -> Callable[..., None]:
    """Make a hook that keeps what a module is given."""

    def hook(_module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        given[path] = args[0].detach()

    return hook


def projection_of(model: torch.nn.Module, path: str) -> str:
    """Return the path of the output projection of an attention module."""
    for parent in (path, path.rpartition(".")[0]):
        for name, _ in model.get_submodule(parent).named_modules():
            if name.rpartition(".")[2] in OUTPUT_PROJECTIONS:
                return f"{parent}.{name}"
    raise AssertionError(path)


def test_sinks_take_a_share_of_every_row() -> None:
    model, inputs = zoo.build("gpt-oss"), zoo.inputs_of("gpt-oss")
    attention = capture(model, inputs)
    for layer in attention["decoder"]:
        assert torch.equal(layer.sinks, model.get_submodule(layer.module_path).sinks)
        sums = layer.weights().sum(axis=-1)
        assert (sums < 0.999).any()
        scores = layer.scores()
        share = 1 / (1 + np.exp(scores - layer.sinks.detach().numpy()[:, None, None]).sum(axis=-1))
        np.testing.assert_allclose(sums, 1 - share, rtol=0, atol=1e-5)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_masks_are_kept_as_descriptions(implementation: str) -> None:
    for name, windows in {
        "llama": [None, None],
        "gemma3": [3, None],
        "modernbert": [None, 2],
    }.items():
        attention = capture(zoo.build(name, implementation), zoo.inputs_of(name))
        (stream,) = attention.streams.values()
        assert [layer.bias for layer in stream] == [None, None]
        assert [None if layer.band is None else layer.band.window for layer in stream] == windows
    t5 = capture(zoo.build("t5-2-4", implementation), zoo.inputs_of("t5-2-4"))
    # T5 computes its position bias once; so it is kept once where a call names it.
    if code_mentions(T5Attention, INTERFACE_NAMES):
        assert len({id(layer.bias) for layer in t5["decoder"]}) == 1
    assert t5["decoder"][0].band is not None
    assert t5["cross"][0].bias is None


def test_vectors_are_the_ones_used() -> None:
    layer = capture(zoo.build("llama"), zoo.inputs_of("llama"))["decoder"][1]
    assert (layer.num_heads, layer.num_key_value_heads, layer.head_dim) == (6, 2, 8)
    assert layer.query.shape == (6, 7, 8)
    assert layer.key.shape == layer.value.shape == (2, 7, 8)
    assert not layer.query.requires_grad
    assert layer.module_path == "model.layers.1.self_attn"


def test_positions_say_what_they_are() -> None:
    vision = capture(zoo.build("vit"), zoo.inputs_of("vit"))["vision"]
    assert [p.kind for p in vision.key_positions] == ["special"] + ["patch"] * 16
    assert (vision.key_positions[7].row, vision.key_positions[7].column) == (1, 2)
    whisper = capture(zoo.build("whisper"), zoo.inputs_of("whisper"))
    frames = whisper["cross"].key_positions
    assert frames == whisper["encoder"].query_positions
    assert [p.time for p in frames[:3]] == [0.0, 0.02, 0.04]
    assert whisper["cross"].query_positions == whisper["decoder"].key_positions
    assert len(whisper["cross"].query_positions) == 5


@pytest.mark.skipif(not hasattr(hf, "GraniteSWAConfig"), reason="transformers has no such model")
def test_a_sink_that_scales_the_output_is_no_part_of_the_weights() -> None:
    """Granite multiplies its values with a plain softmax, and its output with what the sink leaves."""
    config = hf.GraniteSWAConfig(
        vocab_size=zoo.VOCABULARY,
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=1,
        pad_token_id=0,
    )
    model = zoo.wake(hf.GraniteSWAForCausalLM(config))
    with torch.no_grad():
        own = model(zoo.ids(7), output_attentions=True).attentions
    for layer, expected in zip(capture(model, zoo.ids(7))["decoder"], own, strict=True):
        np.testing.assert_allclose(layer.weights(), expected[0].numpy(), rtol=0, atol=1e-5)


@pytest.mark.skipif(not hasattr(hf, "Inkling2TextConfig"), reason="transformers has no such model")
def test_each_query_may_have_a_sink_of_its_own() -> None:
    config = hf.Inkling2TextConfig(
        vocab_size=zoo.VOCABULARY,
        hidden_size=24,
        intermediate_size=32,
        moe_intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=1,
        head_dim=8,
        pad_token_id=0,
    )
    model = zoo.wake(hf.Inkling2TextModel(config))
    with torch.no_grad():
        own = model(zoo.ids(7), output_attentions=True).attentions
    for layer, expected in zip(capture(model, zoo.ids(7))["decoder"], own, strict=True):
        assert layer.has_vectors
        assert float(expected.sum(-1).max()) < 1
        np.testing.assert_allclose(layer.weights(), expected[0].numpy(), rtol=0, atol=1e-5)
