"""How the widget stands in a notebook: live, or frozen into a page that needs no kernel."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from IPython.display import display

from attnwidget.record.byte_sizes import parse_bytes
from attnwidget.serve.page import FROZEN_BYTES, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Freezing"]

# CSS pixels, until the page inside says how high it is; for ever where a host keeps it from saying so.
FRAME_HEIGHT = 640
# What the notebook's own JSON, the frame's tag and the words beside it take.
AROUND = 2_000

GONE = (
    "This widget needs its kernel, in a notebook. Run this cell again to bring it back: the call that made it"
    " was attnwidget.view(…). To keep it in the notebook, call view.freeze() or press “freeze” in its toolbar."
)
# JupyterLab shows nothing of an output that holds a widget but "Loading widget…" when the kernel is gone, whatever else
# that output holds. So the words stand in an output of their own, which takes no room: they appear where the output
# area has neither a live nor a frozen widget two seconds after it was made, and stay hidden in every other host.
_NOTE = """<div class="attnwidget-note" style="display:none">{words}</div>
<style>
.jp-OutputArea:has(.attnwidget, .attnwidget-frozen) > .jp-OutputArea-child:has(.attnwidget-note) {{ display: none; }}
.jp-OutputArea .attnwidget-note {{ display: block !important; animation: attnwidget-note 2s both; }}
@keyframes attnwidget-note {{ 0%, 99% {{ visibility: hidden; }} }}
</style>"""


class Freezing:
    """The half of the widget that stands in a notebook.

    Every live output of one widget has the same display id, so that one message replaces them all.
    """

    _always_frozen: bool
    _display_id: str | None = None
    _is_frozen: bool = False

    if TYPE_CHECKING:

        def _page(self, budget: int | None = None, *, framed: bool = False) -> str:
            """Return the page without a kernel; see `Saving`."""

        def _repr_mimebundle_(self, **kwargs: Any) -> Any:
            """Return what anywidget shows of a live widget."""

    def freeze(self, budget: int | str = FROZEN_BYTES) -> None:
        """Replace the live widget in the notebook by a copy that needs no kernel.

        The copy draws and answers clicks when the notebook is opened again without a kernel, without a network, and in
        the page that ``nbconvert --to html`` makes of it. It starts at the present selection and holds as many heads as
        fit. Called again, it replaces that copy. For the live widget, run the cell again or show the view in another
        one. A view that is not shown yet is shown here, frozen.

        Args:
            budget: What the notebook grows by at most: bytes, or text such as ``"5 MB"``.

        Raises:
            ValueError: If the budget is no size, or too small for a page without any head.

        Example:
            >>> view.freeze()  # doctest: +SKIP
        """
        bundle = self._frozen_bundle(parse_bytes(budget))
        replaces = self._display_id is not None
        self._display_id = self._display_id or uuid4().hex
        _show(bundle, display_id=self._display_id, update=replaces)
        self._is_frozen = True

    def _freeze_shown(self, height: float) -> None:
        """Freeze what the reader sees, at the height it has.

        Raises:
            RuntimeError: If it stands in another widget, whose output is not ours to replace.
        """
        if self._display_id is None:
            where = (
                "In marimo a widget"
                if _in_marimo()
                else "This widget stands inside another one, so it"
            )
            message = f"{where} has no output of its own to replace: call view.freeze() in a cell, which shows the copy there."
            raise RuntimeError(message)
        bundle = self._frozen_bundle(FROZEN_BYTES, height)
        _show(bundle, display_id=self._display_id, update=True)
        self._is_frozen = True

    def _frozen_bundle(self, budget: int, height: float = FRAME_HEIGHT) -> dict[str, str]:
        title = repr(self)
        document = self._page(budget - AROUND, framed=True)
        return {"text/plain": title, "text/html": frame(document, title=title, height=height)}

    def _live_bundle(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        bundle = self._repr_mimebundle_()
        # Colab finds in the metadata which widget manager to load.
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/plain": f"{self!r}\n{GONE}"}, metadata

    @property
    def _display_(self) -> Callable[[], Any] | None:
        """What marimo asks first, and calls where it finds a method; else it shows the live widget."""
        return self._marimo_copy if self._always_frozen else None

    def _marimo_copy(self) -> Any:
        """Return the frozen copy as marimo shows HTML: it reads neither display ids nor what IPython would call."""
        return sys.modules["marimo"].Html(self._frozen_bundle(FROZEN_BYTES)["text/html"])

    def _ipython_display_(self) -> None:
        """Show the widget under a display id; what a cell's last line gives is shown without one."""
        if self._always_frozen:
            self._display_id = self._display_id or uuid4().hex
            _show(self._frozen_bundle(FROZEN_BYTES), display_id=self._display_id)
            return
        if self._display_id is None or self._is_frozen:
            # An output under the same id would bring the frozen one back to life.
            self._display_id, self._is_frozen = uuid4().hex, False
        data, metadata = self._live_bundle()
        _show(data, metadata=metadata, display_id=self._display_id)
        note = _NOTE.format(words=html.escape(f"{self!r}: {GONE}"))
        _show({"text/html": note, "text/plain": ""})


def _show(bundle: Mapping[str, Any], **options: Any) -> None:
    display(bundle, raw=True, **options)  # type: ignore[no-untyped-call]


def _in_marimo() -> bool:
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())
