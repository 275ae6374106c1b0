"""A survey in the widget: heads by their mean scores, their most typical examples, and one of these at a time in full."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from anywidget.experimental import command

from attnwidget.attention import Attention, Stream
from attnwidget.capture import capture
from attnwidget.describe import described_layer, described_scores, media_bytes
from attnwidget.finding.kinds import SCORES
from attnwidget.heads import HeadNumbers
from attnwidget.jobs import Jobs
from attnwidget.layer import Layer
from attnwidget.positions import Position
from attnwidget.protocol.axes import pack
from attnwidget.protocol.codec import encode
from attnwidget.widget import AttentionWidget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnwidget.finding.corpus import Survey
    from attnwidget.finding.scores import LayerScores
    from attnwidget.protocol.codec import Block
    from attnwidget.slices import Slices

__all__ = ["SurveyWidget"]

logger = logging.getLogger(__name__)

# Of the texts of examples, so much travels with the first message: each one's beginning, the best examples first.
TEXT_LENGTH = 300
ALL_TEXTS = 400_000
_NAMES = list(SCORES)
_STARTS_WITH = ("induction", "previous", "broad")
_NOWHERE = (Position(""),)
_NO_RECORD = "a survey keeps sums and no weights; open one of its examples."


class SurveyNumbers(HeadNumbers):
    """Mean scores, their spread and typical examples, and rankings by links of the example that is open."""

    def __init__(self, survey: Survey, attention: Attention) -> None:
        """Start with nothing but the survey."""
        super().__init__(attention)
        self._survey = survey

    def scores(self, stream: Stream, measure: str = "weights") -> Slices[Sequence[LayerScores]]:  # noqa: ARG002
        """Return the mean scores of a stream's layers, of whatever the survey measured."""
        yield from ()
        return self._survey.streams[stream.name].moments.scores()

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute the block that a request asks for, those of `HeadNumbers` and besides, float32.

        - ``head_spreads``: ``[2, head, score]``, standard deviations of ``head_scores``;
        - ``typical``: ``[2, head, place]``, index and score of each head's examples for ``score``, -1 for none.
        """
        what = request["what"]
        if what == "head_spreads":
            spread = self._survey.streams[request["stream"]].moments.spread[:2]
            return encode(spread.astype(np.float32))
        if what == "typical":
            typical = self._survey.streams[request["stream"]].typical
            place = _NAMES.index(request["score"])
            both = np.stack([typical.index[:, place], np.nan_to_num(typical.value[:, place])])
            return encode(both.astype(np.float32))
        if what == "ranking" and self._attention[request["stream"]].query_positions is _NOWHERE:
            raise ValueError(_NO_RECORD)
        return (yield from super().work(request))

    def for_a_copy(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the requests whose answers a copy without a kernel brings along: all, those on show first."""
        first = [name for name in (state["score"], state["other_score"]) if name in SCORES]
        names = list(dict.fromkeys([*first, *SCORES]))
        requests: list[dict[str, Any]] = []
        for stream in sorted(self._survey.streams, key=lambda name: name != state["stream"]):
            kinds = ("head_scores", "head_labels", "head_spreads")
            requests += [{"what": what, "stream": stream} for what in kinds]
            requests += [{"what": "typical", "stream": stream, "score": name} for name in names]
        ranked = [one for one in super().for_a_copy(state) if one["what"] == "ranking"]
        return requests + ranked


class SurveyWidget(AttentionWidget):
    """The widget over a survey.

    The model view shows mean scores over the inputs; beside it stand the inputs that are most typical of the selected
    head. Opening one of them records it and shows its attention in the head view and the neuron view.

    Example:
        >>> survey.view(model, tokenizer)  # doctest: +SKIP
    """

    def __init__(
        self,
        survey: Survey,
        model: Any = None,
        tokenizer: Any = None,
        *,
        frozen: bool = False,
        **state: Any,
    ) -> None:
        """Make a widget over a survey.

        Args:
            survey: The survey.
            model: The model, so that examples can be opened; None for a survey alone.
            tokenizer: Its tokenizer; found through the model's name when left out.
            frozen: As for `AttentionWidget`.
            **state: Traits to start with.
        """
        self._survey = survey
        self._model, self._tokenizer = model, tokenizer
        self._example: int | None = None
        first = next(iter(survey.streams.values())).moments.scores()
        defined = [name for name in _STARTS_WITH if _is_defined(first, name)]
        start = {"score": defined[0] if defined else None}
        super().__init__(_no_record(survey), frozen=frozen, **{**start, **state})

    @property
    def survey(self) -> Survey:
        """The survey on show."""
        return self._survey

    @property
    def example(self) -> int | None:
        """Index of the input that is open; None for none."""
        return self._example

    def show_example(self, index: int) -> None:
        """Record one of the survey's inputs and show its attention.

        Args:
            index: Its index, as `Survey.examples` has it.

        Raises:
            ValueError: If the survey does not keep this text whole, the view has no model, or the text cannot be
                recorded.
        """
        text = self._survey.texts.get(index)
        if text is None:
            kept = ", ".join(map(str, itertools.islice(self._survey.texts, 8)))
            message = f"the survey keeps no text of input {index!r}; it keeps those of {kept} …"
            raise ValueError(message)
        if self._model is None:
            message = f"there is no model to record input {index} with: call survey.view(model, tokenizer)."
            raise ValueError(message)
        attention = capture(self._model, text, self._tokenizer)
        self._example = index
        self._attention = attention
        self._heads, self._jobs = SurveyNumbers(self._survey, attention), Jobs()
        meta, overview = self._described(attention)
        with self.hold_trait_notifications(), self.hold_sync():
            self.query = self.key = self.step = self.ranking = None
            self.media = media_bytes(attention)
            self.overview, self.meta = overview, meta

    @command
    def open_example(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Open an example for the reader who clicked it, or say why not."""
        try:
            self.show_example(message["example"])
        except Exception as error:
            logger.debug("The example was not opened.", exc_info=True)
            return {"error": str(error)}, []
        return {}, []

    def _numbers(self, attention: Attention) -> HeadNumbers:
        return SurveyNumbers(self._survey, attention)

    def _described(self, attention: Attention) -> tuple[dict[str, Any], bytes]:
        described, overview = (
            _bare(self._survey) if self._example is None else super()._described(attention)
        )
        about: dict[str, Any] = {
            "inputs": self._survey.count,
            "can_open": self._model is not None,
            "texts": _texts(self._survey),
        }
        if self._example is not None:
            about["example"] = self._example
        return {**described, "survey": about}, overview

    def __repr__(self) -> str:
        return repr(self._survey).replace("Survey(", "SurveyWidget(", 1)


def _is_defined(layers: Sequence[LayerScores], name: str) -> bool:
    place = _NAMES.index(name)
    return any(not np.isnan(layer.values[:, place]).all() for layer in layers)


def _no_record(survey: Survey) -> Attention:
    """Return a stand-in for a record, with the survey's heads; the browser is told of no position."""
    streams = {
        name: Stream(
            name,
            tuple(
                Layer(
                    stream=name,
                    layer=layer,
                    module_path="",
                    num_heads=heads,
                    recorded=torch.ones((heads, 1, 1)),
                    reason=_NO_RECORD,
                )
                for layer, heads in found.moments.layers
            ),
            _NOWHERE,
            _NOWHERE,
        )
        for name, found in survey.streams.items()
    }
    return Attention(survey.model_name, streams)


def _bare(survey: Survey) -> tuple[dict[str, Any], bytes]:
    """Return the meta of a survey without a record, and thumbnails that show nothing."""
    record = _no_record(survey)
    streams, offset = [], 0
    for stream in record.streams.values():
        heads = sum(layer.num_heads for layer in stream)
        place = {"offset": offset, "rows": 1, "columns": 1, "sampled": False}
        layers = [described_layer(layer) for layer in stream]
        axes = {"query_positions": 0, "key_positions": 0}
        streams.append({"name": stream.name, "layers": layers, **axes, "overview": place})
        offset += heads
    described = {
        "version": 1,
        "model": survey.model_name,
        "positions": [pack([])],
        "streams": streams,
        "media": [],
        "scores": described_scores(),
    }
    return described, bytes(offset)


def _texts(survey: Survey) -> dict[str, str]:
    """Return the beginnings of the examples' texts by index, the best examples of every head and score first."""
    places = max(found.typical.index.shape[-1] for found in survey.streams.values())
    ranked = (
        index
        for place in range(places)
        for found in survey.streams.values()
        for index in np.unique(found.typical.index[..., place]).tolist()
    )
    kept: dict[str, str] = {}
    room = ALL_TEXTS
    for index in dict.fromkeys(ranked):
        text = survey.texts.get(index)
        if text is None:
            continue
        shown = text if len(text) <= TEXT_LENGTH else text[:TEXT_LENGTH] + "…"
        room -= len(shown)
        if room < 0:
            break
        kept[str(index)] = shown
    return kept
