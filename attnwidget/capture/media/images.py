"""Input images recovered from pixel tensors: out of batches, patches and normalised colours."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.capture.positions.grids import merged_patches, packed_patch_order, vision_setting
from attnwidget.record.media import LARGEST_SIDE, Medium

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from attnwidget.capture.media.shares import Shares

__all__ = ["MEDIA_INPUTS", "InputImage", "find_images", "to_display"]

# Inputs that hold images or audio, or say how they are packed and whose they are; the first of each name is used.
MEDIA_INPUTS = (
    "pixel_values",
    "pixel_values_videos",
    "image_grid_thw",
    "video_grid_thw",
    "grid_thw",
    "flattened_patches",
    "image_sizes",
    "aspect_ratio_mask",
    "input_features",
    "input_values",
    "feature_attention_mask",
    "input_features_mask",
    "padding_mask",
    "input_ids",
)
_PIXELS = 400_000  # of all images together: they are sent with the widget's first message
_GUESSED = "colours rescaled: pass the image processor for the true ones"
_OUTSIDE = (
    0.05  # how far beyond black and white an image may come out before its processor is not trusted
)

_ALIKE = 0.02  # mean difference of two ways to make an image smaller


@dataclass(frozen=True, slots=True)
class InputImage:
    """One image, or one frame of a video.

    Attributes:
        pixels: As the model was given it, ``[channel, height, width]``.
        grid: Rows and columns of the tokens in its place in a text, where the inputs tell.
        own: Whether it belongs to the row that is recorded; packed images of all rows are read together.
        film: Whether it is a frame of a video.
        owner: Number of the picture or the video it is of, among all of the batch.
        patches: Rows and columns of the patches that it is cut into, where they are known.
    """

    pixels: Tensor
    grid: tuple[int, int] | None = None
    own: bool = True
    film: bool = False
    owner: int = 0
    patches: tuple[int, int] | None = None


def find_images(given: Mapping[str, Tensor], config: Any, shares: Shares) -> list[InputImage]:
    """Find the images of one row of the batch.

    Args:
        given: Inputs of the model by name.
        config: The model's configuration.
        shares: Whose they are.
    """
    found: list[InputImage] = []
    for name, modality in (("pixel_values", "image"), ("pixel_values_videos", "video")):
        pixels = given.get(name)
        if pixels is None or not pixels.is_floating_point():
            continue
        sizes = given.get(f"{modality}_grid_thw", given.get("grid_thw"))
        film = modality == "video"
        if sizes is not None and pixels.ndim in (2, 4) and len(pixels) == sizes.prod(-1).sum():
            part = shares.of(len(sizes), modality) or slice(0)
            numbers = range(len(sizes))[part]
            for image, number in _unpacked(pixels, sizes, config):
                found.append(replace(image, own=number in numbers, film=film, owner=number))
            continue
        own = _own_frames(given, pixels, modality, shares)
        if own is None or own.ndim < 4 or own.shape[-3] not in range(1, 17):
            continue
        tube = vision_setting(config, "tubelet_size") or 1
        every = tube[0] if isinstance(tube, (tuple, list)) else tube
        kept = own if own.ndim == 4 else own[:, ::every]
        frames = kept.flatten(0, -4)
        share = max(1, len(frames) // max(1, len(kept)))
        found += [
            _whole_patches(InputImage(frame, film=film, owner=number // share), config)
            for number, frame in enumerate(frames)
        ]
    flat = given.get("flattened_patches")
    if flat is not None and flat.ndim == 3 and shares.row < len(flat):
        found += _from_patches(flat[shares.row])
    return found


def _own_frames(
    given: Mapping[str, Tensor], pixels: Tensor, modality: str, shares: Shares
) -> Tensor | None:
    """Return the pictures, tiles or frames of a row, without those that only make a batch even."""
    if modality == "image" and shares.packed and pixels.ndim == 5:
        part = shares.of(len(pixels), modality)
        if part is None:
            return None
        pairs = list(zip(pixels, shares.packed, strict=False))[part]
        return torch.cat([own[: picture.tiles] for own, picture in pairs]) if pairs else None
    if pixels.ndim == 5 and len(pixels) == shares.rows and modality == "image":
        own = pixels[shares.row]
        real = [bool(image.any()) for image in own]
        # Idefics leaves out pictures that are zero; a film has no such frames.
        return own[torch.tensor(real)] if any(real) and "input_ids" in given else own[None]
    part = shares.of(len(pixels), modality)
    return None if part is None else pixels[part]


def _whole_patches(image: InputImage, config: Any) -> InputImage:
    """Cut off what is left over at the right and below of the last whole patch: the model never sees it."""
    patch = vision_setting(config, "patch_size")
    height, width = (
        patch if isinstance(patch, (tuple, list)) and len(patch) == 2 else (patch, patch)
    )
    if not isinstance(height, int) or not isinstance(width, int):
        return image
    rows, columns = (
        size // part for size, part in zip(image.pixels.shape[1:], (height, width), strict=True)
    )
    if not rows or not columns:
        return image
    pixels = image.pixels[:, : rows * height, : columns * width]
    return replace(image, pixels=pixels, patches=(rows, columns))


def _unpacked(pixels: Tensor, grids: Tensor, config: Any) -> list[tuple[InputImage, int]]:
    """Put the patches of Qwen2-VL and its relatives back where they were cut out, with the number of their picture or film."""
    merge = merged_patches(config)
    size = vision_setting(config, "patch_size")
    depth = vision_setting(config, "temporal_patch_size") or 1
    whole = pixels.ndim == 4  # patches as little images, each behind the one to its left
    order = packed_patch_order(grids.cpu(), 1 if whole else merge)
    if whole:
        size, depth = pixels.shape[-1], 1
    if not isinstance(size, int) or pixels[0].numel() % (depth * size**2):
        return []
    # Of the frames that make up a patch in time, the first is shown.
    cut = pixels.reshape(len(order), -1, depth, size, size)[:, :, 0]
    found: list[tuple[InputImage, int]] = []
    image = 0
    for owner, (count, rows, columns) in enumerate(grids.tolist()):
        for _ in range(count):
            canvas = cut.new_zeros(cut.shape[1], rows * size, columns * size)
            for patch, (number, row, column, _) in zip(cut, order, strict=True):
                if number == image:
                    canvas[
                        :, row * size : (row + 1) * size, column * size : (column + 1) * size
                    ] = patch
            found.append((InputImage(canvas, (rows // merge, columns // merge)), owner))
            image += 1
    return found


def _from_patches(flat: Tensor) -> list[InputImage]:
    """Put Pix2Struct's patches, ``[patch, row, column, pixels ...]`` with rows and columns from 1, together again."""
    flat = flat[flat[:, 0] > 0]
    size = round((max(0, flat.shape[-1] - 2) / 3) ** 0.5)
    if not len(flat) or not size or 3 * size**2 != flat.shape[-1] - 2:
        return []
    rows, columns = (int(flat[:, axis].max()) for axis in (0, 1))
    canvas = flat.new_zeros(3, rows * size, columns * size)
    for patch in flat:
        row, column = (int(patch[axis]) - 1 for axis in (0, 1))
        cut = patch[2:].reshape(size, size, 3).permute(2, 0, 1)
        canvas[:, row * size : (row + 1) * size, column * size : (column + 1) * size] = cut
    return [InputImage(canvas)]


def to_display(
    found: Sequence[InputImage], processor: Any, folder: str, originals: Sequence[Any] = ()
) -> list[Medium]:
    """Make images to look at: true colours where the normalisation is known, at most 512 pixels a side.

    Args:
        found: The images as the model was given them.
        processor: The image processor, or what holds one, or ``None``.
        folder: Name the model was loaded from; a folder may hold its processor's settings.
        originals: The images as the caller gave them; one that the model was given whole is shown itself, sharper.
    """
    if not found:
        return []
    side = min(LARGEST_SIDE, int((_PIXELS / len(found)) ** 0.5))
    colours = [_rgb(image.pixels.detach().float().cpu()) for image in found]
    known = _normalisation(processor, folder)
    true = None if known is None else [_denormalised(image, *known) for image in colours]
    if true is None or any(image.min() < -_OUTSIDE or image.max() > 1 + _OUTSIDE for image in true):
        low = min(float(image.min()) for image in colours)
        high = max(float(image.max()) for image in colours)
        shown, note = colours, None
        if low < 0 or high > 1:
            span = max(high - low, 1e-12)
            shown, note = [(image - low) / span for image in colours], _GUESSED
    else:
        whole = originals if len(originals) == len(true) else [None] * len(true)
        shown, note = [_sharper(*pair) for pair in zip(true, whole, strict=True)], None
    return [Medium("image", _bytes(_smaller(image, side)), note=note) for image in shown]


def _sharper(seen: Tensor, original: Any) -> Tensor:
    """Return the original where it differs from what the model was given in size alone: not cropped, not turned, not padded."""
    if original is None:
        return seen
    rgb = torch.from_numpy(np.array(original.convert("RGB"))).permute(2, 0, 1) / 255
    again = torch.nn.functional.interpolate(
        rgb[None], seen.shape[1:], mode="bilinear", antialias=True
    )[0]
    return rgb if float((again - seen).abs().mean()) < _ALIKE else seen


def _rgb(image: Tensor) -> Tensor:
    """Show one or two channels as grey, and of more than three the first three."""
    finite = image.nan_to_num()
    return finite[:3] if len(finite) >= 3 else finite[:1].expand(3, -1, -1)


def _normalisation(processor: Any, folder: str) -> tuple[Tensor, Tensor] | None:
    """Return mean and deviation that a processor has taken out of each colour."""
    own = getattr(processor, "image_processor", processor)
    settings = {
        name: getattr(own, name, None) for name in ("image_mean", "image_std", "do_normalize")
    }
    if settings["image_mean"] is None and folder:
        try:
            path = Path(folder) / "preprocessor_config.json"
            settings |= json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except (OSError, ValueError):
            return None
    if settings["do_normalize"] is False:
        return torch.zeros(3), torch.ones(3)
    mean, deviation = settings["image_mean"], settings["image_std"]
    if mean is None or deviation is None:
        return None
    try:
        pair = torch.tensor([mean, deviation], dtype=torch.float32).reshape(2, -1).expand(2, 3)
    except (RuntimeError, TypeError, ValueError):
        return None
    return pair[0], pair[1]


def _denormalised(image: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return image * deviation[:, None, None] + mean[:, None, None]


def _smaller(image: Tensor, side: int) -> Tensor:
    height, width = image.shape[1:]
    factor = side / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    scaled: Tensor = torch.nn.functional.interpolate(
        image[None], size, mode="bilinear", antialias=True
    )[0]
    return scaled


def _bytes(image: Tensor) -> Any:
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
