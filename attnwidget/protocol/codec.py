"""Arrays to blocks (dtype, shape, bytes) and back."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Block", "decode", "deflate", "encode", "inline", "shade"]

Dtype = Literal["uint8", "float16", "float32"]
# Of zlib's nine: the ninth makes shades of long rows 6 % smaller and takes up to ten times as long.
LEVEL = 6
_DTYPES: dict[str, Dtype] = {"uint8": "uint8", "float16": "float16", "float32": "float32"}


class Block(TypedDict, total=False):
    """A tensor's header; the bytes travel beside it, or as base64 in ``data`` inside a snapshot."""

    dtype: Dtype
    shape: list[int]
    data: str
    deflated: Literal[True]


def encode(array: NDArray[np.generic]) -> tuple[Block, bytes]:
    """Return the header and the bytes of an array, C order, little-endian.

    Args:
        array: uint8, float16 or float32, of any shape.

    Raises:
        ValueError: If the dtype is another one.
    """
    name = array.dtype.name
    if name not in _DTYPES:
        message = f"A block holds uint8, float16 or float32, got {name}: convert with array.astype('float32')."
        raise ValueError(message)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return {"dtype": _DTYPES[name], "shape": list(array.shape)}, np.ascontiguousarray(
        little
    ).tobytes()


def decode(block: Block, data: bytes) -> NDArray[np.generic]:
    """Return the array that `encode` made the block from.

    Raises:
        ValueError: If the bytes do not fit the shape.
    """
    dtype = np.dtype(block["dtype"]).newbyteorder("<")
    return np.frombuffer(data, dtype=dtype).reshape(block["shape"])


def inline(block: Block, data: bytes) -> Block:
    """Return the block with its bytes inside, as a snapshot holds it."""
    return {**block, "data": base64.b64encode(data).decode("ascii")}


def deflate(block: Block, data: bytes) -> Block:
    """Return the block with its bytes inside, compressed: what a page without a kernel holds."""
    return {**inline(block, zlib.compress(data, LEVEL)), "deflated": True}


def shade(weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return ``round(255 * sqrt(weight))`` for shading.

    The square root spends the 256 levels where weights are: plain ``255 * w`` loses a fifth of a row's mass at 512
    keys. Weights that are not numbers are shaded as nothing.
    """
    clean = np.clip(np.nan_to_num(weights, nan=0.0), 0.0, 1.0)
    return np.rint(255.0 * np.sqrt(clean)).astype(np.uint8)
