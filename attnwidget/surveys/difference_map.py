"""`DifferenceMap`: heads in a grid, coloured by a difference, as SVG that is legible on light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from attnwidget.compute.checks import check_path
from attnwidget.files.replacing import write_text

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["DifferenceMap"]

_CELL = 22
_LEFT = 56
_TOP = 52
_BOTTOM = 82
# Of the title, whose font it is measured in.
_LETTER = 7.4
_SMALL_LETTER = 6.3
# Of a file, which is seen on white, mostly: the contrast there is above 4.5, and on a dark ground above 4.
_TEXT = "#69737e"
_LOWER, _HIGHER = "#2f7fc1", "#d9731f"
# Beyond so many standard errors a cell has an outline.
_ERRORS = 2.0
_OUTLINE = 1.6


@dataclass(frozen=True, slots=True, repr=False)
class DifferenceMap:
    """The heads of one stream, a row for each layer: blue where the second is lower, orange where it is higher.

    The colour is as strong as the difference is large, the largest of the map being full. An outline says that the
    difference is more than two standard errors. A head without the score in one of the surveys is a dot.

    Attributes:
        title: What is subtracted from what.
        layers: Number of each layer and how many heads it has.
        cells: Difference and standard error, if there is one, by layer and head.
        second: What is lower or higher.
    """

    title: str
    layers: tuple[tuple[int, int], ...]
    cells: Mapping[tuple[int, int], tuple[float, float | None]]
    second: str = "the second"

    @property
    def svg(self) -> str:
        """The map as SVG: a file of its own."""
        return self._drawn(_TEXT)

    def _drawn(self, ink: str) -> str:
        """Draw it with text and outlines of a colour."""
        most = max((abs(value) for value, _ in self.cells.values()), default=0.0)
        columns = max(count for _, count in self.layers)
        width = max(
            _LEFT + columns * _CELL + 12,
            _LETTER * len(self.title) + 24,
            self._right_of_lower() + 70,
            260,
        )
        height = _TOP + len(self.layers) * _CELL + _BOTTOM
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" role="img" ',
            f'viewBox="0 0 {width:.0f} {height}" font-family="system-ui, sans-serif" font-size="11" fill="{ink}">',
            f'<title>{escape(self.title)}</title><text x="12" y="18" font-size="13">{escape(self.title)}</text>',
            *(_text(_LEFT + (head + 0.5) * _CELL, _TOP - 6, str(head), "middle") for head in range(0, columns, 1 if columns <= 16 else 4)),
            _text(_LEFT - 8, _TOP - 6, "head", "end"),
        ]  # fmt: skip
        for row, (layer, count) in enumerate(self.layers):
            y = _TOP + row * _CELL
            name = f"layer {layer}" if row == 0 else str(layer)
            parts.append(_text(_LEFT - 8, y + _CELL / 2 + 4, name, "end"))
            parts += [
                self._cell(layer, head, (_LEFT + head * _CELL, y), most, ink)
                for head in range(count)
            ]
        below = _TOP + len(self.layers) * _CELL + 14
        parts += [_legend(below, most), self._key(below + 44, ink)]
        return "".join([*parts, "</svg>"])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the map as SVG, in one step.

        Args:
            path: File to write, ending in ``.svg``; an existing one is replaced.

        Returns:
            The path.

        Raises:
            ValueError: If the path ends in something else.
            OSError: If the system refuses.
        """
        target = Path(check_path(path, "differences.svg"))
        if target.suffix != ".svg":
            message = f"a map of differences is written as SVG: save('{target.stem}.svg'), got {target.name!r}."
            raise ValueError(message)
        write_text(target, self.svg)
        return target

    def _repr_html_(self) -> str:
        # On a page it is of the page's own colour of text, which stands out on its ground, light or dark.
        return f'<div style="overflow-x:auto">{self._drawn("currentColor")}</div>'

    def __repr__(self) -> str:
        return f"DifferenceMap({self.title}, {len(self.cells)} heads)"

    def _lower(self) -> str:
        return f"lower in {self.second}"

    def _right_of_lower(self) -> int:
        return round(28 + _SMALL_LETTER * len(self._lower()) + 14)

    def _key(self, y: int, ink: str) -> str:
        """Say what colours and outlines mean."""
        higher = self._right_of_lower()
        parts = [
            _swatch(12, y - 9, f'fill="{_LOWER}"'),
            _text(28, y, escape(self._lower()), "start"),
            _swatch(higher, y - 9, f'fill="{_HIGHER}"'),
            _text(higher + 16, y, "higher", "start"),
        ]
        if any(error is not None for _, error in self.cells.values()):
            outline = f'fill="none" stroke="{ink}" stroke-width="{_OUTLINE}"'
            said = f"more than {_ERRORS:g} standard errors"
            parts += [_swatch(12, y + 9, outline), _text(28, y + 18, said, "start")]
        return "".join(parts)

    def _cell(self, layer: int, head: int, at: tuple[int, int], most: float, ink: str) -> str:
        x, y = at
        inner = f'x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_CELL - 2}" rx="2"'
        if (layer, head) not in self.cells:
            return f'<circle cx="{x + _CELL / 2}" cy="{y + _CELL / 2}" r="1.5" fill="{ink}"/>'
        value, error = self.cells[layer, head]
        said = f"layer {layer} head {head}: {value:+.3f}" + (
            "" if error is None else f" ± {error:.3f}"
        )
        strength = abs(value) / most if most else 0.0
        sure = error is not None and abs(value) > _ERRORS * error
        line = f'stroke="{ink}" stroke-width="{_OUTLINE if sure else 0.5}" stroke-opacity="{1 if sure else 0.45}"'
        colour = _HIGHER if value > 0 else _LOWER
        return f'<rect {inner} fill="{colour}" fill-opacity="{strength:.3f}" {line}><title>{said}</title></rect>'


def _text(x: float, y: float, said: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{said}</text>'


def _swatch(x: int, y: int, drawn: str) -> str:
    return f'<rect x="{x}" y="{y}" width="10" height="10" rx="2" {drawn}/>'


def _legend(y: int, most: float) -> str:
    """Draw the scale: from the lowest to the highest, nothing in the middle."""
    steps = 10
    cells = []
    for step in range(-steps, steps + 1):
        colour = _HIGHER if step > 0 else _LOWER
        x = _LEFT + (step + steps) * 5
        cells.append(f'<rect x="{x}" y="{y}" width="5" height="8" fill="{colour}" fill-opacity="{abs(step) / steps:.1f}"/>')  # fmt: skip
    ends = [(0, f"−{most:.2g}"), (steps * 5 + 2.5, "0"), (steps * 10 + 5, f"+{most:.2g}")]
    return "".join([*cells, *(_text(_LEFT + x, y + 22, said, "middle") for x, said in ends)])
