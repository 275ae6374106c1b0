"""Guesses of what a tower inside a model of text takes: images whole, in tiles or in patches, films, sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from capture.coverage.recipes import IMAGE, PATCH, ROWS

if TYPE_CHECKING:
    from collections.abc import Callable


def _vision(model: Any) -> Any:
    for name in ("vision_config", "vq_config", "vision_tower_config"):
        config = getattr(model.config, name, None)
        if config is not None:
            return config
    return model.config


def _size(model: Any) -> tuple[int, int]:
    vision = _vision(model)
    names = ("image_size", "img_size", "input_size", "resolution")
    size = next((value for name in names if (value := getattr(vision, name, None))), IMAGE)
    height, width = size[-2:] if isinstance(size, (list, tuple)) else (size, size)
    return height, width


def _patch(model: Any) -> int:
    size = getattr(_vision(model), "patch_size", None) or PATCH
    return size[-1] if isinstance(size, (list, tuple)) else size


def _bare(make: Any, model: Any) -> dict[str, Any]:
    return {
        "pixel_values": make.normal(ROWS, 3, *_size(model)),
        "high_res_pixel_values": make.normal(ROWS, 3, IMAGE, IMAGE),
    }


def _whole(make: Any, model: Any) -> dict[str, Any]:
    height, width = _size(model)
    return {
        "pixel_values": make.normal(ROWS, 3, height, width),
        "image_sizes": torch.tensor([[height, width]] * ROWS),
        "pixel_attention_mask": torch.ones(ROWS, height, width, dtype=torch.bool),
    }


def _tiled(make: Any, model: Any, tiles: int = 1) -> dict[str, Any]:
    height, width = _size(model)
    return {
        "pixel_values": make.normal(ROWS, tiles, 3, height, width),
        "image_sizes": torch.tensor([[height, width]] * ROWS),
        "pixel_attention_mask": torch.ones(ROWS, tiles, height, width, dtype=torch.bool),
    }


def _packed(make: Any, model: Any) -> dict[str, Any]:
    """Patches of two images of 4 x 4, one after the other."""
    vision, patch = _vision(model), _patch(model)
    channels = getattr(vision, "in_channels", None) or getattr(vision, "num_channels", None) or 3
    names = ("temporal_patch_size", "patch_temporal")
    frames = next((value for name in names if (value := getattr(vision, name, None))), 1)
    pixels = make.normal(16 * ROWS, channels * frames * patch * patch)
    grid = torch.tensor([[1, 4, 4]] * ROWS)
    return {
        "pixel_values": pixels,
        "image_grid_thw": grid,
        "pixel_values_videos": pixels,
        "video_grid_thw": grid,
        "image_merge_sizes": torch.ones(ROWS, dtype=torch.long),
        "video_merge_sizes": torch.ones(ROWS, dtype=torch.long),
        "images_per_sample": torch.ones(ROWS, dtype=torch.long),
    }


def _two_tiles(make: Any, model: Any) -> dict[str, Any]:
    return _tiled(make, model, 2)


def _sized(make: Any, model: Any) -> dict[str, Any]:
    """Two images of 4 x 4 patches, laid behind one another in one wide row of pixels."""
    patch = _patch(model)
    pixels = make.normal(1, 3, patch, 16 * ROWS * patch)
    sizes = torch.tensor([[4, 4]] * ROWS)
    return {
        "pixel_values": pixels,
        "target_sizes": sizes,
        "pixel_values_videos": pixels,
        "target_sizes_videos": sizes,
    }


def _crops(make: Any, model: Any) -> dict[str, Any]:
    """One tile an image, and a mask that says which tiles there are."""
    return {**_tiled(make, model), "pixel_attention_mask": torch.ones(ROWS, 1, dtype=torch.bool)}


def _patches(make: Any, model: Any) -> dict[str, Any]:
    """Patches with their places or with the shape of their image."""
    patch = _patch(model)
    side = 6
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return {
        "pixel_values": make.normal(ROWS, side * side, 3 * patch * patch),
        "image_position_ids": torch.stack([columns, rows], dim=-1)
        .reshape(1, -1, 2)
        .repeat(ROWS, 1, 1),
        "pixel_attention_mask": torch.ones(ROWS, side * side, dtype=torch.long),
        "spatial_shapes": torch.tensor([[side, side]] * ROWS),
    }


def _squares(make: Any, model: Any) -> dict[str, Any]:
    """Patches as little images, one after the other."""
    patch = _patch(model)
    return {
        "pixel_values": make.normal(16 * ROWS, 3, patch, patch),
        "image_grid_thw": torch.tensor([[1, 4, 4]] * ROWS),
    }


def _channels_last(make: Any, model: Any) -> dict[str, Any]:
    """Squares of patches, their channels last."""
    vision = _vision(model)
    side = _patch(model) * (getattr(vision, "spatial_merge_size", None) or 1)
    return {
        "pixel_values": make.normal(4 * ROWS, side, side, 3),
        "image_grid_thw": torch.tensor([[1, 2, 2]] * ROWS),
    }


def _film(make: Any, model: Any) -> dict[str, Any]:
    height, width = _size(model)
    return {"pixel_values_videos": make.normal(ROWS, 4, 3, height, width)}


def _spectrogram(turned: bool) -> Callable[[Any, Any], dict[str, Any]]:  # noqa: FBT001
    def made(make: Any, model: Any) -> dict[str, Any]:
        audio = getattr(model.config, "audio_config", None) or getattr(
            model.config, "encoder_config", None
        )
        names = ("num_mel_bins", "feature_size", "input_feat_size", "input_dim", "n_mels")
        bins = next((value for name in names if (value := getattr(audio, name, None))), 16)
        bins *= getattr(audio, "num_stacked_frames", 1)
        count = getattr(audio, "max_source_positions", None)
        count = count or getattr(audio, "n_window", None)
        frames = 2 * count if count else 64
        shape = (frames, bins) if turned else (bins, frames)
        mask = torch.ones(ROWS, frames, dtype=torch.long)
        return {
            "input_features": make.normal(ROWS, *shape),
            "input_features_mask": mask,
            "feature_attention_mask": mask,
            "audio_feature_lengths": mask.sum(1),
            "padding_mask": mask,
            "attention_mask": mask,
            "chunk_sample_lengths": mask.sum(1) * getattr(audio, "hop_length", 1),
        }

    return made


def _waves(make: Any, model: Any) -> dict[str, Any]:
    del model
    return {"input_values": make.normal(ROWS, 1, 1920), "padding_mask": torch.ones(ROWS, 1920)}


def _flat_waves(make: Any, model: Any) -> dict[str, Any]:
    del model
    mask = torch.ones(ROWS, 4 * 1920, dtype=torch.long)
    return {
        "input_values": make.normal(*mask.shape),
        "input_values_mask": mask,
        "padding_mask": mask,
    }


# By kind, likeliest first.
CANDIDATES: dict[str, tuple[Callable[[Any, Any], dict[str, Any]], ...]] = {
    "image": (
        _packed,
        _squares,
        _patches,
        _whole,
        _bare,
        _tiled,
        _two_tiles,
        _crops,
        _sized,
        _channels_last,
    ),
    "video": (_packed, _film, _sized),
    "audio": (_spectrogram(False), _spectrogram(True), _waves, _flat_waves),  # noqa: FBT003
}
