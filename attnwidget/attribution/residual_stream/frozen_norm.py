"""`frozen`: a norm whose scale is held, so that what it puts out is a sum of what is put in; recognised by its numbers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

__all__ = ["FrozenNorm", "frozen_norm", "may_be_norm"]

_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-5}
_LOOSE = 2e-2  # half precision keeps two or three digits


class FrozenNorm:
    """``y = scale · (x − mean(x)) · weight + bias``, or without the mean, with the scale of each row as it was.

    Attributes:
        scale: ``[..., 1]``, of each row.
        weight: ``[dim]`` or ``[1]``.
        bias: ``[dim]``, or ``None``.
        centred: Whether the mean is taken off.
    """

    __slots__ = ("bias", "centred", "scale", "weight")

    def __init__(
        self, scale: Tensor, weight: Tensor, bias: Tensor | None, *, centred: bool
    ) -> None:
        self.scale, self.weight, self.bias, self.centred = scale, weight, bias, centred

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``y``, the norm of ``x``, to the last bit, with the gradient of the map whose scale is held."""
        wide = x.to(self.scale.dtype)
        centred = wide - wide.mean(dim=-1, keepdim=True) if self.centred else wide
        linear = (self.scale * centred * self.weight).to(y.dtype)
        return y.detach() + (linear - linear.detach())


def may_be_norm(module: nn.Module) -> bool:
    """Tell whether a module may be a norm: it holds no modules, and no parameters but vectors, of which at most two."""
    own = list(module.parameters(recurse=False))
    return (
        next(module.children(), None) is None
        and len(own) <= 2
        and all(parameter.ndim == 1 for parameter in own)
    )


def frozen_norm(
    run: Callable[[Tensor], Tensor], module: nn.Module, x: Tensor, y: Tensor
) -> FrozenNorm | None:
    """Return what a module is with its scale held, or ``None`` where it is no norm over the last dimension.

    Whether its weight stands for itself or for what is added to 1, and whether it takes off the mean, is told by which of
    these gives again what it put out.

    Args:
        run: Runs the module on something else.
        module: The module.
        x: What it was given.
        y: What it put out.
    """
    if x.shape != y.shape or not x.is_floating_point() or not x.numel():
        return None
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    x, out = x.detach().to(dtype), y.detach().to(dtype)
    tolerance = _TOLERANCE.get(y.dtype, _LOOSE)
    found: dict[bool, FrozenNorm] = {}
    for weight, bias, centred in _forms(module, x):
        inside = (x - x.mean(dim=-1, keepdim=True) if centred else x) * weight
        wanted = out if bias is None else out - bias
        scale = (inside * wanted).sum(-1, keepdim=True) / inside.square().sum(-1, keepdim=True)
        scale = scale.nan_to_num(0.0)  # a row of zeros
        apart = (wanted - scale * inside).norm(dim=-1)
        if bool((apart <= tolerance * out.norm(dim=-1).clamp(min=1e-12)).all()):
            found.setdefault(centred, FrozenNorm(scale, weight, bias, centred=centred))
    if len(found) < 2:
        return next(iter(found.values()), None)
    # What it was given has a mean of 0, and its parts need not: one that takes off the mean does not see a shift.
    shift = x.abs().amax(dim=-1, keepdim=True)
    moved = run((x + shift).to(y.dtype)).detach().to(dtype) - out
    return found[bool(moved.norm() <= _LOOSE * out.norm())]


def _forms(module: nn.Module, x: Tensor) -> Iterator[tuple[Tensor, Tensor | None, bool]]:
    """Yield weight, bias and whether the mean is taken off, in each way that the parameters of a module allow."""
    own: list[Any] = [
        parameter.detach().to(x.dtype)
        for parameter in module.parameters(recurse=False)
        if parameter.numel() in {1, x.shape[-1]} and parameter.device == x.device
    ]
    one = x.new_ones(1)
    pairs: list[tuple[Tensor, Tensor | None]] = [(one, None)]
    for first, second in itertools.permutations([*own, None], 2):
        if first is not None:
            pairs += [(first, second), (1 + first, second)]
    for (weight, bias), centred in itertools.product(pairs, (False, True)):
        yield weight, bias, centred
