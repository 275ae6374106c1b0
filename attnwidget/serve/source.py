"""`Source`: what the front end is shown (a record, a comparison or a survey); `RecordSource`: the one over a record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.score_definitions import SCORES
from attnwidget.compute.checks import is_word
from attnwidget.compute.resumable import finish
from attnwidget.protocol.constants import GRADIENT_MEASURES
from attnwidget.record.prompts import num_steps
from attnwidget.serve.blocks import BlockCaches, requests_for_head, work
from attnwidget.serve.groups import RecordGroups
from attnwidget.serve.head_numbers import HEAD_KINDS, RecordNumbers
from attnwidget.serve.meta import describe, media_bytes
from attnwidget.serve.opening import CHOSEN_BY_CALLER, choose
from attnwidget.serve.thumbnails import OVERVIEW_KINDS, Thumbnails

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.analysis.position_groups import By
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.record.record import Record
    from attnwidget.serve.groups import ShownGroups
    from attnwidget.serve.head_numbers import HeadNumbers
    from attnwidget.serve.opening import Chosen
    from attnwidget.serve.streams import ShownLayer, ShownStream

    Numbers = NDArray[np.float32]

__all__ = ["RecordSource", "Source", "source_of"]


class Source(ABC):
    """What the front end is shown: the streams it lays out, their description, and the answers to its requests.

    The widget, figures and pages read a source and nothing else, so that none of them has to know what is behind it.
    What was computed is kept in the source and goes with it.
    """

    #: Scores that heads can be coloured by.
    score_names: tuple[str, ...] = tuple(SCORES)
    #: Letters of the records behind it where several are compared; requests for blocks then name one as their ``side``.
    sides: tuple[str, ...] = ()
    #: Whether there are weights to show; a survey with none of its inputs open has none.
    has_weights: bool = True
    #: Steps of a generation.
    num_steps: int = 0
    #: Pixels of the media, one after the other, where ``Meta.media`` says they lie.
    media: bytes = b""
    #: Groups of the positions; None where there are no positions.
    groups: ShownGroups | None = None
    #: How much a metric changes without each head; see ``EffectsOfHeads`` in the schema. None where that was not asked.
    effects: Mapping[str, Any] | None = None
    #: Whether the links may be traced that its model's output depends on: whether there is a model.
    traceable: bool = False
    #: Kind of figure that is drawn when none is named.
    figure_kind: str = "head"
    #: What a call names it, in Python that is copied.
    python_name: str = "attention"

    @property
    @abstractmethod
    def streams(self) -> Mapping[str, ShownStream]:
        """What is laid out, by name."""

    @property
    @abstractmethod
    def heads(self) -> HeadNumbers:
        """Scores, labels and rankings of the heads."""

    @abstractmethod
    def meta(self, *, thumbnails: bool = True) -> tuple[dict[str, Any], bytes]:
        """Return the description (see ``Meta`` in the schema) and the bytes of the thumbnails.

        Args:
            thumbnails: Whether thumbnails are made now. If not, they are left to requests where they can be.
        """

    @abstractmethod
    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute the block that a request (see ``Request`` in the schema) asks for, in slices.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If what is asked for does not exist, or cannot be had.
        """

    @abstractmethod
    def requests(self, layer: ShownLayer, head: int) -> Iterator[dict[str, Any]]:
        """Yield every request that the views make about one head, the weights first."""

    def group_requests(self) -> Iterator[dict[str, Any]]:
        """Yield the requests for shares of groups whose answers a copy without a kernel brings along."""
        return iter(())

    @abstractmethod
    def block(
        self,
        ref: tuple[str, int, int],
        queries: Sequence[int],
        keys: Sequence[int],
        *,
        measure: str = "weights",
        side: str | None = None,
    ) -> Numbers:
        """Return what is drawn of one head between these positions, float32 ``[query, key]``.

        Args:
            ref: Stream, layer and head.
            queries: Query positions.
            keys: Key positions.
            measure: What is drawn of the head.
            side: Which record, where several are compared; NaN where it has no such position.
        """

    def scores(
        self, ref: tuple[str, int, int], queries: Sequence[int], keys: Sequence[int]
    ) -> Numbers | None:
        """Return scores before softmax of one head, float32 ``[query, key]``; None where there are none."""
        del ref, queries, keys
        return None

    def answer(self, request: Mapping[str, Any]) -> tuple[Block, bytes]:
        """Return what `work` comes to, however long it takes."""
        return finish(self.work(request))

    def with_thumbnails(
        self, meta: Mapping[str, Any], overview: bytes
    ) -> tuple[dict[str, Any], bytes]:
        """Return meta and bytes with the thumbnails that were left to requests: for a copy without a kernel."""
        return dict(meta), overview

    def start(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is selected first, where the caller did not say.

        Args:
            given: The part of the selection that the caller gave.
        """
        del given
        first = next(iter(self.streams.values()))
        media = any(stream.lies_in_media for stream in self.streams.values())
        # Lines between hundreds of patches say nothing.
        return {"stream": first.name, **({"form": "image"} if media else {})}

    def choose(self, given: Mapping[str, Any]) -> Chosen | None:
        """Return what the view opens on and why, where the caller named no layer, heads or query; see `opening.choose`.

        Args:
            given: The part of the selection that the caller gave, by the usual names.
        """
        del given
        return None

    def refusal(self, name: str, value: object) -> str | None:
        """Return why a selection that exists cannot be shown of this source, or None if it can."""
        del name, value
        return None


class RecordSource(Source):
    """One record: what `capture`, `recording`, `load` or `from_weights` gave."""

    def __init__(self, record: Record, groups: By | None = None) -> None:
        """Start with nothing computed.

        Args:
            record: The record.
            groups: The caller's own groups of positions; see `Attention.groups`.

        Raises:
            ValueError: If they are no groups of its positions.
        """
        self.record = record
        self._groups = RecordGroups(record, groups)
        self.groups = self._groups
        self.num_steps = num_steps(record)
        self.media = media_bytes(record)
        self._heads = RecordNumbers(record, self._groups)
        self._thumbnails = Thumbnails(record)
        self._caches = BlockCaches()
        self._chosen: dict[tuple[str | None, bool, str | None], Chosen] = {}

    @property
    def streams(self) -> Mapping[str, ShownStream]:
        """The record's streams."""
        return self.record.streams

    @property
    def heads(self) -> HeadNumbers:
        """Scores, labels and rankings of the record's heads."""
        return self._heads

    def meta(self, *, thumbnails: bool = True) -> tuple[dict[str, Any], bytes]:
        """Return the record's description; see `Source.meta`."""
        later = None if thumbnails else True
        return describe(self.record, self._thumbnails, later=later, groups=self.groups)

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Compute a block of the record; see `Source.work`."""
        if request["what"] in HEAD_KINDS:
            return self._heads.work(request)
        if request["what"] in OVERVIEW_KINDS:
            return self._thumbnails.work(request)
        if request["what"] == "group_shares":
            return self._groups.work(request)
        return work(self.record, request, self._caches)

    def group_requests(self) -> Iterator[dict[str, Any]]:
        """Yield the requests for shares of groups; see `Source.group_requests`."""
        return self._groups.snapshot_requests()

    def requests(self, layer: ShownLayer, head: int) -> Iterator[dict[str, Any]]:
        """Yield the requests about one head; see `Source.requests`."""
        return requests_for_head(self.record[layer.stream][layer.layer], head)

    def block(
        self,
        ref: tuple[str, int, int],
        queries: Sequence[int],
        keys: Sequence[int],
        *,
        measure: str = "weights",
        side: str | None = None,
    ) -> Numbers:
        """Return a block of one head; see `Source.block`."""
        del side
        name, number, head = ref
        stream = self.record[name]
        if measure == "rollout":
            return self._caches.rollouts.of(stream, number)[np.ix_(queries, keys)]
        return stream[number].measure(measure, head, list(queries), list(keys))

    def choose(self, given: Mapping[str, Any]) -> Chosen | None:
        """Return the link that says most; see `Source.choose`."""
        if CHOSEN_BY_CALLER & set(given) or is_word(given.get("measure"), ("rollout",)):
            return None
        name = given.get("stream")
        if name is not None and not is_word(name, self.record.streams):
            return None
        words = is_word(given.get("positions"), ("words",))
        measures = [one for one in GRADIENT_MEASURES if is_word(given.get("measure"), (one,))]
        measure = measures[0] if measures else None
        if (name, words, measure) not in self._chosen:
            self._chosen[name, words, measure] = choose(
                self.record, self._thumbnails, self._heads, name, words=words, measure=measure
            )
        return self._chosen[name, words, measure]

    def scores(
        self, ref: tuple[str, int, int], queries: Sequence[int], keys: Sequence[int]
    ) -> Numbers | None:
        """Return scores of one head; see `Source.scores`."""
        name, number, head = ref
        layer = self.record[name][number]
        return layer.scores(head, list(queries), list(keys)) if layer.has_vectors else None

    def with_thumbnails(
        self, meta: Mapping[str, Any], overview: bytes
    ) -> tuple[dict[str, Any], bytes]:
        """Return meta and bytes with all thumbnails; see `Source.with_thumbnails`."""
        return self._thumbnails.complete(meta, overview)


def source_of(shown: Record | Source, groups: By | None = None) -> Source:
    """Return the source over a record, with the caller's own groups of positions; a source is returned as it is.

    Raises:
        TypeError: If groups are given of a survey, whose inputs have other positions each.
        ValueError: If they are no groups of the record's positions.
    """
    if not isinstance(shown, Source):
        return RecordSource(shown, groups)
    if groups is not None:
        message = (
            "a survey has no positions to group: call survey(model, texts, tokenizer, groups=…)."
        )
        raise TypeError(message)
    return shown
