"""Every synced trait of the selection, with its documentation, its check, and what follows when it changes."""

from __future__ import annotations

import contextlib
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from attnwidget.protocol.constants import RANKING
from attnwidget.protocol.messages import (
    MessageError,
    check_screen,
    check_state,
    check_update,
)
from attnwidget.protocol.text import in_one_line
from attnwidget.record.aside import FIRST_AND_SPECIAL
from attnwidget.serve.selection import (
    SelectionError,
    check,
    check_flag,
    fitting_pins,
    named,
    nearest_layer,
)
from attnwidget.serve.selection_parts import STATE
from attnwidget.serve.shown_groups import ENDS, fitting_groups
from attnwidget.widget.trait_types import Choice, Normalised

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from attnwidget.serve.source import Source

__all__ = ["SyncedTraits"]


# What the kernel alone sets. A host that sends all of a widget's state back sends these as well.
_OF_THE_KERNEL = {
    "_anywidget_id", "_bundle", "_css", "_editing", "_esm", "_model_module", "_model_module_version", "_model_name",
    "_view_module", "_view_module_version", "_view_name", "cannot_edit", "cannot_trace", "chosen", "effects", "media", "meta",
    "overview", "traced", "what_if",
}  # fmt: skip


class _TakenBackError(traitlets.TraitError):
    """What the traits that were set together are taken back for; its cause is what was raised."""


class SyncedTraits(anywidget.AnyWidget):
    """A widget with the shared selection as traits: read them, set them, observe them, or link them.

    Attributes:
        source: What is shown; set before the traits, whose checks read it.
    """

    source: Source

    view = Choice("view").tag(sync=True)
    """Which view is open: all of them, or one.

    - Type: ``"all" | "model" | "head" | "neuron" | "compare"``
    - Default: ``"all"``
    """

    stream = Normalised("stream", "").tag(sync=True)
    """Which attention is shown: one of the record's streams. Setting it keeps what still fits of the selection.

    - Type: ``str``
    - Default: the record's first stream
    """

    layer = Normalised("layer", 0).tag(sync=True)
    """The layer, as the model counts it.

    - Type: ``int``
    - Default: the stream's first layer
    """

    heads = Normalised("heads", [0]).tag(sync=True)
    """The heads of that layer that are drawn.

    - Type: ``list[int]``, at least one
    - Default: ``[0]``
    """

    query = Normalised("query").tag(sync=True)
    """The pinned query position, or several. What is read of several is the mean of their weights.

    - Type: ``int | list[int] | None``; the first of a list leads. A token's text is taken, and becomes its position
    - Default: ``None``
    """

    key = Normalised("key").tag(sync=True)
    """The pinned key position, or several. What is read of several is the sum of their weights.

    - Type: ``int | list[int] | None``; the first of a list leads. A token's text is taken, and becomes its position
    - Default: ``None``
    """

    measure = Choice("measure").tag(sync=True)
    """What is drawn of a head; the legend names it. `Layer.measure` and `Attention.rollout` have the formulas. Where a
    layer cannot give it, the view says why. The neuron view keeps to weights. ``"gradient"`` and ``"relevance"`` need a record
    with a metric: ``attnwidget.view(model, text, tokenizer=…, metric="purred")``.

    - Type: ``"weights" | "value" | "norm" | "gradient" | "relevance" | "rollout"``
    - Default: ``"weights"``
    """

    positions = Choice("positions").tag(sync=True)
    """Whether the pieces of a word stand as one: summed over the pieces of a key, averaged over the pieces of a query,
    as `Attention.words` does. Pins stay positions of the record: a word that is clicked pins all its pieces.

    - Type: ``"pieces" | "words"``
    - Default: ``"pieces"``
    """

    form = Choice("form").tag(sync=True)
    """How heads are drawn: lines between tokens, a matrix, over the picture or the sound that went in, or as the
    running text, shaded by what the pinned query attends to, or by what attends to the pinned key; or how much weight
    the groups of positions give each other: a small matrix for each head, or over the layers (see `grouping`); or queries
    and keys of each head in one plane (see `colour`); or the links that the `metric` depends on, over all layers (see
    `AttentionWidget.find_trace`).

    A stream without picture or sound is drawn as lines when the form is ``"image"``, one without text when it is
    ``"text"``, a layer without query and key vectors when it is ``"geometry"``. ``"trace"`` needs a view of a model. Compared heads stay lines then: a difference is between pairs.

    - Type: ``"lines" | "matrix" | "image" | "text" | "groups" | "profile" | "geometry" | "trace"``
    - Default: ``"image"`` for a record with a picture or a sound, else ``"lines"``
    """

    compare = Normalised("compare", []).tag(sync=True)
    """Heads pinned side by side, from any layers of the stream; the first two also as their difference.

    - Type: ``list[tuple[layer, head]]``
    - Default: ``[]``
    """

    step = Normalised("step").tag(sync=True)
    """Of a generation: the token that is about to be chosen, counted from 0. The views show what there was by then.

    - Type: ``int | None``
    - Default: ``None``, all of it
    """

    theme = Choice("theme").tag(sync=True)
    """Colours: those of the notebook, or always light or dark.

    - Type: ``"auto" | "light" | "dark"``
    - Default: ``"auto"``
    """

    score = Normalised("score").tag(sync=True)
    """What heads are coloured by in the model view; computed when first asked for.

    - Type: a name in `attnwidget.SCORES`, ``"ranking"`` after `rank`, of a survey with gold links also
      ``"precision of pronoun (forward)"``, ``"recall of …"`` or ``"mean weight of …"``, or ``None`` for thumbnails alone
    - Default: ``None``
    """

    other_score = Normalised("other_score").tag(sync=True)
    """The vertical axis of the scatter.

    - Type: as ``score``
    - Default: ``None``, which stands for ``"broad"``
    """

    arrange = Choice("arrange").tag(sync=True)
    """How the model view stands: as the model has its heads, all in one ranking by their score, each layer's heads in
    a ranking, or as dots over two scores.

    - Type: ``"layers" | "rank" | "rank_by_layer" | "scatter"``
    - Default: ``"layers"``
    """

    threshold = Normalised("threshold").tag(sync=True)
    """Heads with a lower score are faint.

    - Type: ``float | None``, 0 to 1; once effects of the heads are known any number from 0, in their own units
    - Default: ``None``
    """

    ranking = Normalised("ranking").tag(sync=True)
    """The links that heads are ranked by, as `rank` sets it.

    - Type: ``{"queries": list[int] | None, "keys": list[int]} | {"pattern": str, "number": int} | None``
    - Default: ``None``
    """

    below_threshold = Choice("below_threshold").tag(sync=True)
    """What becomes of heads below the threshold: drawn faint, or left out with the gaps closed. A ranking leaves them
    out either way.

    - Type: ``"faint" | "hidden"``
    - Default: ``"faint"``
    """

    explain = Choice("explain").tag(sync=True)
    """What the neuron view explains: the link in question, step by step from query and key to the output, or the whole
    head, as one matrix for each of these steps.

    - Type: ``"link" | "head"``
    - Default: ``"link"``
    """

    show_layers = Normalised("show_layers").tag(sync=True)
    """The layers that the model view shows, by the model's own numbers. The other views show any layer.

    - Type: ``list[int] | None``; a range or any other iterable is taken
    - Default: ``None``, all layers of the stream
    """

    together = Normalised("together").tag(sync=True)
    """The selected heads as one more head, in every form of the head view: the mean, the maximum or the sum of what is
    drawn of them, number by number. The model view and the neuron view keep to single heads.

    - Type: ``"mean" | "max" | "sum" | None``
    - Default: ``None``, each head by itself
    """

    together_layers = Normalised("together_layers").tag(sync=True)
    """The layers whose heads of the selected numbers are taken `together`, while the selected layer is one of them: with
    ``heads=[0, 2]`` and ``together_layers=[1, 3]`` four heads are one.

    - Type: ``list[int] | None``; a range or any other iterable is taken
    - Default: ``None``, the selected layer alone
    """

    panels = Choice("panels").tag(sync=True)
    """Whether the lines of several heads lie over one another in the head view, or each head has a panel of its own: the
    same tokens side by side, under the same pointer. Heads that are one (``together``) have one picture.

    - Type: ``"overlaid" | "one a head"``
    - Default: ``"overlaid"``
    """

    top_k = Normalised("top_k", 3).tag(sync=True)
    """Of each query, only so many of its strongest links are drawn as lines; the legend says how much of the weight they
    are. What the pointer is on, and a pinned link, are always drawn. Where ``mass`` is set, that says which.

    - Type: ``int | None``, at least 1; ``None`` for all links
    - Default: ``3``
    """

    mass = Normalised("mass").tag(sync=True)
    """Of each query, only the fewest strongest links are drawn as lines that make up this share of its weight.

    - Type: ``float | None``, 0 to 1
    - Default: ``None``, which leaves it to ``top_k``
    """

    aside = Normalised("aside").tag(sync=True)
    """Key positions that are set aside: the first one, special tokens, both, or any others. Shades, the width of links
    and the scores and rankings of heads are then those of the rest, each row divided by what remains; numbers never
    change.

    - Type: ``None | "first" | "special" | "first and special" | list[int]``; tokens' texts are taken in a list, and
      become their positions
    - Default: ``None``
    """

    shade = Choice("shade").tag(sync=True)
    """Where the shades of matrices end: above the largest weight in sight (the legend says where), or always at 1.

    - Type: ``"own" | "fixed"``
    - Default: ``"own"``
    """

    colour = Choice("colour").tag(sync=True)
    """What the points of the form ``"geometry"`` are coloured by: their position, their group of the ``grouping`` that is
    marked, or the length of the vector (norm). Without a grouping, groups are positions.

    - Type: ``"position" | "group" | "norm"``
    - Default: ``"position"``
    """

    @property
    def without_sink(self) -> bool:
        """Another name of ``aside="first and special"``: whether the first position and all special tokens are set aside."""
        return bool(self.aside == FIRST_AND_SPECIAL)

    @without_sink.setter
    def without_sink(self, value: bool) -> None:
        if check_flag("without_sink", value):
            self.aside = FIRST_AND_SPECIAL
        elif self.without_sink:
            self.aside = None

    chosen = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    """What was chosen for the reader, and why: where the view opened without ``layer``, ``heads``, ``query`` or ``key`` from
    the caller, or the head that `rank` put first. Read only; the selection may be another one by now.

    - Type: ``{"stream", "layer", "head", "query", "key", "weight", "why", "also"} | None``. ``why`` completes "chosen for
      you:". ``also``: two to four other heads with what they do, ``[{"label", "layer", "head"}]``; none where no head
      fits a label. ``query`` and ``key`` are None in a survey. Of a comparison, ``weight`` is the size of the change; of a
      survey, the mean score.
    - Default: None, also with ``choose=False``
    """

    _opening: dict[str, Any] | None = None
    #: The parts of the selection that were changed on a page.
    changed_by_reader: frozenset[str] = frozenset()

    @traitlets.default("chosen")
    def _chosen_first(self) -> dict[str, Any] | None:
        return self._opening

    grouping = Normalised("grouping").tag(sync=True)
    """Which groups of positions are marked, in every form: the texts of a pair, who speaks, pictures and text, prompt and
    answer, sentences, or your own. `from_group` and `to_group` name two of them.

    - Type: ``str | None``: one of the stream's groupings (see `Attention.groups`), ``"own"`` for what was passed as
      ``groups``, ``None`` for no marks
    - Default: your own, else ``"segment"``, ``"role"``, ``"turn"``, ``"modality"`` or ``"part"``, the first there is
    """

    from_group = Normalised("from_group").tag(sync=True)
    """Of which group's queries links are drawn; what is left out is faint, and no number changes.

    - Type: ``str | None``: a group of `grouping` that has queries
    - Default: ``None``, all of them
    """

    to_group = Normalised("to_group").tag(sync=True)
    """To which group's keys links are drawn.

    - Type: ``str | None``: a group of `grouping` that has keys
    - Default: ``None``, all of them
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a trait, and refuse what is nearly one: Python would take ``view.queries = 3`` without a word.

        Raises:
            AttributeError: If the name is nearly that of a trait.
        """
        if not name.startswith("_") and not hasattr(type(self), name):
            names = (*STATE, "interventions", "metric")
            near = get_close_matches(re.sub("ies$", "y", name), names, n=1, cutoff=0.8)
            if near:
                message = f"The view has no {name!r}: set view.{near[0]} = {value!r}."
                raise AttributeError(message)
        super().__setattr__(name, value)

    @traitlets.validate(*STATE)
    def _check(self, proposal: traitlets.Bunch) -> Any:
        return self.check_part(proposal.trait.name, proposal.value)

    def check_part(self, name: str, value: Any) -> Any:
        """Check a value against what is shown, and against the parts of the selection that it depends on.

        Raises:
            SelectionError: If it is no part of what is shown.
        """
        names = ("stream", "layer", "ranking", "grouping")
        state = {part: getattr(self, part) for part in names}
        return check(self.source, name, value, state)

    @traitlets.validate("_screen")
    def _check_screen(self, proposal: traitlets.Bunch) -> Any:
        try:
            return None if proposal.value is None else check_screen(proposal.value)
        except MessageError as error:
            raise SelectionError(str(error)) from None

    @contextlib.contextmanager
    def hold_trait_notifications(self) -> Iterator[None]:
        """Set several traits as one change, or none of them where any is refused or the block raises.

        traitlets takes the others back for an error of its own only.
        """
        raised: BaseException | None = None
        try:
            with super().hold_trait_notifications():
                try:
                    yield
                except traitlets.TraitError:
                    raise
                except BaseException as error:
                    raise _TakenBackError from error
        except _TakenBackError as taken_back:
            raised = taken_back.__cause__
        if raised is not None:
            # Here and not above, so that it comes as it was raised.
            raise raised

    def set_state(self, sync_data: Any) -> None:
        """Take what the page has set; if any of it is refused, tell the page what holds.

        Raises:
            SelectionError: If a value is none that the page may set, or no part of what is shown.
        """
        if not isinstance(sync_data, dict):
            message = f"A page sets traits by their names, got {in_one_line(sync_data)}."
            raise SelectionError(message)
        names = [name for name in sync_data if name in self.keys]
        own = [name for name in names if name in _OF_THE_KERNEL]
        before = {name: getattr(self, name) for name in names if name in STATE}
        accepted = False
        try:
            for name in set(names) & set(STATE):
                check_state(name, sync_data[name])
            if sync_data.get("_screen") is not None:
                check_screen(sync_data["_screen"])
            super().set_state({name: sync_data[name] for name in names if name not in own})
            accepted = True
            # Some hosts send the whole state back, of which a reader changed a part.
            self.changed_by_reader |= {
                name for name, old in before.items() if getattr(self, name) != old
            }
        except MessageError as error:
            raise SelectionError(str(error)) from None
        finally:
            wrong = [name for name in own if sync_data[name] != getattr(self, name)]
            if not accepted or wrong:
                self.send_state(wrong if accepted else [*set(names) - set(own), *wrong])

    def _handle_msg(self, msg: Any) -> None:
        """Take a message of the page's whose parts are of the right kind; say so of any other."""
        data = msg.get("content", {}).get("data")
        try:
            check_update(data)
        except MessageError as error:
            self.send({"kind": "refused", "error": str(error)})
            return
        super()._handle_msg(msg)

    @traitlets.validate("keys")
    def _check_keys(self, proposal: traitlets.Bunch) -> list[str]:
        # ipywidgets' list of the traits that travel: with pins in it nothing would travel any more, without a word.
        names: list[str] = proposal.value
        if all(isinstance(name, str) for name in names):
            return names
        message = f"keys are ipywidgets' names of synced traits, got {names}: pin key positions with key={names}."
        raise SelectionError(message)

    @traitlets.observe("stream", "layer")
    def _keep_what_fits(self, _change: traitlets.Bunch) -> None:
        """Bring the rest of the selection into what the new stream or layer has."""
        if not self.trait_has_value("layer"):
            return
        stream = named(self.source, self.stream)
        with self.hold_sync():
            numbers = [layer.layer for layer in stream]
            if self.layer not in numbers:
                self.layer = nearest_layer(stream, self.layer)
            count = stream[self.layer].num_heads
            heads = [head for head in self.heads if head < count]
            if heads != self.heads:
                self.heads = heads or [0]
            query = fitting_pins(self.query, len(stream.query_positions))
            if query != self.query:
                self.query = query
            key = fitting_pins(self.key, len(stream.key_positions))
            if key != self.key:
                self.key = key
            if isinstance(self.aside, list):
                kept = [place for place in self.aside if place < len(stream.key_positions)]
                if kept != self.aside:
                    self.aside = kept or None
            pairs = [[a, b] for a, b in self.compare if a in numbers and b < stream[a].num_heads]
            if pairs != self.compare:
                self.compare = pairs

    @traitlets.observe("stream", "ranking")
    def _keep_what_can_be_ranked(self, _change: traitlets.Bunch) -> None:
        """Drop links that the stream does not have, and scores by links where there are none."""
        with self.hold_trait_notifications():
            if self.ranking is not None and not self._fits(self.ranking):
                self.ranking = None
            if self.ranking is None:
                for name in ("score", "other_score"):
                    if getattr(self, name) == RANKING:
                        setattr(self, name, None)

    def _fits(self, ranking: Mapping[str, Any]) -> bool:
        try:
            self.source.heads.links(named(self.source, self.stream), ranking)
        except ValueError:
            return False
        return True

    @traitlets.observe("stream", "grouping")
    def _keep_groups_of_the_stream(self, _change: traitlets.Bunch) -> None:
        """Show the new stream's groups, and drop ends that are no groups of them."""
        names = ("grouping", *ENDS)
        fitting = fitting_groups(
            self.source, self.stream, {name: getattr(self, name) for name in names}
        )
        with self.hold_sync():
            for name, value in fitting.items():
                if getattr(self, name) != value:
                    setattr(self, name, value)

    @traitlets.observe("stream")
    def _keep_layers_of_the_stream(self, _change: traitlets.Bunch) -> None:
        """Drop layers that the new stream does not have."""
        there = [layer.layer for layer in named(self.source, self.stream)]
        for name in ("show_layers", "together_layers"):
            layers = getattr(self, name)
            kept = layers and [layer for layer in there if layer in layers]
            if kept != layers:
                setattr(self, name, kept or None)
