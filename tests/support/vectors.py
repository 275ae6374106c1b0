"""What a figure in SVG may be made of: nothing that runs, nothing from elsewhere."""

from __future__ import annotations

SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {
    "svg",
    "title",
    "defs",
    "clipPath",
    "rect",
    "g",
    "text",
    "line",
    "path",
    "circle",
    "image",
    "use",
}
