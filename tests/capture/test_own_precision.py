"""exact="model": weights in the model's dtype and order of operations, equal to its own bit for bit where it has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from support import zoo
from transformers import (
    BertConfig,
    BertModel,
    BloomConfig,
    BloomModel,
    Gemma2Config,
    Gemma2Model,
    GPT2Config,
    GPT2Model,
    GptOssConfig,
    GptOssModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    MistralConfig,
    MistralModel,
    SwinConfig,
    SwinModel,
    T5Config,
    T5Model,
)

import attnwidget as aw

if TYPE_CHECKING:
    from pathlib import Path

    from attnwidget import Layer

SMALL = {
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "vocab_size": 100,
}
GROUPED = {**SMALL, "num_key_value_heads": 2, "head_dim": 16}
FAMILIES = {
    "llama": (LlamaModel, LlamaConfig(**GROUPED)),
    "mistral": (MistralModel, MistralConfig(**GROUPED, sliding_window=8)),
    "gemma2": (
        Gemma2Model,
        Gemma2Config(**GROUPED, sliding_window=8, attn_logit_softcapping=20.0),
    ),
    "gpt-oss": (
        GptOssModel,
        GptOssConfig(**GROUPED, num_local_experts=2, num_experts_per_tok=1, sliding_window=8),
    ),
    "gpt2": (GPT2Model, GPT2Config(n_embd=64, n_head=4, n_layer=2, vocab_size=100)),
    "bert": (BertModel, BertConfig(**SMALL)),
    "t5": (
        T5Model,
        T5Config(d_model=64, d_kv=16, d_ff=64, num_layers=2, num_heads=4, vocab_size=100),
    ),
    # Its own arithmetic, no attention function: the bias is part of the product.
    "bloom": (BloomModel, BloomConfig(hidden_size=64, n_head=4, n_layer=2, vocab_size=100)),
}
DTYPES = (torch.bfloat16, torch.float16, torch.float32)
QUERIES = ("q_proj", "c_attn", "attention.self.query", "SelfAttention.q", "EncDecAttention.q")


def build(name: str, dtype: torch.dtype, implementation: str = "eager") -> torch.nn.Module:
    """Build a small model whose scores are large enough for rounding to show."""
    torch.manual_seed(0)
    kind, config = FAMILIES[name]
    model = kind(config).eval()
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if any(f"{part}.weight" in path for part in QUERIES):
                parameter.mul_(20)
            if path.endswith("sinks"):
                parameter.normal_()
    model = model.to(dtype)
    if name != "bloom":
        model.set_attn_implementation(implementation)
    return model


def inputs_of(name: str, rows: int = 1) -> dict[str, torch.Tensor]:
    """Return ids; of two rows the second one has padding before it."""
    ids = torch.randint(3, 100, (rows, 40), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1:, :7] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    return {**inputs, "decoder_input_ids": ids[:, :9]} if name == "t5" else inputs


def own_weights(name: str, dtype: torch.dtype, rows: int = 1) -> dict[str, list[np.ndarray]]:
    """Return the eager model's own weights of the last row, without padding, by stream."""
    inputs = inputs_of(name, rows)
    with torch.no_grad():
        found = build(name, dtype)(**inputs, output_attentions=True)
    names = {
        "t5": {
            "encoder": "encoder_attentions",
            "decoder": "decoder_attentions",
            "cross": "cross_attentions",
        },
        "bert": {"encoder": "attentions"},
    }.get(name, {"decoder": "attentions"})
    return {
        stream: [weights[-1].float().numpy() for weights in found[field]]
        for stream, field in names.items()
    }


def without_padding(weights: np.ndarray, layer: Layer) -> np.ndarray:
    return weights[:, -layer.n_query :, -layer.n_key :]


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", FAMILIES)
def test_weights_are_the_models_own_bit_for_bit(name: str, dtype: torch.dtype, rows: int) -> None:
    attention = aw.capture(build(name, dtype), inputs_of(name, rows), batch=rows - 1, exact="model")
    for stream, expected in own_weights(name, dtype, rows).items():
        for layer, weights in zip(attention[stream], expected, strict=True):
            assert layer.exact == "model"
            assert layer.has_vectors
            np.testing.assert_array_equal(layer.weights(), without_padding(weights, layer))


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "bloom"])
def test_any_record_gives_them_where_the_eager_function_is_transformers_own(
    name: str, dtype: torch.dtype, implementation: str
) -> None:
    if implementation == "sdpa" and name in {"gpt-oss", "gemma2", "t5"}:
        # No sinks, no softcap, no shared kernel: then the queries of the second layer are others.
        implementation = "eager"
    attention = aw.capture(build(name, dtype, implementation), inputs_of(name))
    for stream, expected in own_weights(name, dtype).items():
        layer, weights = attention[stream][0], expected[0]
        assert layer.exact == "float32"
        assert layer.recorded is None
        np.testing.assert_array_equal(layer.weights(exact="model"), weights)


@pytest.mark.parametrize("name", ["llama", "t5", "bloom"])
def test_the_default_is_float32_from_the_very_vectors(name: str) -> None:
    attention = aw.capture(build(name, torch.bfloat16), inputs_of(name))
    chosen = aw.capture(build(name, torch.bfloat16), inputs_of(name), exact="model")
    for stream in attention.streams:
        for layer, other in zip(attention[stream], chosen[stream], strict=True):
            assert torch.equal(layer.query, other.query)
            assert not np.array_equal(layer.weights(), other.weights())
            np.testing.assert_array_equal(layer.weights(), other.weights(exact="float32"))


def test_what_is_computed_from_the_vectors_takes_no_matrix() -> None:
    attention = aw.capture(build("llama", torch.bfloat16), inputs_of("llama"), exact="model")
    assert all(layer.recorded is None for layer in attention["decoder"])


def test_what_the_vectors_do_not_give_is_kept() -> None:
    attention = aw.capture(build("bloom", torch.bfloat16), inputs_of("bloom"), exact="model")
    layer = attention["decoder"][0]
    assert layer.recorded is not None
    assert layer.recorded.dtype == torch.bfloat16
    assert layer.scores().shape == layer.weights().shape


@pytest.mark.parametrize("name", ["llama", "bloom", "gpt-oss"])
def test_blocks_views_and_numbers_have_the_same_weights(name: str, tmp_path: Path) -> None:
    attention = aw.capture(build(name, torch.bfloat16), inputs_of(name), exact="model")
    layer = attention["decoder"][1]
    whole = layer.weights()
    np.testing.assert_array_equal(attention.numpy(layer=1)[0], whole)
    some = layer.weights(head=[2, 0], queries=slice(3, 9), keys=[1, 5, 4])
    np.testing.assert_array_equal(some, whole[[2, 0], 3:9][:, :, [1, 5, 4]])
    np.testing.assert_array_equal(layer.overview(40), whole)
    np.testing.assert_array_equal(layer.measure("weights", head=1), whole[1])
    value = layer.value_vectors()
    np.testing.assert_allclose(layer.output(), whole @ value, rtol=0, atol=1e-5)
    links = attention.to_dataframe(layer=1, head=1)
    expected = whole[1][links["query"], links["key"]]
    np.testing.assert_array_equal(links["weight"].to_numpy(), expected)
    head, query = 1, 30
    strongest = layer.summary(8)[1][head]
    assert whole[head, :, 1:].max() == pytest.approx(strongest[2])
    assert layer.summary(8)[2][head] == pytest.approx(whole[head, 1:, 0].mean(), abs=1e-6)
    attention.save(tmp_path / "run.safetensors")
    again = aw.load(tmp_path / "run.safetensors")["decoder"][1]
    assert (again.exact, again.softmax_dtype) == (layer.exact, layer.softmax_dtype)
    np.testing.assert_array_equal(again.weights(head=head, queries=query), whole[head, query])


def test_each_step_of_a_generation_has_the_weights_of_its_pass() -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(FAMILIES["llama"][1]).eval().to(torch.bfloat16)
    model.set_attn_implementation("eager")
    with aw.recording(model, exact="model") as attention:
        result = model.generate(
            inputs_of("llama")["input_ids"],
            max_new_tokens=4,
            min_new_tokens=4,
            do_sample=False,
            output_attentions=True,
            return_dict_in_generate=True,
        )
    for number in range(2):
        weights, first = attention["decoder"][number].weights(), 0
        for step in result.attentions:
            own = step[number][0].float().numpy()
            rows = weights[:, first : first + own.shape[1]]
            np.testing.assert_array_equal(rows[..., : own.shape[2]], own)
            assert not rows[..., own.shape[2] :].any()
            first += own.shape[1]
        assert first == weights.shape[1]


def test_a_part_of_a_record_has_them_too() -> None:
    model = build("llama", torch.bfloat16)
    whole = aw.capture(model, inputs_of("llama"), exact="model")["decoder"][1].weights()
    part = aw.capture(model, inputs_of("llama"), exact="model", positions=slice(-4, None))
    np.testing.assert_array_equal(part["decoder"][1].weights(), whole[:, -4:])


def test_windows_put_back_together_have_them_too() -> None:
    torch.manual_seed(0)
    config = SwinConfig(
        image_size=32, patch_size=4, embed_dim=32, depths=[1], num_heads=[2], window_size=4
    )
    model = SwinModel(config).eval().to(torch.bfloat16)
    model.set_attn_implementation("eager")
    inputs = {"pixel_values": torch.randn(1, 3, 32, 32).to(torch.bfloat16)}
    with torch.no_grad():
        own = model(**inputs, output_attentions=True).attentions[0].float()
    found = aw.capture(model, inputs, exact="model")["vision"][0].weights()
    for head in range(2):
        kept = np.sort(found[head][found[head] > 0])
        np.testing.assert_array_equal(kept, np.sort(own[:, head].flatten().numpy()))


@pytest.mark.parametrize("name", zoo.KINDS)
def test_every_kind_of_model(name: str) -> None:
    inputs = zoo.inputs_of(name, torch.bfloat16)
    model = zoo.build(name, "eager", torch.bfloat16)
    with torch.no_grad():
        own = model(**inputs, output_attentions=True)
    attention = aw.capture(model, inputs, exact="model")
    for stream, (field, _) in zoo.KINDS[name].streams.items():
        for layer, expected in zip(attention[stream], own[field], strict=True):
            np.testing.assert_array_equal(layer.weights(), expected[0].float().numpy())


def test_products_that_autocast_rounds() -> None:
    model, inputs = build("llama", torch.float32), inputs_of("llama")
    with (
        torch.no_grad(),
        torch.autocast("cpu", torch.bfloat16),
        aw.recording(model, exact="model") as attention,
    ):
        own = model(**inputs, output_attentions=True).attentions
    for layer, weights in zip(attention["decoder"], own, strict=True):
        np.testing.assert_array_equal(layer.weights(), weights[0].float().numpy())


@pytest.mark.parametrize("rows", [1, 2])
def test_a_record_on_disk_and_one_of_several_rows(rows: int) -> None:
    model, inputs = build("bloom", torch.bfloat16), inputs_of("bloom", rows)
    kept = aw.capture(model, inputs, batch=rows - 1, exact="model")
    written = aw.capture(model, inputs, batch=rows - 1, exact="model", store="disk")
    for layer, other in zip(kept["decoder"], written["decoder"], strict=True):
        np.testing.assert_array_equal(layer.weights(), other.weights())


def test_looking_changes_nothing() -> None:
    model, inputs = build("gpt-oss", torch.bfloat16), inputs_of("gpt-oss")
    with torch.no_grad():
        before = model(**inputs).last_hidden_state
        with aw.recording(model, exact="model"):
            during = model(**inputs).last_hidden_state
    assert torch.equal(before, during)


def test_it_is_said_where_weights_and_vectors_differ_in_precision() -> None:
    half, inputs = build("llama", torch.bfloat16), inputs_of("llama")
    plain, chosen = aw.capture(half, inputs), aw.capture(half, inputs, exact="model")
    full = aw.capture(build("llama", torch.float32), inputs, exact="model")
    assert "weights in float32 from bfloat16 vectors" in repr(plain["decoder"][0])
    assert "weights in bfloat16, as the model computes them" in repr(chosen["decoder"][0])
    assert full["decoder"][0].precision is None
    assert "float32" not in repr(full["decoder"][0])
    for record in (plain, chosen, full):
        meta = aw.view(record).meta["streams"][0]["layers"][0]
        assert meta.get("precision") == record["decoder"][0].precision


@pytest.mark.parametrize("wrong", ["bfloat16", None, 1, torch.float32, ["model"]])
def test_other_values_are_refused(wrong: object) -> None:
    model, inputs = build("bert", torch.float32), inputs_of("bert")
    with pytest.raises(ValueError, match="exact must be 'float32' or 'model', got"):
        aw.capture(model, inputs, exact=wrong)
    with pytest.raises(ValueError, match="exact must be"), aw.recording(model, exact=wrong):
        pass
    if wrong is not None:
        layer = aw.capture(model, inputs)["encoder"][0]
        with pytest.raises(ValueError, match="exact must be"):
            layer.weights(exact=wrong)
