"""Calls inside of ``torch.func`` transforms: the numbers behind their tensors.

Inside of ``grad``, ``vjp`` or ``jvp`` tensors are wrapped once for each level. What they wrap are the numbers that the model
computes with, and they can be read where the transforms are set aside. Inside of ``vmap`` they have an axis more.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["inside_vmap", "outside_transforms", "plain"]

_functorch = torch._C._functorch  # noqa: SLF001  there are no public names to ask whether a transform runs


def inside_vmap() -> bool:
    """Tell whether one of the transforms that are running is ``vmap``."""
    if _functorch.peek_interpreter_stack() is None:
        return False
    vmap = _functorch.TransformType.Vmap
    return any(level.key() == vmap for level in _functorch.get_interpreter_stack() or ())


@contextmanager
def outside_transforms(given: Any) -> Iterator[Any]:
    """Set the transforms aside until the block ends; yields ``given`` with plain tensors in it."""
    if _functorch.peek_interpreter_stack() is None:
        yield given
        return
    from torch._functorch.pyfunctorch import (  # noqa: PLC0415  imported by the transform itself
        temporarily_clear_interpreter_stack,
    )

    with temporarily_clear_interpreter_stack(), torch.no_grad():
        yield _pytree.tree_map_only(torch.Tensor, plain, given)


def plain(tensor: Any) -> Any:
    """Return the tensor behind all wrappers of transforms."""
    while _functorch.is_functorch_wrapped_tensor(tensor):
        tensor = _functorch.get_unwrapped(tensor)
    return tensor
