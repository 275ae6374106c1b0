"""Safetensors files written piece by piece and memory-mapped: a tensor is never in memory twice."""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import sys
from typing import TYPE_CHECKING

import safetensors
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

__all__ = ["give_back", "mapped", "pages", "write"]

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_PIECE = 1 << 24  # bytes that are copied at a time


def write(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors to one file, in any memory layout and from any device.

    Args:
        path: File to write; an existing one is overwritten.
        tensors: The tensors by name.
        metadata: Texts to put into the header.

    Raises:
        TypeError: If a tensor has a dtype that the format does not know.
    """
    wrong = [tensor.dtype for tensor in tensors.values() if tensor.dtype not in _NAMES]
    if wrong:
        message = (
            f"a safetensors file holds no {wrong[0]}; convert it, such as with tensor.float()."
        )
        raise TypeError(message)
    # The widest first: then each begins at a multiple of its own width, as the format wants it.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, object] = {} if metadata is None else {"__metadata__": dict(metadata)}
    end = 0
    for name in order:
        tensor = tensors[name]
        start, end = end, end + tensor.numel() * tensor.dtype.itemsize
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode("ascii")
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        scratch = pages([_PIECE], torch.uint8)
        for name in order:
            for piece in _pieces(tensors[name].detach()):
                copy = scratch[: piece.numel() * piece.dtype.itemsize]
                copy.view(piece.dtype).view(piece.shape).copy_(piece)
                file.write(copy.numpy().data)


def mapped(path: Path) -> dict[str, Tensor]:
    """Map the tensors of a file into memory: their bytes are read when they are first looked at.

    On systems that allow it the file may be unlinked at once; what is mapped stays readable as long as a tensor lives.
    Nothing that is written into the tensors reaches the file.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)


def pages(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a tensor on the CPU in memory pages of its own, which the system has back as soon as it is gone.

    What stays between the things that a model takes and gives back would keep the memory of the usual allocator in
    pieces, and the process much larger than what it holds.
    """
    size = math.prod(shape) * dtype.itemsize
    if not size or not hasattr(mmap, "MAP_PRIVATE"):
        return torch.empty(shape, dtype=dtype)
    own = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return torch.frombuffer(own, dtype=dtype).view(*shape)


def give_back() -> None:
    """Let the C library return to the system what it holds and nobody uses, where it knows how to (glibc)."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _pieces(tensor: Tensor) -> list[Tensor]:
    """Cut a tensor along its axes until each piece is small."""
    if tensor.ndim == 0 or not tensor.numel():
        return [tensor]
    step = max(1, _PIECE * len(tensor) // (tensor.numel() * tensor.dtype.itemsize))
    if step == 1 and tensor.ndim > 1 and tensor[0].numel() * tensor.dtype.itemsize > _PIECE:
        return [piece for part in tensor for piece in _pieces(part)]
    return [tensor[start : start + step] for start in range(0, len(tensor), step)]
