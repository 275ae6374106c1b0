"""`HasLinks`: what a survey says of gold links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.analysis.tables import table
from attnwidget.surveys.gold_links.scores import (
    LinkScores,
    check_direction,
    check_label,
    link_rows,
)
from attnwidget.surveys.tables import HasStreams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnwidget.compute.indexing import Heads
    from attnwidget.record.vocabulary import Layers
    from attnwidget.surveys.gold_links.counts import LinkCounts

__all__ = ["HasLinks"]


class HasLinks(HasStreams):
    """A survey whose streams may have gold links."""

    __slots__ = ()

    @property
    def links(self) -> LinkScores:
        """The heads that find gold links best, for each label and direction, with the best fixed offset beside.

        Of a survey that was given links: ``survey(model, texts, tokenizer, links=…)``. `link_scores` has all heads.

        Raises:
            ValueError: If it was given none.

        Example:
            >>> import attnwidget as aw
            >>> texts, links = ["the cat sat because it was tired"], [[(5, 2, "pronoun")]]
            >>> found = aw.survey(model, texts, tokenizer, links=links, progress=False)
            >>> found.links.best("pronoun")["baseline"]  # of one link every offset of its own is right
            1.0
        """
        return LinkScores.of(self._with_links(list(self.streams)))

    def link_scores(
        self,
        label: str | None = None,
        direction: str | None = None,
        *,
        stream: str | None = None,
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Return precision, recall and mean weight of every head on gold links; `LinkScores` says what these are.

        Args:
            label: Only links of this label; ``None`` for all.
            direction: ``"forward"``, from each link's query to its key, or ``"backward"``; ``None`` for both.
            stream: Name of a stream; ``None`` for all that have links.
            layer: As for `head_scores`.
            head: As for `head_scores`.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            ``stream``, ``label``, ``direction``, ``layer``, ``head``; ``precision``: of the queries with such a link, how
            many have a gold key as their strongest; ``recall``: of the links, how many; ``weight``: the mean weight on them;
            ``precision_of_all`` and ``recall_of_all``: the same with no key left out; ``baseline`` and ``baseline_recall``: of the best
            fixed ``offset``; ``queries``, ``links`` that the head may see and ``unseen``, that it may not: a pandas
            ``DataFrame``, or a list of dicts where pandas is not installed. A head that may see none of a label has no row.

        Raises:
            KeyError: If there is no such stream or label.
            ValueError: If there is no such direction, layer or head, or links were not given.

        Example:
            >>> import attnwidget as aw
            >>> texts, links = ["the cat sat because it was tired"], [[(5, 2, "pronoun")]]
            >>> found = aw.survey(model, texts, tokenizer, links=links, progress=False)
            >>> len(found.link_scores("pronoun", "forward"))
            16
        """
        streams, wanted = self._asked(stream, layer, layers, head, heads)
        found = self._with_links(streams)
        check_label(
            label, list(dict.fromkeys(name for each in found.values() for name in each.labels))
        )
        check_direction(direction)
        return table(
            row
            for one, each in found.items()
            for row in link_rows(one, each)
            if (one, row["layer"], row["head"]) in wanted
            and label in {None, row["label"]}
            and direction in {None, row["direction"]}
        )

    def _with_links(self, streams: Sequence[str]) -> dict[str, LinkCounts]:
        """Return the links of the streams that have any."""
        found = {name: self.streams[name].links for name in streams}
        kept = {name: each for name, each in found.items() if each is not None}
        if kept:
            return kept
        message = (
            f"this survey has no gold links in {', '.join(streams) or 'it'}: call survey(model, texts, tokenizer, "
            "links=[[(query, key, 'label'), …], …]), with one list for each text."
        )
        raise ValueError(message)
