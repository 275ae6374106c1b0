"""Arrays and lists to batched tensors on the model's device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import nn


__all__ = [
    "ACCEPTED_INPUTS",
    "UNBATCHED_AXES",
    "add_batch_axis",
    "as_tensor",
    "device_of",
    "to_model",
]

# Number of axes without the batch, for the inputs people cut out of a batch most.
UNBATCHED_AXES = {"pixel_values": 3, "input_features": 2, "input_values": 1, "inputs_embeds": 2}

# Embeddings look up int32 and int64 only, while files of token ids are often uint16.
_NARROW = {torch.uint8, torch.int8, torch.uint16, torch.int16, torch.uint32}

ACCEPTED_INPUTS = (
    "text, a pair of texts (tuple), a list of chat messages (dicts with role and content), a BatchEncoding, "
    "a mapping of tensors, token ids, or an image or audio tensor"
)


def as_tensor(name: str, value: Any) -> Any:
    """Make a tensor of arrays and lists; leave everything else (caches, flags, None) alone."""
    made = _read(name, value)
    return made.long() if isinstance(made, torch.Tensor) and made.dtype in _NARROW else made


def _read(name: str, value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, np.ndarray) and value.dtype != object:
        return torch.from_numpy(np.ascontiguousarray(value))
    if name != "inputs" and not isinstance(value, (list, tuple)):
        return value
    try:
        if isinstance(value, (list, tuple)) and any(
            isinstance(item, (torch.Tensor, np.ndarray)) for item in value
        ):
            return torch.stack([torch.as_tensor(item) for item in value])
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        what = f"a {type(value).__name__}"
        if isinstance(value, Sequence):
            what += f" of {len(value)} rows that do not form a rectangle of numbers (tokenizer(texts, padding=True) makes one)"
        msg = f"{name} must be {ACCEPTED_INPUTS if name == 'inputs' else 'a tensor, an array or a list'}, got {what}."
        raise (ValueError if isinstance(value, Sequence) else TypeError)(msg) from error


def add_batch_axis(arrays: dict[str, Any]) -> dict[str, Any]:
    """Give inputs without a batch axis one."""
    return {
        name: value[None]
        if isinstance(value, torch.Tensor) and value.ndim == UNBATCHED_AXES.get(name, 1)
        else value
        for name, value in arrays.items()
    }


def to_model(model: nn.Module, inputs: dict[str, Any]) -> dict[str, Any]:
    """Move tensors where the model is, and floating-point ones to its precision."""
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    if parameter is None:
        return inputs
    device = device_of(model)
    dtype = getattr(model, "dtype", parameter.dtype)

    def place(value: Any) -> Any:
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
