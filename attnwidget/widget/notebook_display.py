"""Display id, freezing, and what a cell shows without a kernel."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from IPython.display import display

from attnwidget.record.byte_sizes import parse_bytes
from attnwidget.serve.page import FROZEN_BYTES, frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.widget.displayed import DisplayedView

__all__ = ["NotebookDisplay"]

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
# Hidden is the child whose own output is the note: one that holds it deeper down (`Output`, `interact`, a tab) has an
# output area inside, with the widget and what moves it.
_NOTE = """<div class="attnwidget-note" style="display:none">{words}</div>
<style>
.jp-OutputArea:has(.attnwidget, .attnwidget-frozen)
  > .jp-OutputArea-child:has(> .jp-OutputArea-output > .attnwidget-note) {{ display: none; }}
.jp-OutputArea .attnwidget-note {{ display: block !important; animation: attnwidget-note 2s both; }}
@keyframes attnwidget-note {{ 0%, 99% {{ visibility: hidden; }} }}
</style>"""


class NotebookDisplay:
    """How one widget stands in the notebook.

    Every live output of one widget has the same display id, so that one message replaces them all.

    Attributes:
        always_frozen: Whether the widget is shown as a frozen copy from the start.
        display_id: Display id of its outputs, once there are any.
        is_frozen: Whether the outputs under that id were replaced by a frozen copy.
    """

    def __init__(self, *, always_frozen: bool) -> None:
        """Start before the widget is shown."""
        self.always_frozen = always_frozen
        self.display_id: str | None = None
        self.is_frozen = False

    def freeze(self, view: DisplayedView, budget: int | str) -> None:
        """Replace the live outputs by a copy that needs no kernel; see `AttentionWidget.freeze`."""
        bundle = self.frozen_bundle(view, parse_bytes(budget))
        replaces = self.display_id is not None
        self.display_id = self.display_id or uuid4().hex
        _show(bundle, display_id=self.display_id, update=replaces)
        self.is_frozen = True

    def freeze_shown(self, view: DisplayedView, height: float) -> None:
        """Freeze what the reader sees, at the height it has.

        Raises:
            RuntimeError: If it stands in another widget, whose output is not ours to replace.
        """
        if self.display_id is None:
            where = (
                "In marimo a widget"
                if _in_marimo()
                else "This widget stands inside another one, so it"
            )
            message = f"{where} has no output of its own to replace: call view.freeze() in a cell, which shows the copy there."
            raise RuntimeError(message)
        bundle = self.frozen_bundle(view, FROZEN_BYTES, height)
        _show(bundle, display_id=self.display_id, update=True)
        self.is_frozen = True

    def frozen_bundle(
        self, view: DisplayedView, budget: int, height: float = FRAME_HEIGHT
    ) -> dict[str, str]:
        """Return the outputs of a frozen copy by their MIME types, of at most ``budget`` bytes."""
        title = repr(view)
        document = view.page(budget - AROUND, framed=True)
        return {"text/plain": title, "text/html": frame(document, title=title, height=height)}

    def marimo_copy(self, view: DisplayedView) -> Any:
        """Return the frozen copy as marimo shows HTML: it reads neither display ids nor what IPython would call."""
        return sys.modules["marimo"].Html(self.frozen_bundle(view, FROZEN_BYTES)["text/html"])

    def show(self, view: DisplayedView) -> None:
        """Show the widget, live or frozen, under a display id."""
        if self.always_frozen:
            self.display_id = self.display_id or uuid4().hex
            _show(self.frozen_bundle(view, FROZEN_BYTES), display_id=self.display_id)
            return
        if self.display_id is None or self.is_frozen:
            # An output under the same id would bring the frozen one back to life.
            self.display_id, self.is_frozen = uuid4().hex, False
        data, metadata = _live_bundle(view)
        _show(data, metadata=metadata, display_id=self.display_id)
        note = _NOTE.format(words=html.escape(f"{view!r}: {GONE}"))
        _show({"text/html": note, "text/plain": ""})


def _live_bundle(view: DisplayedView) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    bundle: Any = view._repr_mimebundle_()
    # Colab finds in the metadata which widget manager to load.
    data: dict[str, Any]
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    return {**data, "text/plain": f"{view!r}\n{GONE}"}, metadata


def _show(bundle: Mapping[str, Any], **options: Any) -> None:
    display(bundle, raw=True, **options)  # type: ignore[no-untyped-call]


def _in_marimo() -> bool:
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())
