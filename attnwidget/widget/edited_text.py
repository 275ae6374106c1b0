"""`EditedText`: a view's text, read, set and edited in place; the record before beside the one now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from anywidget.experimental import command

from attnwidget.attention import Attention
from attnwidget.comparison.comparison import Comparison, compare
from attnwidget.compute.checks import check_flag
from attnwidget.serve.comparison import DIVERGENCE, ComparisonSource
from attnwidget.serve.groups import NoGroupsError
from attnwidget.serve.jobs import Jobs
from attnwidget.serve.selection_parts import STATE
from attnwidget.serve.source import RecordSource, source_of
from attnwidget.widget.carried_selection import (
    fitting,
    from_common_axes,
    to_another_text,
    to_common_axes,
)
from attnwidget.widget.commands import answered
from attnwidget.widget.recipe import WITHOUT_MODEL, Recipe, check_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnwidget.analysis.position_groups import By
    from attnwidget.serve.source import Source

__all__ = ["EditedText"]


class EditedText(anywidget.AnyWidget):
    """A widget whose text can be another one: the model runs again, and the selection stays where it fits.

    Attributes:
        source: What is shown.
        meta, overview, media: Its description, thumbnails and pictures.
    """

    source: Source
    meta: Any
    overview: Any
    media: Any
    _jobs: Jobs
    _call: str | None
    described: Callable[[], tuple[dict[str, Any], bytes]]
    _editing: Any = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    _recipe: Recipe | None = None
    # The record before the one on show; all others are let go.
    _before: Attention | None = None
    # The selection that a comparison took the place of, and the one that it began with.
    _left: tuple[dict[str, Any], dict[str, Any]] | None = None
    _run = 0
    _chooses: bool
    # The caller's own groups, where these are told of any text: by name, or as a function of a position.
    _groups: By | None = None

    def editing(self) -> dict[str, Any] | None:
        """Return what the page offers to edit (see ``Editing`` in the schema); None where there is no one record."""
        if not isinstance(self.source, RecordSource) and self._left is None:
            return None
        recipe = self._recipe
        reason = WITHOUT_MODEL if recipe is None else recipe.reason
        return {
            "texts": [] if recipe is None or reason else recipe.texts(),
            "before": self._before is not None,
            "comparing": self._left is not None,
            "run": self._run,
            **({"reason": reason} if reason else {}),
        }

    @property
    def text(self) -> Any:
        """The text on show: a text, a pair of texts, or chat messages. Setting it runs the model on another one.

        When the assignment returns, ``view.attention`` is the new record and the page shows it. What fits of the selection
        stays: layer, heads, form, measure, and pins at the same tokens. Where the model or the text is at fault, the error
        is raised and everything stays as it was. ``view.observe(f, "text")`` and ``view.observe(f, "attention")`` tell of it.

        - Type: ``str | tuple[str, str] | list[dict]``; None where the record is not one of text

        Raises:
            TypeError: If it is set to what is no text.
            ValueError: If the view has no model to run (a record, a file, other inputs than text), the model is gone,
                or `capture` cannot record the text.

        Example:
            >>> view = aw.view(model, "The cat sat on the mat", tokenizer=tokenizer)  # doctest: +SKIP
            >>> view.text = "The dog sat on the mat"  # doctest: +SKIP
            >>> view.compare_with_before()  # doctest: +SKIP
        """
        recipe = self._recipe
        if recipe is not None and recipe.inputs is not None:
            inputs = recipe.inputs
            return [dict(message) for message in inputs] if isinstance(inputs, list) else inputs
        return getattr(getattr(self.source, "record", None), "text", None)

    @text.setter
    def text(self, text: Any) -> None:
        recipe = self._needed()
        check_inputs(text)
        self._rerun(text, recipe.target)

    @property
    def target(self) -> Any:
        """What the decoder of an encoder-decoder model reads, as it was given; setting it runs the model again.

        - Type: ``str``, token ids, or None

        Raises:
            ValueError: As for `text`.
        """
        return None if self._recipe is None else self._recipe.target

    @target.setter
    def target(self, target: Any) -> None:
        self._rerun(self._needed().inputs, target)

    @property
    def before(self) -> Attention | None:
        """The record that was on show before the text was edited; None where it was not."""
        return self._before

    def compare_with_before(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - there and back
        """Show the record before the last edit beside the one now, aligned as by `compare`; or the one now alone again.

        Args:
            on: False for the record now alone.

        Raises:
            ValueError: If nothing was edited, or the two have nothing in common that could be compared.

        Example:
            >>> view.compare_with_before()  # doctest: +SKIP
            >>> view.compare_with_before(False)  # doctest: +SKIP
        """
        if check_flag("on", on) is (self._left is not None):
            return
        if self._left is not None:
            comparison = self._both
            source = self._grouped(source_of, comparison.b)
            self._show(source, self._selection_after(comparison), left=None)
            return
        if self._before is None:
            message = "there is no text before this one: set view.text = 'another text', then view.compare_with_before()."
            raise ValueError(message)
        now = self._now
        names = ("before", "now") if self._before.text == now.text else None
        comparison = compare(self._before, now, names=names)
        source = self._grouped(ComparisonSource, comparison)
        state = self._state()
        comparing = _of_two(to_common_axes(state, comparison))
        begun = fitting(source, comparing)
        self._show(source, begun, left=(state, begun))

    @command
    @answered
    def edit_text(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Run the model on what the reader has typed, or say why not."""
        try:
            self._rerun(*self._needed().with_texts(message["texts"]))
        finally:
            # A model that is gone is found out here.
            self._editing = self.editing()
        return {}, []

    @command
    @answered
    def compare_before(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Compare with the record before, or go back, for the reader who clicked."""
        self.compare_with_before(message["on"])
        return {}, []

    @property
    def _both(self) -> Comparison:
        comparison: Comparison = self.source.comparison  # type: ignore[attr-defined]  # only asked for while comparing
        return comparison

    @property
    def _now(self) -> Attention:
        """The record now, beside one before it or alone."""
        record = self.source.record if self._left is None else self._both.b  # type: ignore[attr-defined]  # of a record
        return Attention.of(record)

    def _needed(self) -> Recipe:
        """Return what records another text.

        Raises:
            ValueError: If there is none.
        """
        reason = WITHOUT_MODEL if self._recipe is None else self._recipe.reason
        if self._recipe is None or reason is not None:
            raise ValueError(reason)
        return self._recipe

    def _state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in STATE}

    def _grouped(self, make: Callable[[Any, By | None], Source], shown: Any) -> Source:
        """Return a source over a record or two, with the caller's own groups where a position is in any of them."""
        try:
            return make(shown, self._groups)
        except NoGroupsError:
            return make(shown, None)

    def _rerun(self, inputs: Any, target: Any) -> None:
        """Record another input and show it; if that fails, everything is as it was."""
        recipe = self._needed()
        with recipe.lock:
            before, text_before = self._now, self.text
            source = self._grouped(source_of, recipe.record(inputs, target))
            state = self._state() if self._left is None else self._selection_after(self._both)
            moved = to_another_text(state, before.streams, source.streams)
            self._before, self._run = before, self._run + 1
            self._show(source, fitting(source, moved), left=None)
            for name, old, new in (
                ("text", text_before, self.text),
                ("attention", before, self._now),
            ):
                # Neither is a trait: a check would run the model, and what travels is the record's description.
                change = traitlets.Bunch(name=name, old=old, new=new, owner=self, type="change")
                self.notify_change(change)

    def _selection_after(self, comparison: Comparison) -> dict[str, Any]:
        """Return the selection of the record now: as it was before the comparison, but for what was changed in it."""
        left, begun = self._left or ({}, {})
        shown = self._state()
        changed = {
            name
            for name in ("form", "measure", "theme", "layer", "heads")
            if shown[name] != begun[name]
        }
        kept = {**left, **{name: shown[name] for name in changed}}
        if shown["stream"] != left["stream"]:
            kept |= {name: shown[name] for name in ("stream", "layer", "heads")}
        pins = from_common_axes({**shown, "ranking": None}, comparison)
        return {**kept, "query": pins["query"], "key": pins["key"]}

    def _show(
        self,
        source: Source,
        selection: Mapping[str, Any],
        *,
        left: tuple[dict[str, Any], dict[str, Any]] | None,
    ) -> None:
        """Put another source in the place of the one on show, as one change and one message to the page."""
        shown, call = self.source, self._call
        self.source = source
        # Of two records `code` is that of a comparison.
        own = self._groups if source.groups is not None and source.groups.has_own else None
        self._call = None if left is not None or self._recipe is None else self._recipe.call(own)
        try:
            # The selection is carried over, and not chosen anew.
            self._chooses = False
            meta, overview = self.described()
        except BaseException:
            self.source, self._call = shown, call
            raise
        with self.hold_sync(), self.hold_trait_notifications():
            # What was computed of the source before goes with it.
            self._jobs, self._left = Jobs(), left
            self.media, self.overview, self.meta = source.media, overview, meta
            for name, value in selection.items():
                setattr(self, name, value)
            # What was chosen for the reader was of what is shown no more.
            self.set_trait("chosen", None)
            self._editing = self.editing()


def _of_two(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a selection of one record as one of two: the same head, and all heads by how much they changed."""
    views = {"head": "compare", "neuron": "all", "compare": "compare"}
    none: dict[str, Any] = {
        "compare": [],
        "ranking": None,
        "other_score": None,
        "threshold": None,
        "step": None,
    }
    return {
        **state,
        **none,
        "view": views.get(state["view"], state["view"]),
        "positions": "pieces",
        "score": DIVERGENCE.name,
        "arrange": "rank",
    }
