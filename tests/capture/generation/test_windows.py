"""A ``generate`` that runs over the windows of a long sound: one window is a record, the others can be asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from support import zoo

from attnwidget.recordings import capture, recording

EARS = hf.WhisperFeatureExtractor(feature_size=8, chunk_length=1)
SAID = r"ran (\d+) generations within one call of generate, for the windows .* which=0\) records the first"


def whisper() -> Any:
    config = hf.WhisperConfig(
        vocab_size=100,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_mel_bins=8,
        max_source_positions=50,
        max_target_positions=40,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        begin_suppress_tokens=None,
        suppress_tokens=None,
    )
    model: Any = zoo.wake(hf.WhisperForConditionalGeneration(config))
    model.generation_config.no_timestamps_token_id = 90
    model.generation_config.is_multilingual = False
    return model


def long_sound() -> Any:
    samples = np.random.default_rng(0).standard_normal(40_000).astype("float32")
    return EARS(
        samples,
        sampling_rate=16_000,
        return_tensors="pt",
        truncation=False,
        padding="longest",
        return_attention_mask=True,
    )


def written(model: Any, inputs: Any, **options: Any) -> tuple[Any, torch.Tensor]:
    with recording(model, **options) as attention:
        ids = model.generate(**inputs, return_timestamps=True, do_sample=False, max_new_tokens=8)
    return attention, ids


def test_windows_are_numbered() -> None:
    model, inputs = whisper(), long_sound()
    expected = model.generate(**inputs, return_timestamps=True, do_sample=False, max_new_tokens=8)
    with pytest.warns(UserWarning, match=SAID):
        last, ids = written(model, inputs)
    assert torch.equal(ids, expected)
    assert last.passes > 1
    assert last.which == last.passes - 1
    first, ids = written(model, inputs, which=0)
    assert torch.equal(ids, expected)
    assert (first.passes, first.which) == (last.passes, 0)
    # The first window holds the first frames of the sound, and is all that its decoder reads.
    read = [int(position.label) for position in first["decoder"].key_positions]
    window = {
        "input_features": inputs["input_features"][:, :, :100],
        "decoder_input_ids": torch.tensor([read]),
    }
    whole = capture(model, window)
    assert set(first.streams) == {"encoder", "decoder", "cross"}
    for name in whole.streams:
        for layer, other in zip(first[name], whole[name], strict=True):
            np.testing.assert_allclose(layer.weights(), other.weights(), rtol=0, atol=1e-5)
    assert np.array_equal(first.media[0].pixels, whole.media[0].pixels)
    assert np.abs(first["encoder"][0].weights() - last["encoder"][0].weights()).max() > 1e-3
    again, _ = written(model, inputs, which=-1)
    for layer, other in zip(again["cross"], last["cross"], strict=True):
        assert np.array_equal(layer.weights(), other.weights())
