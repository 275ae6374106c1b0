"""Input images recovered from pixel tensors: out of batches, patches and normalised colours."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.capture.positions.grids import packed_patch_order, vision_setting
from attnwidget.record.media import LARGEST_SIDE, Medium

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

__all__ = ["MEDIA_INPUTS", "InputImage", "find_images", "row_share", "to_display"]

# Inputs that hold images or audio, or say how they are packed; the first of each name is used.
MEDIA_INPUTS = (
    "pixel_values",
    "pixel_values_videos",
    "image_grid_thw",
    "video_grid_thw",
    "grid_thw",
    "flattened_patches",
    "input_features",
    "input_values",
    "feature_attention_mask",
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
    """

    pixels: Tensor
    grid: tuple[int, int] | None = None
    own: bool = True


def row_share(tensor: Tensor, row: int, rows: int) -> Tensor | None:
    """Return what belongs to one row of the batch of a tensor whose first axis may count parts of inputs."""
    if len(tensor) % rows:
        return tensor if rows == 1 else None
    share = len(tensor) // rows
    return tensor[row * share : (row + 1) * share]


def find_images(given: Mapping[str, Tensor], config: Any, row: int, rows: int) -> list[InputImage]:
    """Find the images of one row of the batch.

    Args:
        given: Inputs of the model by name.
        config: The model's configuration.
        row: Row that is recorded.
        rows: Rows of the batch.
    """
    found: list[InputImage] = []
    for name, grids in (
        ("pixel_values", "image_grid_thw"),
        ("pixel_values_videos", "video_grid_thw"),
    ):
        pixels = given.get(name)
        if pixels is None or not pixels.is_floating_point():
            continue
        sizes = given.get(grids, given.get("grid_thw"))
        if sizes is not None and pixels.ndim == 2:
            packed = _unpacked(pixels, sizes, config)
            share = len(packed) // rows if len(packed) % rows == 0 else 0
            own_ones = range(row * share, (row + 1) * share)
            found += [replace(image, own=n in own_ones) for n, image in enumerate(packed)]
            continue
        own = row_share(pixels, row, rows)
        if own is None or own.ndim < 4 or own.shape[-3] not in range(1, 17):
            continue
        tube = vision_setting(config, "tubelet_size") or 1
        every = tube[0] if isinstance(tube, (tuple, list)) else tube
        frames = (own if own.ndim == 4 else own[:, ::every]).flatten(0, -4)
        found += [_whole_patches(InputImage(frame), config) for frame in frames]
    flat = given.get("flattened_patches")
    if flat is not None and flat.ndim == 3 and row < len(flat):
        found += _from_patches(flat[row])
    return found


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
    return replace(image, pixels=image.pixels[:, : rows * height, : columns * width])


def _unpacked(pixels: Tensor, grids: Tensor, config: Any) -> list[InputImage]:
    """Put the patches of Qwen2-VL and its relatives back where they were cut out."""
    merge = vision_setting(config, "spatial_merge_size") or 1
    size = vision_setting(config, "patch_size")
    depth = vision_setting(config, "temporal_patch_size") or 1
    order = packed_patch_order(grids.cpu(), merge)
    if (
        not isinstance(size, int)
        or pixels.shape[-1] % (depth * size**2)
        or len(pixels) != len(order)
    ):
        return []
    # Of the frames that make up a patch in time, the first is shown.
    cut = pixels.reshape(len(order), -1, depth, size, size)[:, :, 0]
    found: list[InputImage] = []
    image = 0
    for count, rows, columns in grids.tolist():
        for _ in range(count):
            canvas = cut.new_zeros(cut.shape[1], rows * size, columns * size)
            for patch, (number, row, column, _) in zip(cut, order, strict=True):
                if number == image:
                    canvas[
                        :, row * size : (row + 1) * size, column * size : (column + 1) * size
                    ] = patch
            found.append(InputImage(canvas, (rows // merge, columns // merge)))
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
