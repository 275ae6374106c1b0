"""What is said of a model before it runs is what a recording of it then holds, or is said to be open."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from capture.coverage.inputs import ready
from support import builders, others, zoo
from torch import nn

import attnwidget as aw
from attnwidget.capture.inspect import inspect
from attnwidget.recordings import recording

# Of each kind: text, vision, sound, several towers, hybrids, latent attention, models that do their own attention.
SAMPLE = (
    "bert", "gpt2", "bloom", "deberta-v2", "t5", "bart", "whisper", "detr", "swin", "clip", "llava", "xlnet", "albert",
    "falcon", "jamba", "deepseek_v3", "vit", "distilbert", "mistral", "gptj", "opt", "longformer", "perceiver", "blip-2",
)  # fmt: skip
# What cannot be known of them before they run.
OPEN = {
    "swin": "stages over sequences of different length",
    "albert": "may be used for several of 2 layers",
    "xlnet": "whether it looks ahead",
}


def heard(attention: Any) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: [
            (one.layer, one.module_path, one.num_heads, one.num_key_value_heads, one.head_dim)
            for one in stream
        ]
        for name, stream in attention.streams.items()
    }


@pytest.mark.filterwarnings("ignore")  # of the models themselves
@pytest.mark.parametrize("model_type", SAMPLE)
def test_what_is_said_is_what_is_recorded(model_type: str) -> None:
    model, inputs, _ = ready(model_type)
    said = inspect(model)
    with torch.no_grad(), recording(model, batch=1) as attention:
        model(**inputs)
    open_ = " ".join(what for stream in said.streams.values() for what in stream.open)
    if model_type in OPEN:
        assert OPEN[model_type] in open_
        assert heard(said) != heard(attention)
        return
    assert heard(said) == heard(attention)
    for name, stream in attention.streams.items():
        for layer, other in zip(said[name], stream, strict=True):
            assert layer.has_vectors in {None, other.has_vectors}


@pytest.mark.parametrize("name", zoo.KINDS)
def test_vectors_are_sure_where_transformers_hands_them_over(name: str) -> None:
    said = inspect(zoo.build(name))
    assert {stream: len(layers) for stream, layers in said.streams.items()} == {
        stream: count for stream, (_, count) in zoo.KINDS[name].streams.items()
    }
    for stream in said.streams.values():
        assert stream.open == ()
        assert all(layer.has_vectors is True for layer in stream)


@pytest.mark.parametrize("name", ["bloom", "gptj", "deberta-v2", "xlnet"])
def test_vectors_are_open_where_a_model_does_its_own_attention(name: str) -> None:
    (stream,) = inspect(others.MODELS[name]()).streams.values()
    assert all(layer.has_vectors is None for layer in stream)


def test_nothing_runs_and_nothing_changes() -> None:
    model = zoo.build("llama")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    model.forward = fail
    state = torch.get_rng_state()
    assert len(inspect(model)["decoder"]) == 2
    assert torch.equal(state, torch.get_rng_state())


def test_wrappers_are_looked_through() -> None:
    said = inspect(nn.DataParallel(zoo.build("llama")))
    assert said.model_name == "LlamaForCausalLM"
    assert said["decoder"].layers[1].module_path == "model.layers.1.self_attn"


def test_weights_that_are_nowhere_yet() -> None:
    with torch.device("meta"):
        model = builders.llama()
    assert [layer.num_key_value_heads for layer in inspect(model)["decoder"]] == [2, 2]


def test_a_table() -> None:
    assert repr(aw.inspect(zoo.build("llama"))) == (
        "LlamaForCausalLM\n"
        "stream   layers  heads            head_dim  vectors  modules\n"
        "decoder  0..1    6 (2 key-value)  8         yes      LlamaAttention  model.layers.*.self_attn"
    )
    assert repr(inspect(others.MODELS["xlnet"]())) == (
        "XLNetModel\n"
        "stream    layers  heads  head_dim  vectors   modules\n"
        "decoder?  0..1    3      8         when run  XLNetRelativeAttention  layer.*.rel_attn\n"
        "decoder: whether it looks ahead, which makes it an encoder"
    )
    assert repr(inspect(builders.mamba())) == "MambaForCausalLM: no attention"
    assert not hasattr(aw.inspect(zoo.build("llama")), "_repr_html_")


def test_values_are_frozen() -> None:
    said = inspect(zoo.build("llama"))
    with pytest.raises(AttributeError):
        said.model_name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        said.streams["decoder"] = said["decoder"]  # type: ignore[index]
    with pytest.raises(KeyError, match=r"no stream 'cross'; available: \['decoder'\]"):
        said["cross"]
    with pytest.raises(TypeError, match="model must be a torch module, got str"):
        inspect("gpt2")
