"""Patch grids and frame times of vision and audio models: rows, columns, seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.capture.architecture.own_inputs import fit_grid
from attnwidget.capture.positions.labels import frame_positions, patch_position, patch_positions
from attnwidget.record.positions import Position

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.architecture.submodels import Submodel
    from attnwidget.record.positions import Positions

__all__ = [
    "feature_map",
    "find_frames",
    "find_patches",
    "fit_grid",
    "merged_patches",
    "packed_patch_order",
    "reduced_grid",
    "vision_setting",
]

_SAMPLING_RATE = 16_000  # of every speech model that reads raw samples
_TILE_BLOCK = 8  # Mllama pads each tile to a multiple of it
_HOP_SECONDS = 0.01  # between two columns of Whisper's spectrogram


def vision_setting(config: Any, name: str) -> Any:
    """Read a setting of a vision submodel, from its own configuration or from the whole model's."""
    for part in (config, getattr(config, "vision_config", None)):
        value = getattr(part, name, None)
        if value is not None:
            return value
    return None


def merged_patches(config: Any) -> int:
    """Return how many patches along each side a vision model merges into one token."""
    merge = vision_setting(config, "spatial_merge_size")
    kernel = vision_setting(config, "merge_kernel_size")
    if merge is None and isinstance(kernel, (tuple, list)) and len(set(kernel)) == 1:
        merge = kernel[0]
    return merge if isinstance(merge, int) and merge > 0 else 1


def find_patches(submodel: Submodel, count: int) -> Positions | None:
    """Lay patches out in rows and columns when the submodel's inputs explain their number.

    Args:
        submodel: The model they are inputs of.
        count: How many positions there are.
    """
    return (
        _packed(submodel, count)
        or _flattened(submodel, count)
        or _grid(submodel, count)
        or reduced_grid(submodel, count)
    )


def packed_patch_order(grids: Tensor, merge: int) -> list[tuple[int, int, int, tuple[int, int]]]:
    """Return image (or frame), row, column and grid of each patch of a packed sequence.

    Patches that will be merged into one are next to each other: Qwen2-VL's order.

    Args:
        grids: ``[image, 3]``: frames, rows and columns of each.
        merge: Patches merged into one along each side.
    """
    order: list[tuple[int, int, int, tuple[int, int]]] = []
    first = 0
    for count, rows, columns in grids.tolist():
        order += [
            (first + frame, row + down, column + across, (rows, columns))
            for frame in range(count)
            for row in range(0, rows, merge)
            for column in range(0, columns, merge)
            for down in range(merge)
            for across in range(merge)
        ]
        first += count
    return order


def _packed(submodel: Submodel, count: int) -> Positions | None:
    grids = submodel.last("grid_thw")
    config = getattr(submodel.module, "config", None)
    merge = getattr(config, "spatial_merge_size", None)
    shape = submodel.last("pixel_values")
    if grids is not None and shape is not None and len(shape) == 4 and shape[0] == count:
        merge = 1  # patches as little images, line by line; merged only behind the last layer
    if grids is None or not isinstance(merge, int):
        return None
    if int(grids.prod(-1).sum()) != count:  # images and videos in one pass each
        grids = submodel.joined("grid_thw")
    order = packed_patch_order(grids, merge) if grids is not None else []
    windows = _window_order(grids, config, merge)
    if windows is not None and len(windows) * merge**2 == len(order):
        unit = merge**2
        order = [order[index * unit + inner] for index in windows for inner in range(unit)]
    if count != len(order):
        return None
    return tuple(patch_position(*place) for place in order)


def _window_order(grids: Tensor, config: Any, merge: int) -> list[int] | None:
    """Return the order in which a vision model with windows (Qwen2.5-VL) attends to its merged patches."""
    size = getattr(config, "window_size", None)
    if size is None or not hasattr(config, "fullatt_block_indexes"):
        return None
    try:
        from transformers.vision_utils import get_vision_window_index  # noqa: PLC0415  (5.20 and later)

        found: list[int] = get_vision_window_index(grids, merge, size, config.patch_size)[
            0
        ].tolist()
    except Exception:  # noqa: BLE001  another release keeps it elsewhere: without it the places are not known
        return []
    return found


def _flattened(submodel: Submodel, count: int) -> Positions | None:
    """Read rows and columns that travel with the patches themselves (Pix2Struct); padding has none."""
    places = submodel.last("flattened_patches")
    if places is None or len(places) != count:
        return None
    grid = (int(places[:, 0].max()), int(places[:, 1].max()))
    return tuple(
        patch_position(None, row - 1, column - 1, grid) for row, column in places.long().tolist()
    )


def _grid(submodel: Submodel, count: int) -> Positions | None:
    shape = submodel.last("pixel_values")
    config = getattr(submodel.module, "config", None)
    patch, tube = getattr(config, "patch_size", None), getattr(config, "tubelet_size", None)
    if isinstance(tube, (tuple, list)):
        tube, *patch = tube
    if shape is None or not patch or len(shape) < 3:
        return None
    height, width = patch if isinstance(patch, (tuple, list)) else (patch, patch)
    rows, columns = shape[-2] // height, shape[-1] // width
    if len(shape) == 6:
        return _tiles(shape, (rows, columns), count)
    times = shape[-4] // (tube or 1) if len(shape) == 5 else 1
    batch = shape[0] if len(shape) == 4 else 1  # several may be in one sequence (Pixtral)
    for images in dict.fromkeys((times, 1, batch)):
        names = _leading(submodel, count - images * rows * columns)
        if names is not None:
            return patch_positions(rows, columns, names, images=images)
    while rows > 1 and columns > 1 and rows * columns > count:
        # Later stages merge patches two by two.
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
        if rows * columns == count:
            return patch_positions(rows, columns)
    return None


def feature_map(submodel: Submodel, count: int) -> Positions | None:
    """Lay out what a convolutional backbone makes of a picture: one map of it, or several, each half as fine (DETR's kin).

    Args:
        submodel: The model that the picture is an input of.
        count: How many positions there are.
    """
    config = getattr(submodel.module, "config", None)
    shape = submodel.last("pixel_values")
    backbone = getattr(config, "backbone_config", None) or getattr(config, "backbone", None)
    if not backbone or shape is None or len(shape) not in {3, 4}:
        return None
    maps = [
        (-(-int(shape[-2]) // stride), -(-int(shape[-1]) // stride))
        for stride in (1 << power for power in range(1, 8))
    ]
    for first in range(len(maps)):
        for last in range(first + 1, len(maps) + 1):
            chosen = maps[first:last]
            if len(chosen) > 1 and min(min(grid) for grid in chosen) < 2:
                continue  # so small that many numbers are a sum of them
            if sum(rows * columns for rows, columns in chosen) == count:
                return tuple(
                    patch_position(None, *divmod(number, grid[1]), grid)
                    for grid in chosen
                    for number in range(grid[0] * grid[1])
                )
    return None


def _tiles(shape: tuple[int, ...], grid: tuple[int, int], count: int) -> Positions | None:
    """Lay out tiles of pictures ``[row, picture, tile, ...]`` in one sequence, each made longer to a whole number of blocks."""
    patches = grid[0] * grid[1]
    for tiles in dict.fromkeys((shape[2], shape[1] * shape[2])):
        extra = count // tiles - patches
        if count % tiles or not 1 <= extra <= _TILE_BLOCK:
            continue
        before = Position(label="[CLS]", kind="special")
        after = [Position(label="[PAD]", kind="special")] * (extra - 1)
        return tuple(
            position
            for tile in range(tiles)
            for position in (
                before,
                *(
                    patch_position(tile if tiles > 1 else None, *divmod(number, grid[1]), grid)
                    for number in range(patches)
                ),
                *after,
            )
        )
    return None


def reduced_grid(submodel: Submodel, count: int) -> Positions | None:
    """Lay out a stage whose keys are fewer than its queries, each on a grid of their own (SegFormer, PVT)."""
    shape, config = submodel.last("pixel_values"), getattr(submodel.module, "config", None)
    names = ("sr_ratios", "sequence_reduction_ratios")
    if shape is None or len(shape) != 4 or not any(hasattr(config, name) for name in names):
        return None
    grid = fit_grid(count, *shape[-2:])
    return None if grid is None else patch_positions(*grid)


def _leading(submodel: Submodel, extra: int) -> list[str] | None:
    registers = getattr(getattr(submodel.module, "config", None), "num_register_tokens", 0) or 0
    if extra < 0 or extra > registers + 2:
        return None
    names = (
        ["[CLS]", "[DIST]"] if extra - registers == 2 else ["[CLS]"][: max(extra - registers, 0)]
    )
    return names + [f"[REG {index}]" for index in range(extra - len(names))]


def find_frames(submodel: Submodel, count: int) -> Positions | None:
    """Time audio frames by how many of them the input became."""
    features, samples = submodel.last("input_features"), submodel.last("input_values")
    config = getattr(submodel.module, "config", None)
    if features is not None:
        per_frame, rest = divmod(features[-1], count)
        known = getattr(config, "model_type", "") == "whisper" and rest == 0
        return frame_positions(count, per_frame * _HOP_SECONDS if known else None)
    if samples is not None:
        stride = 1
        for step in getattr(config, "conv_stride", None) or ():
            stride *= step
        return frame_positions(count, stride / _SAMPLING_RATE if stride > 1 else None)
    return None
