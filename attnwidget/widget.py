"""The widget: traits for the shared selection, answers for the front end, files for the paper."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from anywidget.experimental import command

from attnwidget.blocks import work
from attnwidget.describe import describe, media_bytes, num_steps
from attnwidget.drawn import Rollouts
from attnwidget.filters import Filters
from attnwidget.freezing import Freezing
from attnwidget.heads import HEAD_KINDS, HeadNumbers
from attnwidget.jobs import Jobs, text_of
from attnwidget.saving import Saving
from attnwidget.scoring import Scoring
from attnwidget.static_files import front_end
from attnwidget.thumbnails import OVERVIEW_KINDS, Thumbnails
from attnwidget.traits import (
    STATE,
    HeadList,
    HeadPairs,
    Number,
    Pins,
    SelectionError,
    check_heads,
    check_layer,
    check_pairs,
    check_pins,
    check_step,
    fitting_pins,
    nearest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from attnwidget.attention import Attention, Stream
    from attnwidget.protocol.codec import Block
    from attnwidget.slices import Slices

__all__ = ["STATE", "AttentionWidget"]

logger = logging.getLogger(__name__)

FORMS = ("lines", "matrix", "image", "text")
MEASURES = ("weights", "value", "norm", "rollout")
VIEWS = ("all", "model", "head", "neuron", "compare")


class AttentionWidget(Freezing, Saving, Scoring, Filters, anywidget.AnyWidget):
    """Three linked views over one record of attention.

    The reader sees a toolbar, the model view, the head view and the neuron view; below them, in words, what is
    selected. Every trait in this list is two-way: read it, set it, observe it, or link it to another widget.

    Example:
        >>> view = AttentionWidget(attention)  # doctest: +SKIP
        >>> view.layer, view.heads = 3, [5, 7]  # doctest: +SKIP
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _bundle = traitlets.Bytes().tag(sync=True)

    view = traitlets.Enum(VIEWS, "all").tag(sync=True)
    """Which view is open: all of them, or one.

    - Type: ``"all" | "model" | "head" | "neuron" | "compare"``
    - Default: ``"all"``
    """

    stream = traitlets.Unicode().tag(sync=True)
    """Which attention is shown: one of the record's streams. Setting it keeps what still fits of the selection.

    - Type: ``str``
    - Default: the record's first stream
    """

    layer = Number(0).tag(sync=True)
    """The layer, as the model counts it.

    - Type: ``int``
    - Default: the stream's first layer
    """

    heads = HeadList([0]).tag(sync=True)
    """The heads of that layer that are drawn.

    - Type: ``list[int]``, at least one
    - Default: ``[0]``
    """

    query = Pins(None, allow_none=True).tag(sync=True)
    """The pinned query position, or several. What is read of several is the mean of their weights.

    - Type: ``int | list[int] | None``; the first of a list leads
    - Default: ``None``
    """

    key = Pins(None, allow_none=True).tag(sync=True)
    """The pinned key position, or several. What is read of several is the sum of their weights.

    - Type: ``int | list[int] | None``; the first of a list leads
    - Default: ``None``
    """

    measure = traitlets.Enum(MEASURES, "weights").tag(sync=True)
    """What is drawn of a head; the legend names it. `Layer.measure` and `Attention.rollout` have the formulas. Where a
    layer cannot give it, the view says why. The neuron view keeps to weights.

    - Type: ``"weights" | "value" | "norm" | "rollout"``
    - Default: ``"weights"``
    """

    positions = traitlets.Enum(("pieces", "words"), "pieces").tag(sync=True)
    """Whether the pieces of a word stand as one: summed over the pieces of a key, averaged over the pieces of a query,
    as `Attention.words` does. Pins stay positions of the record: a word that is clicked pins all its pieces.

    - Type: ``"pieces" | "words"``
    - Default: ``"pieces"``
    """

    form = traitlets.Enum(FORMS, "lines").tag(sync=True)
    """How heads are drawn: lines between tokens, a matrix, over the picture or the sound that went in, or as the
    running text, shaded by what the pinned query attends to, or by what attends to the pinned key.

    A stream without picture or sound is drawn as lines when the form is ``"image"``, one without text when it is
    ``"text"``. Compared heads stay lines then: a difference is between pairs.

    - Type: ``"lines" | "matrix" | "image" | "text"``
    - Default: ``"image"`` for a record with a picture or a sound, else ``"lines"``
    """

    compare = HeadPairs([]).tag(sync=True)
    """Heads pinned side by side, from any layers of the stream; the first two also as their difference.

    - Type: ``list[tuple[layer, head]]``
    - Default: ``[]``
    """

    step = Number(None, allow_none=True).tag(sync=True)
    """Of a generation: the token that is about to be chosen, counted from 0. The views show what there was by then.

    - Type: ``int | None``
    - Default: ``None``, all of it
    """

    theme = traitlets.Enum(("auto", "light", "dark"), "auto").tag(sync=True)
    """Colours: those of the notebook, or always light or dark.

    - Type: ``"auto" | "light" | "dark"``
    - Default: ``"auto"``
    """

    meta = traitlets.Dict().tag(sync=True)
    overview = traitlets.Bytes().tag(sync=True)
    media = traitlets.Bytes().tag(sync=True)
    # None where there is no single record.
    _thumbnails: Thumbnails | None = None
    _screen = traitlets.Dict(None, allow_none=True).tag(sync=True)
    _own_layout: Any = None

    def __init__(self, attention: Attention, *, frozen: bool = False, **state: Any) -> None:
        """Make a widget over a record.

        Args:
            attention: What `capture`, `recording`, `load` or `from_weights` gave.
            frozen: Show a copy that needs no kernel (see `freeze`) wherever the view is shown.
            **state: Traits to start with, such as ``layer=3, heads=[5]``.

        Raises:
            ValueError: If the record has no such stream, layer, head or position.
        """
        self._attention = attention
        self._heads = self._numbers(attention)
        self._rollouts = Rollouts()
        self._jobs = Jobs()
        self._always_frozen = frozen
        self._saving: dict[str, Path] = {}
        unknown = sorted(set(state) - set(STATE))
        if unknown:
            message = f"Unknown option {unknown[0]!r}; accepted are {', '.join(STATE)}."
            raise TypeError(message)
        first = next(iter(attention.streams))
        stream = self._named(state.get("stream", first))
        start = {"stream": stream.name, "layer": next(iter(stream)).layer}
        if any(each.lies_in_media for each in attention.streams.values()):
            start["form"] = "image"  # lines between hundreds of patches say nothing
        meta, overview = self._described(attention)
        # All at once, so that the first message to the browser is the only one it needs to draw.
        first_message = {**front_end(), "meta": meta, "overview": overview}
        first_message["media"] = media_bytes(attention)
        super().__init__(**first_message, **{**start, **state})

    def _numbers(self, attention: Attention) -> HeadNumbers:
        return HeadNumbers(attention)

    def _described(self, attention: Attention) -> tuple[dict[str, Any], bytes]:
        self._thumbnails = Thumbnails(attention)
        return describe(attention, self._thumbnails)

    def open(self) -> None:
        """Connect to the browser; a frozen view never does, so that nothing of it stays in the notebook's metadata."""
        if not self._always_frozen:
            super().open()
            self._own_layout = self.layout

    def close(self) -> None:
        """Take the widget off every page and disconnect it from the browser; the record stays.

        ipywidgets leaves the layout behind that it made for a widget: a hundred closed widgets would leave a hundred.
        """
        super().close()
        if self._own_layout is not None and self.layout is self._own_layout:
            self._own_layout.close()

    @property
    def attention(self) -> Attention:
        """The record on show."""
        return self._attention

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
        return check_pins(name, len(positions), proposal.value)

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

    @command
    def blocks(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Answer the front end's requests, within a time slice; one that fails is answered with its reason."""
        replies, buffers = self._jobs.reply(message.get("requests", []), self._work)
        return {"replies": replies}, buffers

    def _work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        if request["what"] in HEAD_KINDS:
            return self._heads.work(request)
        if request["what"] in OVERVIEW_KINDS and self._thumbnails is not None:
            return self._thumbnails.work(request)
        return work(self._attention, request, self._rollouts)

    @command
    def saved(
        self, message: dict[str, Any], buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Take the figure that `save` asked the browser for."""
        path = self._saving.pop(message.get("token", ""), None)
        if path is not None and buffers:
            path.write_bytes(bytes(buffers[0]))
            logger.info("Wrote %s.", path)
        elif path is not None:
            # A warning and no log entry: the call that asked has long returned, and this is all the reader gets.
            warnings.warn(f"{path} was not written: {message.get('error')}", stacklevel=2)
        return {}, []

    @command
    def freeze_shown(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Freeze the widget for the button in its toolbar, or say why not."""
        try:
            self._freeze_shown(message["height"])
        except Exception as error:
            logger.debug("Freezing failed.", exc_info=True)
            return {"error": text_of(error)}, []
        return {}, []

    def __repr__(self) -> str:
        return repr(self._attention).replace("Attention(", "AttentionWidget(", 1)
