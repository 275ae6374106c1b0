"""Measures gradients of one model: those of every recorded layer against autograd's, by a tensor that holds the same numbers."""

from __future__ import annotations

import copy
import math
import random
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from capture.coverage.runs import tensors_of
from capture.coverage.ways import SEED
from torch.nn import functional
from torch.overrides import TorchFunctionMode

import attnwidget as aw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from attnwidget import Attention, Layer

__all__ = ["Gradients", "measure_gradients"]

CLOSE = 3e-5  # relative to the largest gradient of a layer: sums of deep models round so far apart
_SAME = 1e-3  # outputs worked out again and those of the model, relative to the largest


@dataclass
class Gradients:
    """What came of the gradients of one model.

    Attributes:
        layers: How many layers were recorded.
        same: How many of them have the gradients that autograd gives for their output.
        idle: How many of these have none, or zeros, in both.
        error: The largest difference among those, relative to the largest number of a layer.
        why: What is said against the others, by how many layers.
    """

    layers: int = 0
    same: int = 0
    idle: int = 0
    error: float = 0.0
    why: Counter[str] = field(default_factory=Counter)


class _Kept(TorchFunctionMode):
    """Keeps, with its gradient, every tensor that a function of torch returns, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run a function, and keep what it returns."""
        del types
        inside = func is functional.multi_head_attention_forward
        with _seen_inside(self) if inside else nullcontext():
            result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, tuple) else (result,):
            if type(one) is torch.Tensor and one.is_floating_point() and one.requires_grad:
                one.retain_grad()
                self.tensors.append(one)
        return result


@contextmanager
def _seen_inside(mode: _Kept) -> Iterator[None]:
    """Let a mode see the functions that PyTorch's own attention is made of."""
    before = functional.has_torch_function
    functional.has_torch_function = lambda _tensors: False
    try:
        with mode:
            yield
    finally:
        functional.has_torch_function = before


def measure_gradients(
    model: Any, inputs: dict[str, Any], attention: Attention, row: int
) -> Gradients:
    """Record the gradients of a number that all of the output has a part in, and compare them.

    Args:
        model: The model.
        inputs: What it is called with.
        attention: Its record without gradients.
        row: The row that is recorded.
    """
    found = Gradients(layers=sum(len(stream) for stream in attention.streams.values()))
    _seed()
    try:
        record = aw.capture(model, copy.deepcopy(inputs), batch=row, metric=_number)
    except Exception as error:  # noqa: BLE001  it is said in the table
        found.why[f"{type(error).__name__}: {str(error).splitlines()[0]}"[:200]] += found.layers
        return found
    kept = _Kept()
    _seed()
    with torch.enable_grad(), kept:
        output = model(**copy.deepcopy(inputs))
        number = _number(output)
    number.backward()
    for parameter in model.parameters():
        parameter.grad = None
    for stream in record.streams.values():
        for layer in stream:
            said = _verdict(layer, kept.tensors, found)
            if said is not None:
                found.why[f"{said} ({stream.name})"] += 1
    return found


def _verdict(layer: Layer, kept: Sequence[Tensor], found: Gradients) -> str | None:
    """Compare one layer; returns what is said against it."""
    if layer.value is None:
        return "has no values"
    own = layer.output_gradient
    best: tuple[float, float] | None = None
    # Where all values are equal, they are the output too, and have gradients of their own.
    for expected in _expected(torch.tensor(layer.output()), kept):
        if own is None and bool((expected == 0).all()):
            found.same, found.idle = found.same + 1, found.idle + 1
            return None
        if own is not None:
            best = min(best or (math.inf, 0.0), _apart(own.float(), expected))
            if best[0] <= CLOSE:
                break
    if own is None:
        return "no gradient"
    if best is None:
        return "no tensor of the model holds its output"
    error, size = best
    if not error <= CLOSE:
        return f"differs by {error:.0e}"
    found.same += 1
    found.idle += not size
    found.error = max(found.error, error)
    return None


def _apart(own: Tensor, expected: Tensor) -> tuple[float, float]:
    """Return the largest difference, relative to the largest number, and that number."""
    size = float(expected.abs().max())
    return float((own - expected).abs().max()) / (size or 1.0), size


def _expected(output: Tensor, kept: Sequence[Tensor]) -> Iterator[Tensor]:
    """Yield autograd's gradient of a layer's output, ``[head, query, dim]``, off each tensor that holds all of it.

    At last off several that hold a part of it each: pictures and the frames of a video, say.
    """
    heads, queries, width = output.shape
    wanted = output.movedim(0, 1).reshape(queries, heads * width)
    parts = torch.full_like(wanted, torch.nan)
    for tensor in kept:
        gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        for form in _merged_forms(tensor.shape, heads, width):
            rows, slopes = form(tensor.detach()).float(), form(gradient).float()
            batch = len(rows)
            rows, slopes = (one.reshape(-1, heads * width) for one in (rows, slopes))
            for at in _places(wanted, rows, batch):
                yield _by_head(slopes[at], output)
            apart, at = torch.cdist(wanted, rows, p=float("inf")).min(1)
            new = (apart <= _limit(wanted)) & parts.isnan().all(1)
            parts[new] = slopes[at[new]]
    if not bool(parts.isnan().any()):
        yield _by_head(parts, output)


def _merged_forms(
    shape: torch.Size, heads: int, width: int
) -> Iterator[Callable[[Tensor], Tensor]]:
    """Yield what makes ``[batch, …, head and dim]`` of a tensor of a shape, in each way that it may hold heads."""
    if not all(shape):
        return
    if len(shape) > 1 and shape[-1] == heads * width:
        yield lambda tensor: tensor
    if len(shape) < 3 or shape[-1] != width:
        return
    if shape[-2] == heads:
        yield lambda tensor: tensor.flatten(-2)
    if shape[-3] == heads:
        yield lambda tensor: tensor.movedim(-3, -2).flatten(-2)
    elif len(shape) == 3 and shape[0] % heads == 0:
        yield lambda tensor: tensor.unflatten(0, (-1, heads)).movedim(1, 2).flatten(-2)


def _by_head(taken: Tensor, output: Tensor) -> Tensor:
    heads, queries, width = output.shape
    return taken.view(queries, heads, width).movedim(1, 0)


def _places(wanted: Tensor, rows: Tensor, batch: int) -> Iterator[Tensor]:
    """Yield the numbers of the rows that are these: one after the other, or in another order in one row of the batch, or in all.

    Texts that begin alike have the same numbers there.
    """
    for start in range(len(rows) - len(wanted) + 1):
        part = rows[start : start + len(wanted)]
        if bool(((part[0] - wanted[0]).abs() <= _limit(wanted)).all()) and bool(
            ((part - wanted).abs() <= _limit(wanted)).all()
        ):
            yield torch.arange(start, start + len(wanted))
    size = len(rows) // batch
    for start, stop in (*((n * size, (n + 1) * size) for n in range(batch)), (0, len(rows))):
        if stop - start >= len(wanted):
            apart, at = torch.cdist(wanted, rows[start:stop], p=float("inf")).min(1)
            if bool((apart <= _limit(wanted)).all()) and len(at.unique()) == len(at):
                yield at + start


def _limit(wanted: Tensor) -> float:
    return _SAME * float(wanted.abs().max().clamp(min=1e-6))


def _number(output: Any) -> Tensor:
    """Make a number of all tensors that a model returns and that have gradients."""
    generator = torch.Generator().manual_seed(7)
    whole = torch.zeros(())
    for tensor in _floats(output):
        factors = torch.randn(tensor.shape, generator=generator)
        if tensor.requires_grad:
            whole = whole + (tensor.float().nan_to_num() * factors).sum()
    return whole


def _floats(output: Any) -> Iterator[Tensor]:
    skipped = ("attentions", "past_key_values", "hidden_states", "cache")
    if isinstance(output, dict):
        output = {
            name: one for name, one in output.items() if not any(part in name for part in skipped)
        }
    for tensor in tensors_of(output):
        if tensor.is_floating_point():
            yield tensor


def _seed() -> None:
    torch.manual_seed(SEED)
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002  what some models draw masks with
