"""Calls that PyTorch transforms or traces: how to read their numbers, and which have none.

Inside of ``torch.func.grad``, ``vjp`` or ``jvp`` tensors are wrapped once for each level; what they wrap are the numbers
that the model computes with. ``torch.jit.trace`` notes every operation, and makes tensors of sizes. Both are set aside
while something is read. Inside of ``vmap`` tensors have an axis more, inside of ``torch.export`` they have no numbers.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.fx import Proxy
from torch.utils import _pytree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["outside_transforms", "plain", "transforming", "why_without_numbers"]

_C: Any = torch._C  # noqa: SLF001  no public name asks what runs, or sets it aside
_functorch: Any = _C._functorch  # noqa: SLF001
_get_mode = _C._get_dispatch_mode  # noqa: SLF001
_FAKE, _PROXY = _C._TorchDispatchModeKey.FAKE, _C._TorchDispatchModeKey.PROXY  # noqa: SLF001
_VMAP = (
    "ran inside of torch.vmap, where one call stands for many and has no weights of its own: record it outside of vmap, "
    "such as with attnwidget.capture(model, inputs)"
)
_EXPORT = (
    "ran on tensors without numbers, as torch.fx, torch.export and the compiler use them: call it with its inputs, such as "
    "with attnwidget.capture(model, inputs)"
)


def why_without_numbers(given: Iterable[Any] = ()) -> str | None:
    """Say why what runs, on what is ``given``, has no numbers of its own, in words that follow the model's name."""
    if _get_mode(_FAKE) is not None or _get_mode(_PROXY) is not None:
        return _EXPORT
    for value in given:
        if isinstance(value, Proxy):
            return _EXPORT
    if _functorch.peek_interpreter_stack() is None:
        return None
    vmap = _functorch.TransformType.Vmap
    levels = _functorch.get_interpreter_stack() or ()
    return _VMAP if any(level.key() == vmap for level in levels) else None


def transforming() -> bool:
    """Tell whether a transform or a trace runs, that `outside_transforms` has to set aside."""
    return (
        _functorch.peek_interpreter_stack() is not None or _C._get_tracing_state() is not None  # noqa: SLF001
    )


@contextmanager
def outside_transforms(given: Any = None) -> Iterator[Any]:
    """Set transforms and traces aside until the block ends; yields ``given`` with plain tensors in it."""
    transformed = _functorch.peek_interpreter_stack() is not None
    trace = _C._get_tracing_state()  # noqa: SLF001
    if not transformed and trace is None:
        yield given
        return
    with ExitStack() as stack:
        if trace is not None:
            _C._set_tracing_state(None)  # noqa: SLF001
            stack.callback(_C._set_tracing_state, trace)  # noqa: SLF001
        if transformed:
            from torch._functorch import pyfunctorch  # noqa: PLC0415  imported by the transform itself

            stack.enter_context(pyfunctorch.temporarily_clear_interpreter_stack())
            given = _pytree.tree_map_only(torch.Tensor, plain, given)
        yield given


def plain(tensor: Any) -> Any:
    """Return the tensor behind all wrappers of transforms."""
    while _functorch.is_functorch_wrapped_tensor(tensor):
        tensor = _functorch.get_unwrapped(tensor)
    return tensor
