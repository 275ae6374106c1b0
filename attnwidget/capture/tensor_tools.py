"""Tensors inside of a value, local part of a DTensor, memory addresses of a model's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn


__all__ = ["address", "local_part", "parameter_addresses", "tensors_in"]


def local_part(tensor: Any, axis: int) -> tuple[Tensor, int]:
    """Return the part that this process holds of a tensor which several share, and where along ``axis`` it begins."""
    if not hasattr(tensor, "to_local"):
        return tensor, 0
    first = 0
    for place, placement in enumerate(tensor.placements):
        if placement.is_shard(axis):
            mesh = tensor.device_mesh
            first += mesh.get_local_rank(place) * -(-tensor.shape[axis] // mesh.size(place))
    return tensor.to_local(), first


def parameter_addresses(model: nn.Module) -> Iterator[int]:
    """Yield the memory addresses of a model's parameters; of one that several processes share, of the local part."""
    for parameter in model.parameters():
        yield local_part(parameter.detach(), 0)[0].data_ptr()


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of what a module is given or returns, in tuples, lists and mappings of any depth."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from tensors_in(one)
    elif isinstance(value, Mapping):  # also what a model returns
        for one in value.values():
            yield from tensors_in(one)


def address(tensor: Tensor) -> tuple[object, ...]:
    """Return what two tensors that are the same memory in the same form have in common.

    Autograd passes the same memory on as another object, hence no `id`.
    """
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
