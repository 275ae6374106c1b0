"""`Medium`: an input image or spectrogram, at display size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LARGEST_SIDE", "Medium"]

# A picture is kept with at most this many pixels on its longer side: more than a notebook's cell shows of it.
LARGEST_SIDE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Medium:
    """A picture, or the spectrogram of a sound.

    Attributes:
        kind: ``"image"`` or ``"spectrogram"``.
        pixels: uint8, ``[height, width, 3]`` (RGB) of an image, ``[band, frame]`` of a spectrogram, lowest band first.
            At most 512 pixels on an image's longer side; a longer one was made smaller.
        seconds: Length of the sound; None for an image.
        note: What the reader should know about it, such as that its true colours are not known.
        frequencies: The middle of each band of a spectrogram in Hz, lowest first; None where they are not known.
    """

    kind: Literal["image", "spectrogram"]
    pixels: NDArray[np.uint8]
    seconds: float | None = None
    note: str | None = None
    frequencies: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check the pixels.

        Raises:
            ValueError: If they are no uint8 array of the shape that the kind has, or empty, or if there are frequencies
                and not one for each band of a spectrogram, rising.
        """
        shape, axes = self.pixels.shape, 3 if self.kind == "image" else 2
        fits = len(shape) == axes and (axes == 2 or shape[-1] == 3) and self.pixels.size
        if self.kind not in {"image", "spectrogram"} or self.pixels.dtype != np.uint8 or not fits:
            message = (
                "a medium needs uint8 pixels, [height, width, 3] of an 'image' or [band, frame] of a 'spectrogram', got"
                f" {self.pixels.dtype} {list(shape)} of {self.kind!r}."
            )
            raise ValueError(message)
        bands = self.frequencies
        if bands is None:
            return
        rising = all(low < high for low, high in pairwise(bands))
        if self.kind != "spectrogram" or len(bands) != self.height or not rising:
            message = (
                f"frequencies must be one number for each of the bands of a 'spectrogram', rising, got {len(bands)} for"
                f" {self.height} rows of pixels of {self.kind!r}."
            )
            raise ValueError(message)

    @property
    def height(self) -> int:
        """Number of rows of pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Number of columns of pixels."""
        return int(self.pixels.shape[1])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Medium):
            return NotImplemented
        mine, theirs = ((m.kind, m.seconds, m.note, m.frequencies) for m in (self, other))
        return mine == theirs and np.array_equal(self.pixels, other.pixels)

    def __hash__(self) -> int:
        return hash((self.kind, self.seconds, self.note, self.pixels.tobytes()))

    def __repr__(self) -> str:
        length = "" if self.seconds is None else f", {self.seconds:g} s"
        return f"Medium({self.kind}, {self.width} × {self.height}{length})"
