"""`ShownLinks`: gold links as scores that heads are coloured by, with what is said of each: its best heads, the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.score_definitions import Score
from attnwidget.protocol.text import well_formed
from attnwidget.surveys.gold_links.counts import COUNTS, DIRECTIONS
from attnwidget.surveys.gold_links.scores import baseline, signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.surveys.gold_links.counts import LinkCounts
    from attnwidget.surveys.statistics import Surveyed

    Numbers = NDArray[np.float64]

__all__ = ["ShownLinks"]

MOST_LABELS = 50
"""Labels whose links are offered as scores, those of most links first: a menu holds only so many."""

_BEST = 3
_WITHOUT = "special tokens and the query itself left out, but for gold keys"
_CLARK = "Clark, Khandelwal, Levy & Manning 2019"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A number that heads have of links: its name, its question and formula, and what it is compared with."""

    name: str
    question: str
    formula: str
    baseline: str | None


_KINDS = (
    _Kind(
        "precision",
        "Of the queries with such a link, in how many is the strongest key a gold one?",
        f"queries whose strongest key is a gold key / queries with a link that the head may see; {_WITHOUT}",
        "baseline",
    ),
    _Kind(
        "recall",
        "Of such links, how many are the strongest of their query?",
        f"links whose key is the strongest of their query / links that the head may see; {_WITHOUT}",
        "baseline_recall",
    ),
    _Kind(
        "mean weight",
        "How much weight is on such a link?",
        "sum of the weights on the links / links that the head may see",
        None,
    ),
)


@dataclass(frozen=True, slots=True)
class ShownLinks:
    """The gold links of a survey as scores of its heads.

    A score is a number, a label and a direction: ``"precision of pronoun (forward)"``.

    Attributes:
        scores: The scores, with their words.
        values: Of each stream, float64 ``[head, score]``, NaN of a head that may see no such link.
        told: Of each stream that has links, by a score's name: what it is of, and its best heads and the baseline.
    """

    scores: tuple[Score, ...]
    values: Mapping[str, Numbers]
    told: Mapping[str, Mapping[str, tuple[str, ...]]]

    @classmethod
    def of(cls, streams: Mapping[str, Surveyed]) -> ShownLinks:
        """Return those of a survey's streams; none where it was given no links."""
        found = {name: one.links for name, one in streams.items() if one.links is not None}
        offered = [
            (kind, label, direction)
            for kind in _KINDS
            for label in _labels(list(found.values()))
            for direction in range(len(DIRECTIONS))
            if any(_seen(one, label, direction) for one in found.values())
        ]
        scores = tuple(_score(*one) for one in offered)
        values, told = {}, {}
        for name, one in streams.items():
            heads = sum(count for _, count in one.moments.layers)
            values[name] = np.full((heads, len(scores)), np.nan)
            links = found.get(name)
            if links is None:
                continue
            numbers = {label: _numbers(links, label) for _, label, _ in offered}
            for place, (kind, label, direction) in enumerate(offered):
                values[name][:, place] = numbers[label][_KINDS.index(kind), direction]
            told[name] = {
                score.name: _told(links, values[name][:, place], _ranked(values[name], place), one)
                for place, (score, one) in enumerate(zip(scores, offered, strict=True))
                if not np.isnan(values[name][:, place]).all()
            }
        return cls(scores, values, told)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scores."""
        return tuple(score.name for score in self.scores)

    def best(self, stream: str, name: str) -> int | None:
        """Return the place of a stream's head with the highest score among all its heads; None where none has one."""
        place = self.names.index(name)
        first = next(iter(_ranked(self.values[stream], place)), None)
        return None if first is None else int(first)

    def described(self) -> dict[str, dict[str, list[str]]]:
        """Return what is said of each score, by the stream's name; see ``SurveyMeta`` in the schema."""
        return {
            stream: {name: list(lines) for name, lines in each.items()}
            for stream, each in self.told.items()
        }


def _labels(found: Sequence[LinkCounts]) -> list[str]:
    """Return the labels of most links, as many as are offered."""
    links: dict[str, int] = {}
    for one in found:
        # Of both directions, and of the head that may see most.
        counts = one.counts[COUNTS.index("links")].max(-1, initial=0).sum(0)
        for label, count in zip(one.labels, counts.tolist(), strict=True):
            links[label] = links.get(label, 0) + count
    return sorted(links, key=lambda label: -links[label])[:MOST_LABELS]


def _seen(found: LinkCounts, label: str, direction: int) -> bool:
    """Tell whether any head may see such a link."""
    if label not in found.labels:
        return False
    place = found.labels.index(label)
    return bool(found.counts[COUNTS.index("links"), direction, place].any())


def _score(kind: _Kind, label: str, direction: int) -> Score:
    name = well_formed(f"{kind.name} of {label} ({DIRECTIONS[direction]})")
    return Score(name=name, label=name, question=kind.question, formula=kind.formula, source=_CLARK)


def _numbers(found: LinkCounts, label: str) -> Numbers:
    """Return precision, recall and mean weight of the links of a label, ``[kind, direction, head]``."""
    shape = len(_KINDS), len(DIRECTIONS), found.weight.shape[-1]
    if label not in found.labels:
        return np.full(shape, np.nan)
    place = found.labels.index(label)
    counts = dict(zip(COUNTS, found.counts[:, :, place], strict=True))
    parts: list[Any] = [counts["query_hits"], counts["link_hits"], found.weight[:, place]]
    wholes = [counts["queries"], counts["links"], counts["links"]]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.array(wholes) > 0, np.array(parts) / np.array(wholes), np.nan)


def _ranked(values: Numbers, place: int) -> NDArray[np.int64]:
    """Return the heads that have a score, best first; equal ones as `LinkScores` has them, by the other numbers."""
    # The scores of one kind stand together, and those of each kind in the same order.
    of_kind = values.shape[1] // len(_KINDS)
    others = [values[:, kind * of_kind + place % of_kind] for kind in range(len(_KINDS))]
    order: NDArray[np.int64] = np.lexsort([-each for each in reversed([values[:, place], *others])])
    kept: NDArray[np.int64] = order[~np.isnan(values[order, place])]
    return kept


def _told(
    found: LinkCounts, values: Numbers, order: NDArray[np.int64], offered: tuple[_Kind, str, int]
) -> tuple[str, ...]:
    """Return lines: what the score is of, its best heads, and what it is compared with."""
    kind, label, direction = offered
    place = found.labels.index(label)
    queries, links = found.seen[:, direction, place].tolist()
    heads = [(layer, head) for layer, count in found.layers for head in range(count)]
    named = ", ".join(
        f"{heads[at][0]}·{heads[at][1]} {values[at]:.3f}" for at in order[:_BEST] if values[at] > 0
    )
    best = f"best heads: {named}" if named else "no head finds any"
    if kind.baseline is None:
        return f"over {_count(links, 'link')}", best
    of = f"{_count(links, 'link')} of {_count(queries, 'query')} · special tokens and the query itself left out"
    fixed = baseline(found, direction, place)
    offset = fixed["offset"]
    if offset is None:
        return of, best, "no fixed offset finds any"
    unit = found.unit[:-1] if abs(offset) == 1 else found.unit
    return of, best, f"best fixed offset, {signed(offset)} {unit}: {fixed[kind.baseline]:.3f}"


def _count(number: int, what: str) -> str:
    many = {"link": "links", "query": "queries"}[what]
    return f"{number:,} {what if number == 1 else many}"
