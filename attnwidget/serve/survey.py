"""`SurveySource`: scores, typical examples and description of a survey, and the example that is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.score_definitions import SCORES
from attnwidget.compute.checks import is_word, shown
from attnwidget.compute.not_numbers import largest
from attnwidget.protocol.codec import encode
from attnwidget.protocol.constants import WEIGHTED_MEASURES
from attnwidget.protocol.positions import pack
from attnwidget.record.aside import FIRST_AND_SPECIAL
from attnwidget.serve.head_numbers import (
    HEAD_KINDS,
    HeadNumbers,
    labels_block,
    ranking_request,
    scored_aside,
)
from attnwidget.serve.meta import described_scores
from attnwidget.serve.opening import CHOSEN_BY_CALLER, labelled, others
from attnwidget.serve.source import RecordSource, Source
from attnwidget.serve.survey_contexts import contexts_block, contexts_kept
from attnwidget.surveys.contexts.rules import LINK
from attnwidget.surveys.gold_links.shown_scores import ShownLinks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.head_scores import LayerScores
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.record.positions import Positions
    from attnwidget.record.record import Record
    from attnwidget.serve.opening import Chosen
    from attnwidget.serve.streams import ShownLayer, ShownStream
    from attnwidget.surveys.survey import Survey

    Numbers = NDArray[np.float32]

__all__ = ["SurveySource", "example_texts"]

# Of the texts of examples, so much travels with the first message: each one's beginning, the best examples first.
TEXT_LENGTH = 300
ALL_TEXTS = 400_000

_NAMES = list(SCORES)
_STARTS_WITH = ("induction", "previous", "broad")
NO_WEIGHTS = "a survey keeps sums and no weights; open one of its examples."


@dataclass(frozen=True, slots=True)
class SurveyLayer:
    """A layer of a survey: it has heads, and no positions."""

    stream: str
    layer: int
    num_heads: int
    n_query: int = 0
    n_key: int = 0


@dataclass(frozen=True, slots=True)
class SurveyStream:
    """A stream of a survey without an example that is open: it has layers, and no positions."""

    name: str
    layers: tuple[SurveyLayer, ...]
    query_positions: Positions = ()
    key_positions: Positions = ()
    lies_in_media: bool = False
    has_text: bool = True

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[SurveyLayer]:
        return iter(self.layers)

    def __getitem__(self, number: int) -> SurveyLayer:
        """Return a layer by the model's number.

        Raises:
            IndexError: If there is no such layer.
        """
        for layer in self.layers:
            if layer.layer == number:
                return layer
        message = f"stream {self.name!r} of the survey has no layer {number!r}."
        raise IndexError(message)


class SurveyNumbers(HeadNumbers):
    """Mean scores, their spread, gold links and typical examples, and rankings by links of the example that is open."""

    def __init__(
        self,
        survey: Survey,
        streams: Mapping[str, ShownStream],
        example: HeadNumbers | None,
        gold: ShownLinks,
    ) -> None:
        """Start with nothing but the survey, its gold links, and the numbers of the example that is open."""
        super().__init__(streams)
        self._survey = survey
        self._gold = gold
        self._example = example

    def add_pattern(self, asked: Any) -> int:
        """Keep a pattern for `links`; return its number."""
        return (
            super().add_pattern(asked)
            if self._example is None
            else self._example.add_pattern(asked)
        )

    def links(self, stream: ShownStream, ranking: Mapping[str, Any]) -> Any:
        """Return the links that a ``Ranking`` names; see `HeadNumbers.links`."""
        return (
            super().links(stream, ranking)
            if self._example is None
            else self._example.links(stream, ranking)
        )

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute the block that a request asks for, those of `RecordNumbers` and besides, float32.

        - ``head_scores``: those of gold links after the others, which set their own keys aside: the same in both;
        - ``head_spreads``: ``[2, head, score]``, standard deviations of ``head_scores``, NaN of gold links;
        - ``typical``: ``[2, head, place]``, index and score of each head's examples for ``score``, -1 for none;
        - ``contexts``: the places in which one head does most; see `contexts_block`.

        Scores are of whatever the survey measured.
        """
        what = request["what"]
        if what == "ranking":
            if self._example is None:
                raise ValueError(NO_WEIGHTS)
            return (yield from self._example.work(request))
        if scored_aside(request.get("aside")):
            message = (
                "a survey has scores of all weight, and with the first position and special tokens set aside: "
                f"pass aside={FIRST_AND_SPECIAL!r} or None, got {shown(request['aside'])}."
            )
            raise ValueError(message)
        if what == "contexts":
            return contexts_block(self._survey, request)
        found = self._survey.streams[request["stream"]]
        gold = self._gold.values[request["stream"]]
        if what == "head_scores":
            scores = found.moments.scores()
            whole = np.concatenate([layer.values for layer in scores])
            without = np.concatenate([layer.without for layer in scores])
            return encode(_beside(np.stack([whole, without]), gold))
        if what == "head_labels":
            return labels_block(found.moments.scores())
        if what == "head_spreads":
            return encode(_beside(found.moments.spread[:2], np.full_like(gold, np.nan)))
        if request["score"] not in _NAMES:
            message = f"inputs are ranked by one of {', '.join(_NAMES)}, got {request['score']!r}."
            raise ValueError(message)
        place = _NAMES.index(request["score"])
        typical = found.typical
        both = np.stack([typical.index[:, place], np.nan_to_num(typical.value[:, place])])
        return encode(both.astype(np.float32))

    def snapshot_requests(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the requests whose answers a copy without a kernel brings along: all, those on show first."""
        first = [name for name in (state["score"], state["other_score"]) if name in SCORES]
        names = list(dict.fromkeys([*first, *SCORES]))
        requests: list[dict[str, Any]] = []
        for stream in sorted(self._survey.streams, key=lambda name: name != state["stream"]):
            kinds = ("head_scores", "head_labels", "head_spreads")
            requests += [{"what": what, "stream": stream} for what in kinds]
            requests += [{"what": "typical", "stream": stream, "score": name} for name in names]
        if state["ranking"] is not None:
            requests.append(ranking_request(state))
        return requests + self._context_requests(state)

    def _context_requests(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the requests for contexts: of the score on show and the strongest links, the heads on show first."""
        score = state["score"] if is_word(state["score"], SCORES) else LINK
        shown = {(state["stream"], state["layer"], head) for head in state["heads"]}
        heads = [
            (name, layer, head)
            for name, found in self._survey.streams.items()
            if found.contexts is not None
            for layer, count in found.moments.layers
            for head in range(count)
        ]
        return [
            {"what": "contexts", "stream": name, "score": rule, "of": [layer, head]}
            for name, layer, head in sorted(heads, key=lambda one: one not in shown)
            for rule in dict.fromkeys((score, LINK))
        ]


class SurveySource(Source):
    """A survey, and the record of one of its examples where one is open."""

    figure_kind = "model"
    python_name = "survey"

    def __init__(
        self, survey: Survey, example: tuple[int, Record] | None = None, *, can_open: bool = False
    ) -> None:
        """Show a survey.

        Args:
            survey: The survey.
            example: Index and record of the input that is open.
            can_open: Whether there is a model to record examples with.
        """
        self.survey = survey
        self.example = None if example is None else example[0]
        self._can_open = can_open
        self._record = None if example is None else RecordSource(example[1])
        self.has_weights = example is not None
        if self._record is not None:
            self.num_steps, self.media = self._record.num_steps, self._record.media
            self.groups = self._record.groups
        self._streams: Mapping[str, ShownStream] = (
            self._record.streams
            if self._record is not None
            else {
                name: SurveyStream(
                    name, tuple(SurveyLayer(name, *layer) for layer in found.moments.layers)
                )
                for name, found in survey.streams.items()
            }
        )
        numbers = None if self._record is None else self._record.heads
        self._gold = ShownLinks.of(survey.streams)
        self.score_names = (*SCORES, *self._gold.names)
        self._heads = SurveyNumbers(survey, self._streams, numbers, self._gold)

    @property
    def streams(self) -> Mapping[str, ShownStream]:
        """The streams of the example that is open, or those of the survey."""
        return self._streams

    @property
    def heads(self) -> HeadNumbers:
        """The survey's scores."""
        return self._heads

    @property
    def record(self) -> Record:
        """The record of the example that is open.

        Raises:
            ValueError: If none is.
        """
        return self._opened().record

    def meta(self, *, thumbnails: bool = True) -> tuple[dict[str, Any], bytes]:
        """Return the survey's description; see `Source.meta`."""
        described, overview = (
            self._bare() if self._record is None else self._record.meta(thumbnails=thumbnails)
        )
        about: dict[str, Any] = {
            "inputs": self.survey.count,
            "can_open": self._can_open,
            "texts": example_texts(self.survey),
        }
        if kept := contexts_kept(self.survey):
            about["contexts"] = kept
        if gold := self._gold.described():
            about["links"] = gold
        if self.example is not None:
            about["example"] = self.example
        scores = described_scores((*SCORES.values(), *self._gold.scores))
        return {**described, "scores": scores, "survey": about}, overview

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute a block of the survey's scores or of the open example; see `Source.work`."""
        if request["what"] in HEAD_KINDS:
            return self._heads.work(request)
        return self._opened().work(request)

    def group_requests(self) -> Iterator[dict[str, Any]]:
        """Yield the requests for shares of groups of the open example; see `Source.group_requests`."""
        return iter(()) if self._record is None else self._record.group_requests()

    def requests(self, layer: ShownLayer, head: int) -> Iterator[dict[str, Any]]:
        """Yield the requests about one head of the open example; see `Source.requests`."""
        return self._opened().requests(layer, head)

    def block(
        self,
        ref: tuple[str, int, int],
        queries: Sequence[int],
        keys: Sequence[int],
        *,
        measure: str = "weights",
        side: str | None = None,
    ) -> Numbers:
        """Return a block of one head of the open example; see `Source.block`."""
        return self._opened().block(ref, queries, keys, measure=measure, side=side)

    def scores(
        self, ref: tuple[str, int, int], queries: Sequence[int], keys: Sequence[int]
    ) -> Numbers | None:
        """Return scores of one head of the open example; see `Source.scores`."""
        return self._opened().scores(ref, queries, keys)

    def with_thumbnails(
        self, meta: Mapping[str, Any], overview: bytes
    ) -> tuple[dict[str, Any], bytes]:
        """Return a copy's meta and bytes, with all thumbnails; see `Source.with_thumbnails`."""
        # A copy has no model: what cannot be opened there must not look as if it could.
        there = {**meta, "survey": {**meta["survey"], "can_open": False}}
        if self._record is None:
            return there, overview
        return self._record.with_thumbnails(there, overview)

    def start(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the first score that is defined, of those most often asked for; see `Source.start`."""
        layers = next(iter(self.survey.streams.values())).moments.scores()
        defined = [name for name in _STARTS_WITH if _is_defined(layers, name)]
        return {**super().start(given), "score": defined[0] if defined else None}

    def choose(self, given: Mapping[str, Any]) -> Chosen | None:
        """Return the head with the highest mean score; see `Source.choose`."""
        start = {**self.start(given), **given}
        name, score = start["stream"], start["score"]
        if CHOSEN_BY_CALLER & set(given) or not (
            is_word(name, self.survey.streams) and is_word(score, self.score_names)
        ):
            return None
        at, value = self._best(name, score, start.get("aside"))
        if not np.isfinite(value):
            return None
        layers = self.survey.streams[name].moments.scores()
        heads = [(layer.layer, head) for layer in layers for head in range(len(layer.values))]
        layer, number = heads[at]
        head = {"stream": name, "layer": layer, "head": number, "query": None, "key": None}
        what = f"mean score, {SCORES[score].label}" if score in SCORES else f"{score},"
        why = f"the head with the highest {what} {value:.3f}"
        also = others(labelled(layers), (layer, number))
        return {**head, "weight": value, "why": why, "also": also}

    def _best(self, stream: str, score: str, aside: object) -> tuple[int, float]:
        """Return the place of the head with the highest score among all of a stream, and the score, NaN where none has one."""
        if score not in SCORES:
            found = self._gold.best(stream, score)
            values = self._gold.values[stream][:, self._gold.names.index(score)]
            return (0, np.nan) if found is None else (found, float(values[found]))
        layers = self.survey.streams[stream].moments.scores()
        # Of the scores that heads are coloured by.
        without = is_word(aside, (FIRST_AND_SPECIAL,))
        tables = [layer.without if without else layer.values for layer in layers]
        values = np.concatenate(tables)[:, _NAMES.index(score)]
        place = largest(values)
        return place, float(values[place])

    def _opened(self) -> RecordSource:
        if self._record is None:
            raise ValueError(NO_WEIGHTS)
        return self._record

    def _bare(self) -> tuple[dict[str, Any], bytes]:
        """Return the meta of a survey without a record, and thumbnails that show nothing."""
        streams, offset = [], 0
        for stream in self._streams.values():
            place = {"offset": offset, "rows": 1, "columns": 1, "sampled": False}
            layers = [_described_layer(layer) for layer in stream]
            axes = {"query_positions": 0, "key_positions": 0}
            streams.append({"name": stream.name, "layers": layers, **axes, "overview": place})
            offset += sum(layer.num_heads for layer in stream)
        described = {
            "version": 1,
            "model": self.survey.model_name,
            "positions": [pack([])],
            "streams": streams,
            "media": [],
        }
        return described, bytes(offset)


def _beside(both: NDArray[Any], gold: NDArray[Any]) -> Numbers:
    """Return numbers of all weight and of what remains, ``[2, head, score]``, with those of gold links in each."""
    scores = np.concatenate([both, np.stack([gold, gold])], axis=2)
    return scores.astype(np.float32)


def _is_defined(layers: Sequence[LayerScores], name: str) -> bool:
    place = _NAMES.index(name)
    return any(layer.rows[:, place].any() for layer in layers)


def _described_layer(layer: ShownLayer) -> dict[str, Any]:
    """Return the entry of a layer without weights; see ``LayerMeta`` in the schema."""
    return {
        "missing": dict.fromkeys(WEIGHTED_MEASURES, NO_WEIGHTS),
        "layer": layer.layer,
        "module_path": "",
        "num_heads": layer.num_heads,
        "num_key_value_heads": None,
        "head_dim": None,
        "has_vectors": False,
        "reason": NO_WEIGHTS,
        "scaling": None,
        "softcap": None,
        "sinks": None,
        "causal": False,
        "window": None,
        "bias": False,
    }


def example_texts(survey: Survey) -> dict[str, str]:
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
