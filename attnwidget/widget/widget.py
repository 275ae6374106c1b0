"""The widget: traits for the shared selection, answers for the front end, files for the paper."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from anywidget.experimental import command

from attnwidget.serve.blocks import Rollouts, work
from attnwidget.serve.head_numbers import HEAD_KINDS, HeadNumbers
from attnwidget.serve.jobs import Jobs, text_of
from attnwidget.serve.meta import describe, media_bytes
from attnwidget.serve.selection import STATE
from attnwidget.serve.static_files import front_end
from attnwidget.serve.thumbnails import OVERVIEW_KINDS, Thumbnails
from attnwidget.widget.notebook_display import Freezing
from attnwidget.widget.save import Saving
from attnwidget.widget.synced_traits import FORMS, Filters, Scoring, Selecting
from attnwidget.widget.trait_types import HeadList, HeadPairs, Number, Pins

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from attnwidget.attention import Attention
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block

__all__ = ["STATE", "AttentionWidget"]

logger = logging.getLogger(__name__)

MEASURES = ("weights", "value", "norm", "rollout")
VIEWS = ("all", "model", "head", "neuron", "compare")


class AttentionWidget(Freezing, Saving, Scoring, Filters, Selecting, anywidget.AnyWidget):
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

    - Type: ``int | list[int] | None``; the first of a list leads. A token's text is taken, and becomes its position
    - Default: ``None``
    """

    key = Pins(None, allow_none=True).tag(sync=True)
    """The pinned key position, or several. What is read of several is the sum of their weights.

    - Type: ``int | list[int] | None``; the first of a list leads. A token's text is taken, and becomes its position
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

    @command
    def blocks(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Answer the front end's requests, within a time slice; one that fails is answered with its reason."""
        requests = message.get("requests", [])
        aside = all(request.get("what") in OVERVIEW_KINDS for request in requests)
        replies, buffers = self._jobs.reply(requests, self._work, aside=aside)
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
