"""Where windows lie in the image they were cut from, told by their content.

A window is cut by copying: what a windowed attention module is given are the rows of what its block was given, or of what
one of the block's norms makes of that, in another order. So each row of a window is looked for among those.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

__all__ = ["lie", "places", "wholes"]

_APART = 1e-5  # relative to the largest number: a norm may round differently over other shapes


def lie(
    pieces: Tensor, around: Iterable[tuple[nn.Module, Tensor]], row: int
) -> tuple[Tensor, int] | None:
    """Find out where windows lie in what one of the blocks around them was given.

    Args:
        pieces: The windows of one row of the batch, ``[piece, ..., dim]``.
        around: The blocks, and what each of them was given.
        row: Row of the batch.

    Returns:
        The order of `places`, and how many of the positions are those of the whole; ``None`` if it cannot be told.
    """
    with torch.no_grad():
        for block, given in around:
            for whole in wholes(block, given, row):
                order = places(pieces, whole)
                if order is not None:
                    return order, len(whole)
    return None


def wholes(block: nn.Module, given: Tensor, row: int) -> Iterable[Tensor]:
    """Yield what windows may have been cut from, ``[position, dim]``: a block's input, and that through its norms."""
    if given.ndim < 3 or row >= len(given):
        return
    whole = given[row].detach().flatten(0, -2)
    yield whole
    for child in block.children():
        weight = getattr(child, "weight", None)
        fits = weight is not None and weight.shape == whole.shape[-1:]
        if fits and "norm" in type(child).__name__.lower():
            yield child.forward(whole)


def places(pieces: Tensor, whole: Tensor) -> Tensor | None:
    """Find the rows of ``pieces`` among those of ``whole``.

    Args:
        pieces: ``[piece, ..., dim]``.
        whole: ``[position, dim]``.

    Returns:
        An order of the rows of ``pieces`` in which they are those of ``whole``, one after the other; rows that are none
        of them, as at the edge of an image that had to be made larger, come last. ``None`` if some position is missing,
        or if rows are alike and no usual way of cutting windows explains them.
    """
    rows = pieces.detach().flatten(0, -2).double()
    whole = whole.double()
    if rows.shape[-1] != whole.shape[-1] or len(rows) < len(whole):
        return None
    # One number for each row, by which to sort and search; the rows found are then compared in full.
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(whole.shape[-1], generator=generator, dtype=torch.float64)
    direction = direction.to(whole.device)
    sorted_rows, order = (rows @ direction).sort()
    wanted = whole @ direction
    after = torch.searchsorted(sorted_rows, wanted).clamp(max=len(rows) - 1)
    before = (after - 1).clamp(min=0)
    nearer = (sorted_rows[before] - wanted).abs() < (sorted_rows[after] - wanted).abs()
    found = order[torch.where(nearer, before, after)]
    apart = (rows[found] - whole).abs().amax()
    if not bool(apart <= _APART * (1 + whole.abs().amax())):
        return None
    if int(torch.bincount(found).amax()) > 1:
        # Patches of one colour are alike before anything has mixed them: then the way of cutting has to tell.
        cut = _cut(rows, whole, len(pieces))
        if cut is None:
            return None
        found = cut
    left = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    left[found] = False
    return torch.cat([found, left.nonzero()[:, 0]])


def _cut(rows: Tensor, whole: Tensor, count: int) -> Tensor | None:
    """Try square windows, shifted by half of their size or not, over every shape the whole may have.

    Args:
        rows: Rows of all windows, ``[row, dim]``.
        whole: Rows of the whole, ``[position, dim]``.
        count: Number of windows.

    Returns:
        For each position of the whole the row that is it, or ``None``.
    """
    side = isqrt(len(rows) // count)
    if side * side * count != len(rows):
        return None
    limit = _APART * (1 + whole.abs().amax())
    for height in range(1, len(whole) + 1):
        width, rest = divmod(len(whole), height)
        down, across = -(-height // side), -(-width // side)
        if rest or down * across != count:
            continue
        places = torch.full((down * side, across * side), -1, device=rows.device)
        places[:height, :width] = torch.arange(len(whole), device=rows.device).view(height, width)
        for shift in (0, side // 2):
            moved = places.roll((-shift, -shift), (0, 1)).view(down, side, across, side)
            order = moved.transpose(1, 2).flatten()
            real = order >= 0
            if bool(((rows[real] - whole[order[real]]).abs() <= limit).all()):
                found = torch.empty(len(whole), dtype=torch.long, device=rows.device)
                found[order[real]] = real.nonzero()[:, 0]
                return found
    return None
