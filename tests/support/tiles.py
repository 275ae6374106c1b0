"""Tiny models that are shown several pictures, pictures in tiles, films or sounds in one prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers as hf
from support import seeing, zoo
from support.seeing import IMAGE_TOKEN, TEXT, VIDEO_TOKEN

if TYPE_CHECKING:
    from torch import Tensor

AUDIO_TOKEN = 94
SIDE = 16  # of a tile; in patches of 4, so 4 x 4 of them
_VISION = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": SIDE,
    "patch_size": 4,
}
_ANYRES = {
    "text_config": {**TEXT, "model_type": "llama"},
    "image_grid_pinpoints": [[16, 32], [32, 16], [32, 32], [16, 48]],
    "image_token_index": IMAGE_TOKEN,
    "image_token_id": IMAGE_TOKEN,
    "video_token_index": VIDEO_TOKEN,
    "video_token_id": VIDEO_TOKEN,
}


def drawn(*shape: int, seed: int = 3) -> Tensor:
    """Pixels or samples, the same every time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def prompt(*parts: int | list[int]) -> dict[str, Tensor]:
    """One text of tokens and runs of tokens."""
    ids = torch.tensor(
        [[token for part in parts for token in ([part] if isinstance(part, int) else part)]]
    )
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def llava_next() -> Any:
    """LLaVA-NeXT: the picture in one tile, then its parts without padding and with a new line behind each row."""
    vision = {**_VISION, "model_type": "clip_vision_model", "projection_dim": 12}
    return zoo.wake(
        hf.LlavaNextForConditionalGeneration(hf.LlavaNextConfig(vision_config=vision, **_ANYRES))
    )


def two_sizes() -> dict[str, Tensor]:
    """A wide picture in three tiles, of which 3 x 8 patches are no padding, and a square one in five, of 8 x 8."""
    pixels = drawn(2, 5, 3, SIDE, SIDE)
    pixels[0, 3:] = 0
    wide, square = [IMAGE_TOKEN] * (16 + 2 * 9), [IMAGE_TOKEN] * (16 + 8 * 9)
    sizes = torch.tensor([[8, 30], [32, 32]])
    return {**prompt(1, wide, 5, square, 6), "pixel_values": pixels, "image_sizes": sizes}


def llava_onevision() -> Any:
    """LLaVA-OneVision, whose films have a fourth of the tokens and one new line behind the last frame."""
    vision = {**_VISION, "model_type": "siglip_vision_model"}
    config = hf.LlavaOnevisionConfig(
        vision_config=vision, vision_feature_select_strategy="full", **_ANYRES
    )
    return zoo.wake(hf.LlavaOnevisionForConditionalGeneration(config))


def picture_and_film() -> dict[str, Tensor]:
    """A picture in one tile and its parts, then a film of three frames."""
    still, film = [IMAGE_TOKEN] * (16 + 8 * 9), [VIDEO_TOKEN] * (3 * 4 + 1)
    return {
        **prompt(1, still, 5, film, 6),
        "pixel_values": drawn(1, 5, 3, SIDE, SIDE),
        "image_sizes": torch.tensor([[32, 32]]),
        "pixel_values_videos": drawn(1, 3, 3, SIDE, SIDE, seed=4),
    }


def idefics3() -> Any:
    """Idefics3: four patches to a token; pictures that are zero are left out."""
    config = hf.Idefics3Config(
        vision_config={**_VISION, "model_type": "idefics3_vision"},
        text_config={**TEXT, "model_type": "llama"},
        image_token_id=IMAGE_TOKEN,
        scale_factor=2,
    )
    return zoo.wake(hf.Idefics3ForConditionalGeneration(config))


def idefics2() -> Any:
    """Idefics2: four learned queries look at each picture."""
    config = hf.Idefics2Config(
        vision_config={**_VISION, "model_type": "idefics2_vision"},
        perceiver_config={
            "hidden_size": 24,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 3,
            "resampler_head_dim": 8,
            "num_key_value_heads": 3,
        },
        text_config={**TEXT, "model_type": "mistral"},
        image_token_id=IMAGE_TOKEN,
    )
    return zoo.wake(hf.Idefics2ForConditionalGeneration(config))


def mllama() -> Any:
    """Mllama: the second layer of the text looks at the tiles, each of 4 x 4 patches after [CLS], padded to 24 in its tower."""
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    text = {**TEXT, "num_hidden_layers": 3, "cross_attention_layers": [1], "rope_parameters": rope}
    vision = {
        **{name: value for name, value in _VISION.items() if name != "num_attention_heads"},
        "attention_heads": 3,
        "num_global_layers": 1,
        "vision_output_dim": 72,
        "max_num_tiles": 2,
        "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
        "intermediate_layers_indices": [0, 1],
    }
    config = hf.MllamaConfig(text_config=text, vision_config=vision, image_token_index=IMAGE_TOKEN)
    return zoo.wake(hf.MllamaForConditionalGeneration(config))


def two_tiled_pictures() -> dict[str, Tensor]:
    """Two pictures of two tiles each, and a text of five tokens whose first sees neither."""
    text = prompt(1, IMAGE_TOKEN, IMAGE_TOKEN, 5, 6)
    seen = torch.ones(1, 5, 2, 2, dtype=torch.long)
    seen[:, 0] = 0
    return {
        **text,
        "pixel_values": drawn(1, 2, 2, 3, SIDE, SIDE),
        "aspect_ratio_ids": torch.tensor([[2, 2]]),
        "aspect_ratio_mask": torch.ones(1, 2, 2, dtype=torch.long),
        "cross_attention_mask": seen,
    }


def qwen2_audio() -> Any:
    """Qwen2-Audio: four columns of a spectrogram to a token."""
    audio = {
        "model_type": "qwen2_audio_encoder",
        "d_model": 24,
        "encoder_layers": 2,
        "encoder_attention_heads": 3,
        "encoder_ffn_dim": 32,
        "num_mel_bins": 8,
        "max_source_positions": 20,
    }
    config = hf.Qwen2AudioConfig(
        audio_config=audio,
        text_config={**TEXT, "model_type": "qwen2"},
        audio_token_index=AUDIO_TOKEN,
    )
    return zoo.wake(hf.Qwen2AudioForConditionalGeneration(config))


def two_sounds() -> dict[str, Tensor]:
    """Two spectrograms of 40 columns, 0.4 s."""
    places = [AUDIO_TOKEN] * 10
    return {
        **prompt(1, places, 5, places, 6),
        "input_features": drawn(2, 8, 40),
        "feature_attention_mask": torch.ones(2, 40, dtype=torch.long),
    }


def two_packed(family: str) -> tuple[Any, dict[str, Tensor]]:
    """A model of Qwen's and two pictures of 2 x 3 and 2 x 2 tokens."""
    first, sizes = seeing.packed(seeing.picture(24, 16), patch=4, merge=2, depth=2)
    second, more = seeing.packed(seeing.picture(16, 16), patch=4, merge=2, depth=2)
    inputs = {
        **prompt(1, 96, [IMAGE_TOKEN] * 6, 95, 5, 96, [IMAGE_TOKEN] * 4, 95, 6),
        "pixel_values": torch.cat([first, second]),
        "image_grid_thw": torch.cat([sizes, more]),
    }
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == IMAGE_TOKEN).int()
    return seeing.qwen(family), inputs
