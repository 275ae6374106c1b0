"""Rows of what a model returns: one of them as if it had been alone, and whether two outputs are the same."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from attnwidget.capture.edits.rows import RowsNotEditedError
from attnwidget.capture.tensor_tools import tensors_in

__all__ = ["alike", "close", "one_row", "repeated", "size_of"]

_TOLERANCE = 1e-5  # of the largest number


def one_row(output: Any, clean: Any, row: int, rows: int) -> Any:
    """Return one row of what a model returned for a batch, as it would have returned it for that row alone.

    Args:
        output: What it returned; what has not grown with the batch is left as it is.
        clean: What it returned for a batch of one.
        row: Which row.
        rows: How many there are.

    Raises:
        RowsNotEditedError: If a part of it is no batch of these rows.
    """
    if isinstance(clean, torch.Tensor) and isinstance(output, torch.Tensor):
        if output.shape == clean.shape:
            return output
        if clean.ndim and len(clean) == 1 and output.shape == (rows, *clean.shape[1:]):
            return output[row : row + 1]
        msg = f"{list(output.shape)} is no batch of {rows} times {list(clean.shape)}"
        raise RowsNotEditedError(msg)
    if isinstance(clean, Mapping) and isinstance(output, Mapping):
        made: Any = copy.copy(output)
        for name, value in output.items():
            made[name] = one_row(value, clean.get(name), row, rows)
        return made
    if isinstance(clean, (tuple, list)) and type(output) is type(clean):
        if len(output) != len(clean):
            msg = "it returns more for a batch"
            raise RowsNotEditedError(msg)
        parts = [one_row(one, other, row, rows) for one, other in zip(output, clean, strict=True)]
        kind: Any = type(output)
        return kind(*parts) if hasattr(output, "_fields") else kind(parts)
    return output


def alike(first: Any, second: Any) -> bool:
    """Tell whether two outputs of a model are the same, to 1e-5 of the largest number of each of their parts."""
    ours, theirs = list(tensors_in(first)), list(tensors_in(second))
    return len(ours) == len(theirs) and all(map(_alike, ours, theirs))


def close(first: float, second: float) -> bool:
    """Tell the same of two values of a metric."""
    return abs(first - second) <= _TOLERANCE * max(1.0, abs(second))


def _alike(first: torch.Tensor, second: torch.Tensor) -> bool:
    if first.shape != second.shape:
        return False
    if not second.is_floating_point() or not second.numel():
        return torch.equal(first, second)
    there = second.isfinite()
    if not torch.equal(
        first[~there], second[~there]
    ):  # minus infinity stays; NaN is never the same
        return False
    scale = float(second[there].abs().max().clamp(min=1.0)) if bool(there.any()) else 1.0
    distance = (first.double() - second.double())[there].abs()
    return not distance.numel() or float(distance.max()) <= _TOLERANCE * scale


def repeated(given: Any, rows: int) -> Any:
    """Return what a model is given for one row, for several that are the same; numbers of a position alone stay as they are."""
    if isinstance(given, torch.Tensor) and given.ndim > 1 and len(given) == 1:
        return given.expand(rows, *given.shape[1:]).contiguous()
    return given


def size_of(output: Any) -> int:
    """Return the bytes of what a model returned."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(output))
