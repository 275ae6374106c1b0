"""In training mode the weights shown are those that were used, or the record says that they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as hf
from support import builders, others, zoo
from support.model_checks import wake
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import AttentionInterface

from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Iterator


def bert(implementation: str) -> Any:
    config = hf.BertConfig(**builders._TEXT, attention_probs_dropout_prob=0.4)
    model = zoo.wake(hf.BertModel(config))
    model.set_attn_implementation(implementation)
    return model.train()


def llama(implementation: str) -> Any:
    model = zoo.wake(
        hf.LlamaForCausalLM(hf.LlamaConfig(**builders._GROUPED, attention_dropout=0.4))
    )
    model.set_attn_implementation(implementation)
    return model.train()


def gpt_oss(implementation: str) -> Any:
    config = hf.GptOssConfig(
        **builders._GROUPED, num_local_experts=2, num_experts_per_tok=1, attention_dropout=0.4
    )
    model = zoo.wake(hf.GptOssForCausalLM(config))
    model.set_attn_implementation(implementation)
    return model.train()


@pytest.mark.parametrize("build", [bert, llama, gpt_oss])
def test_dropped_weights_are_those_of_the_model(build: Any) -> None:
    model, inputs = build("eager"), zoo.tokens(7)
    torch.manual_seed(1)
    off = model(**inputs, output_attentions=True)
    torch.manual_seed(1)
    with recording(model) as attention:
        on = model(**inputs, output_attentions=True)
    assert torch.equal(off[0], on[0])
    assert model.training
    (stream,) = attention.streams.values()
    for layer, expected in zip(stream, on.attentions, strict=True):
        np.testing.assert_array_equal(layer.weights(), expected[0].detach().numpy())
        assert (layer.weights() == 0).mean() > 0.2
        assert not layer.has_vectors


@pytest.mark.parametrize("build", [bert, llama])
@pytest.mark.parametrize("inference", [False, True])
def test_sdpa_drops_the_weights_that_are_shown(build: Any, inference: bool) -> None:  # noqa: FBT001
    """Its output is the check, as it returns no weights: what is shown times the values."""
    model, inputs, outputs = build("sdpa"), zoo.tokens(7), []
    attend = [
        part for name, part in model.named_modules() if name.endswith(("o_proj", "output.dense"))
    ]
    attend = [part for part in attend if part.in_features == part.out_features]
    handles = [
        part.register_forward_pre_hook(lambda _, args: outputs.append(args[0])) for part in attend
    ]
    with torch.inference_mode(inference):
        torch.manual_seed(1)
        off = model(**inputs)[0]
        outputs.clear()
        torch.manual_seed(1)
        with recording(model) as attention:
            on = model(**inputs)[0]
    for handle in handles:
        handle.remove()
    assert torch.equal(off, on)
    (stream,) = attention.streams.values()
    assert len(outputs) == len(stream) == 2
    for layer, expected in zip(stream, outputs, strict=True):
        given = layer.output().transpose(1, 0, 2).reshape(7, -1)
        np.testing.assert_allclose(given, expected[0].detach().numpy(), rtol=0, atol=1e-5)
        assert np.abs(layer.weights().sum(axis=-1) - 1).max() > 0.1


def test_padded_rows_in_training() -> None:
    model = bert("eager")
    ids, mask = zoo.ids(7, rows=2), torch.ones(2, 7, dtype=torch.long)
    mask[1, 5:] = 0
    torch.manual_seed(1)
    with recording(model, batch=1) as attention:
        expected = model(ids, attention_mask=mask, output_attentions=True).attentions
    for layer, weights in zip(attention["encoder"], expected, strict=True):
        np.testing.assert_array_equal(layer.weights(), weights[1, :, :5, :5].detach().numpy())


def test_without_dropout_training_mode_shows_vectors() -> None:
    model = zoo.build("llama", "sdpa").train()
    attention = capture(model, zoo.tokens(7))
    assert all(layer.has_vectors for layer in attention["decoder"])


def test_evaluation_mode_has_no_dropout() -> None:
    for build in (bert, llama):
        (stream,) = capture(build("eager").eval(), zoo.tokens(7)).streams.values()
        assert all(layer.has_vectors for layer in stream)


@pytest.fixture
def fused() -> Iterator[str]:
    """An implementation whose operations nobody sees, as a fused kernel's."""

    def attend(*args: Any, **kwargs: Any) -> Any:
        with _disable_current_modes():
            return sdpa_attention_forward(*args, **kwargs)

    AttentionInterface.register("fused_for_test", attend)
    yield "fused_for_test"
    del AttentionInterface._global_mapping["fused_for_test"]


def test_a_kernel_that_keeps_its_dropout_to_itself_is_named(fused: str) -> None:
    model, inputs = llama(fused), zoo.tokens(7)
    with pytest.warns(
        UserWarning, match=r"shown before dropout, .*LlamaAttention x 2 \(model\.lay"
    ):
        attention = capture(model, inputs)
    (stream,) = capture(model.eval(), inputs).streams.values()
    for layer, expected in zip(attention["decoder"], stream, strict=True):
        assert layer.has_vectors
        if layer.layer == 0:  # later layers are given what dropout made of the first
            np.testing.assert_array_equal(layer.weights(), expected.weights())


def test_pytorch_layers_in_training() -> None:
    model = wake(nn.TransformerEncoderLayer(24, 4, 32, dropout=0.4, batch_first=True)).train()
    hidden = others.hidden_states()
    torch.manual_seed(1)
    off = model(hidden)
    torch.manual_seed(1)
    with recording(model) as attention:
        on = model(hidden)
    assert torch.equal(off, on)
    (layer,) = attention["encoder"]
    assert "dropout" in layer.reason
    assert (layer.weights() == 0).mean() > 0.2
