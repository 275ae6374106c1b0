"""`Picture`: a drawing that is shown in an output, and saved as SVG, PDF or PNG."""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from attnwidget.compute.checks import number, shown
from attnwidget.compute.resumable import finish
from attnwidget.figures import convert
from attnwidget.figures.small_png import MOST_BYTES, fitting_scale, picture_pdf, small_png
from attnwidget.files.replacing import write_bytes, write_text
from attnwidget.record.saving import FIGURES, PAGE, ending

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np

    from attnwidget.compute.resumable import Slices
    from attnwidget.figures.renderer import Drawn
    from attnwidget.figures.small_png import SmallPng

__all__ = ["Picture", "check_resolution"]

_DPI = 96
# Links that a PNG and a PDF draw one by one; more are one picture. The converter takes a millisecond or more for each in
# a PNG, and in a PDF 20 bytes.
_PNG_LINKS = 500
_PDF_LINKS = 30_000
# Pixels of that picture in a PDF for each CSS pixel of the print: 192 dpi, as of a PNG.
_PDF_SCALE = 2.0
# Beyond so many links, or characters of the SVG, the PDF in a notebook's output is a picture, of so many bytes.
_OUTPUT_LINKS = 2_000
_OUTPUT_CHARACTERS = 800_000
_OUTPUT_PICTURE = 200_000
_SVG, _PNG, _PDF = "image/svg+xml", "image/png", "application/pdf"


class Picture:
    """A drawing. The last line of a cell shows it; `save` writes it."""

    @property
    def svg(self) -> str:
        """The figure as a standalone SVG document, text as text.

        Raises:
            ImportError: If the ``figures`` extra is not installed.
            ValueError: If a layer cannot give what is drawn.
        """
        return self._picture.svg

    @property
    def _picture(self) -> Drawn:
        raise NotImplementedError

    def _converted(self, scale: float, links: int) -> str:
        """Return the SVG that is converted, in which more than so many links are one picture where there may be many.

        Args:
            scale: Pixels of that picture for each CSS pixel of the print.
            links: How many links are vectors.
        """
        del scale, links
        return self.svg

    def save(
        self, path: str | os.PathLike[str], *, scale: float | None = None, dpi: float | None = None
    ) -> Path:
        """Write the figure.

        Args:
            path: Where to; ``.svg``, ``.pdf`` or ``.png``.
            scale: PNG pixels per CSS pixel; 2 when neither is given.
            dpi: PNG pixels per printed inch.

        Returns:
            The path.

        Raises:
            ValueError: If the ending is another one, or a number is not positive.
            ImportError: If the ``figures`` extra is not installed.

        Warns:
            UserWarning: If no font of this machine has some of the characters of a ``.pdf`` or ``.png``.
        """
        target = Path(path)
        suffix = ending(target)
        if suffix not in FIGURES:
            message = f"path must end in .svg, .pdf or .png, got {os.fspath(path)!r}"
            if suffix == PAGE:
                message += ": a page holds a view; call aw.view(attention).save(path)"
            message += "."
            raise ValueError(message)
        factor = check_resolution(scale, dpi)
        if suffix == ".svg":
            write_text(target, self.svg)
        elif suffix == ".pdf":
            write_bytes(target, self.pdf())
        else:
            data = convert.to_png(self._converted(factor, _PNG_LINKS), scale=factor)
            write_bytes(target, data)
        return target

    def pdf(self) -> bytes:
        """Return the figure as a PDF file's content, as `save` writes it.

        Raises:
            ImportError: If the ``figures`` extra is not installed.

        Warns:
            UserWarning: If no font of this machine has some of the characters.
        """
        return convert.to_pdf(self._converted(_PDF_SCALE, _PDF_LINKS))

    def small_png(self, *, most: int = MOST_BYTES) -> Slices[SmallPng]:
        """Draw the figure as a PNG of a bounded size, in steps; a pixel of it is one CSS pixel, or more where it must be.

        It comes with the sentence of the reading line.

        Args:
            most: Bytes of the file.

        Raises:
            ImportError: If the ``figures`` extra is not installed.
            ValueError: If a layer cannot give what is drawn.
        """
        pixels, size = yield from self._pixels()
        picture = yield from small_png(pixels, size, most=most)
        return replace(picture, said=self._picture.said)

    def _pixels(self) -> Slices[tuple[np.ndarray, tuple[float, float]]]:
        """Return the pixels of a small picture, and the size that they are shown at."""
        size = convert.size_of(self.svg)
        yield 0.0
        scale = fitting_scale(size)
        svg = self._converted(scale, _PNG_LINKS)
        yield 0.0
        pixels = convert.to_pixels(svg, scale=scale)
        yield 0.0
        return pixels, size

    @property
    def _crowded(self) -> bool:
        """Whether vectors are more than a notebook should hold twice."""
        return self.svg.count("<path") > _OUTPUT_LINKS or len(self.svg) > _OUTPUT_CHARACTERS

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Return what an output holds: JupyterLab shows the SVG, LaTeX takes the PDF, who knows neither the small PNG."""
        asked = {_SVG, _PNG, _PDF} & _shown_types()
        asked = asked & set(include) if include else asked
        asked -= set(exclude or ())
        bundle = {_SVG: self.svg} if _SVG in asked else {}
        if not convert.available():
            return bundle
        files = {}
        pictured = _PDF in asked and self._crowded
        if _PNG in asked or pictured:
            pixels, size = finish(self._pixels())
            if _PNG in asked:
                files[_PNG] = finish(small_png(pixels, size)).data
            if pictured:
                made = small_png(pixels, size, most=_OUTPUT_PICTURE)
                files[_PDF] = picture_pdf(finish(made))
        if _PDF in asked and not pictured:
            # The reader who looks at the SVG wants no warning of the fonts of another file.
            files[_PDF] = convert.to_pdf(self._converted(_PDF_SCALE, _PDF_LINKS), warn=False)
        return bundle | {kind: b64encode(data).decode("ascii") for kind, data in files.items()}


def _shown_types() -> set[str]:
    """Return the types of output that IPython takes here: in a terminal nothing is worth drawing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return {_SVG, _PNG, _PDF} if shell is None else set(shell.display_formatter.active_types)


def check_resolution(scale: object, dpi: object) -> float:
    """Return PNG pixels per CSS pixel.

    Raises:
        ValueError: If both are given, or one is not a positive number.
    """
    if scale is not None and dpi is not None:
        message = f"pass scale or dpi, got both scale={shown(scale)} and dpi={shown(dpi)}: dpi=192 is scale=2."
        raise ValueError(message)
    for name, value in (("scale", scale), ("dpi", dpi)):
        if value is not None and not (0 < (number(value) or 0) < 1e6):
            message = f"{name} must be a positive number, got {shown(value)}."
            raise ValueError(message)
    if dpi is not None:
        return float(dpi) / _DPI  # type: ignore[arg-type]
    return 2.0 if scale is None else float(scale)  # type: ignore[arg-type]
