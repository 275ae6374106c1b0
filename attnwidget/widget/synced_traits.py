"""What the model view is coloured and ordered by: the widget's traits for scores and rankings."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import traitlets

from attnwidget.analysis.find_heads import links
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.record.position_lookup import resolve
from attnwidget.serve.meta import num_steps
from attnwidget.serve.selection import (
    STATE,
    SelectionError,
    check_heads,
    check_layer,
    check_pairs,
    check_pins,
    check_shown_layers,
    check_step,
    fitting_pins,
    nearest,
)
from attnwidget.widget.trait_types import Anything, HeadList

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.analysis.find_heads import Pattern
    from attnwidget.attention import Attention
    from attnwidget.record.position_lookup import Place
    from attnwidget.record.stream import Stream
    from attnwidget.serve.head_numbers import HeadNumbers
    from attnwidget.serve.jobs import Jobs


__all__ = ["FORMS", "RANKING", "Filters", "Scoring", "Selecting"]

RANKING = "ranking"

ARRANGEMENTS = ("layers", "rank", "rank_by_layer", "scatter")


class Scoring(traitlets.HasTraits):  # type: ignore[misc,unused-ignore]  # traitlets' own base, untyped in old versions
    """The half of the widget that scores heads; what is selected are the widget's own traits."""

    if TYPE_CHECKING:
        _attention: Attention
        _heads: HeadNumbers
        _jobs: Jobs
        stream: str
        query: int | list[int] | None
        key: int | list[int] | None

        def _named(self, name: str) -> Stream:
            """Return a stream."""

    _score_names: tuple[str, ...] = tuple(SCORES)

    score = Anything(None).tag(sync=True)
    """What heads are coloured by in the model view; computed when first asked for.

    - Type: a name in `attnwidget.SCORES`, ``"ranking"`` after `rank`, or ``None`` for thumbnails alone
    - Default: ``None``
    """

    other_score = Anything(None).tag(sync=True)
    """The vertical axis of the scatter.

    - Type: as ``score``
    - Default: ``None``, which stands for ``"broad"``
    """

    without_sink = traitlets.Bool(False).tag(sync=True)  # noqa: FBT003  (traitlets' own signature)
    """Whether scores are those with the sink set aside: the first position and all special tokens.

    - Type: ``bool``
    - Default: ``False``
    """

    arrange = traitlets.Enum(ARRANGEMENTS, "layers").tag(sync=True)
    """How the model view stands: as the model has its heads, all in one ranking by their score, each layer's heads in
    a ranking, or as dots over two scores.

    - Type: ``"layers" | "rank" | "rank_by_layer" | "scatter"``
    - Default: ``"layers"``
    """

    threshold = Anything(None).tag(sync=True)
    """Heads with a lower score are faint.

    - Type: ``float | None``, 0 to 1
    - Default: ``None``
    """

    ranking = Anything(None).tag(sync=True)
    """The links that heads are ranked by, as `rank` sets it.

    - Type: ``{"queries": list[int] | None, "keys": list[int]} | {"pattern": str, "number": int} | None``
    - Default: ``None``
    """

    def rank(
        self,
        query: Place | None = None,
        key: Place | None = None,
        *,
        pattern: Pattern | None = None,
        name: str = "pattern",
    ) -> None:
        """Colour all heads by the weight of some links, and put them in one ranking; `Attention.find` as a picture.

        Args:
            query: A query's position, a slice, a token's text, or several of either; ``None`` for all queries.
            key: Keys, in the same way. With neither, the pinned query and key.
            pattern: Instead of both, a 0/1 mask ``[query, key]``, or a function from query positions and key positions
                to one.
            name: What the legend calls the pattern.

        Raises:
            ValueError: If nothing is named or pinned, a token is not there or is there several times, a position does
                not exist, the pattern is no mask, or the model's mask hides all of the links.

        Example:
            >>> view.rank(query="it", key="cat")  # doctest: +SKIP
        """
        stream = self._named(self.stream)
        if query is None and key is None and pattern is None:
            query, key = self.query, self.key
            if key is None:
                message = "rank takes key (and query), or pattern, or a pinned key: for instance view.rank(query='it', key='cat')."
                raise ValueError(message)
        asked = links(stream, query, key, pattern)
        ranking: dict[str, Any]
        if pattern is not None:
            ranking = {"pattern": str(name), "number": self._heads.add_pattern(asked)}
        else:
            queries = (
                None if query is None else list(resolve("query", query, stream.query_positions))
            )
            keys = asked.mask[0].nonzero()[:, 0].tolist()
            ranking = {"queries": queries, "keys": keys}
        request = {"what": "ranking", "stream": stream.name, "ranking": ranking}
        # Says now what the browser would be told, and has it ready for the browser.
        self._jobs.run(self._heads.work(request))
        with self.hold_trait_notifications():
            self.ranking, self.score = ranking, RANKING
            if self.arrange in {"layers", "rank_by_layer"}:
                self.arrange = "rank"

    @traitlets.validate("score", "other_score")
    def _check_score(self, proposal: traitlets.Bunch) -> str | None:
        name, value = proposal.trait.name, proposal.value
        if value is None or (isinstance(value, str) and value in self._score_names):
            return value
        if value == RANKING and self.ranking is not None:
            return RANKING
        accepted = f"{name} must be one of {', '.join(self._score_names)}, or None"
        if value == RANKING:
            message = f"{accepted}; 'ranking' needs links to rank by: call view.rank(query='it', key='cat')."
        else:
            message = f"{accepted}, got {value!r}."
        raise SelectionError(message)

    @traitlets.validate("threshold")
    def _check_threshold(self, proposal: traitlets.Bunch) -> float | None:
        value = proposal.value
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not 0 <= number <= 1 or isinstance(value, (bool, str)):
            message = (
                f"threshold must be a number from 0 to 1, or None for all heads, got {value!r}."
            )
            raise SelectionError(message)
        return number

    @traitlets.validate("ranking")
    def _check_ranking(self, proposal: traitlets.Bunch) -> dict[str, Any] | None:
        value = proposal.value
        if value is None:
            return None
        known = {"queries", "keys"}, {"pattern", "number"}
        if not isinstance(value, dict) or set(value) not in known:
            message = (
                f"ranking must be {{'queries': [6], 'keys': [2]}} or None, got {value!r}: call "
                "view.rank(query='it', key='cat')."
            )
            raise SelectionError(message)
        try:
            self._heads.links(self._named(self.stream), value)
        except ValueError as error:
            raise SelectionError(*error.args) from error
        return {
            name: list(one) if isinstance(one, (list, tuple, range)) else one
            for name, one in value.items()
        }

    @traitlets.observe("stream", "ranking")
    def _keep_what_can_be_ranked(self, _change: traitlets.Bunch) -> None:
        """Let go of links that the stream does not have, and of the ranking by links that are none."""
        with self.hold_trait_notifications():
            if self.ranking is not None and not self._fits(self.ranking):
                self.ranking = None
            if self.ranking is None:
                for name in ("score", "other_score"):
                    if getattr(self, name) == RANKING:
                        setattr(self, name, None)

    def _fits(self, ranking: Mapping[str, Any]) -> bool:
        try:
            self._heads.links(self._named(self.stream), ranking)
        except ValueError:
            return False
        return True


FORMS = ("lines", "matrix", "image", "text")


class Selecting(traitlets.HasTraits):  # type: ignore[misc,unused-ignore]  # traitlets' own base, untyped in old versions
    """The half of the widget that knows what of the record can be selected; the traits are the widget's own."""

    if TYPE_CHECKING:
        _attention: Attention
        stream: str
        layer: int
        heads: list[int]
        query: int | list[int] | None
        key: int | list[int] | None
        compare: list[list[int]]

        def hold_sync(self) -> Any:
            """Send what changes in one message, as ipywidgets does."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a trait, and refuse what is nearly one: Python would take ``view.queries = 3`` without a word.

        Raises:
            AttributeError: If the name is nearly that of a trait.
        """
        if not name.startswith("_") and not hasattr(type(self), name):
            near = get_close_matches(re.sub("ies$", "y", name), STATE, n=1, cutoff=0.8)
            if near:
                message = f"The view has no {name!r}: set view.{near[0]} = {value!r}."
                raise AttributeError(message)
        super().__setattr__(name, value)

    def _named(self, name: str) -> Stream:
        streams = self._attention.streams
        if name not in streams:
            message = f"stream must be one of {', '.join(map(repr, streams))}, got {name!r}."
            raise SelectionError(message)
        return streams[name]

    @traitlets.validate("stream")
    def _check_stream(self, proposal: traitlets.Bunch) -> str:
        return self._named(proposal.value).name

    @traitlets.validate("layer")
    def _check_layer(self, proposal: traitlets.Bunch) -> int:
        return check_layer(self._named(self.stream), proposal.value)

    @traitlets.validate("heads")
    def _check_heads(self, proposal: traitlets.Bunch) -> list[int]:
        stream = self._named(self.stream)
        return check_heads(stream[check_layer(stream, self.layer)], proposal.value)

    @traitlets.validate("query", "key")
    def _check_pins(self, proposal: traitlets.Bunch) -> int | list[int] | None:
        name: str = proposal.trait.name
        stream = self._named(self.stream)
        positions = stream.query_positions if name == "query" else stream.key_positions
        return check_pins(name, positions, proposal.value)

    @traitlets.validate("keys")
    def _check_keys(self, proposal: traitlets.Bunch) -> list[str]:
        # ipywidgets' list of the traits that travel: with pins in it nothing would travel any more, without a word.
        names: list[str] = proposal.value
        if all(isinstance(name, str) for name in names):
            return names
        message = f"keys are ipywidgets' names of synced traits, got {names}: pin key positions with key={names}."
        raise SelectionError(message)

    @traitlets.validate("step")
    def _check_step(self, proposal: traitlets.Bunch) -> int | None:
        return check_step(num_steps(self._attention), proposal.value)

    @traitlets.validate("form")
    def _check_form(self, proposal: traitlets.Bunch) -> str:
        form: str = proposal.value
        streams = self._attention.streams.values()
        missing = {
            "image": ("no picture and no sound", any(stream.lies_in_media for stream in streams)),
            "text": ("no text", any(stream.has_text for stream in streams)),
        }
        if form in missing and not missing[form][1]:
            others = [repr(name) for name in FORMS if missing.get(name, ("", True))[1]]
            accepted = f"{', '.join(others[:-1])} or {others[-1]}"
            message = (
                f"form must be {accepted}, got {form!r}: {missing[form][0]} is in this record."
            )
            raise SelectionError(message)
        return form

    @traitlets.validate("compare")
    def _check_compare(self, proposal: traitlets.Bunch) -> list[list[int]]:
        return check_pairs(self._named(self.stream), proposal.value)

    @traitlets.observe("stream", "layer")
    def _keep_what_fits(self, _change: traitlets.Bunch) -> None:
        """Bring the rest of the selection into what the new stream or layer has."""
        if not self.trait_has_value("layer"):
            return
        stream = self._named(self.stream)
        with self.hold_sync():
            numbers = [layer.layer for layer in stream]
            if self.layer not in numbers:
                self.layer = nearest(self._attention, self.stream, self.layer)
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
            pairs = [[a, b] for a, b in self.compare if a in numbers and b < stream[a].num_heads]
            if pairs != self.compare:
                self.compare = pairs


class _Layers(HeadList):
    """Several layers: one integer, any iterable of them (list, range, array), or None for all."""

    allow_none = True


class Filters(traitlets.HasTraits):  # type: ignore[misc,unused-ignore]  # traitlets' own base, untyped in old versions
    """The part of the widget that leaves heads of the model view out; what is selected stays selected."""

    if TYPE_CHECKING:
        stream: str

        def _named(self, name: str) -> Stream:
            """Return a stream."""

    below_threshold = traitlets.Enum(("faint", "hidden"), "faint").tag(sync=True)
    """What becomes of heads below the threshold: drawn faint, or left out with the gaps closed. A ranking leaves them
    out either way.

    - Type: ``"faint" | "hidden"``
    - Default: ``"faint"``
    """

    show_layers = _Layers(None).tag(sync=True)
    """The layers that the model view shows, by the model's own numbers. The other views show any layer.

    - Type: ``list[int] | None``; a range or any other iterable is taken
    - Default: ``None``, all layers of the stream
    """

    @traitlets.validate("show_layers")
    def _check_show_layers(self, proposal: traitlets.Bunch) -> list[int] | None:
        return check_shown_layers(self._named(self.stream), proposal.value)

    @traitlets.observe("stream")
    def _keep_layers_of_the_stream(self, _change: traitlets.Bunch) -> None:
        """Let go of layers that the new stream does not have."""
        shown = self.show_layers
        if shown is None:
            return
        kept = [layer.layer for layer in self._named(self.stream) if layer.layer in shown]
        if kept != shown:
            self.show_layers = kept or None
