"""The widget's colours for matplotlib; the same table as js/src/styles/colours.ts.

The same arithmetic as js/src/styles/colours.ts and theme.ts; both are held against one committed table in the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["THEMES", "Theme", "head_colour", "ramp"]

Rgb = tuple[float, float, float]

GOLDEN_ANGLE = 137.508


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one theme.

    Attributes:
        text: Tokens.
        muted: Axes and secondary numbers.
        accent: What is pinned.
        special: Special tokens.
        sequential: Stops from nothing to all.
        lightnesses: Of heads' colours, in OKLab.
    """

    text: str
    muted: str
    accent: str
    special: str
    sequential: tuple[str, ...]
    lightnesses: tuple[float, ...]


THEMES: dict[Literal["light", "dark"], Theme] = {
    "light": Theme(
        text="#1c2127",
        muted="#5c6670",
        accent="#1f5fbf",
        special="#7a5195",
        sequential=("#ffffff", "#dbe7f4", "#a3c4e3", "#5a97cb", "#2467a8", "#10437a", "#062447"),
        lightnesses=(0.52, 0.66, 0.44, 0.6, 0.72),
    ),
    "dark": Theme(
        text="#e6e9ed",
        muted="#9aa5b1",
        accent="#7fb2ff",
        special="#c9a3e0",
        sequential=("#15181d", "#1b2f47", "#1f5280", "#2c7fb8", "#5fb3d9", "#b3e0ee", "#fbffff"),
        lightnesses=(0.72, 0.62, 0.82, 0.67, 0.77),
    ),
}


def head_colour(theme: Theme, head: int, num_heads: int) -> str:
    """Return a head's own colour: distinct for as many heads as there are, the same in every view."""
    lightness = theme.lightnesses[head % len(theme.lightnesses)]
    hue = 255 + 30 * (head * 5 % 12) if num_heads <= 12 else 255 + head * GOLDEN_ANGLE
    return _hex(_oklch(lightness, 0.17, hue % 360))


def ramp(stops: tuple[str, ...]) -> list[str]:
    """Return 256 colours through evenly spaced stops, interpolated in OKLab."""
    labs = [_to_oklab(_parse(stop)) for stop in stops]
    colours = []
    for step in range(256):
        at = step / 255 * (len(labs) - 1)
        low = min(int(at), len(labs) - 2)
        share = at - low
        mixed = [a + (b - a) * share for a, b in zip(labs[low], labs[low + 1], strict=True)]
        nearest = stops[low if share < 0.5 else low + 1]
        colours.append(_hex(_from_oklab((mixed[0], mixed[1], mixed[2])) or _parse(nearest)))
    return colours


def _parse(colour: str) -> Rgb:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _hex(rgb: Rgb) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in rgb)


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _gamma(part: float) -> float:
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055


def _to_oklab(rgb: Rgb) -> Rgb:
    """SRGB 0..255 to OKLab (Ottosson 2020, https://bottosson.github.io/posts/oklab/)."""
    r, g, b = (_linear(part / 255) for part in rgb)
    # Not `math.cbrt`, which Python 3.10 lacks.
    long = float(np.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b))
    medium = float(np.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b))
    short = float(np.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b))
    return (
        0.2104542553 * long + 0.793617785 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.428592205 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.808675766 * short,
    )


def _from_oklab(lab: Rgb) -> Rgb | None:
    """OKLab to sRGB 0..255, or None when the colour is outside sRGB."""
    lightness, a, b = lab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short,
    )
    if any(part < -1e-4 or part > 1 + 1e-4 for part in linear):
        return None
    red, green, blue = (
        math.floor(255 * min(1, max(0, _gamma(max(0, part)))) + 0.5) for part in linear
    )
    return red, green, blue


def _oklch(lightness: float, chroma: float, degrees: float) -> Rgb:
    """OKLCH to the nearest sRGB colour of that lightness and hue: chroma gives way."""
    angle = math.radians(degrees)
    while chroma > 0:
        found = _from_oklab((lightness, chroma * math.cos(angle), chroma * math.sin(angle)))
        if found:
            return found
        chroma -= 0.004
    return _from_oklab((lightness, 0, 0)) or (128, 128, 128)
