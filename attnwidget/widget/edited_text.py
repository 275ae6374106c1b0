"""`EditedText`: a view's text, read, set and edited in place; the record before beside the one now."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import traitlets
from anywidget.experimental import command

from attnwidget.attention import Attention
from attnwidget.comparison.comparison import Comparison, compare
from attnwidget.compute.checks import check_flag
from attnwidget.edits.edits import Edits
from attnwidget.serve.change_scores import DIVERGENCE
from attnwidget.serve.comparison import ComparisonSource
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
from attnwidget.widget.found.pinned_query import PinnedQuery
from attnwidget.widget.recipe import WITHOUT_MODEL, Recipe, check_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from attnwidget.analysis.position_groups import By
    from attnwidget.serve.source import Source

__all__ = ["EditedText", "Unedited"]

# What goes with a source.
_WITH_THE_SOURCE = ("source", "_call", "_left", "_chooses", "_jobs")
# What goes with a text besides.
_WITH_THE_TEXT = ("_before", "_run", "_unedited", "_in_force")


@dataclass(frozen=True, slots=True)
class Unedited:
    """What was on show before an edit: it comes back as it was.

    Attributes:
        source: The source over the record.
        call: How a view of it is made.
        chooses: Whether a view of it may open on what is chosen.
        chosen: What was chosen of it.
    """

    source: RecordSource
    call: str | None
    chooses: bool
    chosen: dict[str, Any] | None


class EditedText(PinnedQuery):
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
    # The record of the text before the one on show; all others are let go.
    _before: Attention | None = None
    # What was on show before it was edited, while edits are in force, and these.
    _unedited: Unedited | None = None
    _in_force: Edits = Edits()
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
            "before": self.before is not None,
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
            >>> import attnwidget as aw
            >>> view = aw.view(model, "The cat sat on the mat", tokenizer=tokenizer)
            >>> view.text = "The dog sat on the mat"
            >>> view.compare_with_before()
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
        """The record without the `interventions`; where there are none, that before the text was edited; else None."""
        return self._before if self._unedited is None else self._recorded

    @property
    def _recorded(self) -> Attention:
        """The record of the text on show, without what edits change."""
        return self._now if self._unedited is None else Attention.of(self._unedited.source.record)

    def compare_with_before(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - there and back
        """Show the record before the last edit beside the one now, aligned as by `compare`; or the one now alone again.

        While `interventions` are in force, that is the record without them; else the one of the text before.

        Args:
            on: False for the record now alone.

        Raises:
            ValueError: If nothing was edited, or the two have nothing in common that could be compared.

        Example:
            >>> import attnwidget as aw
            >>> view = aw.view(model, "The cat sat on the mat", tokenizer=tokenizer)
            >>> view.text = "The dog sat on the mat"
            >>> view.compare_with_before()
            >>> view.compare_with_before(False)
        """
        if check_flag("on", on) is (self._left is not None):
            return
        if self._left is not None:
            comparison = self._both
            source = self._grouped(source_of, comparison.b)
            self._show(source, self._selection_after(comparison), left=None)
            return
        before, now = self.before, self._now
        if before is None:
            message = "there is no text before this one: set view.text = 'another text', then view.compare_with_before()."
            raise ValueError(message)
        names = (
            None
            if before.text != now.text
            else ("before", "now" if self._unedited is None else "after")
        )
        comparison = compare(before, now, names=names)
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
            self.offer()
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
            source = make(shown, self._groups)
        except NoGroupsError:
            source = make(shown, None)
        source.traceable = self._can_be_traced(source)
        return source

    def _can_be_traced(self, source: Source) -> bool:
        """Tell whether a trace of what a source shows may be found: a model was run for it, once."""
        return self._recipe is not None and isinstance(source, RecordSource)

    def _rerun(self, inputs: Any, target: Any) -> None:
        """Record another input and show it; if that fails, everything is as it was."""
        recipe = self._needed()
        with recipe.lock, self.hold_sync():
            now, recorded, text_before = self._now, self._recorded, self.text
            edits = self._in_force
            with recipe.as_before_on_error(), self._as_before_on_error(*_WITH_THE_TEXT):
                source = self._grouped(source_of, recipe.record(inputs, target))
                state = self._state() if self._left is None else self._selection_after(self._both)
                moved = to_another_text(state, now.streams, source.streams)
                self._before, self._run = recorded, self._run + 1
                self._unedited, self._in_force = None, Edits()
                self._show(source, fitting(source, moved), left=None)
            self._text_was_set(edits, recorded)
            self._tell("text", text_before, self.text)
            self._tell("attention", now, self._now)

    def _text_was_set(self, edits: Edits, before: Attention) -> None:
        """Bring what was in force over the record of the text before to that of the one on show."""

    def _tell(self, name: str, old: Any, new: Any) -> None:
        """Tell those who observe what is no trait: a check would run the model, and what travels is its description."""
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
        """Put another source in the place of the one on show, and what is offered to edit with it."""
        # Of two records `code` is that of a comparison.
        own = self._groups if source.groups is not None and source.groups.has_own else None
        call = None if left is not None or self._recipe is None else self._called(own)
        self._put(source, selection, call=call, left=left)

    def _called(self, groups: By | None) -> str | None:
        """Return how a view of the record now is made, with these groups."""
        return None if self._recipe is None else self._recipe.call(groups)

    def _put(
        self,
        source: Source,
        selection: Mapping[str, Any],
        *,
        call: str | None = None,
        left: tuple[dict[str, Any], dict[str, Any]] | None = None,
        chooses: bool = False,
        chosen: dict[str, Any] | None = None,
    ) -> None:
        """Put another source in the place of the one on show, as one change and one message to the page.

        Where that fails, what is on show stays, with all that belongs to it.

        Args:
            source: What is to be shown.
            selection: The whole selection of it.
            call: How a view of it is made; None for a view of the source itself.
            left: The selection that a comparison takes the place of.
            chooses: Whether a view of it may open on what is chosen. What is carried over was not.
            chosen: What was chosen of it; what was chosen of the source before is shown no more.
        """
        with self._as_before_on_error(*_WITH_THE_SOURCE):
            self.source, self._call, self._left, self._chooses = source, call, left, chooses
            # What was computed of the source before goes with it.
            self._jobs = Jobs()
            meta, overview = self.described()
            with self.hold_sync(), self.hold_trait_notifications():
                self.media, self.overview, self.meta = source.media, overview, meta
                for name, value in selection.items():
                    # What is carried over nobody pins anew.
                    self.set_trait(name, value)
                self.set_trait("chosen", chosen)
                self.offer()

    def offer(self) -> None:
        """Tell the page what can be edited now."""
        self._editing = self.editing()

    @contextlib.contextmanager
    def _as_before_on_error(self, *names: str) -> Iterator[None]:
        """Put attributes back to what they are now where the block raises."""
        kept = {name: getattr(self, name) for name in names}
        try:
            yield
        except BaseException:
            for name, value in kept.items():
                setattr(self, name, value)
            raise


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
