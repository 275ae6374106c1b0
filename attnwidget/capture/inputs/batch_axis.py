"""Give inputs of one row, cut out of a batch, their batch axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnwidget.capture.architecture.packed import UNBATCHED_AXES
from attnwidget.capture.architecture.stream_names import main_input_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["UNBATCHED_AXES", "add_batch_axis"]

_OF_TOKENS = ("attention_mask", "token_type_ids", "position_ids")
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def add_batch_axis(model: nn.Module, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Give inputs without a batch axis one, and what belongs to them: masks, token types, positions.

    Sizes, counts and labels have one axis whatever the batch, and patches one less than images: they stay as they are.
    """
    tensors = {name: value for name, value in arrays.items() if isinstance(value, torch.Tensor)}
    main = main_input_name(model)
    first = main if main in tensors else next(iter(tensors), "")
    alone = {name for name in tensors if _is_one_row(model, name, tensors, first)}
    rows = [tensors[name] for name in alone]
    lengths = {
        tensors[name].shape[-1]
        for name in tensors
        if name.endswith("input_ids") and tensors[name].ndim
    }
    alone |= {
        name
        for name, value in tensors.items()
        if value.ndim and (_fits(value, rows) or _is_of_tokens(name, value, lengths))
    }
    return {name: value[None] if name in alone else value for name, value in arrays.items()}


def _is_one_row(model: nn.Module, name: str, tensors: Mapping[str, Tensor], first: str) -> bool:
    """Tell whether a tensor is a sequence, a picture or a sound without the axis of the batch."""
    value = tensors[name]
    if name not in UNBATCHED_AXES:
        return value.ndim == 1 and (name == first or name.endswith("input_ids"))
    return value.ndim == UNBATCHED_AXES[name] and not _is_read_as_it_is(model, name, tensors)


def _is_read_as_it_is(model: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> bool:
    """Tell patches of images, whose axes are as many as those of one image, and sounds joined to one."""
    value = tensors[name]
    others = [other for each, other in tensors.items() if each != name]
    if name == "input_features":
        return any(
            other.ndim == 1 and not other.is_floating_point() and int(other.sum()) in value.shape
            for other in others
        )
    if name != "pixel_values":
        return False
    if any(other.ndim > 1 and other.shape[:2] == value.shape[:2] for other in others):
        return True  # a mask or places of patches
    weights = [
        (isinstance(module, nn.Linear), module.weight.shape[1])
        for module in model.modules()
        if isinstance(module, (nn.Linear, *_CONVOLUTIONS))
    ]
    # An image is read by a convolution over its channels, patches by a matrix over all their numbers.
    return (False, len(value)) not in weights and (True, value.shape[-1]) in weights


def _fits(value: Tensor, rows: list[Tensor]) -> bool:
    """Tell whether a tensor has a number, or some integers such as a box, for each position of an input of one row."""
    axes = value.ndim
    boxes = axes == 2 and not value.is_floating_point()
    return any(
        value.shape in {row.shape[:axes], row.shape[-axes:]}
        or (boxes and row.ndim == 1 and len(value) == len(row))
        for row in rows
    )


def _is_of_tokens(name: str, value: Tensor, lengths: set[int]) -> bool:
    """Tell whether a tensor of one axis goes with token ids: a mask, token types or positions, also if it is too short."""
    fits = len(value) in lengths and name.endswith(("_mask", "_ids"))
    return value.ndim == 1 and bool(lengths) and (fits or name.endswith(_OF_TOKENS))
