"""Streams and layers are named as the models' own people would."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from models import zoo

from attnwidget.capture import capture

SMALL = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
}
TEXT = {**SMALL, "vocab_size": zoo.VOCABULARY, "max_position_embeddings": 64}
IMAGE = {**SMALL, "image_size": 16, "patch_size": 4}


def numbers(model: Any, inputs: Any) -> dict[str, list[int]]:
    attention = capture(zoo.wake(model), inputs)
    return {name: [layer.layer for layer in stream] for name, stream in attention.streams.items()}


def test_hybrids_keep_the_models_numbers() -> None:
    config = hf.JambaConfig(
        **{**TEXT, "num_hidden_layers": 4},
        num_key_value_heads=1,
        attn_layer_period=2,
        attn_layer_offset=1,
        num_experts=2,
        mamba_d_state=4,
        pad_token_id=0,
    )
    assert numbers(hf.JambaForCausalLM(config), zoo.ids(7)) == {"decoder": [1, 3]}


def test_layers_that_share_their_weights_are_layers() -> None:
    model = zoo.wake(hf.AlbertModel(hf.AlbertConfig(**TEXT, embedding_size=16)))
    stream = capture(model, zoo.ids(7))["encoder"]
    assert [layer.layer for layer in stream] == [0, 1]
    assert stream[0].module_path == stream[1].module_path
    model.set_attn_implementation("eager")
    with torch.no_grad():
        own = model(zoo.ids(7), output_attentions=True).attentions
    for layer, expected in zip(stream, own, strict=True):
        torch.testing.assert_close(
            torch.from_numpy(layer.weights()), expected[0], rtol=0, atol=1e-5
        )


def test_towers_of_one_model() -> None:
    clip = hf.CLIPModel(hf.CLIPConfig(text_config={**TEXT}, vision_config={**IMAGE}))
    inputs = {"input_ids": zoo.ids(7), **zoo.pixels()}
    assert numbers(clip, inputs) == {"vision": [0, 1], "encoder": [0, 1]}
    text = hf.LlamaConfig(**TEXT | {"num_hidden_layers": 3})
    llava = hf.LlavaForConditionalGeneration(
        hf.LlavaConfig(
            vision_config=hf.CLIPVisionConfig(**IMAGE),
            text_config=text,
            image_token_index=4,
            vision_feature_layer=-1,
        )
    )
    ids = torch.cat([torch.full((1, 16), 4), zoo.ids(5)], dim=1)
    inputs = {"input_ids": ids, **zoo.pixels()}
    assert numbers(llava, inputs) == {"vision": [0, 1], "decoder": [0, 1, 2]}
    assert numbers(llava, zoo.ids(5)) == {"decoder": [0, 1, 2]}


def test_an_encoder_of_another_kind_is_still_the_encoder() -> None:
    decoder = hf.GPT2Config(
        vocab_size=zoo.VOCABULARY,
        n_embd=24,
        n_layer=3,
        n_head=3,
        n_positions=64,
        add_cross_attention=True,
        is_decoder=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    config = hf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        hf.ViTConfig(**IMAGE), decoder
    )
    config.decoder_start_token_id = 1
    model = zoo.wake(hf.VisionEncoderDecoderModel(config))
    inputs = {**zoo.pixels(), "decoder_input_ids": zoo.ids(5)}
    assert numbers(model, inputs) == {"encoder": [0, 1], "decoder": [0, 1, 2], "cross": [0, 1, 2]}
    cross = capture(model, inputs)["cross"]
    assert cross.key_positions[1].kind == "patch"
    assert len(cross.query_positions) == 5


def test_cross_attention_to_something_given() -> None:
    model = hf.BertLMHeadModel(hf.BertConfig(**TEXT, is_decoder=True, add_cross_attention=True))
    inputs = {"input_ids": zoo.ids(7), "encoder_hidden_states": torch.randn(1, 5, 24)}
    assert numbers(model, inputs) == {"decoder": [0, 1], "cross": [0, 1]}
    assert {p.kind for p in capture(model, inputs)["cross"].key_positions} == {"latent"}


def test_windows_of_an_image_are_refused() -> None:
    config = hf.SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4
    )
    with pytest.raises(ValueError, match=r"SwinModel .* attends within 16 pieces of 1 inputs"):
        capture(hf.SwinModel(config).eval(), torch.randn(1, 3, 32, 32))


def test_half_a_model_may_go_its_own_way() -> None:
    model = hf.LongT5ForConditionalGeneration(
        hf.LongT5Config(
            vocab_size=zoo.VOCABULARY,
            d_model=24,
            d_kv=8,
            d_ff=32,
            num_heads=3,
            num_layers=2,
            decoder_start_token_id=0,
        )
    )
    with pytest.warns(UserWarning, match="LongT5LocalAttention x 2 .* attends within pieces"):
        attention = capture(zoo.wake(model), zoo.ids(7), target=[7, 8])
    assert set(attention.streams) == {"decoder", "cross"}
    # The encoder was not recorded, but what it read is known.
    assert [p.label for p in attention["cross"].key_positions] == [
        str(i) for i in zoo.ids(7)[0].tolist()
    ]
