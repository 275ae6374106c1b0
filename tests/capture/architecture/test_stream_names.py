"""Streams and layers are named as the models' own people would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from capture.coverage.reference import Reference
from support import zoo

from attnwidget.recordings import capture

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


def windows(size: int, shift: int) -> torch.Tensor:
    """Indices of an 8 x 8 image's patches in each of its windows, ``[window, patch]``."""
    image = torch.arange(64).view(8, 8).roll((-shift, -shift), (0, 1))
    return image.unfold(0, size, size).unfold(1, size, size).reshape(-1, size * size)


@pytest.mark.parametrize("kind", ["Swin", "Swinv2"])
def test_windows_stand_where_they_lie_in_the_image(kind: str) -> None:
    """An 8 x 8 grid in four windows, in the second layer shifted by two; then a 4 x 4 grid in one window."""
    config = getattr(hf, f"{kind}Config")(
        image_size=16, patch_size=2, embed_dim=8, depths=[2, 1], num_heads=[2, 4], window_size=4
    )
    model = zoo.wake(getattr(hf, f"{kind}Model")(config))
    inputs = {"pixel_values": torch.randn(2, 3, 16, 16)}
    with torch.no_grad():
        with Reference() as reference:
            before = model(**inputs).last_hidden_state
        attention = capture(model, inputs, batch=1)
        assert torch.equal(model(**inputs).last_hidden_state, before)
    assert [(name, len(stream)) for name, stream in attention.streams.items()] == [
        ("vision stage 1", 2),
        ("vision stage 2", 1),
    ]
    for layer, shift in zip(attention["vision stage 1"], (0, 2), strict=True):
        assert layer.has_vectors
        weights = torch.from_numpy(layer.weights())
        expected = torch.zeros(2, 64, 64)
        for window, patches in enumerate(windows(4, shift)):
            own = reference.seen[layer.layer].weights[4 + window]
            expected[:, patches[:, None], patches] = own
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-5)
    assert attention["vision stage 1"].key_positions[9].label == "r1 c1"
    assert attention["vision stage 2"].key_positions[-1].label == "r3 c3"


def test_windows_over_the_edge_of_an_image() -> None:
    """A 9 x 9 grid does not fill windows of 4 x 4: the model makes it 12 x 12."""
    config = hf.SwinConfig(
        image_size=18, patch_size=2, embed_dim=8, depths=[1], num_heads=[2], window_size=4
    )
    stream = capture(zoo.wake(hf.SwinModel(config)), torch.randn(1, 3, 18, 18))["vision"]
    labels = [position.label for position in stream.key_positions]
    assert (len(labels), labels[80], labels[81]) == (144, "r8 c8", "edge 0")
    np.testing.assert_allclose(stream[0].weights().sum(axis=-1), 1, atol=1e-5)


def test_attention_in_blocks_of_the_text() -> None:
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
    attention = capture(zoo.wake(model), zoo.ids(7), target=[7, 8])
    assert set(attention.streams) == {"encoder", "decoder", "cross"}
    # Blocks of 128, put back to where they were cut.
    assert attention["encoder"][0].weights().shape == (3, 7, 7)
    assert attention["encoder"].query_positions == attention["cross"].key_positions
    assert [p.label for p in attention["cross"].key_positions] == [
        str(i) for i in zoo.ids(7)[0].tolist()
    ]


def test_stages_count_their_own_layers() -> None:
    """Funnel's second block halves the sequence in its first layer."""
    config = hf.FunnelConfig(
        vocab_size=zoo.VOCABULARY,
        block_sizes=[2, 3],
        d_model=24,
        n_head=3,
        d_head=8,
        d_inner=32,
        num_decoder_layers=1,
    )
    attention = capture(zoo.wake(hf.FunnelModel(config)), zoo.ids(7))
    found = {name: [layer.layer for layer in stream] for name, stream in attention.streams.items()}
    assert found == {
        "encoder stage 1": [0, 1],
        "encoder stage 2 entry": [0],
        "encoder stage 2": [1, 2],
        "decoder": [0],
    }
    entry = attention["encoder stage 2 entry"]
    assert (len(entry.query_positions), len(entry.key_positions)) == (4, 7)
    assert entry.key_positions == attention["encoder stage 1"].key_positions


def test_stacks_beside_each_other() -> None:
    config = hf.CanineConfig(
        **SMALL, max_position_embeddings=64, local_transformer_stride=4, downsampling_rate=2
    )
    found = numbers(hf.CanineModel(config), zoo.ids(8))
    assert found == {"initial char encoder": [0], "encoder": [0, 1], "final char encoder": [0]}
    model = zoo.wake(hf.CanineModel(config))
    with torch.no_grad(), Reference() as reference:
        model(zoo.ids(8))
    local = capture(model, zoo.ids(8))["initial char encoder"][0]
    assert local.weights().shape == (3, 8, 8)  # two chunks of four characters
    np.testing.assert_allclose(local.weights()[:, 4:, :4], 0)
    for chunk, part in enumerate((slice(0, 4), slice(4, 8))):
        own = reference.seen[chunk].weights[0]
        np.testing.assert_allclose(local.weights()[:, part, part], own, rtol=0, atol=1e-5)
    video = hf.TimesformerConfig(**IMAGE, num_frames=2)
    pixels = {"pixel_values": torch.randn(1, 2, 3, 16, 16)}
    found = numbers(hf.TimesformerModel(video), pixels)
    assert found == {"vision temporal": [0, 1], "vision": [0, 1]}
    siglip = hf.SiglipVisionModel(hf.SiglipVisionConfig(**IMAGE))
    attention = capture(zoo.wake(siglip), zoo.pixels())
    assert list(attention.streams) == ["vision", "vision pooling"]
    pooling = attention["vision pooling"]
    assert [position.label for position in pooling.query_positions] == ["#0"]  # learned
    assert pooling.key_positions == attention["vision"].key_positions


def test_parts_of_one_module() -> None:
    config = hf.ProphetNetConfig(
        vocab_size=zoo.VOCABULARY,
        hidden_size=24,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_encoder_layers=2,
        num_decoder_layers=2,
        num_encoder_attention_heads=3,
        num_decoder_attention_heads=3,
        ngram=2,
        decoder_start_token_id=1,
    )
    inputs = {"input_ids": zoo.ids(7), "decoder_input_ids": zoo.ids(5)}
    attention = capture(zoo.wake(hf.ProphetNetModel(config)), inputs)
    shapes = {
        name: (len(s), len(s.query_positions), len(s.key_positions))
        for name, s in attention.streams.items()
    }
    assert shapes == {
        "encoder": (2, 7, 7),
        "decoder": (2, 5, 5),
        "decoder prediction": (2, 10, 20),
        "cross": (2, 15, 7),
    }
    assert [p.label for p in attention["decoder"].key_positions] == [str(i) for i in zoo.ids(5)[0].tolist()]  # fmt: skip


def test_groups_have_queries_of_their_own() -> None:
    config = hf.GroupViTVisionConfig(
        hidden_size=24,
        intermediate_size=32,
        depths=[2, 1],
        num_attention_heads=3,
        image_size=16,
        patch_size=4,
        num_group_tokens=[8, 0],
        num_output_groups=[6, 0],
    )
    attention = capture(zoo.wake(hf.GroupViTVisionModel(config)), zoo.pixels())
    assign = attention["vision assign"]
    assert (len(assign.query_positions), len(assign.key_positions)) == (6, 16)
    assert assign[0].reason == "its softmax is over the queries, not over the keys."
