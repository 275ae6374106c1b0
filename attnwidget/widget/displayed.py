"""`DisplayedView`: what saving and the notebook's outputs need of a widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Unpack

    from attnwidget.compute.resumable import Slices
    from attnwidget.figures.figure import Figure
    from attnwidget.figures.renderer import Answer
    from attnwidget.protocol.codec import Block
    from attnwidget.record.options import DrawnSelection

__all__ = ["DisplayedView"]


class DisplayedView(Protocol):
    """A widget as those see it that write what it shows; `AttentionWidget` is one."""

    made_again_by: str
    """The call that makes another view of the same, of a view named ``view``."""

    @property
    def screen(self) -> dict[str, Any] | None:
        """What the reader's screen is like; None before the widget is displayed."""

    @property
    def is_closed(self) -> bool:
        """Whether it was closed: there is nothing left to show live."""

    def figure(self, **options: Unpack[DrawnSelection]) -> Figure:
        """Return what is shown as a figure."""

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Answer a request for a block in steps."""

    def still_figure(self, answer: Answer) -> Figure:
        """Return what is shown as a figure whose numbers come from ``answer``."""

    def html(self, *, budget: int | str | None = None) -> str:
        """Return the widget as the text of one page that stands by itself."""

    def page(self, budget: int | None = None, *, framed: bool = False) -> str:
        """Return the widget as one page that needs no kernel."""

    def send(self, content: Any, buffers: Any = None) -> None:
        """Send a custom message to the browser, as ipywidgets does."""

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return what anywidget shows of a live widget."""
