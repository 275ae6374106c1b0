"""Display id, freezing, and what a cell shows without a kernel."""

from __future__ import annotations

import html
import sys
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from IPython.display import display

from attnwidget.protocol.text import sendable
from attnwidget.record.byte_sizes import parse_bytes
from attnwidget.serve.page import FROZEN_BYTES, frame
from attnwidget.serve.static_files import static_text
from attnwidget.widget.shown_views import shown_views
from attnwidget.widget.still import Still

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.figures.small_png import SmallPng
    from attnwidget.widget.displayed import DisplayedView

__all__ = ["NotebookDisplay", "closed_bundle"]

# CSS pixels where the height on the screen is not known, until the page inside says how high it is.
FRAME_HEIGHT = 640
# What the notebook's own JSON, the frame's tag, its script and the words beside it take.
AROUND = 5_000

GONE = (
    "This widget needs its kernel, in a notebook. Run this cell again to bring it back: the call that made it"
    " was attnwidget.view(…). To keep it in the notebook, call view.freeze() or choose “freeze” under “save ▾”."
)
CLOSED = "This view was closed. Another one of what it showed: {call}"
FROZEN = "What the copy above showed, for pages that do not draw it."
# JupyterLab shows nothing of an output that holds a widget but "Loading widget…" when the kernel is gone, whatever else
# that output holds. So the words and the picture stand in an output of their own, which takes no room: they appear where
# the output area has neither a live nor a frozen widget two seconds after it was made, and stay hidden in every other
# host that keeps the styles. Hidden is the child whose own output is the note: one that holds it deeper down (`Output`,
# `interact`, a tab) has an output area inside, with the widget and what moves it. The second names are those of pages
# made with nbconvert's classic template, nbviewer's among them. MyST's themes give each output of a cell an area of its own.
_NOTE = """<div class="attnwidget-note" style="display:none">{picture}{words}</div>
<style>
.jp-OutputArea:has(.attnwidget, .attnwidget-frozen)
  > .jp-OutputArea-child:has(> .jp-OutputArea-output > .attnwidget-note),
.output:has(.attnwidget, .attnwidget-frozen)
  > .output_area:has(> .output_subarea > .attnwidget-note) {{ display: none; }}
.jp-OutputArea .attnwidget-note, .cell .output_area .attnwidget-note {{
  display: block !important; animation: attnwidget-note 2s both;
}}
[data-name=outputs-container]:has(.attnwidget-frozen) .jp-OutputArea .attnwidget-note {{
  display: none !important;
}}
@keyframes attnwidget-note {{ 0%, 99% {{ visibility: hidden; }} }}
</style>"""
# Also in the HTML, which every host that shows HTML prefers to the PNG beside it.
_PICTURE = (
    '{said}<img src="data:image/png;base64,{data}" width="{width}" alt="{alt}"'
    ' style="max-width:100%;height:auto;display:block">'
)
# What the reading line says stands over the picture, as it does over the views.
_SAID = '<p class="attnwidget-said">{}</p>'


class NotebookDisplay:
    """How one widget stands in the notebook.

    Every live output of one widget has the same display id, so that one message replaces them all.

    Attributes:
        always_frozen: Whether the widget is shown as a frozen copy from the start.
        display_id: Display id of its outputs, once there are any that a later message can replace.
        is_frozen: Whether the outputs under that id were replaced by a frozen copy.
    """

    def __init__(self, view: DisplayedView, *, always_frozen: bool, still: bool) -> None:
        """Start before the widget is shown.

        Args:
            view: The widget.
            always_frozen: Whether only frozen copies of it are shown.
            still: Whether a still picture of it is kept in the notebook.
        """
        self.always_frozen = always_frozen
        self.display_id: str | None = None
        self.is_frozen = False
        self._name = repr(view)
        self._note_id = uuid4().hex
        self._has_note = False
        self.still = Still(view, publish=self._replace_note) if still else None

    def freeze(self, view: DisplayedView, budget: int | str) -> None:
        """Replace the live outputs by a copy that needs no kernel; see `AttentionWidget.freeze`."""
        bundle = self.frozen_bundle(view, parse_bytes(budget))
        replaces = self.display_id is not None
        display_id = self._id_of_next_output()
        shown = shown_views()
        holds = shown is not None and not (replaces or self.always_frozen or view.is_closed)
        if shown is not None and holds:
            # Its picture is still to be drawn.
            shown.add(view)
        _show(bundle, display_id=display_id, update=replaces)
        self.is_frozen = True
        if replaces:
            self._freeze_note()
        else:
            self._show_frozen_note(holds=holds)

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
        self._freeze_note()

    def frozen_bundle(
        self, view: DisplayedView, budget: int, height: float | None = None
    ) -> dict[str, str]:
        """Return the outputs of a frozen copy by their MIME types.

        Args:
            view: The widget.
            budget: Bytes that they may take.
            height: CSS pixels of the frame, until the copy says its own; None takes those of the widget on the screen.
        """
        title = repr(view)
        document = view.page(budget - AROUND, framed=True)
        if height is None:
            height = (view.screen or {}).get("height") or FRAME_HEIGHT
        shown = frame(document, static_text("frames.js"), title=title, height=height)
        return {"text/plain": title, "text/html": shown}

    def marimo_copy(self, view: DisplayedView) -> Any:
        """Return the frozen copy as marimo shows HTML: it reads neither display ids nor what IPython would call."""
        return sys.modules["marimo"].Html(self.frozen_bundle(view, FROZEN_BYTES)["text/html"])

    def show(self, view: DisplayedView) -> None:
        """Show the widget, live or frozen, under a display id."""
        if self.always_frozen:
            display_id = self._id_of_next_output()
            _show(self.frozen_bundle(view, FROZEN_BYTES), display_id=display_id)
            self._show_frozen_note(holds=False)
            return
        if view.is_closed:
            _show(closed_bundle(view))
            return
        shown = shown_views()
        if shown is not None:
            shown.add(view)
        if self.display_id is None or self.is_frozen:
            # An output under the same id would bring the frozen one back to life, and its note with it.
            self.display_id, self._note_id, self.is_frozen = None, uuid4().hex, False
        data, metadata = _live_bundle(view)
        _show(data, metadata=metadata, display_id=self._id_of_next_output())
        self._show_note()

    def _id_of_next_output(self) -> str:
        """Return the display id of what is shown next.

        Inside of an `Output` it is one that nobody keeps: a copy meant for it would come nowhere, without a word.
        """
        shown = shown_views()
        if self.display_id is None and shown is not None and shown.in_output():
            return uuid4().hex
        self.display_id = self.display_id or uuid4().hex
        return self.display_id

    def _show_note(self, *, hold: bool = False) -> None:
        self._has_note = True
        data, metadata = self._note(self.still.show(hold=hold) if self.still else None)
        _show(data, metadata=metadata, display_id=self._note_id)

    def _show_frozen_note(self, *, holds: bool) -> None:
        """Put the picture beside a frozen copy, which has no browser that could draw one later.

        Args:
            holds: Whether the place where the copy stands keeps the view alive.
        """
        if self.still and self.still.draws_here():
            shown = shown_views()
            if shown is not None and not holds:
                shown.count()
            self._show_note(hold=not holds)

    def _freeze_note(self) -> None:
        """Let the note beside a widget that is now frozen say so."""
        if self._has_note:
            self._replace_note(self.still.picture if self.still else None)
            if self.still:
                self.still.changed()

    def _replace_note(self, picture: SmallPng | None) -> None:
        data, metadata = self._note(picture)
        _show(data, metadata=metadata, display_id=self._note_id, update=True)

    def _note(self, picture: SmallPng | None) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the second output: words and the picture, as HTML, and the picture as itself."""
        words = FROZEN if self.is_frozen or self.always_frozen else GONE
        said = html.escape(f"{self._name}: {words}")
        if picture is None:
            return {"text/html": _NOTE.format(picture="", words=said), "text/plain": ""}, {}
        data = b64encode(picture.data).decode("ascii")
        sentence = html.escape(picture.said)
        shown = _PICTURE.format(
            data=data,
            width=picture.width,
            said=_SAID.format(sentence) if sentence else "",
            alt=html.escape(self._name) + (sentence and f": {sentence}"),
        )
        bundle = {"text/html": _NOTE.format(picture=shown, words=said), "text/plain": ""}
        size = {"width": picture.width, "height": picture.height}
        return {**bundle, "image/png": data}, {"image/png": size}


def closed_bundle(view: DisplayedView) -> dict[str, str]:
    """Return what stands in the place of a view that was closed."""
    said = f"{view!r}: {CLOSED.format(call=view.made_again_by)}"
    return {"text/plain": said, "text/html": html.escape(said)}


def _live_bundle(view: DisplayedView) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    bundle: Any = view._repr_mimebundle_(shown_here=True)
    # Colab finds in the metadata which widget manager to load.
    data: dict[str, Any]
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    return {**data, "text/plain": f"{view!r}\n{GONE}"}, metadata


def _show(bundle: Mapping[str, Any], **options: Any) -> None:
    display(sendable(bundle), raw=True, **options)  # type: ignore[no-untyped-call]


def _in_marimo() -> bool:
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())
