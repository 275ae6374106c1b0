"""Safetensors files written piece by piece: a tensor is never in memory twice."""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import mmap
import os
import sys
from typing import IO, TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

__all__ = ["DIGESTS", "DIGEST_LENGTH", "DTYPES", "digest_of", "give_back", "pages", "write"]

# The name in the header's texts of what it and the tensors, in the order of the file, must hold; of the header with
# zeros in this place.
DIGESTS = "digests"
DIGEST_LENGTH = 16  # hexadecimal digits of SHA-256, 64 bits

DTYPES = {
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
    file: IO[bytes],
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    *,
    digests: bool = False,
) -> None:
    """Write tensors to a file, in any memory layout and from any device.

    Args:
        file: File to write; it must be able to seek if it gets digests.
        tensors: The tensors by name.
        metadata: Texts to put into the header.
        digests: Whether the header says what it and each tensor must hold, so that `TensorFile` notices damage.

    Raises:
        TypeError: If a tensor has a dtype that the format does not know.
    """
    wrong = [tensor.dtype for tensor in tensors.values() if tensor.dtype not in DTYPES]
    if wrong:
        message = (
            f"a safetensors file holds no {wrong[0]}; convert it, such as with tensor.float()."
        )
        raise TypeError(message)
    # The widest first: then each begins at a multiple of its own width, as the format wants it.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    texts = dict(metadata or {})
    if digests:
        texts[DIGESTS] = "0" * DIGEST_LENGTH * (1 + len(order))
    header: dict[str, object] = {"__metadata__": texts} if texts else {}
    end = 0
    for name in order:
        tensor = tensors[name]
        start, end = end, end + tensor.numel() * tensor.dtype.itemsize
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode("ascii")
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    scratch = pages([_PIECE], torch.uint8)
    found = [digest_of(text)]
    for name in order:
        hashed = hashlib.sha256()
        for piece in _pieces(tensors[name].detach()):
            copy = scratch[: piece.numel() * piece.dtype.itemsize]
            copy.view(piece.dtype).view(piece.shape).copy_(piece)
            file.write(copy.numpy().data)
            if digests:
                hashed.update(copy.numpy().data)
        found.append(hashed.hexdigest()[:DIGEST_LENGTH])
    if digests:
        file.seek(8 + text.index(texts[DIGESTS].encode(), text.index(DIGESTS.encode())))
        file.write("".join(found).encode())
        file.seek(0, os.SEEK_END)


def digest_of(data: bytes | memoryview) -> str:
    """Return the digest of some bytes, as many characters as a header keeps of it."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_LENGTH]


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
