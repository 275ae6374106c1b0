"""Inputs of models of images: patches in a row with their grid or their positions, pairs of images, pyramids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def _bridgetower_vision(make: Any) -> dict[str, Any]:
    return {"image": make.normal(2, 3, 64, 64)}


def _deepseek_ocr2_encoder(make: Any) -> dict[str, Any]:
    return {"inputs_embeds": make.normal(2, 12, make.config.hidden_size), "num_patches": 7}


def _florence_vision(make: Any) -> dict[str, Any]:
    return {"hidden_states": make.normal(2, 3, 64, 64), "pixel_values": make.normal(2, 3, 64, 64)}


def _gemma4_vision(make: Any) -> dict[str, Any]:
    """An image of 6 x 6 patches and one of 3 x 6."""
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij")
    places = torch.stack([columns, rows], dim=-1).reshape(1, 36, 2).repeat(2, 1, 1)
    places[1, 18:] = -1
    size = make.config.patch_size
    return {"pixel_values": make.normal(2, 36, 3 * size**2), "pixel_position_ids": places}


def _inkling2_vision(make: Any) -> dict[str, Any]:
    side = make.config.patch_size * make.config.spatial_merge_size
    return {
        "pixel_values": make.normal(8, side, side, make.config.num_channels),
        "image_grid_thw": torch.tensor([[1, 2, 2]] * 2),
    }


def _inkling_vision(make: Any) -> dict[str, Any]:
    config = make.config
    side = config.patch_size
    return {
        "pixel_values": make.normal(2, config.temporal_patch_size, side, side, config.num_channels)
    }


def _kimi_k25_vision(make: Any) -> dict[str, Any]:
    side = make.config.patch_size
    return {
        "pixel_values": make.normal(32, 3, side, side),
        "grid_thw": torch.tensor([[1, 4, 4]] * 2),
    }


def _flattened_patches(make: Any) -> dict[str, Any]:
    """Patches of an image in a row, each behind the number of its row and of its column, as Pix2Struct takes them."""
    width = getattr(make.config, "vision_config", make.config).patch_embed_hidden_size
    rows, columns = torch.meshgrid(torch.arange(1.0, 4), torch.arange(1.0, 5), indexing="ij")
    places = torch.stack([rows, columns], dim=-1).reshape(1, 12, 2).expand(2, 12, 2)
    return {
        "flattened_patches": torch.cat([places, make.normal(2, 12, width)], dim=-1),
        "attention_mask": make.mask().float(),
        "decoder_input_ids": make.ids(5),
    }


def _minicpm_vision(make: Any) -> dict[str, Any]:
    """Two images of 4 x 4 patches, all patches beside each other in one long image."""
    side = make.config.patch_size
    return {
        "pixel_values": make.normal(1, 3, side, 32 * side),
        "target_sizes": torch.tensor([[4, 4]] * 2, dtype=torch.int32),
    }


def _mllama_vision(make: Any) -> dict[str, Any]:
    """An image of two tiles and one of one."""
    tiles, size = make.config.max_num_tiles, make.config.image_size
    real = torch.zeros(2, 1, tiles, dtype=torch.long)
    real[0, 0, :2] = real[1, 0, :1] = 1
    return {
        "pixel_values": make.normal(2, 1, tiles, 3, size, size) * real[..., None, None, None],
        "aspect_ratio_ids": torch.tensor([[2], [1]]),
        "aspect_ratio_mask": real,
    }


def _molmo2_adapter(make: Any) -> dict[str, Any]:
    width = make.config.hidden_size * len(make.config.vision_feature_layer)
    pooled = torch.arange(32).reshape(8, 4)
    pooled[5:, 2:] = -1
    return {"image_features": make.normal(2, 16, width), "pooled_patches_idx": pooled}


def _molmo2_vision(make: Any) -> dict[str, Any]:
    return {"pixel_values": make.normal(2, 16, 3 * make.config.patch_size**2)}


def _muse_vision(make: Any) -> dict[str, Any]:
    config = make.config
    return {
        "pixel_values": make.normal(32, 3 * config.patch_temporal * config.patch_size**2),
        "grid_thw": torch.tensor([[1, 4, 4]] * 2),
    }


def _paddleocr_vision(make: Any) -> dict[str, Any]:
    side = make.config.patch_size
    return {
        "pixel_values": make.normal(1, 32, 3, side, side),
        "grid_thw": torch.tensor([[1, 4, 4]] * 2),
    }


def _text_line(make: Any) -> dict[str, Any]:
    """Two lines of text, wider than high."""
    return {"pixel_values": make.normal(2, 3, 96, 160)}


def _seggpt(make: Any) -> dict[str, Any]:
    return {
        name: make.normal(2, 3, 64, 64)
        for name in ("pixel_values", "prompt_pixel_values", "prompt_masks")
    }


def _siglip2(make: Any) -> dict[str, Any]:
    """An image of 4 x 4 patches and one of 3 x 4."""
    vision = getattr(make.config, "vision_config", make.config)
    return {
        **make.text(),
        "pixel_values": make.normal(2, 16, 3 * vision.patch_size**2),
        "pixel_attention_mask": make.mask(16, 12),
        "spatial_shapes": torch.tensor([[4, 4], [3, 4]]),
    }


def _unlimited_ocr_vision(make: Any) -> dict[str, Any]:
    return {"patch_embeds": make.normal(2, make.config.hidden_size, 4, 4)}


def _xclip(make: Any) -> dict[str, Any]:
    frames = getattr(make.config, "vision_config", make.config).num_frames
    return {**make.text(), "pixel_values": make.normal(2, frames, 3, 64, 64)}


def _xclip_vision(make: Any) -> dict[str, Any]:
    """The frames of one video."""
    return {"pixel_values": make.normal(make.config.num_frames, 3, 64, 64)}


def _pair(make: Any) -> dict[str, Any]:
    """Two pairs of images."""
    return {"pixel_values": make.normal(2, 2, 3, 64, 64).sigmoid()}


GIVEN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "bridgetower_vision_model": _bridgetower_vision,
    "deepseek_ocr2_encoder": _deepseek_ocr2_encoder,
    "efficientloftr": _pair,
    "florence_vision": _florence_vision,
    "gemma4_vision": _gemma4_vision,
    "inkling2_vision": _inkling2_vision,
    "inkling_vision": _inkling_vision,
    "kimi_k25_vision": _kimi_k25_vision,
    "kosmos_2_5_vision_model": _flattened_patches,
    "lightglue": _pair,
    "minicpm_ocr_vision": _minicpm_vision,
    "minicpmv4_6_vision": _minicpm_vision,
    "minicpmv4_7_vision": _minicpm_vision,
    "mllama_vision_model": _mllama_vision,
    "molmo2_adapter": _molmo2_adapter,
    "molmo2_vision": _molmo2_vision,
    "muse_glimmer_vision": _muse_vision,
    "muse_spark_vision": _muse_vision,
    "paddleocr_vl_vision": _paddleocr_vision,
    "pix2struct": _flattened_patches,
    "pix2struct_vision_model": _flattened_patches,
    "pp_ocrv5_mobile_rec": _text_line,
    "seggpt": _seggpt,
    "siglip2": _siglip2,
    "siglip2_vision_model": _siglip2,
    "unlimited_ocr_vision_encoder": _unlimited_ocr_vision,
    "xclip": _xclip,
    "xclip_vision_model": _xclip_vision,
}
