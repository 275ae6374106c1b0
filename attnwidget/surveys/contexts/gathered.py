"""`StreamContexts`: what a survey keeps of one stream so that it can say where each head does something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnwidget.surveys.contexts.places import PlaceFinder, Places
from attnwidget.surveys.contexts.score_values import ScoreValues
from attnwidget.surveys.contexts.token_counts import InputLinks, TokenCounts
from attnwidget.surveys.contexts.windows import InputTokens, labels_of, pruned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.analysis.head_scores import StreamScores
    from attnwidget.record.record import Record

__all__ = ["LET_GO_EVERY", "StreamContexts", "crossed", "merged_contexts", "watchers"]

# Inputs after which tokens and texts that nobody needs any more are let go; until then there are so many too many.
LET_GO_EVERY = 256


@dataclass(frozen=True, slots=True, eq=False)
class StreamContexts:
    """Contexts, scores and token counts of one stream's heads over many inputs; bounded, whatever their number.

    Attributes:
        keep: How many contexts are kept for each head and rule.
        inputs: Number of inputs.
        places: The contexts.
        windows: The tokens around them, by input.
        scores: Scores of the inputs, for deciles.
        counts: Counts of tokens.
    """

    keep: int
    inputs: int
    places: Places
    windows: Mapping[int, InputTokens]
    scores: ScoreValues
    counts: TokenCounts

    @classmethod
    def of(
        cls, record: Record, finder: PlaceFinder, scores: StreamScores, keep: int
    ) -> StreamContexts:
        """Return those of one input."""
        stream = record[scores.stream]
        places, links = finder.found()
        queries, keys = labels_of(stream.query_positions), labels_of(stream.key_positions)
        counts = TokenCounts.of(InputLinks.of(links, queries, keys), len(places.value))
        windows = {0: InputTokens.of(stream, places)}
        return cls(keep, 1, places, windows, ScoreValues.of(scores, record.text), counts)

    @property
    def used(self) -> set[int]:
        """The inputs that are shown as contexts or as examples of deciles."""
        return {*np.unique(self.places.input).tolist(), *self.scores.held.input.tolist()} - {-1}

    def shifted(self, shift: int) -> StreamContexts:
        """Return the same with inputs numbered from ``shift`` on, and room for all contexts."""
        return StreamContexts(
            self.keep,
            self.inputs,
            self.places.shifted(shift).widened(self.keep),
            {number + shift: tokens for number, tokens in self.windows.items()},
            self.scores.shifted(shift),
            self.counts,
        )

    def merge(self, other: StreamContexts) -> StreamContexts:
        """Return those of both sets of inputs; those of ``other`` have later numbers.

        Raises:
            ValueError: If they keep different numbers of contexts.
        """
        if self.keep != other.keep:
            message = f"surveys of different size do not add up: contexts is {self.keep} and {other.keep}."
            raise ValueError(message)
        places = self.places.widened(self.keep).merge(other.places)
        windows = self.windows
        if places.input is not self.places.input:
            windows = {**windows, **other.windows}
        inputs = self.inputs + other.inputs
        if crossed(self.inputs, inputs):
            windows = pruned(windows, places)
        return StreamContexts(
            self.keep,
            inputs,
            places,
            windows,
            self.scores.merge(other.scores),
            self.counts.merge(other.counts),
        )

    def settled(self) -> StreamContexts:
        """Return the same with nothing that nobody needs: it depends on the inputs and their order alone."""
        return StreamContexts(
            self.keep,
            self.inputs,
            self.places.widened(self.keep),
            pruned(self.windows, self.places),
            self.scores.settled(),
            self.counts,  # the last inputs go on waiting for those of a survey that is added
        )


def crossed(before: int, after: int) -> bool:
    """Tell whether it is time to let go what nobody needs, when so many inputs become so many."""
    return before // LET_GO_EVERY != after // LET_GO_EVERY


def merged_contexts(
    first: StreamContexts | None, second: StreamContexts | None, shift: int
) -> StreamContexts | None:
    """Return the contexts of two surveys of one stream, one after the other.

    Raises:
        ValueError: If only one of them has any, or they keep different numbers.
    """
    if first is None and second is None:
        return None
    if first is None or second is None:
        message = "surveys do not add up where only one has contexts: survey all inputs with contexts=True, or none."
        raise ValueError(message)
    return first.merge(second.shifted(shift))


def watchers(record: Record, keep: int) -> dict[str, PlaceFinder]:
    """Return what looks for contexts in each stream of a record; nothing where none are to be kept."""
    return {each.name: PlaceFinder(each, keep) for each in record.streams.values()} if keep else {}
