"""A head zeroed without any of our taps: by a hook on what the output projection is given, or by weights of zero."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of the attention module itself, or beside it in the module around it.
_OWN = ("o_proj", "out_proj", "c_proj", "dense", "out_lin", "Wo", "o", "post_proj", "proj")
_BESIDE = ("output.dense", "output", "out_proj")


def projection(model: nn.Module, path: str) -> nn.Module:
    """Return the output projection of the attention module at a path."""
    parent = path.rpartition(".")[0]
    places = [f"{path}.{name}" for name in _OWN] + [f"{parent}.{name}" for name in _BESIDE]
    for place in places:
        try:
            found = model.get_submodule(place)
        except AttributeError:
            continue
        if isinstance(found, (nn.Linear, Conv1D)):
            return found
    msg = f"no projection of {path}"
    raise LookupError(msg)


def without_columns(model: nn.Module, path: str, head: int, heads: int) -> Any:
    """Return a copy of a model whose output projection of the module at a path has zeros as the columns of one head."""
    copied = copy.deepcopy(model)
    own = projection(copied, path)
    assert isinstance(own, nn.Linear)
    with torch.no_grad():
        own.weight.view(own.out_features, heads, -1)[:, head] = 0
    return copied


@contextmanager
def zeroed(model: nn.Module, path: str, head: int, width: int) -> Iterator[None]:
    """Zero what one head of a module, ``width`` numbers, puts out while the block runs."""
    module = model.get_submodule(path)
    if isinstance(getattr(module, "o", None), nn.Parameter):  # XLNet: [hidden, head, head_dim]
        before = module.o.detach().clone()
        with torch.no_grad():
            module.o[:, head] = 0
        yield
        with torch.no_grad():
            module.o.copy_(before)
        return

    def hook(_module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        cut = given[0].clone()
        cut[..., head * width : (head + 1) * width] = 0
        return cut, *given[1:]

    handle = projection(model, path).register_forward_pre_hook(hook)
    yield
    handle.remove()
