"""Sounds as people have them, through the model's feature extractor; and what is said of those that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from support import seeing, zoo

import attnwidget as aw
from attnwidget.recordings import capture

RATE = 16_000
SOUND = seeing.chirp()
ROW = {"path": "a.wav", "array": SOUND, "sampling_rate": RATE}
FORMS: dict[str, Any] = {
    "array": SOUND,
    "float64": SOUND.astype("float64"),
    "tensor": torch.tensor(SOUND),
    "list": SOUND.tolist(),
    "dict": {"array": SOUND, "sampling_rate": RATE},
    "pipeline": {"raw": SOUND, "sampling_rate": RATE},
    "row": {"audio": ROW},
    "named": {"audio": SOUND},
    "named-rate": {"audio": SOUND, "sampling_rate": RATE},
}
EARS = {
    "whisper": hf.WhisperFeatureExtractor(feature_size=8, chunk_length=1, hop_length=727),
    "wav2vec2": hf.Wav2Vec2FeatureExtractor(do_normalize=True),
    "moonshine": hf.Wav2Vec2FeatureExtractor(do_normalize=False),
}


def moonshine() -> Any:
    config = hf.MoonshineConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        encoder_num_hidden_layers=2,
        decoder_num_hidden_layers=2,
        encoder_num_attention_heads=4,
        decoder_num_attention_heads=4,
    )
    torch.manual_seed(0)
    return hf.MoonshineForConditionalGeneration(config).eval()


def whisper(kind: Any = hf.WhisperForConditionalGeneration) -> Any:
    config = hf.WhisperConfig(
        vocab_size=64,
        d_model=24,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=3,
        decoder_attention_heads=3,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_mel_bins=8,
        max_source_positions=11,
        max_target_positions=24,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
        begin_suppress_tokens=None,
        suppress_tokens=None,
    )
    torch.manual_seed(0)
    return zoo.wake(kind(config))


MODELS: dict[str, Any] = {
    "whisper": whisper,
    "wav2vec2": seeing.wav2vec2,
    "moonshine": moonshine,
}


def first(attention: Any) -> Any:
    return attention.streams[next(iter(attention.streams))]


def weights(attention: Any) -> np.ndarray:
    return np.asarray(first(attention)[0].weights())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_one_sound_in_every_form(name: str, form: str) -> None:
    model, ears = MODELS[name](), EARS[name]
    made = ears(SOUND, sampling_rate=RATE, return_tensors="pt")
    expected = capture(model, dict(made))
    attention = capture(model, FORMS[form], ears)
    np.testing.assert_allclose(weights(attention), weights(expected), rtol=0, atol=1e-6)
    assert attention.media[0].seconds == pytest.approx(1.0, abs=0.01)


def test_a_processor_is_used_by_the_name_of_what_it_takes() -> None:
    """One whose first argument is text, and one that is a feature extractor's only in part."""
    seen: list[dict[str, Any]] = []

    class Processor:
        feature_extractor = EARS["wav2vec2"]

        def __call__(self, text: Any = None, audio: Any = None, **options: Any) -> Any:
            seen.append({"text": text, **options})
            return self.feature_extractor(audio, **options)

    capture(seeing.wav2vec2(), {"audio": ROW}, Processor())
    assert seen == [{"text": None, "sampling_rate": RATE, "return_tensors": "pt"}]


def test_a_sound_that_is_decoded_when_it_is_asked_for() -> None:
    class Samples:
        data, sample_rate = torch.tensor(SOUND)[None], RATE

    class Decoder:
        def get_all_samples(self) -> Samples:
            return Samples()

    expected = capture(seeing.wav2vec2(), SOUND, EARS["wav2vec2"])
    for inputs in (Decoder(), {"audio": Decoder()}):
        attention = capture(seeing.wav2vec2(), inputs, EARS["wav2vec2"])
        assert np.array_equal(weights(attention), weights(expected))


def test_several_sounds_are_a_batch() -> None:
    model, sounds = seeing.wav2vec2(), [SOUND, SOUND[:9000]]
    with pytest.raises(ValueError, match="a batch of 2; say which row"):
        capture(model, sounds, EARS["wav2vec2"])
    assert len(first(capture(model, sounds, EARS["wav2vec2"], batch=0)).key_positions) == 49


@pytest.mark.parametrize("name", ["whisper", "moonshine"])
def test_a_sound_is_written_down(name: str) -> None:
    """The decoder reads what the model writes, with the tokens that it starts with."""
    model, ears = MODELS[name](), EARS[name]
    made = ears(SOUND, sampling_rate=RATE, return_tensors="pt")
    with aw.recording(model) as expected:
        count = 20 if name == "whisper" else 32
        model.generate(**made, max_new_tokens=count, do_sample=False)
    attention = capture(model, SOUND, ears)
    read = [p.label for p in expected["decoder"].key_positions]
    assert [p.label for p in attention["decoder"].key_positions][: len(read)] == read
    assert len(read) > 3
    given = capture(model, SOUND, ears, target=[7, 8])
    assert [p.label for p in given["decoder"].key_positions][1:] == ["7", "8"]
    base = {"whisper": hf.WhisperModel, "moonshine": None}[name]
    if base is not None:
        assert len(capture(whisper(base), SOUND, ears)["decoder"].key_positions) == 1


def test_text_with_a_sound_in_it() -> None:
    _, tokenizer = aw.pocket()
    tokenizer.add_tokens(["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"], special_tokens=True)
    ears = hf.WhisperFeatureExtractor(feature_size=8, chunk_length=1)
    processor = hf.Qwen2AudioProcessor(ears, tokenizer)
    small = {"encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 32}
    config = hf.Qwen2AudioConfig(
        audio_config={"num_mel_bins": 8, "d_model": 32, "max_source_positions": 50, **small},
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer) + 3,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
        },
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    model = hf.Qwen2AudioForConditionalGeneration(config).eval()
    text = "<|AUDIO|> the cat"
    attention = capture(model, {"text": text, "audio": ROW}, processor)
    assert [p.label for p in attention["decoder"].key_positions][-2:] == ["the", "cat"]
    assert attention.text == text
    with pytest.raises(ValueError, match=r"reads text with a sound in it.*'<\|AUDIO\|> What is"):
        capture(model, SOUND, processor)


REFUSED: dict[str, tuple[Any, str]] = {
    "rate": ({"array": SOUND, "sampling_rate": 44_100}, r"resample\(.*, 44100, 16000\)"),
    "named-rate": ({"audio": SOUND, "sampling_rate": 8000}, r"resample\(.*, 8000, 16000\)"),
    "integers": ((SOUND * 30_000).astype("int16"), r"got int16: give .* / 32768\."),
    "channels": ({"array": SOUND.reshape(2, -1), "sampling_rate": RATE}, r"sound\.mean\(0\)"),
    "channels-last": ({"audio": SOUND.reshape(-1, 2)}, r"sound\.mean\(1\)"),
    "empty": (SOUND[:0], "the sound is empty"),
    "not-decoded": ({"audio": {"path": "a.wav", "array": None}}, "has no array, got path, array"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("name", ["whisper", "wav2vec2"])
def test_a_sound_that_does_not_fit_is_refused_with_the_line_that_mends_it(
    name: str, what: str
) -> None:
    inputs, said = REFUSED[what]
    with pytest.raises(ValueError, match=said):
        capture(MODELS[name](), inputs, EARS[name])


@pytest.mark.parametrize("name", ["wav2vec2", "moonshine"])
def test_a_sound_that_is_too_short(name: str) -> None:
    with pytest.raises(ValueError, match="a sound of 10 samples is too short for"):
        capture(MODELS[name](), SOUND[:10], EARS[name])


def test_a_sound_that_is_cut_off_is_said() -> None:
    with pytest.warns(UserWarning, match=r"keeps the first 1 s of a sound, this one has 2"):
        capture(whisper(), np.concatenate([SOUND, SOUND]), EARS["whisper"])


def test_without_a_feature_extractor() -> None:
    for tokenizer in (None, aw.pocket()[1]):
        with pytest.raises(ValueError, match="sounds need the model's processor"):
            capture(whisper(), SOUND, tokenizer)
    # Where the samples are the model's own input, there is nothing to make of them.
    assert len(first(capture(seeing.wav2vec2(), SOUND)).key_positions) == 49
