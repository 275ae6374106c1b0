"""`TraceFigure`: a trace, drawn when it is looked at or saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from attnwidget.figures import renderer
from attnwidget.figures.options import figure_spec, pixels_of
from attnwidget.figures.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.record.options import FigureOptions

__all__ = ["TraceFigure", "TraceOptions"]

# Pixels of the layout, about what a wide notebook has.
_WIDTH = 860.0


class TraceOptions(TypedDict, total=False):
    """How a trace is drawn; `Attention.figure` says what each option means."""

    width: float | str | None
    font: str | None
    font_size: float | None
    theme: Literal["light", "dark", "print"] | None
    title: bool | str
    legend: bool
    transparent: bool


class TraceFigure(Picture):
    """A figure of a trace. The last line of a cell shows it; `save` writes it.

    Made by `Trace.figure`.
    """

    def __init__(self, trace: Mapping[str, Any], options: TraceOptions) -> None:
        """Settle what is drawn.

        Args:
            trace: See ``Trace`` in the schema.
            options: See `Trace.figure`.

        Raises:
            TypeError, ValueError: If an option does not exist, or is none of what is accepted.
        """
        for name in options:
            if name not in TraceOptions.__annotations__:
                accepted = ", ".join(TraceOptions.__annotations__)
                message = f"Unknown option {name!r}; accepted are {accepted}."
                raise TypeError(message)
        self.spec = figure_spec(cast("FigureOptions", options))
        self.width = pixels_of(options.get("width")) or _WIDTH
        self._trace = trace
        self._drawn: renderer.Drawn | None = None

    @property
    def said(self) -> str:
        """What the figure says, in a sentence."""
        return self._picture.said

    @property
    def _picture(self) -> renderer.Drawn:
        if self._drawn is None:
            self._drawn = renderer.draw_trace(self._trace, self.width, self.spec)
        return self._drawn

    def __repr__(self) -> str:
        links = len(self._trace["links"])
        return f"Figure(trace, {self._trace['stream']}, {links} links)"
