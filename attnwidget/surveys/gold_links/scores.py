"""`LinkScores`: precision and recall of heads on gold links, the best of them, and the best fixed offset beside."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.tables import Records, table
from attnwidget.compute.checks import check_choice, check_name
from attnwidget.protocol.text import well_formed
from attnwidget.surveys.gold_links.counts import COUNTS, DIRECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.surveys.gold_links.counts import LinkCounts

__all__ = ["LinkScores", "baseline", "check_direction", "check_label", "link_rows", "signed"]

BEST = 3
"""Heads that are named for each label and direction."""


# Those of `BEST` after the first.
_NEXT = "next heads, precision"


def link_rows(stream: str, found: LinkCounts) -> Iterator[dict[str, Any]]:
    """Make the rows of `Survey.link_scores`: every head of every label and direction that has links which it may see."""
    heads = [(layer, head) for layer, count in found.layers for head in range(count)]
    counts = dict(zip(COUNTS, found.counts, strict=True))
    for label, name in enumerate(found.labels):
        for direction, called in enumerate(DIRECTIONS):
            fixed = baseline(found, direction, label)
            for place, (layer, head) in enumerate(heads):
                n = {each: int(array[direction, label, place]) for each, array in counts.items()}
                if not n["links"]:
                    continue
                yield {
                    "stream": stream,
                    "label": name,
                    "direction": called,
                    "layer": layer,
                    "head": head,
                    "precision": n["query_hits"] / n["queries"],
                    "recall": n["link_hits"] / n["links"],
                    "weight": float(found.weight[direction, label, place]) / n["links"],
                    "precision_of_all": n["query_hits_of_all"] / n["queries"],
                    "recall_of_all": n["link_hits_of_all"] / n["links"],
                    **fixed,
                    "queries": n["queries"],
                    "links": n["links"],
                    "unseen": n["unseen"],
                }


def baseline(found: LinkCounts, direction: int, label: int) -> dict[str, Any]:
    """Return the precision, recall and offset of the best fixed offset: most queries hit, then most links, then nearest."""
    rows = found.offsets[(found.offsets[:, 0] == direction) & (found.offsets[:, 1] == label)]
    if not len(rows):
        return {"baseline": 0.0, "baseline_recall": 0.0, "offset": None}
    best = rows[np.lexsort((rows[:, 2], np.abs(rows[:, 2]), -rows[:, 4], -rows[:, 3]))[0]]
    queries, links = found.seen[:, direction, label]
    return {
        "baseline": float(best[3] / queries),
        "baseline_recall": float(best[4] / links),
        "offset": int(best[2]),
    }


def check_label(label: str | None, known: Sequence[str]) -> str | None:
    """Return a label if there is one of its name, None for None.

    Raises:
        KeyError: If there is none.
    """
    return None if label is None else check_name("label", label, known)


def check_direction(direction: str | None) -> str | None:
    """Return a direction, None for None.

    Raises:
        ValueError: If there is none of its name.
    """
    return None if direction is None else check_choice("direction", direction, DIRECTIONS)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class LinkScores:
    """The heads that find gold links best, for each label and direction.

    A head finds a link if its strongest key, at the link's query, is the link's key. ``forward`` is from the link's query to
    its key, ``backward`` from its key to its query. Special tokens and the query itself are left out of the keys, but for
    gold ones (Clark, Khandelwal, Levy & Manning 2019, What Does BERT Look At?); ``precision_of_all`` and ``recall_of_all`` leave out
    nothing. The baseline is the key at the best fixed offset from the query (Clark et al. 2019; Voita et al. 2019), chosen on
    the same links.

    Attributes:
        unit: What links are between: ``"tokens"`` or ``"words"``. Of a word in several pieces, weights are added up over its
            pieces as a key, and the mean over them as a query.
        rows: One for each label, direction and rank, best first: the columns of `to_dataframe`.
        counts: Number of links of each label.

    Example:
        >>> import attnwidget as aw
        >>> texts = ["the cat sat because it was tired", "the dog ran because it was happy"]
        >>> found = aw.survey(model, texts, tokenizer, links=[[(5, 2, "pronoun")]] * 2, progress=False)
        >>> best = found.links.best("pronoun")
        >>> best["precision"], best["direction"]
        (1.0, 'forward')
        >>> len(found.links.to_dataframe()) > 1
        True
    """

    unit: str
    rows: tuple[dict[str, Any], ...]
    counts: Mapping[str, int]

    @classmethod
    def of(cls, found: Mapping[str, LinkCounts], best: int = BEST) -> LinkScores:
        """Return the best heads of each stream that has links."""
        kept: list[dict[str, Any]] = []
        counts: dict[str, int] = {}
        for stream, each in found.items():
            groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
            for row in link_rows(stream, each):
                groups.setdefault((row["label"], row["direction"]), []).append(row)
            for rows in groups.values():
                rows.sort(key=_order)
                kept += [{"rank": rank, **row} for rank, row in enumerate(rows[:best], start=1)]
            totals: NDArray[np.int64] = each.counts[COUNTS.index("links")] + each.counts[COUNTS.index("unseen")]  # fmt: skip
            for label, count in zip(each.labels, totals[0].max(-1).tolist(), strict=True):
                counts[label] = counts.get(label, 0) + count
        units = {each.unit for each in found.values()}
        return cls(units.pop() if units else "tokens", tuple(kept), counts)

    def best(self, label: str | None = None, direction: str | None = None) -> dict[str, Any]:
        """Return the row of the best head: of all, or of a label or a direction.

        Args:
            label: A label; None for any.
            direction: ``"forward"`` or ``"backward"``; None for either.

        Raises:
            KeyError: If there is no such label.
            ValueError: If there is no such direction, or no head may see any such link.
        """
        name, wanted = check_label(label, list(self.counts)), check_direction(direction)
        rows = [
            row
            for row in self.rows
            if name in {None, row["label"]} and wanted in {None, row["direction"]}
        ]
        if not rows:
            message = f"no head may see a link of label {label!r} and direction {direction!r}: a causal model sees no later key."
            raise ValueError(message)
        return min(rows, key=_order)

    def to_dataframe(self) -> Any:
        """Return ``rows`` as a pandas ``DataFrame``, or as a list of dicts where pandas is not installed."""
        return table(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def _lines(self) -> list[dict[str, Any]]:
        """Return one line for each stream, label and direction."""
        lines: dict[tuple[str, str, str], dict[str, Any]] = {}
        for row in self.rows:
            place = row["stream"], row["label"], row["direction"]
            named = f"{row['layer']}.{row['head']} {row['precision']:.2f}"
            if row["rank"] > 1:
                lines[place][_NEXT] += ", " * bool(lines[place][_NEXT]) + named
                continue
            lines[place] = {
                "label": row["label"],
                "direction": row["direction"],
                "links": row["links"],
                "head": f"{row['layer']}.{row['head']}",
                "precision": row["precision"],
                "recall": row["recall"],
                "weight": row["weight"],
                "baseline": row["baseline"],
                "offset": "" if row["offset"] is None else signed(row["offset"]),
                _NEXT: "",
            }
        return list(lines.values())

    def __repr__(self) -> str:
        said = ", ".join(f"{name}: {count}" for name, count in self.counts.items())
        first = well_formed(f"gold links between {self.unit} ({said})")
        return f"{first}\n{Records(self._lines())!r}"

    def _repr_html_(self) -> str:
        lines = self._lines()
        names = list(lines[0]) if lines else []
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(_cell(row[name]))}</td>' for name in names)}</tr>"
            for row in lines
        )
        said = escape(well_formed(", ".join(f"{name}: {n}" for name, n in self.counts.items())))
        return (
            f"<div><p>Gold links between {self.unit} ({said}): the heads whose strongest key is the gold one most often, "
            "special tokens and the query itself left out; the baseline is the best fixed offset.</p>"
            f'<div style="overflow-x:auto"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></div>'
        )


def _order(row: Mapping[str, Any]) -> tuple[float, ...]:
    return (-row["precision"], -row["recall"], -row["weight"], row["layer"], row["head"])


def signed(offset: int) -> str:
    """Return an offset with its sign, as it is read: "−1"."""
    return f"{offset:+d}".replace("-", "−")


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else well_formed(str(value))
