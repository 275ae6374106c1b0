"""Where the tokens of pictures that were cut into tiles lie: told by the model's own way to pack them."""

from __future__ import annotations

import inspect
import logging
import sys
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

__all__ = ["Cell", "PackedPicture", "packed_pictures", "packing_module"]

_log = logging.getLogger(__name__)

# Tile, row and column of the tile's grid, rows and columns of that grid; ``None`` for what is in no picture: a new line.
Cell = tuple[int, int, int, tuple[int, int]]


class PackedPicture:
    """One picture, as it was cut into tiles and packed into tokens.

    Attributes:
        tiles: Number of its tiles; those that only make a batch even are not counted.
        cells: Where each of its tokens lies.
    """

    __slots__ = ("cells", "tiles")

    def __init__(self, tiles: int, cells: list[Cell | None]) -> None:
        """Keep both."""
        self.tiles = tiles
        self.cells = cells


def packing_module(model: nn.Module) -> Any:
    """Return the innermost part of a model that packs the features of tiles into one sequence (LLaVA-NeXT), or ``None``."""
    found = [part for part in model.modules() if hasattr(part, "pack_image_features")]
    return found[-1] if found else None


def packed_pictures(model: nn.Module, given: Mapping[str, Tensor]) -> list[PackedPicture]:
    """Ask a model how it packs the tiles of its pictures.

    It is given the number, row and column of each patch in the place of its features. So what it leaves out (padding
    around a picture that is not as wide as its tiles) and puts in (a new line) need not be known here.

    Args:
        model: The model.
        given: Its inputs by name: ``pixel_values`` ``[picture, tile, channel, height, width]``, ``image_sizes``.

    Returns:
        The pictures in order; none where the model does not pack tiles, or says nothing that can be understood.
    """
    holder, sizes, pixels = (
        packing_module(model),
        given.get("image_sizes"),
        given.get("pixel_values"),
    )
    if holder is None or sizes is None or pixels is None or pixels.ndim not in (4, 5):
        return []
    try:
        return _asked(holder, sizes, pixels)
    except Exception:  # noqa: BLE001  a model of another kind by the same name: its tokens have no place
        _log.debug("how tiles are packed could not be told", exc_info=True)
        return []


def _asked(holder: Any, sizes: Tensor, pixels: Tensor) -> list[PackedPicture]:
    config = holder.config
    if pixels.ndim == 4 and len(pixels) != len(sizes):
        return []
    # Both stand beside the model's class, in every one of its kind.
    source = sys.modules[type(holder).__module__]
    side = config.vision_config.image_size // config.vision_config.patch_size
    rate = getattr(
        holder, "downsample_rate", None
    )  # Granite: features are made fewer before they are packed
    if isinstance(rate, str) and "/" in rate:
        part, whole = (int(number) for number in rate.split("/"))
        side = side * part // whole
    shapes = []
    for size in sizes:
        cut = pixels.ndim == 5
        options = {
            "grid_pinpoints": config.image_grid_pinpoints,
            "patch_size": config.vision_config.image_size,
        }
        tiles = int(source.image_size_to_num_patches(image_size=size, **options)) if cut else 1
        rows, columns = source.get_anyres_image_grid_shape(size, **options)
        shapes.append((tiles, int(rows), int(columns)))
    packed = _call(holder, [_places(tiles, columns, side) for tiles, _, columns in shapes], sizes)
    pictures, first = [], 0
    for (tiles, _, columns), places in zip(shapes, packed, strict=True):
        cells = [_cell(place, first, columns, side) for place in places.tolist()]
        pictures.append(PackedPicture(tiles, cells))
        first += tiles
    return pictures


def _places(tiles: int, columns: int, side: int) -> Tensor:
    """Make ``[tile, patch, 3]``: 0 for the first tile, which is the whole picture, and 1 for its parts; row; column.

    Rows and columns count over all parts, so that they stay true where a model interpolates.
    """
    row, column = torch.arange(side**2) // side, torch.arange(side**2) % side
    places = [torch.stack([torch.zeros_like(row), row, column], dim=-1)]
    for number in range(tiles - 1):
        down, across = divmod(number, columns)
        place = [torch.ones_like(row), row + down * side, column + across * side]
        places.append(torch.stack(place, dim=-1))
    return torch.stack(places).float()


def _call(holder: Any, features: list[Tensor], sizes: Tensor) -> list[Tensor]:
    names = inspect.signature(holder.pack_image_features).parameters
    settings = {
        name: getattr(holder.config, name)
        for name in ("vision_feature_select_strategy", "vision_aspect_ratio")
        if name in names and hasattr(holder.config, name)
    }
    line = None if getattr(holder, "image_newline", None) is None else torch.full((3,), -1.0)
    with torch.no_grad():
        found = holder.pack_image_features(features, sizes.cpu(), image_newline=line, **settings)
    return list(found[0] if isinstance(found, tuple) else found)


def _cell(place: list[float], first: int, columns: int, side: int) -> Cell | None:
    if place[0] < 0:
        return None
    row, column = (round(number) for number in place[1:])
    if place[0] == 0:
        return first, row, column, (side, side)
    tile = first + 1 + row // side * columns + column // side
    return tile, row % side, column % side, (side, side)
