"""Arrays and lists to batched tensors on the model's device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.capture.architecture.stream_names import is_of_transformers
from attnwidget.capture.inputs.signature import forward_parameters, reads_lists
from attnwidget.compute.checks import check_not_masked, check_tensor, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn


__all__ = ["ACCEPTED_INPUTS", "as_tensor", "as_tensors", "device_of", "to_model"]

# Embeddings look up int32 and int64 only, while files of token ids are often uint16.
_NARROW = {torch.uint8, torch.int8, torch.uint16, torch.int16, torch.uint32}

ACCEPTED_INPUTS = (
    "text, a pair of texts (tuple), a list of chat messages (dicts with role and content), a BatchEncoding, "
    "a mapping of tensors, token ids, or an image or audio tensor"
)


def as_tensors(model: nn.Module, named: Mapping[str, Any]) -> dict[str, Any]:
    """Make tensors of the arrays and lists of numbers that a model reads as tensors; all else is left as it is.

    Args:
        model: The model. A list stays one where the signature of its forward has a list, and where it holds anything but
            numbers, unless the signature has only a tensor there.
        named: The inputs by their names.

    Raises:
        ValueError: If numbers of a list form no rectangle.
    """
    parameters = forward_parameters(model)
    for name, value in named.items():
        # A model of one's own may well read nested or sparse tensors, and one without weights those without numbers.
        if isinstance(value, torch.Tensor) and (
            ((value.is_nested or value.layout != torch.strided) and is_of_transformers(type(model)))
            or (value.device.type == "meta" and device_of(model).type != "meta")
        ):
            check_tensor(name, value)
    return {
        name: value if _taken_as_list(name, value, parameters.get(name)) else as_tensor(name, value)
        for name, value in named.items()
    }


def _taken_as_list(name: str, value: Any, parameter: Any) -> bool:
    if not isinstance(value, (list, tuple)):
        return False
    parts = {type(each) for each in _leaves(value)}
    numbers = parts and all(issubclass(kind, (int, float, np.number)) for kind in parts)
    if reads_lists(parameter):
        # Token ids are numbers whatever else a model takes in their place.
        return not (numbers and name.endswith(("input_ids", "attention_mask")))
    tensors = parts and all(issubclass(kind, (torch.Tensor, np.ndarray)) for kind in parts)
    annotated = "Tensor" in str(getattr(parameter, "annotation", ""))
    return not numbers and not (tensors and (annotated or name.endswith("input_ids")))


def _leaves(value: Any) -> Iterator[Any]:
    for each in value:
        if isinstance(each, (list, tuple)):
            yield from _leaves(each)
        else:
            yield each


def as_tensor(name: str, value: Any) -> Any:
    """Make a tensor of arrays and lists; leave everything else (caches, flags, None) alone."""
    made = _read(name, value)
    narrow = isinstance(made, torch.Tensor) and made.dtype in _NARROW
    # Masks are not looked up in a table.
    return made.long() if narrow and "mask" not in name else made


def _read(name: str, value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return check_tensor(name, value) if name == "inputs" else value
    check_not_masked(name, value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OV":
        msg = f"{name} must be {ACCEPTED_INPUTS if name == 'inputs' else 'a tensor, an array or a list'} of numbers, got {shown(value)}."
        raise ValueError(msg)
    if name != "inputs" and not isinstance(value, (list, tuple)):
        return value
    try:
        if isinstance(value, (list, tuple)) and any(
            isinstance(item, (torch.Tensor, np.ndarray)) for item in value
        ):
            return torch.stack([torch.as_tensor(item) for item in value])
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError, OverflowError, AttributeError) as error:
        what = f"a {type(value).__name__}"
        if isinstance(value, Sequence):
            what += f" of {len(value)} rows that do not form a rectangle of numbers (tokenizer(texts, padding=True) makes one)"
        msg = f"{name} must be {ACCEPTED_INPUTS if name == 'inputs' else 'a tensor, an array or a list'}, got {what}."
        raise (ValueError if isinstance(value, Sequence) else TypeError)(msg) from error


def to_model(model: nn.Module, inputs: dict[str, Any]) -> dict[str, Any]:
    """Move tensors where the model is, and floating-point ones to its precision."""
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    if parameter is None:
        return inputs
    device = device_of(model)
    dtype = getattr(model, "dtype", parameter.dtype)

    def place(value: Any) -> Any:
        if type(value) in {list, tuple}:
            return type(value)(place(each) for each in value)
        if type(value) is dict:
            return {name: place(each) for name, each in value.items()}
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(device, dtype) if value.is_floating_point() else value.to(device)

    return {name: place(value) for name, value in inputs.items()}


def device_of(model: nn.Module) -> torch.device:
    """Say where the model wants its inputs."""
    devices = [getattr(model, "device", None), *(p.device for p in model.parameters())]
    for device in devices:
        if isinstance(device, torch.device) and device.type != "meta":
            return device
    # Every weight waits elsewhere until it is needed; accelerate knows where it will be.
    for module in model.modules():
        device = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return torch.device("cpu")
