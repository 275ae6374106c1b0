"""`Cut`: the numbers of one head, zeroed in what a module or a method of it is given, in what it returns, or in weights."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Cut", "input_cuts", "method_cuts", "output_cuts", "parameter_cuts", "weight_cuts"]


@dataclass(frozen=True)
class Cut:
    """Where the numbers of a head are.

    Attributes:
        of: What a module is given, what it returns, one of its parameters (by axis), the columns of its weights, or what a
            method of it is given that is not its call.
        axis: Along which axis: the last, or 1 of a convolution; of a parameter or an output, the axis of the heads.
        last: How many of the last axes are taken as one.
        parts: How many pieces of the same size that one is; the heads are in one of them.
        part: In which.
        call: In which run of the module; in all of them where left out.
        parameter: Name of the parameter, or of the method.
    """

    of: Literal["input", "output", "parameter", "weight", "method"] = "input"
    axis: int = -1
    last: int = 1
    parts: int = 1
    part: int = 0
    call: int | None = None
    parameter: str = ""

    def of_every_run(self) -> Cut:
        """Return the same in all runs of the module."""
        return replace(self, call=None)

    def is_zero(self, given: torch.Tensor, head: int, heads: int) -> bool:
        """Tell whether the numbers of a head are all zeros, and those of another are not."""
        own, other = (self._of(given, each, heads) for each in (head, (head + 1) % heads))
        return not own.any() and (heads == 1 or bool(other.any()))

    def zeroed(self, given: torch.Tensor, head: int, heads: int) -> torch.Tensor:
        """Return a tensor with the numbers of one head zeroed."""
        if self.axis == 1:
            # In the same order in memory: another one would round otherwise.
            copy, (start, width) = given.clone(), self._span(given.shape[1], head, heads)
            copy.narrow(1, start, width).zero_()
            return copy
        copy = given.contiguous()
        copy = copy.clone() if copy is given or copy.data_ptr() == given.data_ptr() else copy
        self._view(copy, head, heads).zero_()
        return copy

    def _of(self, given: torch.Tensor, head: int, heads: int) -> torch.Tensor:
        turned = given.movedim(1, -1) if self.axis == 1 else given
        return self._view(turned.contiguous(), head, heads)

    def _view(self, given: torch.Tensor, head: int, heads: int) -> torch.Tensor:
        flat = given.view(*given.shape[: given.ndim - self.last], -1)
        return flat.narrow(-1, *self._span(flat.shape[-1], head, heads))

    def _span(self, size: int, head: int, heads: int) -> tuple[int, int]:
        """Return where the numbers of a head begin on an axis of that size, and how many they are."""
        width = size // (heads * self.parts)
        return (self.part * heads + head) * width, width

    def _without(self, output: Any, head: int, heads: int) -> Any:
        """Return what a module returns with the numbers of a head zeroed; as it is where it has no axis of heads."""
        if not isinstance(output, torch.Tensor) or not -output.ndim <= self.axis < output.ndim:
            return output
        if output.shape[self.axis] != heads:
            return output
        cut = output.clone()
        cut.select(self.axis, head).zero_()
        return cut

    @contextmanager
    def applied(self, model: nn.Module, name: str, head: int, heads: int) -> Iterator[None]:
        """Zero the numbers while the block runs."""
        module = model.get_submodule(name)
        if self.of in {"parameter", "weight"}:
            weights: torch.Tensor = getattr(module, self.parameter)
            kept = weights.detach().clone()
            try:
                with torch.no_grad():
                    if self.of == "weight":
                        self._view(weights, head, heads).zero_()
                    else:
                        weights.select(self.axis, head).zero_()
                yield
            finally:
                with torch.no_grad():
                    weights.copy_(kept)
            return
        if self.of == "method":
            original = getattr(module, self.parameter)
            setattr(
                module,
                self.parameter,
                lambda given, *rest: original(self.zeroed(given, head, heads), *rest),
            )
            try:
                yield
            finally:
                delattr(module, self.parameter)
            return
        handle = self._hook(module, head, heads)
        try:
            yield
        finally:
            handle.remove()

    def _hook(self, module: nn.Module, head: int, heads: int) -> Any:
        runs = 0

        def before(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            nonlocal runs
            runs += 1
            if self.call is not None and runs - 1 != self.call:
                return None
            return self.zeroed(args[0], head, heads), *args[1:]

        def after(_module: nn.Module, _args: Any, output: Any) -> Any:
            several = output if isinstance(output, tuple) else (output,)
            cut = tuple(self._without(each, head, heads) for each in several)
            if all(one is other for one, other in zip(cut, several, strict=True)):
                msg = "no axis of heads"
                raise ValueError(msg)
            return cut if isinstance(output, tuple) else cut[0]

        if self.of == "output":
            return module.register_forward_hook(after)
        return module.register_forward_pre_hook(before)


def input_cuts(module: nn.Module, shape: torch.Size, heads: int, call: int | None) -> Iterator[Cut]:
    """Yield where the heads may be in what a module is given."""
    convolves = isinstance(module, (nn.Conv1d, nn.Conv2d))
    if convolves and len(shape) < 2:
        return
    if not shape.numel():
        return
    size = 1
    for last, each in enumerate([shape[1]] if convolves else list(shape[::-1])[:3], 1):
        size *= each
        for parts in (1, 2):
            for part in range(parts) if size and size % (heads * parts) == 0 else ():
                axis = 1 if convolves else -1
                yield Cut(axis=axis, last=last, parts=parts, part=part, call=call)


def output_cuts() -> Iterator[Cut]:
    """Yield where an axis of heads may be in what a module returns."""
    for axis in (-2, -3, 0):
        yield Cut("output", axis=axis)


def parameter_cuts(module: nn.Module, heads: int) -> Iterator[Cut]:
    """Yield parameters of a module itself that have an axis of heads, as XLNet's projections have."""
    for name, parameter in module.named_parameters(recurse=False):
        for axis, size in enumerate(parameter.shape):
            if size == heads and parameter.ndim > 2:
                yield Cut("parameter", axis=axis, parameter=name)


def method_cuts(module: nn.Module) -> Iterator[Cut]:
    """Yield what a method is given that puts heads of several experts together, ``[..., expert, head of it * value_dim]``."""
    if callable(getattr(type(module), "reduce", None)):
        yield Cut("method", last=2, parameter="reduce")


def weight_cuts(module: nn.Module, heads: int) -> Iterator[Cut]:
    """Yield the columns of a map whose weights another module takes, as PyTorch's own attention does."""
    if isinstance(module, nn.Linear) and module.in_features % heads == 0:
        yield Cut("weight", parameter="weight")
