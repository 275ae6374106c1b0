"""How much heads change between compared records, as the scores that they are ranked by."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.score_definitions import Score
from attnwidget.comparison.series import CHANGES, ComparedSeries
from attnwidget.protocol.codec import encode
from attnwidget.protocol.constants import SIDES
from attnwidget.serve.head_numbers import HeadNumbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attnwidget.comparison.comparison import Compared
    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block
    from attnwidget.serve.streams import ShownStream

    Numbers = NDArray[np.float64]

__all__ = ["DIVERGENCE", "ChangeScores", "change_scores"]

_DIVERGENCE = (
    "Jensen–Shannon divergence of its rows, to base 2, mean over the queries that both have"
)
_SOURCE = "Lin 1991"

DIVERGENCE = Score(
    name="divergence",
    label="changed",
    question="How different is what the head looks at in the two records?",
    formula=_DIVERGENCE,
    source=_SOURCE,
)

_OF_SERIES = (
    Score(
        name="change",
        label="changed",
        question="How different is what the head looks at from each record to the next?",
        formula=f"mean over the steps from a record to the next: {_DIVERGENCE}",
        source=_SOURCE,
    ),
    Score(
        name="largest_step",
        label="largest step",
        question="How different is what the head looks at where it changes most from a record to the next?",
        formula=f"largest of the steps from a record to the next: {_DIVERGENCE}",
        source=_SOURCE,
    ),
    Score(
        name="first_to_last",
        label="first to last",
        question="How different is what the head looks at in the first record and in the last?",
        formula=f"between the first record and the last: {_DIVERGENCE}",
        source=_SOURCE,
    ),
)


def change_scores(count: int) -> tuple[Score, ...]:
    """Return the scores that heads of so many compared records have: of more than two also one for each step."""
    if count == 2:
        return (DIVERGENCE,)
    letters = SIDES[:count].upper()
    steps = (
        Score(
            name=f"step_{number}",
            label=f"{first} → {second}",
            question=f"How different is what the head looks at in the records {first} and {second}?",
            formula=_DIVERGENCE,
            source=_SOURCE,
        )
        for number, (first, second) in enumerate(pairwise(letters), start=1)
    )
    return (*_OF_SERIES, *steps)


def change_values(compared: Compared | ComparedSeries) -> Numbers:
    """Return the scores of a stream's heads, layer after layer, float64 ``[head, score]``."""
    if not isinstance(compared, ComparedSeries):
        return np.concatenate(compared.divergence)[:, None]
    whole = [np.concatenate(compared.changes(name))[:, None] for name in CHANGES]
    return np.concatenate([*whole, np.concatenate(compared.steps)], axis=1)


class ChangeScores(HeadNumbers):
    """How much each head changed, as the scores that heads of compared records have."""

    def __init__(
        self,
        compared: Mapping[str, Compared | ComparedSeries],
        streams: Mapping[str, ShownStream],
    ) -> None:
        """Take the divergences that a comparison holds."""
        super().__init__(streams)
        self._compared = compared

    def values(self, stream: str) -> Numbers:
        """Return the scores of a stream's heads, layer after layer, float64 ``[head, score]``."""
        return change_values(self._compared[stream])

    def work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        """Return the scores of a stream's heads; they carry no labels."""
        yield from ()
        values = self.values(request["stream"])
        if request["what"] == "head_scores":
            # With the sink and without: they are of all weight.
            return encode(np.stack([values, values]).astype(np.float32))
        if request["what"] == "head_labels":
            return encode(np.tile(np.array([-1, 0], np.float32), (len(values), 1)))
        message = (
            "heads of compared records are ranked by how much they changed, and by nothing else."
        )
        raise ValueError(message)

    def snapshot_requests(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return the requests whose answers a copy without a kernel brings along."""
        kinds = ("head_scores", "head_labels")
        return [{"what": what, "stream": name} for name in self._streams for what in kinds]
