"""Inputs of models of sound: spectrograms with their masks, waveforms, codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def _spectrogram(frames: int = 64, *, first: bool = True) -> Callable[[Any], dict[str, Any]]:
    """A spectrogram and its mask, its bins before its frames or after them."""

    def made(make: Any) -> dict[str, Any]:
        bins = make.option("num_mel_bins", "feature_size", "input_feat_size", "input_dim") or 16
        count = (
            2 * make.config.max_source_positions if make.option("max_source_positions") else frames
        )
        shape = (bins, count) if first else (count, bins)
        mask = make.mask(count, count * 3 // 4)
        return {
            "input_features": make.normal(2, *shape),
            "input_features_mask": mask,
            "feature_attention_mask": mask,
            "attention_mask": mask,
        }

    return made


def _clap(make: Any) -> dict[str, Any]:
    config = getattr(make.config, "audio_config", make.config)
    frames = config.spec_size * (config.spec_size // config.num_mel_bins)
    sound = {"input_features": make.normal(2, 1, frames, config.num_mel_bins)}
    return {**make.text(), **sound, "is_longer": torch.zeros(2, 1, dtype=torch.bool)}


def _clvp(make: Any) -> dict[str, Any]:
    return {
        **make.text(),
        "input_features": make.normal(2, make.config.decoder_config.feature_size, 20),
    }


def _dia(make: Any) -> dict[str, Any]:
    codes = torch.stack(
        [make.ids(5) for _ in range(make.config.decoder_config.num_channels)], dim=-1
    )
    return {**make.text(), "decoder_input_ids": codes}


def _dia_decoder(make: Any) -> dict[str, Any]:
    codes = torch.stack([make.ids(5) for _ in range(make.config.num_channels)], dim=-1)
    return {
        "input_ids": codes,
        "encoder_hidden_states": make.normal(2, 12, make.config.cross_hidden_size),
        "encoder_attention_mask": make.mask(),
    }


def _dots3_audio(make: Any) -> dict[str, Any]:
    config = make.config
    return {
        "input_features": make.normal(2, config.feature_size, 64),
        "chunk_sample_lengths": torch.tensor([64, 40]) * config.hop_length,
    }


def _gemma3n_audio(make: Any) -> dict[str, Any]:
    return {
        "audio_mel": make.normal(2, 96, make.config.input_feat_size),
        "audio_mel_mask": make.mask(96, 70) == 0,
    }


def _gemma4_audio(make: Any) -> dict[str, Any]:
    bins = make.config.subsampling_conv_channels[0]
    return {"input_features": make.normal(2, 96, bins), "attention_mask": make.mask(96, 70).bool()}


def _bark(make: Any) -> dict[str, Any]:
    return make.text()


def _inkling_audio(make: Any) -> dict[str, Any]:
    return {
        "audio_input_ids": torch.stack([make.ids(make.config.n_mel_bins) for _ in range(5)], dim=1)
    }


def _moshi_depth(make: Any) -> dict[str, Any]:
    count = make.config.num_codebooks
    return {
        "input_ids": make.ids(count),
        "last_hidden_state": make.normal(2, 1, make.config.input_size),
    }


def _musicgen(make: Any) -> dict[str, Any]:
    books = make.config.decoder.num_codebooks
    return {**make.text(), "decoder_input_ids": torch.cat([make.ids(5) for _ in range(books)])}


def _packed(make: Any) -> dict[str, Any]:
    """Two spectrograms, one behind the other."""
    return {
        "input_features": make.normal(make.config.num_mel_bins, 350),
        "feature_lens": torch.tensor([200, 150]),
    }


def _omni_dit(make: Any) -> dict[str, Any]:
    config = make.config
    return {
        "hidden_states": make.normal(2, 12, config.mel_dim),
        "condition_vector": make.normal(2, 12, config.mel_dim),
        "speaker_embedding": make.normal(2, 12, config.enc_emb_dim),
        "quantized_code": make.ids(12 // config.repeats),
        "time_step": torch.tensor(0.3),
    }


def _waveform(samples: int, *, channel: bool = True) -> Callable[[Any], dict[str, Any]]:
    """A waveform, the second one padded."""

    def made(make: Any) -> dict[str, Any]:
        shape = (2, 1, samples) if channel else (2, samples)
        text = make.text() if "input_ids" in make.names else {}
        mask = make.mask(samples, samples * 3 // 4)
        text.setdefault("attention_mask", mask)
        return {
            **text,
            "input_values": make.normal(*shape),
            "padding_mask": mask.bool(),
            "decoder_input_ids": make.ids(5),
        }

    return made


def _conformer_frames(make: Any) -> dict[str, Any]:
    width = make.config.feature_projection_input_dim
    return {"input_features": make.normal(2, 24, width), "attention_mask": make.mask(24, 18)}


def _codec_frames(make: Any) -> dict[str, Any]:
    """A waveform and the spectrogram of as many frames as the encoder makes of it."""
    width = make.config.semantic_model_config.feature_projection_input_dim
    return {"input_values": make.normal(2, 1, 3200), "input_features": make.normal(2, 10, width)}


def _phi4_audio(make: Any) -> dict[str, Any]:
    return {
        "hidden_states": make.normal(2, 64, make.config.input_size),
        "mask": make.mask(64, 48).bool(),
    }


def _voxtral_realtime(make: Any) -> dict[str, Any]:
    """A spectrogram of eight frames for each token."""
    frames = 12 * make.config.audio_length_per_tok
    return {
        **make.text(),
        "input_features": make.normal(2, make.config.audio_config.num_mel_bins, frames),
    }


def _voxtral_realtime_text(make: Any) -> dict[str, Any]:
    """A text, and what the model around makes of the delay."""
    return {**make.text(), "passed_on": {"t_cond": make.normal(1, 1, make.config.hidden_size)}}


def _spoken(make: Any) -> dict[str, Any]:
    """A spectrogram for a vocoder."""
    return {"spectrogram": make.normal(2, 20, make.config.model_in_dim)}


def _fun_asr(make: Any) -> dict[str, Any]:
    width = make.config.num_mel_bins * make.config.num_stacked_frames
    return {"input_features": make.normal(2, 20, width), "input_features_mask": make.mask(20, 14)}


def _granite_speech(make: Any) -> dict[str, Any]:
    return {"hidden_states": make.normal(2, 12, make.config.input_dim)}


GIVEN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "bark": _bark,
    "audioflamingo3_encoder": _spectrogram(),
    "clap": _clap,
    "clap_audio_model": _clap,
    "clvp": _clvp,
    "dia": _dia,
    "dia_decoder": _dia_decoder,
    "dots3_note_audio_encoder": _dots3_audio,
    "fastspeech2_conformer_hifigan": _spoken,
    "fun_asr_nano_encoder": _fun_asr,
    "gemma3n_audio": _gemma3n_audio,
    "gemma4_audio": _gemma4_audio,
    "granite_speech_encoder": _granite_speech,
    "granite_speech_plus_encoder": _granite_speech,
    "inkling_audio": _inkling_audio,
    "moshi_depth": _moshi_depth,
    "musicgen": _musicgen,
    "musicgen_melody": _musicgen,
    "muse_spark_audio": _waveform(3840, channel=False),
    "neucodec": _codec_frames,
    "pe_audio": _waveform(1920 * 6),
    "pe_audio_encoder": _waveform(1920 * 6),
    "phi4_multimodal_audio": _phi4_audio,
    "qwen2_5_omni_audio_encoder": _packed,
    "qwen2_5_omni_dit": _omni_dit,
    "qwen3_asr_encoder": _spectrogram(200),
    "qwen3_omni_moe_audio_encoder": _packed,
    "speech-encoder-decoder": _waveform(4000, channel=False),
    "voxtral_realtime": _voxtral_realtime,
    "voxtral_realtime_text": _voxtral_realtime_text,
    "speecht5_hifigan": _spoken,
    "wav2vec2-bert": _conformer_frames,
    "xcodec": _waveform(6400),
    "xcodec2": _codec_frames,
}
