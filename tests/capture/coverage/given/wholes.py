"""Inputs of models whose parts do not tell what they want: bytes, series, latents, films with a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def _bytes(make: Any) -> dict[str, Any]:
    """Bytes; without a cache, for which the configuration would have to say how many layers there are."""
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[1, 9:] = 0
    return {"input_ids": make.ids(12), "attention_mask": mask, "use_cache": False}


def _series(make: Any) -> dict[str, Any]:
    """Two series, the second of them shorter."""
    length = 2 * make.config.patch_length
    padding = torch.zeros(2, length, dtype=torch.long)
    padding[1, : length // 2] = 1
    return {
        "past_values": make.normal(2, length),
        "past_values_padding": padding,
        "freq": torch.zeros(2, 1, dtype=torch.long),
    }


def _latents(make: Any) -> dict[str, Any]:
    return {"latents": make.normal(2, make.config.hidden_size, 12)}


def _film(make: Any) -> dict[str, Any]:
    """A film and what is said of it."""
    return {"input_ids": make.ids(12), "pixel_values_videos": make.normal(2, 4, 3, 64, 64)}


def _question_of_a_film(make: Any) -> dict[str, Any]:
    """One row: the model lays its places out for no more."""
    return {
        "input_ids": make.ids(12)[:1],
        "attention_mask": torch.ones(1, 12, dtype=torch.long),
        "pixel_values": make.normal(1, 2, 3, 64, 64),
    }


def _film_and_sound(make: Any) -> dict[str, Any]:
    return {**_film(make), "input_values": make.normal(2, 1, 1920 * 4)}


GIVEN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "blt": _bytes,
    "mimi_decoder": _latents,
    "pe_audio_video": _film_and_sound,
    "pe_audio_video_encoder": _film_and_sound,
    "pe_video": _film,
    "pocket_tts_audio_tokenizer_decoder": _latents,
    "timesfm": _series,
    "tvp": _question_of_a_film,
    "vibevoice_acoustic_tokenizer_decoder": lambda make: {
        "hidden_states": make.normal(2, make.config.hidden_size, 12)
    },
    "vibevoice_acoustic_tokenizer_encoder": lambda make: {"hidden_states": make.normal(2, 1, 1600)},
}
