"""A PNG of a bounded size, few colours and as many pixels as fit, and a PDF that holds one."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnwidget.figures.convert import png_chunk, png_chunks

if TYPE_CHECKING:
    from attnwidget.compute.resumable import Slices

__all__ = [
    "MOST_BYTES",
    "SmallPng",
    "checked_png",
    "encoded",
    "fitting_scale",
    "picture_pdf",
    "small_png",
]

# Of the file; in a notebook, in base64, a third more.
MOST_BYTES = 60_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3
# Colours that are tried at each resolution, the most first.
_COLOURS = (64, 16)
# Of a picture that is still too large, the next one has this share of the resolution at most.
_SMALLER = 0.8
# Pixels that are drawn at once: of a head view with hundreds of tokens, all of it, nothing fits in full anyway.
_MOST_DRAWN = 2_000_000
# A browser's picture is as wide as the page: nobody reads one with more pixels than this, or tells it from an attack.
_MOST_PIXELS = 40_000_000


@dataclass(frozen=True, slots=True)
class SmallPng:
    """A PNG file and the size that it is shown at.

    Attributes:
        data: The file.
        width: CSS pixels.
        height: CSS pixels.
        said: What it shows, in a sentence; empty where nobody said it.
    """

    data: bytes
    width: int
    height: int
    said: str = ""


def small_png(
    pixels: np.ndarray, size: tuple[float, float], *, most: int = MOST_BYTES
) -> Slices[SmallPng]:
    """Write pixels at the highest resolution at which the file is small enough.

    A generator: whoever runs it may do other things between two steps.

    Args:
        pixels: ``[row, column, channel]`` uint8, red, green and blue.
        size: Width and height that they are shown at, in CSS pixels.
        most: Bytes of the file.
    """
    width, height = (max(1, round(side)) for side in size)
    across, down = float(pixels.shape[1]), float(pixels.shape[0])
    shown = pixels
    while True:
        for count in _COLOURS:
            data = encoded(shown, count, shown.shape[1] / width)
            yield 0.5
            if len(data) <= most:
                return SmallPng(data, width, height)
            if len(data) > 2 * most:
                # Fewer colours halve it at best.
                break
        # The bytes grow about as the pixels do.
        share = min(_SMALLER, 0.95 * (most / len(data)) ** 0.5)
        across, down = max(1.0, across * share), max(1.0, down * share)
        shown = _resized(pixels, round(down), round(across))


def _resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return fewer pixels, each the mean of those that it covers."""
    for axis, count in ((0, height), (1, width)):
        length = pixels.shape[axis]
        lines = np.moveaxis(pixels, axis, 0).astype(np.float32)
        sums = np.concatenate([np.zeros_like(lines[:1]), lines.cumsum(axis=0)])
        edges = np.linspace(0, length, count + 1)
        whole = np.minimum(edges.astype(int), length)
        part = (edges - whole).astype(np.float32)[:, None, None]
        following = lines[np.minimum(whole, length - 1)]
        covered = np.diff(sums[whole] + part * following, axis=0) * (count / length)
        pixels = np.moveaxis(covered.round().clip(0, 255).astype(np.uint8), 0, axis)
    return pixels


def fitting_scale(size: tuple[float, float]) -> float:
    """Return the resolution to begin with: 1, or less where so many CSS pixels would never fit."""
    width, height = size
    return min(1.0, math.sqrt(_MOST_DRAWN / (width * height)))


def encoded(pixels: np.ndarray, count: int, scale: float) -> bytes:
    """Return pixels as a PNG of few colours.

    Args:
        pixels: ``[row, column, channel]`` uint8, red, green and blue.
        count: Colours at most, up to 256.
        scale: Pixels per CSS pixel, for programs that ask how large the picture is in print.
    """
    palette, places = _few_colours(pixels, count)
    height, width = places.shape
    bits = 4 if len(palette) <= 16 else 8
    if bits == 4:
        even = np.pad(places, ((0, 0), (0, width % 2)))
        places = even[:, ::2] << 4 | even[:, 1::2]
    rows = np.zeros((height, 1 + places.shape[1]), np.uint8)
    rows[:, 1:] = places
    per_metre = round(scale * 96 / 0.0254)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, _PALETTE, 0, 0, 0)),
        (b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1)),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(png_chunk(name, body) for name, body in parts)


def picture_pdf(picture: SmallPng) -> bytes:
    """Return a PDF of one page that is the picture, one CSS pixel three quarters of a point.

    Its pixels stand in the PDF as they stand in the PNG, few colours and all.

    Args:
        picture: One that `small_png` made.
    """
    chunks = dict(png_chunks(picture.data))
    across, down, bits = struct.unpack(">IIB", chunks[b"IHDR"][:9])
    palette = chunks[b"PLTE"]
    width, height = (f"{0.75 * side:.6g}" for side in (picture.width, picture.height))
    content = f"{width} 0 0 {height} 0 0 cm /picture Do".encode()
    rows = f"<< /Predictor 15 /Colors 1 /BitsPerComponent {bits} /Columns {across} >>"
    colours = f"[/Indexed /DeviceRGB {len(palette) // 3 - 1} <{palette.hex()}>]"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents 4 0 R"
        " /Resources << /XObject << /picture 5 0 R >> >> >>".encode(),
        f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream",
        f"<< /Type /XObject /Subtype /Image /Width {across} /Height {down} /BitsPerComponent {bits}"
        f" /ColorSpace {colours} /Filter /FlateDecode /DecodeParms {rows}"
        f" /Length {len(chunks[b'IDAT'])} >>\nstream\n".encode()
        + chunks[b"IDAT"]
        + b"\nendstream",
    ]
    document = b"%PDF-1.5\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return document + end % (len(objects) + 1, table, len(objects) + 1, len(document))


def checked_png(data: bytes, *, most: int = MOST_BYTES) -> tuple[int, int]:
    """Return width and height of a PNG that came from elsewhere.

    Args:
        data: What is said to be one.
        most: Bytes that are accepted.

    Raises:
        ValueError: If it is none, is not whole, or is too large.
    """
    if len(data) > most:
        message = f"The picture takes {len(data):,} bytes; at most {most:,} are kept."
        raise ValueError(message)
    sizes = []
    names = []
    if data.startswith(_SIGNATURE):
        at = 8
        while at + 12 <= len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            checked = data[at + 4 : at + 8 + size]
            told = data[at + 8 + size : at + 12 + size]
            if len(told) < 4 or zlib.crc32(checked) != int.from_bytes(told, "big"):
                break
            names.append(checked[:4])
            sizes.append(size)
            at += 12 + size
    if not names or names[0] != b"IHDR" or sizes[0] != 13 or names[-1] != b"IEND":
        message = "The picture is no PNG, or not all of one."
        raise ValueError(message)
    width, height = struct.unpack(">II", next(png_chunks(data))[1][:8])
    if not (width and height) or width * height > _MOST_PIXELS:
        message = f"The picture has {width} × {height} pixels; at most {_MOST_PIXELS:,} are kept."
        raise ValueError(message)
    return width, height


def _few_colours(pixels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a palette ``[colour, channel]`` and each pixel's place in it ``[row, column]``, both uint8.

    Colours are taken eight shades at a time, and the boxes with the largest error are halved until there are enough of
    them (median cut).
    """
    shades = pixels.astype(np.uint16) >> 3
    coarse = shades[:, :, 0] << 10 | shades[:, :, 1] << 5 | shades[:, :, 2]
    flat = coarse.ravel()
    counts = np.bincount(flat, minlength=1 << 15)
    used = counts.nonzero()[0]
    weights = counts[used].astype(np.float64)
    sums = [np.bincount(flat, pixels[:, :, channel].ravel(), 1 << 15)[used] for channel in range(3)]
    colours = np.stack(sums, axis=1) / weights[:, None]
    palette = np.array(_boxes(colours, weights, count)).round().astype(np.uint8)
    distances = ((colours[:, None] - palette[None].astype(np.float64)) ** 2).sum(axis=2)
    lookup = np.zeros(1 << 15, np.uint8)
    lookup[used] = distances.argmin(axis=1)
    places = lookup[coarse]
    # The background to the last bit: beside the page's own it would be seen.
    palette[places[0, 0]] = pixels[0, 0]
    return palette, places


def _boxes(colours: np.ndarray, weights: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the mean colours of ``count`` boxes at most."""
    boxes = [np.arange(len(colours))]
    errors = [_spread(colours, weights)]
    while len(boxes) < count and max(error.sum() for error in errors) > 0:
        widest = max(range(len(boxes)), key=lambda box: float(errors[box].sum()))
        box, error = boxes.pop(widest), errors.pop(widest)
        box = box[colours[box, error.argmax()].argsort(kind="stable")]
        shares = weights[box].cumsum()
        half = min(len(box) - 1, max(1, int(np.searchsorted(shares, shares[-1] / 2))))
        for part in (box[:half], box[half:]):
            boxes.append(part)
            errors.append(_spread(colours[part], weights[part]))
    return [np.average(colours[box], axis=0, weights=weights[box]) for box in boxes]


def _spread(colours: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted squared error ``[channel]`` of one colour in place of these; of one colour nothing."""
    if len(colours) == 1:
        return np.zeros(3)
    mean = np.average(colours, axis=0, weights=weights)
    spread: np.ndarray = (weights[:, None] * (colours - mean) ** 2).sum(axis=0)
    return spread
