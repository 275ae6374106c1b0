"""Options of a figure (`FigureOptions`), checked and turned into the schema's ``Figure``."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from attnwidget.compute.checks import check_choice, check_count, check_flag, number, shown
from attnwidget.figures.convert import PER_INCH
from attnwidget.record.options import FigureOptions
from attnwidget.serve.selection_parts import needs_the_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["COLOUR_MAPS", "check_names", "columns_of", "figure_spec", "pixels_of", "refuse_weights"]

COLOUR_MAPS = ("blue", "cividis", "viridis", "magma", "grey")
_CHOICES = {
    "theme": ("light", "dark", "print"),
    "colour_map": COLOUR_MAPS,
    "layout": ("vertical", "horizontal"),
    "direction": ("auto", "ltr", "rtl"),
}
_FLAGS = ("legend", "transparent", "whole", "marked")
_LENGTH = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(mm|cm|in|pt|px)\s*")
# Of labels, in the layout and in points at a zoom of 1.
_LABEL_POINTS = 12 * 72 / 96
# Narrower than this, in pixels of the layout, not even two short tokens and a line between them have room.
_LEAST_LAYOUT = 120


def refuse_weights(name: str, value: object) -> NoReturn:
    """Refuse a figure of weights of a source that has none, which a survey is.

    Args:
        name: The argument that asks for them.
        value: Its value.

    Raises:
        ValueError: Always.
    """
    given = f"{name}={shown(value)}"
    message = (
        f"{given} is drawn from weights, and a survey keeps sums and no weights: leave it out for the mean scores, as in "
        f"survey.figure(score='previous'), or record one input, as in "
        f"attnwidget.capture(model, 'some text', tokenizer).figure({given})."
    )
    raise ValueError(message)


def check_names(options: Mapping[str, Any], besides: Sequence[str] = ()) -> None:
    """Refuse an option that does not exist.

    Raises:
        TypeError: If there is one; the message lists those that exist.
    """
    accepted = [*FigureOptions.__annotations__, *besides]
    for name in options:
        if name not in accepted:
            message = needs_the_model(name) or (
                f"Unknown option {name!r}; accepted are {', '.join(accepted)}."
            )
            raise TypeError(message)


def figure_spec(options: FigureOptions) -> dict[str, Any]:
    """Return what ``Figure`` in the schema says of a figure with these options; size, grid and notes come later.

    Raises:
        ValueError: If an option is none of those accepted.
    """
    given = {name: value for name, value in options.items() if value is not None}
    spec: dict[str, Any] = {}
    for name, accepted in _CHOICES.items():
        if name in given:
            spec[name] = check_choice(name, given[name], accepted)
    for name in _FLAGS:
        if name in given:
            spec[name] = check_flag(name, given[name])
    if "title" in given:
        spec["title"] = _title(given["title"])
    if "font" in given:
        spec["font"] = _font(given["font"])
    if "threshold" in given:
        spec["threshold"] = _share(given["threshold"])
    size = _size(given.get("width"), given.get("font_size"))
    if size:
        spec["size"] = size
    # What is as on the screen is not said, so that a figure without options is the button's, byte for byte.
    usual = {"legend": True, "transparent": False, "whole": False, "marked": True, "threshold": 0,
             "layout": "vertical", "direction": "ltr"}  # fmt: skip
    return {name: value for name, value in spec.items() if value != usual.get(name, ...)}


def pixels_of(width: object) -> float | None:
    """Return a width given in pixels of the layout; None where it has a unit, or is left out."""
    return None if width is None or isinstance(width, str) else _pixels(width)


def columns_of(grid: object) -> int | None:
    """Return how many panels stand side by side; None where that follows from the width.

    Raises:
        ValueError: If ``grid`` is neither a bool nor a positive integer.
    """
    if isinstance(grid, (bool, np.bool_)):
        return None
    return check_count("grid", grid, "True, or the number of columns")


def _size(width: object, font_size: object) -> dict[str, Any] | None:
    zoom = 1.0
    if font_size is not None:
        points = number(font_size)
        if points is None or not 0 < points < math.inf:
            message = (
                f"font_size must be a positive number of points, such as 8, got {shown(font_size)}."
            )
            raise ValueError(message)
        zoom = points / _LABEL_POINTS
    if isinstance(width, str):
        found = _LENGTH.fullmatch(width)
        size = float(found[1]) if found else 0.0
        if not found or size <= 0:
            raise ValueError(_not_a_width(width))
        unit = found[2]
    else:
        pixels = None if width is None else _pixels(width)
        if font_size is None:
            return None
        if pixels is None:
            message = f"font_size={shown(font_size)} needs a width to be measured against: pass width='85mm', for example."
            raise ValueError(message)
        size, unit = pixels, "px"
    if size / PER_INCH[unit] * PER_INCH["px"] / zoom < _LEAST_LAYOUT:
        message = f"width={shown(width)} has no room for {'labels' if zoom == 1 else 'labels of this font_size'}: pass a larger one, or a smaller font_size."
        raise ValueError(message)
    return {"width": size, "unit": unit, "zoom": round(zoom, 6)}


def _pixels(width: object) -> float:
    pixels = number(width)
    if pixels is None or not 0 < pixels < math.inf:
        raise ValueError(_not_a_width(width))
    return pixels


def _not_a_width(width: object) -> str:
    return (
        f"width must be a positive number of pixels, or text such as '85mm', '3.3in', '8.5cm', '240pt' or '320px',"
        f" got {shown(width)}."
    )


def _title(value: object) -> bool | str:
    if isinstance(value, (bool, str)):
        return value or False
    message = f"title must be True, False or text, got {shown(value)}."
    raise ValueError(message)


def _font(value: object) -> str:
    # Quotes and commas would make it several, or another thing.
    if isinstance(value, str) and re.fullmatch(r"\w[\w .+-]{0,80}", value):
        return value
    message = (
        f"font must be the name of one font family, such as 'Source Sans 3', got {shown(value)}."
    )
    raise ValueError(message)


def _share(value: object) -> float:
    share = number(value)
    if share is not None and 0 <= share <= 1:
        return share
    message = f"threshold must be a weight in 0..1, got {shown(value)}."
    raise ValueError(message)
