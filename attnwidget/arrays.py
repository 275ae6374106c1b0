"""Weights as people have them (torch, numpy, nested lists, batches) as one tensor per layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.selection import integer

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["checked", "choose_item", "read_layers"]

# Rounding in half precision lifts a weight of 1 by less than this.
_ROUNDING = 1e-3
_GENERATE = (
    "{name} holds one tuple of layers per generated token: choose a step, from_weights(outputs.{name}[0], tokens),"
    " or record every step with attnwidget.recording(model)."
)


def read_layers(name: str, attention: object) -> list[tuple[int, Tensor]]:
    """Return the layers that are there, by number, each with or without a batch axis."""
    if isinstance(attention, (str, bytes, Mapping)) or callable(attention):
        message = (
            f"{name} must be weights, got {type(attention).__name__}: pass outputs.attentions."
        )
        raise ValueError(message)  # noqa: TRY004  (one error type for a wrong argument)
    if isinstance(attention, Sequence):
        if any(_is_step(entry) for entry in attention):
            raise ValueError(_GENERATE.format(name=name))
        return [
            (number, _tensor(name, entry))
            for number, entry in enumerate(attention)
            if entry is not None
        ]
    stacked = _tensor(name, attention)
    # A lone [head, query, key] is a model of one layer.
    return list(enumerate(stacked if stacked.ndim > 3 else stacked[None]))


def _tensor(name: str, entry: object) -> Tensor:
    if isinstance(entry, Sequence) and any(isinstance(part, torch.Tensor) for part in entry):
        entry = torch.stack([_tensor(name, part) for part in entry])
    try:
        tensor = (
            entry.detach() if isinstance(entry, torch.Tensor) else _from_numpy(np.asarray(entry))
        )
    except (TypeError, ValueError) as error:
        message = f"{name} must hold arrays of numbers with one entry per layer: {error}."
        raise ValueError(message) from error
    if tensor.is_complex():
        message = f"{name} must hold real numbers, got {tensor.dtype}."
        raise ValueError(message)
    if not tensor.is_floating_point() or tensor.dtype == torch.float64:
        tensor = tensor.to(torch.float32)
    return tensor.cpu()


def choose_item(name: str, entry: Tensor, batch: int | None) -> Tensor:
    """Return one item of the batch, ``[head, query, key]``."""
    shape = list(entry.shape)
    if entry.ndim not in (3, 4) or 0 in shape:
        message = f"{name} must hold [batch, head, query, key] or [head, query, key] per layer, got {shape}."
        raise ValueError(message)
    size = shape[0] if len(shape) == 4 else 1
    if batch is None and size > 1:
        message = (
            f"{name} holds a batch of {size}: choose one item, for instance from_weights(..., batch=0) with"
            " the tokens of that item."
        )
        raise ValueError(message)
    number = integer(0 if batch is None else batch)
    if number is None or not 0 <= number < size:
        message = (
            f"batch must be an integer in 0..{size - 1} for {name} of shape {shape}, got {batch!r}."
        )
        raise ValueError(message)
    return entry if len(shape) == 3 else entry[number]


def checked(name: str, weights: Tensor, number: int) -> Tensor:
    """Return ``weights`` if each is a number in 0..1, or name the first that is not."""
    lowest, highest = (float(bound) for bound in weights.float().aminmax())
    if lowest >= 0 and highest <= 1 + _ROUNDING:
        return weights
    values = weights.float()
    wrong = ~values.isfinite() | (values < 0) | (values > 1 + _ROUNDING)
    head, query, key = wrong.nonzero()[0].tolist()
    value = float(values[head, query, key])
    if not math.isfinite(value):
        fix = (
            "A query whose keys are all masked comes out so: pass numpy.nan_to_num(weights), or leave the layer"
            " out with include_layers=[...]"
        )
    elif value < 0 or highest > 2:
        fix = "These look like scores before softmax: pass torch.softmax(scores, -1)"
    else:
        fix = "Dropout scales weights up while a model trains: call model.eval() first"
    message = (
        f"{name} must hold numbers in 0..1, got {value:g} at layer {number}, head {head}, query {query},"
        f" key {key}. {fix}."
    )
    raise ValueError(message)


def _is_step(entry: object) -> bool:
    """Tell whether an entry is itself a tuple of layers, as ``generate`` returns them."""
    return isinstance(entry, Sequence) and len(entry) > 0 and getattr(entry[0], "ndim", 0) == 4


def _from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    if array.dtype.kind == "V" or array.dtype.name.startswith(("bfloat", "float8")):
        # numpy's extension types, which torch does not read.
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiubc":
        message = f"got dtype {array.dtype}"
        raise TypeError(message)
    # torch warns of read-only memory and refuses negative strides.
    plain = array.flags.writeable and min(array.strides, default=0) >= 0
    return torch.from_numpy(array if plain else array.copy())
