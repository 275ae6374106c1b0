"""Draw the figures of the README into notebooks/images: `python notebooks/gallery.py`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

import attnwidget as aw

TARGET = Path(__file__).resolve().parent / "images"
TEXT = "The cat sat on the mat because it was tired"
STORY = (
    "Anna opened the old box in the kitchen and found a letter. The letter was so long that she read it again. "
    "The queen wanted to see the box, but the box was lost. On Monday Anna gave the letter to the king because "
    "it was old."
)
DPI = 144
COLOURS = 255

FIGURES: dict[str, tuple[str, dict[str, Any]]] = {
    "gallery-fan": ("head", {"layer": 3, "heads": [1, 3], "query": "it", "width": "85mm"}),
    "gallery-print": (
        "head",
        {"layer": 3, "heads": [1, 3], "width": "85mm", "theme": "print", "top_k": 2},
    ),
    "gallery-grid": (
        "head",
        {"heads": [(0, 2), (2, 1), (3, 1)], "width": "170mm", "font_size": 7, "threshold": 0.05},
    ),
    "gallery-horizontal": (
        "lines",
        {"layer": 3, "heads": 1, "layout": "horizontal", "width": "120mm", "top_k": 3},
    ),
    "gallery-matrix": (
        "matrix",
        {"layer": 2, "heads": [1, 2], "width": "120mm", "colour_map": "cividis"},
    ),
    "gallery-text": (
        "text",
        {"layer": 3, "heads": [1, 3], "query": 49, "width": "120mm"},
    ),
    "gallery-scatter": (
        "scatter",
        {"score": "previous", "other_score": "induction", "width": "85mm", "theme": "print"},
    ),
}


def main() -> None:
    """Draw all of them, in few enough colours to be small."""
    model, tokenizer = aw.pocket()
    records = {text: aw.capture(model, text, tokenizer=tokenizer) for text in (TEXT, STORY)}
    for name, (kind, options) in FIGURES.items():
        attention = records[STORY if kind == "text" else TEXT]
        path = attention.figure(kind, **options, title=False).save(TARGET / f"{name}.png", dpi=DPI)
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            small = picture.convert("RGB").quantize(
                COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
        small.save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
