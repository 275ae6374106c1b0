"""`AttentionWidget`: traits of what is shown, commands of the front end, life cycle."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Literal

import traitlets
from anywidget.experimental import command

from attnwidget.compute.checks import check_flag
from attnwidget.figures.figure import Figure
from attnwidget.figures.from_source import figure_of_view
from attnwidget.protocol.text import sendable
from attnwidget.record.byte_sizes import parse_bytes
from attnwidget.record.options import DrawnSelection, ShownOptions
from attnwidget.record.vocabulary import lists_options
from attnwidget.serve.jobs import Jobs
from attnwidget.serve.opening import CHOSEN_BY_CALLER, selected_of
from attnwidget.serve.page import FROZEN_BYTES, page_within_budget
from attnwidget.serve.python_call import (
    call_of_source,
    opening,
    view_call,
    with_link,
    without_link,
)
from attnwidget.serve.requests import reply
from attnwidget.serve.selection import resolve_selection, usual_names
from attnwidget.serve.selection_parts import STATE
from attnwidget.serve.snapshot import snapshot
from attnwidget.serve.source import Source, source_of
from attnwidget.serve.static_files import front_end, static_text
from attnwidget.widget.closing import closed_later
from attnwidget.widget.commands import Answering, answered
from attnwidget.widget.found.found_trace import FoundTrace
from attnwidget.widget.head_effects import HeadEffects
from attnwidget.widget.notebook_display import NotebookDisplay, closed_bundle
from attnwidget.widget.ranked_heads import RankedHeads
from attnwidget.widget.save import BrowserFigures, save
from attnwidget.widget.shown_directions import ShownDirections
from attnwidget.widget.shown_views import hold_weakly, shown_views
from attnwidget.widget.synced_traits import SyncedTraits

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from typing_extensions import Unpack

    from attnwidget.attention import Attention
    from attnwidget.compute.resumable import Slices
    from attnwidget.figures.from_source import Kind
    from attnwidget.figures.renderer import Answer
    from attnwidget.protocol.codec import Block
    from attnwidget.widget.recipe import Recipe

__all__ = ["AttentionWidget"]


class AttentionWidget(
    ShownDirections, FoundTrace, HeadEffects, RankedHeads, Answering, SyncedTraits
):
    """Three linked views over one record of attention.

    The reader sees a toolbar, a sentence on what is selected, and below it the model view, the head view and the neuron
    view. Every trait in this list is two-way: read it, set it, observe it, or link it to another widget.

    A view, and its record with it, lives while a cell or an `Output` shows it or a variable holds it, `Out` included. When the
    cell is run again, what it showed before is closed, where the notebook says which cell it runs (JupyterLab, Notebook 7,
    VS Code); elsewhere, and inside other widgets, call `close`.

    Example:
        >>> import attnwidget as aw
        >>> view = AttentionWidget(aw.capture(model, "the cat sat on the mat", tokenizer))
        >>> view.layer, view.heads, view.query = 3, [1, 3], "mat"
        >>> view.query
        6
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _bundle = traitlets.Bytes().tag(sync=True)
    meta = traitlets.Dict().tag(sync=True)
    """What the front end is told of the source; see ``Meta`` in the schema. Only the kernel sets it."""
    overview = traitlets.Bytes().tag(sync=True)
    """The thumbnails of all heads that `meta` describes. Only the kernel sets it."""
    media = traitlets.Bytes().tag(sync=True)
    """Pictures and sounds among the inputs. Only the kernel sets it."""
    _screen = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    _own_layout: Any = None
    # Whether the view may have opened on what was chosen for the reader.
    _chooses = False
    _opened = 0.0
    # Whether the page has sent anything: then it has it whole.
    was_heard = False
    _notebook: Any = None
    # Calls of a view named ``view``.
    made_again_by = "attnwidget.view(view.attention)"

    @lists_options(ShownOptions)
    def __init__(
        self,
        attention: Attention | Source,
        *,
        frozen: bool = False,
        still: bool = True,
        choose: bool = True,
        _call: str | None = None,
        made_with: Recipe | None = None,
        **state: Unpack[ShownOptions],
    ) -> None:
        """Make a widget over a record.

        Args:
            attention: What `capture`, `recording`, `load` or `from_weights` gave.
            frozen: Show a copy that needs no kernel (see `freeze`) wherever the view is shown.
            still: Keep a still picture of what is shown in the notebook, for readers without widgets: 60 kB at most,
                twice. With the ``figures`` extra the kernel makes it while it is idle, else the browser.
            choose: Open on the link that says most where ``state`` names no layer, heads or query; see `chosen`.
            _call: How the view was made, for `code`; see `attnwidget.serve.python_call`.
            made_with: What records another text in the same way; `attnwidget.view` gives it.
            **state: Traits to start with, such as ``layer=3, heads=[5]``, and ``groups``, the caller's own groups of the
                record's positions, as `Attention.groups` takes them.

        Raises:
            TypeError: If there is no such trait.
            ValueError: If the record has no such stream, layer, head or position, or the groups are none of its
                positions.
        """
        groups = state.pop("groups", None)
        self.source = source_of(attention, groups)
        if groups is not None and _call is None:
            _call = call_of_source(self.source, {"groups": groups})
        self._jobs, self._recipe = Jobs(), made_with
        self.source.traceable = self._can_be_traced(self.source)
        # Groups by number are of this text; a name and a function tell those of another as well.
        self._groups = groups if callable(groups) or isinstance(groups, str) else None
        frozen, still = check_flag("frozen", frozen), check_flag("still", still)
        self._always_frozen = frozen
        self._browser_figures = BrowserFigures()
        self._call = _call
        given = self._with_what_was_selected(usual_names(state))
        self._chooses = check_flag("choose", choose) and not CHOSEN_BY_CALLER & set(given)
        meta, overview = self.described()
        # After the thumbnails: the pass that makes them finds the link.
        self._opening = self.source.choose(given) if self._chooses else None
        selection = resolve_selection(self.source, {**selected_of(self._opening), **given})
        # All at once, so that the first message to the browser is the only one it needs to draw.
        first_message: dict[str, Any] = {**front_end(), "meta": meta, "overview": overview}
        first_message |= {"media": self.source.media, "_editing": self.editing()}
        super().__init__(**first_message, **selection)
        self._query_is_pinned = "query" not in selected_of(self._opening)
        # anywidget's own callback keeps the widget, which keeps the callback; `Answering` takes its place.
        self._msg_callbacks.callbacks = []
        self._notebook = NotebookDisplay(self, always_frozen=frozen, still=still)
        if self._notebook.still:
            told = ("meta", "what_if", "effects", "traced", "_screen")
            self.observe(self._notebook.still.changed, names=[*STATE, *told])

    def _with_what_was_selected(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return what the caller gave, and of what the reader had selected before the cell was run again what fits."""
        shown = shown_views()
        before = None if shown is None else shown.selected_before()
        if before is None:
            return given
        kept = before.fitting(self, given)
        # For the run after this one.
        self.changed_by_reader = frozenset(kept)
        return {**kept, **given}

    def open(self) -> None:
        """Connect to the browser; a frozen view never does, so that nothing of it stays in the notebook's metadata."""
        if not self._always_frozen:
            super().open()
            self._own_layout = self.layout
            self._opened, self.was_heard = time.monotonic(), False
            hold_weakly(self)

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - as ipywidgets has it
        """Return the traits as they travel, which lone surrogates in a token cannot."""
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        return sendable(state)

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(sendable(msg), buffers)

    def close(self) -> None:
        """Take the widget off every page and disconnect it from the browser; the record stays.

        ipywidgets leaves the layout behind that it made for a widget: a hundred closed widgets would leave a hundred.

        Example:
            >>> import attnwidget as aw
            >>> view = aw.view(model, "the cat sat on the mat", tokenizer)
            >>> view.close()
        """
        opened, heard = self._opened, self.was_heard
        if not closed_later(self, opened, heard=heard):
            super().close()
        # ipywidgets puts None here, which IPython takes for "has no such method", and other callers stumble over.
        self.__dict__.pop("_repr_mimebundle_", None)
        shown = shown_views()
        if shown is not None:
            shown.discard(self)
        if self._notebook is not None and self._notebook.still:
            self._notebook.still.stop()
        own = self._own_layout
        if own is not None and self.layout is own and not closed_later(own, opened, heard=heard):
            own.close()

    def described(self) -> tuple[dict[str, Any], bytes]:
        """Return the source's meta with what the page copies as Python, and the bytes of its thumbnails."""
        meta, overview = self.source.meta()
        # A view under edits opens where the one without them does.
        opened = self.source if self._unedited is None or self._left else self._unedited.source
        python = opening(opened, self._call, chosen=self._chooses)
        python = python if self._recipe is None else without_link(python)
        return {**meta, **self.told_directions(), "python": python}, overview

    def code(self) -> str:
        """Return the call that opens a view at what is shown: the selection, of which only what a new view would not have.

        Names of the caller's variables are not known: a model is called ``model``, a tokenizer ``tokenizer``, a record
        ``attention``, a comparison ``comparison`` and a survey ``survey``; an input that is no short text ``inputs``. Links
        of a pattern of one's own (see `rank`) are named in a comment.

        Example:
            >>> import attnwidget as aw
            >>> model, tokenizer = aw.pocket()
            >>> aw.view(model, "The cat sat on the mat", tokenizer, layer=3, heads=[1]).code()
            'aw.view(model, "The cat sat on the mat", tokenizer=tokenizer, layer=3, heads=[1])'
        """
        told = with_link(self.meta["python"])
        if self._query_is_pinned and (self._in_force or self.effects):
            # What is measured is so at the pinned query: a view that opens there by itself would measure elsewhere.
            told = {"call": told["call"], "placed": {**told.get("opened", {}), **told["placed"]}}
        return view_call(told, self._state(), self.traced, unnamed=self._chosen_link())

    @property
    def attention(self) -> Attention:
        """The record on show."""
        return self._now

    @command
    @answered
    def blocks(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Answer the front end's requests, within a time slice; one that fails is answered with its reason."""
        replies, buffers = reply(self._jobs, self.source, message["requests"])
        return {"replies": replies}, buffers

    @command
    @answered
    def saved(
        self, message: dict[str, Any], buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Take the figure that `save` asked the browser for."""
        self._browser_figures.take(message, buffers)
        return {}, []

    @command
    @answered
    def still_drawn(
        self, message: dict[str, Any], buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Take the still picture that the browser was asked for."""
        keeps = self._notebook.still
        if keeps and buffers:
            keeps.take(bytes(buffers[0]), message["width"], message["height"], message["said"])
        return {}, []

    @command
    @answered
    def freeze_shown(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Freeze the widget for the button in its toolbar, or say why not."""
        self._notebook.freeze_shown(self, message["height"])
        return {}, []

    @command
    @answered
    def draw_pdf(
        self, _message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Draw what is shown as a PDF for the reader who asked for one, or say why not."""
        return {}, [self.figure().pdf()]

    @lists_options(DrawnSelection)
    def figure(self, kind: Kind | None = None, **options: Unpack[DrawnSelection]) -> Figure:
        """Return what is shown, selection included, as a figure.

        Args:
            kind: A view, or a form of the head view, as of `Attention.figure`, such as ``"trace"``; as on the screen when
                left out.
            **options: How it is drawn, and what of the selection is another one than on the screen (``layer``, ``heads``,
                ``query``, ``form`` …); `Attention.figure` says what there is. What is left out is as on the screen.

        Raises:
            TypeError, ValueError: If an option does not exist, or is none of what is accepted.

        Example:
            >>> import attnwidget as aw
            >>> view = aw.view(model, "the cat sat on the mat", tokenizer)
            >>> path = view.figure(width="85mm", theme="print").save("figure.pdf")
        """
        return figure_of_view(self.source, self.snapshot(), self._answer, options, kind)

    @lists_options(DrawnSelection)
    def save(
        self,
        path: str | os.PathLike[str],
        *,
        scale: float | None = None,
        dpi: float | None = None,
        renderer: Literal["auto", "headless", "browser"] = "auto",
        budget: int | str | None = None,
        **options: Unpack[DrawnSelection],
    ) -> Path:
        """Write what is shown, selection included, as a figure or as a page.

        ``.svg`` and ``.pdf`` are vector figures with text as text, ``.png`` is a picture, ``.html`` is the widget itself
        over a snapshot: one file, no kernel, no network.

        Args:
            path: Where to; the ending says what.
            scale: PNG pixels per CSS pixel; 2 when neither is given.
            dpi: PNG pixels per printed inch.
            renderer: ``"headless"`` draws here and now, with the ``figures`` extra; ``"browser"`` asks the displayed
                widget for an ``.svg`` or ``.png``, which is written as soon as the kernel is free to take it;
                ``"auto"`` is headless where it is installed.
            budget: What an ``.html`` may weigh: bytes, or text such as ``"5 MB"``. The selected head comes first, then
                every head's weights in 256 shades, the ones with the strongest links first, then the same in full;
                the page says in place what is in shades and what is not in it. None is 5 MB, or as much as the
                selected head takes, up to 32 MB: in shades where it takes more in full.
            **options: As for `figure`. What is left out is as on the screen; a ``width`` in pixels is that of the views,
                without the margin.

        Returns:
            The path.

        Raises:
            TypeError: If an option does not exist.
            ValueError: If the ending is another one, or an option is out of range.
            ImportError: If the ``figures`` extra is needed and not installed.
            RuntimeError: If the browser is to draw and the widget is not displayed.

        Warns:
            UserWarning: If no font of this machine has some of the characters of a ``.pdf`` or ``.png``.

        Example:
            >>> import attnwidget as aw
            >>> view = aw.view(model, "the cat sat on the mat", tokenizer, layer=3)
            >>> path = view.save("shown.svg", width="85mm")
        """
        return save(
            self,
            self._browser_figures,
            path,
            scale=scale,
            dpi=dpi,
            renderer=renderer,
            budget=budget,
            options=options,
        )

    def html(self, *, budget: int | str | None = None) -> str:
        """Return what is shown as the text of one page, the one that ``save("attention.html")`` writes.

        For programs that put pages into pages of their own, in a frame that may run scripts and needs nothing more: the
        page has no kernel, asks no network, and draws in a frame without an origin.

        Args:
            budget: Bytes that the page may take, or text such as ``"2 MB"``; as for `save`.

        Returns:
            The page, from ``<!doctype html>`` on.

        Raises:
            ValueError: If the budget is no size, or too small for a page without any head.

        Example:
            >>> import attnwidget as aw
            >>> view = aw.view(model, "the cat sat on the mat", tokenizer)
            >>> view.html(budget="1 MB")[:15]
            '<!doctype html>'

            In Streamlit (before 1.56 ``st.components.v1.html``, with a height), then in Gradio, where ``allow-downloads
            allow-same-origin`` in the sandbox let it save figures and be as light or dark as the app:

            >>> st.iframe(view.html())  # doctest: +SKIP
            >>> frame = '<iframe sandbox="allow-scripts" width="100%" height="900" srcdoc="{}"></iframe>'
            >>> gr.HTML(frame.format(html.escape(view.html())))  # doctest: +SKIP
        """
        return self.page(None if budget is None else parse_bytes(budget))

    def freeze(self, budget: int | str = FROZEN_BYTES) -> None:
        """Replace the live widget in the notebook by a copy that needs no kernel.

        The copy draws and answers clicks when the notebook is opened again without a kernel, without a network, and in
        the page that ``nbconvert --to html`` makes of it. It starts at the present selection and holds as many heads as
        fit. Called again, it replaces that copy. For the live widget, run the cell again or show the view in another
        one. A view that is not shown yet is shown here, frozen; so is one that stands inside of another widget, such as an
        ipywidgets `Output`, which it stays in: ``out.clear_output()``, then ``view.freeze()`` in a ``with out:`` takes its
        place.

        Args:
            budget: What the notebook grows by at most: bytes, or text such as ``"5 MB"``.

        Raises:
            ValueError: If the budget is no size, or too small for a page without any head.

        Example:
            >>> view.freeze()  # doctest: +SKIP
        """
        self._notebook.freeze(self, budget)

    def still_figure(self, answer: Answer) -> Figure:
        """Return what is shown as a figure whose numbers come from ``answer``."""
        return Figure(self.source, self.snapshot(), answer, {})

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Answer a request for a block in steps, none of them while the browser's requests are worked on."""
        return self._jobs.apart(self.source.work(request))

    def _answer(self, request: Mapping[str, Any]) -> tuple[Block, bytes]:
        return self._jobs.run(self.source.work(request))

    @property
    def screen(self) -> dict[str, Any] | None:
        """What the reader's screen is like (see ``Screen`` in the schema); None before the widget is displayed."""
        return self._screen  # type: ignore[no-any-return,unused-ignore]

    def snapshot(self) -> dict[str, Any]:
        """Return what the front end needs to draw without a kernel, no blocks yet; see ``Snapshot`` in the schema."""
        return snapshot(
            self._state(),
            self.meta,
            self.overview,
            media=self.media,
            screen=self._screen,
            chosen=self.chosen,
            what_if=_at_rest(self.what_if),
            effects=_at_rest(self.effects, "stopped"),
            traced=_at_rest(self.traced, "stopped"),
        )

    def page(self, budget: int | None = None, *, framed: bool = False) -> str:
        """Return the widget as one page that needs no kernel.

        Args:
            budget: Bytes of the page; see `save`.
            framed: Whether the page is to stand in another one.
        """
        made = self.snapshot()
        made["meta"], overview = self.source.with_thumbnails(self.meta, self.overview)
        bundle = static_text("widget.js")
        return page_within_budget(
            self.source, made, overview, bundle, title=repr(self), budget=budget, framed=framed
        )

    @property
    def _display_(self) -> Callable[[], Any] | None:
        """What marimo asks first, and calls where it finds a method; else it shows the live widget."""
        return self._marimo_copy if self._notebook.always_frozen else None

    def _marimo_copy(self) -> Any:
        return self._notebook.marimo_copy(self)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called: there is nothing left to show in the notebook."""
        return self.comm is None and not self._always_frozen

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return what a notebook shows of a live view.

        Args:
            **kwargs: What IPython passes, and ``shown_here=True`` where it goes into the notebook's present output at once.
        """
        if self.is_closed:
            return closed_bundle(self), {}
        # The model of a view is often gone by the time that it is shown: a cell that made both keeps none.
        self.offer()
        shown = shown_views()
        if shown is not None and not kwargs.pop("shown_here", False):
            shown.keep(self)
        return super()._repr_mimebundle_(**kwargs)

    def _ipython_display_(self) -> None:
        """Show the widget under a display id; what a cell's last line gives is shown without one."""
        self._notebook.show(self)

    def __del__(self) -> None:
        """Close when nothing holds the view; not while Python itself is ending, where nothing works any more."""
        if not sys.is_finalizing():
            super().__del__()

    def __repr__(self) -> str:
        return repr(self.attention).replace("Attention(", "AttentionWidget(", 1)


def _at_rest(told: dict[str, Any] | None, state: str = "done") -> dict[str, Any] | None:
    """Return what a copy without a kernel says of edits or effects: nothing is under way there."""
    return {**told, "state": state} if told and told["state"] == "running" else told
