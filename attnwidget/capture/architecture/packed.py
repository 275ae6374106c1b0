"""Tell inputs that hold several pieces in one row, patches of images or frames of sounds, from a batch of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["UNBATCHED_AXES", "is_packed"]

# Number of axes without the batch, for the inputs people cut out of a batch most.
UNBATCHED_AXES = {"pixel_values": 3, "input_features": 2, "input_values": 1, "inputs_embeds": 2}

# Patches of an image have two axes when all stand in one row, and three in a batch.
_AXES_IN_A_ROW = {
    "pixel_values": 2,
    "pixel_values_videos": 2,
    "input_features": 2,
    "inputs_embeds": 2,
}


def is_packed(name: str, value: Tensor, inputs: Mapping[str, Any]) -> bool:
    """Tell whether the first axis of an input counts pieces of one row, so that it is no batch.

    Args:
        name: Name of the input.
        value: The input.
        inputs: All inputs by their names: where images are cut to patches or sounds joined, another input has their sizes.
    """
    if value.ndim <= _AXES_IN_A_ROW.get(name, 0):
        return True
    if not value.is_floating_point() or value.ndim < 2:
        return False
    return any(
        len(sizes) < len(value) and int(sizes.prod(dim=-1).sum()) == len(value)
        for sizes in inputs.values()
        if isinstance(sizes, torch.Tensor)
        and not sizes.is_floating_point()
        and sizes.ndim == 2
        and sizes.shape[-1] in {2, 3}  # height and width, or frames before them
    )
