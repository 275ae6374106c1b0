"""Two devices that are none: tensors that say they are there, and refuse to be mixed, while the processor does the sums."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

if TYPE_CHECKING:
    from collections.abc import Iterator

# A kind of device that PyTorch knows of, and that needs nothing to be installed.
FIRST, SECOND = torch.device("lazy:0"), torch.device("lazy:1")


class Far(torch.Tensor):
    """A tensor on one of the devices."""

    @staticmethod
    def __new__(cls: Any, near: torch.Tensor, device: torch.device) -> Any:
        """Wrap a tensor."""
        return torch.Tensor._make_wrapper_subclass(
            cls,
            near.shape,
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=device,
        )

    def __init__(self, near: torch.Tensor, _device: torch.device) -> None:
        """Keep what it really is."""
        self.near = near

    def __repr__(self) -> str:
        return f"Far({self.near}, {self.device})"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Pick and set parts nearby: PyTorch would make tensors of lists of indices on the device itself."""
        if func in {torch.Tensor.__getitem__, torch.Tensor.__setitem__}:
            found = func(*tree_map(_near, args))
            place = next(one.device for one in tree_leaves(args) if isinstance(one, Far))
            return None if found is None else Far(found, place)
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute, nearby, what is asked of tensors of one device."""
        return compute(func, args, kwargs or {})


class _Made(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class _Given(TorchFunctionMode):
    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        place = torch.device(kwargs.get("device") or "cpu")
        if func is torch.tensor and place.type == FIRST.type:
            return Far(func(*args, **kwargs | {"device": "cpu"}), place)
        return func(*args, **kwargs)


@contextmanager
def pretending() -> Iterator[None]:
    """Let what is made from nothing be made there, too."""
    with _Given(), _Made():
        yield


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run one operation nearby; its result is where its operands are, or where it is asked to be."""
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    asked = kwargs.get("device")
    moves = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
    # A number is at home everywhere.
    places = {one.device for one in tensors if one.ndim or isinstance(one, Far)}
    if len(places) > 1 and not moves:
        message = f"Expected all tensors to be on the same device, got {func} of {places}"
        raise RuntimeError(message)
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    found = func(*tree_map(_near, args), **tree_map(_near, kwargs))
    place = torch.device(asked) if asked is not None else (tensors[0].device if tensors else None)
    if len(places) == 1 and asked is None:
        (place,) = places
    if func is torch.ops.aten.copy_.default or (func._schema.name.endswith("_") and args):
        return args[0]
    if place is None or place.type != "lazy":
        return found
    return tree_map(lambda one: Far(one, place) if isinstance(one, torch.Tensor) else one, found)


def _near(one: Any) -> Any:
    return one.near if isinstance(one, Far) else one
