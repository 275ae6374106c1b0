"""One row of a padded batch: padding is gone, the numbers are those of the batched run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import zoo

from attnwidget.recordings import capture

TEXT_MODELS = [name for name, kind in zoo.KINDS.items() if kind.inputs is zoo.tokens]
CASES = [
    pytest.param(name, implementation, side, id=f"{name}-{implementation}-{side}")
    for name in TEXT_MODELS
    for implementation in zoo.KINDS[name].implementations
    for side in ("right", "left")
]


def padded(side: str) -> dict[str, torch.Tensor]:
    """Three rows of 4, 5 and 7 tokens, padded to 7 on one side."""
    ids, mask = torch.zeros(3, 7, dtype=torch.long), torch.zeros(3, 7, dtype=torch.long)
    for row, length in enumerate((4, 5, 7)):
        where = slice(0, length) if side == "right" else slice(7 - length, 7)
        ids[row, where] = zoo.ids(length, seed=row)[0]
        mask[row, where] = 1
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize(("name", "implementation", "side"), CASES)
def test_padding_is_dropped(name: str, implementation: str, side: str) -> None:
    inputs = padded(side)
    with torch.no_grad():
        own = zoo.build(name)(**inputs, output_attentions=True).attentions
    model = zoo.build(name, implementation)
    for row, length in enumerate((4, 5, 7)):
        (stream,) = capture(model, inputs, batch=row).streams.values()
        real = inputs["attention_mask"][row].bool().numpy()
        labels = [str(token) for token in inputs["input_ids"][row][real].tolist()]
        assert [position.label for position in stream.key_positions] == labels
        assert [position.label for position in stream.query_positions] == labels
        for layer, expected in zip(stream, own, strict=True):
            assert layer.bias is None, "a padded causal mask is still a band"
            weights = layer.weights()
            assert weights.shape == (layer.num_heads, length, length)
            kept = expected[row].numpy()[:, real][:, :, real]
            np.testing.assert_allclose(weights, kept, rtol=0, atol=1e-5)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["t5-4-2", "bart-2-4"])
def test_padding_on_both_sides_of_a_translation(name: str, implementation: str) -> None:
    source = padded("right")
    target, mask = zoo.ids(6, seed=9, rows=3), torch.ones(3, 6, dtype=torch.long)
    mask[1, 5:] = 0
    inputs = {**source, "decoder_input_ids": target, "decoder_attention_mask": mask}
    with torch.no_grad():
        own: Any = zoo.build(name)(**inputs, output_attentions=True)
    attention = capture(zoo.build(name, implementation), inputs, batch=1)
    real = source["attention_mask"][1].bool().numpy()
    assert len(attention["cross"].key_positions) == 5
    assert len(attention["cross"].query_positions) == len(attention["decoder"].key_positions) == 5
    for number, expected in enumerate(own.encoder_attentions):
        weights = attention["encoder"][number].weights()
        kept = expected[1].numpy()[:, real][:, :, real]
        np.testing.assert_allclose(weights, kept, rtol=0, atol=1e-5)
    for number in range(len(own.decoder_attentions)):
        weights = attention["decoder"][number].weights()
        kept = own.decoder_attentions[number][1].numpy()[:, :5, :5]
        np.testing.assert_allclose(weights, kept, rtol=0, atol=1e-5)
        weights = attention["cross"][number].weights()
        kept = own.cross_attentions[number][1].numpy()[:, :5][:, :, real]
        np.testing.assert_allclose(weights, kept, rtol=0, atol=1e-5)


def test_padding_that_is_attended_to_is_kept() -> None:
    """Without an attention mask the model does look at padding, so it is part of what happened."""
    inputs = {"input_ids": padded("right")["input_ids"][:1]}
    model = zoo.build("bert")
    with torch.no_grad():
        own = model(**inputs, output_attentions=True).attentions
    stream = capture(model, inputs)["encoder"]
    assert len(stream.key_positions) == 7
    np.testing.assert_allclose(stream[1].weights(), own[1][0].numpy(), rtol=0, atol=1e-5)


def test_a_model_that_ignores_its_mask_keeps_every_position() -> None:
    """Whisper's encoder takes a mask and never uses it."""
    inputs = zoo.inputs_of("whisper")
    mask = torch.ones(1, 11, dtype=torch.long)
    mask[0, 8:] = 0
    attention = capture(zoo.build("whisper"), {**inputs, "attention_mask": mask})
    assert len(attention["encoder"].key_positions) == 11


def test_a_batch_needs_a_choice() -> None:
    model, inputs = zoo.build("bert"), padded("right")
    with pytest.raises(ValueError, match=r"batch of 3; .* batch=0 \.\. batch=2"):
        capture(model, inputs)
    for batch in (3, -1):
        with pytest.raises(ValueError, match=rf"batch must be in 0\.\.2, got {batch}"):
            capture(model, inputs, batch=batch)
    vision = {"pixel_values": torch.randn(2, 3, 16, 16)}
    with pytest.raises(ValueError, match="batch of 2"):
        capture(zoo.build("vit"), vision)
    assert len(capture(zoo.build("vit"), vision, batch=1)["vision"]) == 2


def test_documents_packed_into_one_sequence_keep_their_mask() -> None:
    """Two documents in one row: no band describes their mask, so it is kept, once for all layers."""
    model = zoo.build("llama", "eager")
    inputs = {
        "input_ids": zoo.ids(7),
        "position_ids": torch.tensor([[0, 1, 2, 3, 0, 1, 2]]),
        "use_cache": False,
    }
    with torch.no_grad():
        own = model(**inputs, output_attentions=True).attentions
    assert own[0][0, :, 4:, :4].abs().max() == 0
    stream = capture(model, inputs)["decoder"]
    assert stream[0].band is None
    assert stream[0].bias.shape == (1, 7, 7)
    assert stream[0].bias is stream[1].bias
    np.testing.assert_allclose(stream[1].weights(), own[1][0].numpy(), rtol=0, atol=1e-5)


def test_an_additive_mask_that_adds_is_kept() -> None:
    """A mask of one's own that also adds to the scores, differently in each head."""
    model = zoo.build("llama", "eager")
    slopes = torch.linspace(0.1, 0.9, 6)[:, None, None]
    distance = torch.arange(7)[None, :] - torch.arange(7)[:, None]
    mask = (slopes * distance).masked_fill(distance > 0, torch.finfo(torch.float32).min)[None]
    with torch.no_grad():
        own = model(input_ids=zoo.ids(7), attention_mask=mask, output_attentions=True).attentions
    stream = capture(model, {"input_ids": zoo.ids(7), "attention_mask": mask})["decoder"]
    assert stream[0].bias.shape == (6, 7, 7)
    for layer, expected in zip(stream, own, strict=True):
        np.testing.assert_allclose(layer.weights(), expected[0].numpy(), rtol=0, atol=1e-5)
