"""Inputs of models of text and images, sounds or videos: as many tokens stand in the text as the model makes features."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from models.coverage.recipes import IMAGE, PATCH, ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOKENS = ("{}_token_id", "{}_token_index", "{}_token_idx", "{}_pad_token_id")
_PADDING = 3  # positions at the end of the padded row


def together(make: Any, model: Any) -> Iterator[dict[str, Any]]:
    """Make text with all the kinds of features the model puts into it, then with one kind after the other.

    Args:
        make: Draws numbers and tokens.
        model: The model.

    Yields:
        Its inputs; none when it puts nothing into text, or nothing that is known here.
    """
    if "input_ids" not in make.names:
        return
    found = {}
    for kind, candidates in _CANDIDATES.items():
        features = _features(model, kind)
        names = (name.format(kind) for name in _TOKENS)
        token = next(
            (value for name in names if type(value := _option(model.config, name)) is int), None
        )
        if token is None or features is None:
            continue
        counted = (_counted(features, candidate, make, model) for candidate in candidates)
        taken = next((each for each in counted if each is not None and each[1] % ROWS == 0), None)
        if taken is not None:
            found[kind] = (token, *taken)
    for kinds in (list(found), *([kind] for kind in found if len(found) > 1)):
        if kinds:
            yield _with_text(make, {kind: found[kind] for kind in kinds})


def _with_text(make: Any, found: dict[str, tuple[int, dict[str, Any], int]]) -> dict[str, Any]:
    """Put the places of the features between the words."""
    places: list[int] = []
    kinds: list[int] = []
    inputs: dict[str, Any] = {}
    for kind, (token, given, count) in found.items():
        places += [token] * (count // ROWS)
        kinds += [1 + list(_CANDIDATES).index(kind)] * (count // ROWS)
        inputs |= given
    text = make.ids(8)
    row = torch.tensor(places).expand(ROWS, -1)
    ids = torch.cat([text[:, :2], row, text[:, 2:]], dim=1)
    mask = torch.ones_like(ids)
    mask[1, -_PADDING:] = 0
    types = torch.zeros_like(ids)
    types[:, 2 : 2 + len(kinds)] = torch.tensor(kinds)
    inputs |= {
        "input_ids": ids,
        "attention_mask": mask,
        "mm_token_type_ids": types,
        "token_type_ids": (types > 0).long(),
        "decoder_input_ids": make.ids(5),
    }
    return {name: value for name, value in inputs.items() if name in make.names}


def _option(config: Any, name: str) -> Any:
    try:
        return getattr(config, name, None)
    except RuntimeError:  # an option that each layer has of its own
        return None


def _features(model: Any, kind: str) -> Callable[..., Any] | None:
    name = f"get_{kind}_features"
    for holder in (model, getattr(model, "model", None)):
        if hasattr(holder, name):
            return getattr(holder, name)  # type: ignore[no-any-return]
    return None


def _counted(
    features: Callable[..., Any],
    candidate: Callable[[Any, Any], dict[str, Any]],
    make: Any,
    model: Any,
) -> tuple[dict[str, Any], int] | None:
    """Ask a model for features, and count them."""
    names = inspect.signature(features).parameters
    try:
        given = candidate(make, model)
        taken = {name: value for name, value in given.items() if name in names}
        with torch.no_grad():
            made = features(**taken)
    except Exception:  # noqa: BLE001  the next candidate may do
        return None
    pooled = getattr(made, "pooler_output", made)
    if hasattr(made, "deepstack_features") and not isinstance(pooled, torch.Tensor | list | tuple):
        pooled = made.deepstack_features[0][1]  # the same places are filled for each layer
    tensors = list(_tensors(pooled))
    return (taken, sum(tensor.shape[:-1].numel() for tensor in tensors)) if tensors else None


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


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


_CANDIDATES: dict[str, tuple[Callable[[Any, Any], dict[str, Any]], ...]] = {
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
