"""`RankedHeads`: a view's heads put in one ranking by the weight of some links, the first of them selected."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.find_heads import links
from attnwidget.compute.not_numbers import largest
from attnwidget.protocol.codec import decode
from attnwidget.protocol.constants import RANKING
from attnwidget.record.position_lookup import resolve
from attnwidget.serve.head_numbers import ranking_request
from attnwidget.serve.selection import named
from attnwidget.widget.group_ranking import group_ranking
from attnwidget.widget.synced_traits import SyncedTraits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.analysis.find_heads import Pattern
    from attnwidget.record.position_lookup import Place
    from attnwidget.serve.jobs import Jobs
    from attnwidget.serve.streams import ShownStream

__all__ = ["RankedHeads"]


class RankedHeads(SyncedTraits):
    """A widget whose heads can be ranked by the weight of links, or by the share between groups."""

    _jobs: Jobs

    def rank(
        self,
        query: Place | None = None,
        key: Place | None = None,
        *,
        pattern: Pattern | None = None,
        name: str = "pattern",
        from_group: str | None = None,
        to_group: str | None = None,
        by: str | None = None,
    ) -> None:
        """Colour all heads by the weight of some links, and put them in one ranking; `Attention.find` as a picture.

        Args:
            query: A query's position, a slice, a token's text, or several of either; ``None`` for all queries.
            key: Keys, in the same way. With neither, the pinned query and key.
            pattern: Instead of both, a 0/1 mask ``[query, key]``, or a function from query positions and key positions
                to one.
            name: What the legend calls the pattern.
            from_group: Instead of all these, the group whose queries count; all queries when left out.
            to_group: The group whose weight is asked for; all keys when left out.
            by: The grouping, one of those that the view has: ``"segment"``, ``"role"`` …, or ``"own"`` for what was passed
                as ``groups``. The first of them when left out.

        Raises:
            ValueError: If nothing is named or pinned, a token is not there or is there several times, a position does
                not exist, the pattern is no mask, or the model's mask hides all of the links.

        Example:
            >>> import attnwidget as aw
            >>> view = aw.view(model, "the cat sat on the mat because it", tokenizer)
            >>> view.rank(query="it", key="cat")
            >>> view.rank(from_group="B", to_group="A", by="segment")  # doctest: +SKIP
        """
        stream = named(self.source, self.stream)
        if from_group is not None or to_group is not None:
            given = {"query": query, "key": key, "pattern": pattern}
            groups = (from_group, to_group)
            self._rank_by(group_ranking(self.source, self.stream, by, groups, given))
            return
        if query is None and key is None and pattern is None:
            query, key = self.query, self.key
            if key is None:
                message = "rank takes key (and query), or pattern, or a pinned key: for instance view.rank(query='it', key='cat')."
                raise ValueError(message)
        asked = links(stream, query, key, pattern)
        ranking: dict[str, Any]
        if pattern is not None:
            ranking = {"pattern": str(name), "number": self.source.heads.add_pattern(asked)}
        else:
            queries = (
                None if query is None else list(resolve("query", query, stream.query_positions))
            )
            keys = asked.mask[0].nonzero()[:, 0].tolist()
            ranking = {"queries": queries, "keys": keys}
        self._rank_by(ranking)

    def _rank_by(self, ranking: dict[str, Any]) -> None:
        stream = named(self.source, self.stream)
        shown = {"stream": stream.name, "measure": self.measure, "aside": self.aside}
        first = self._first_of_ranking(stream, ranking_request({**shown, "ranking": ranking}))
        with self.hold_trait_notifications():
            self.ranking, self.score = ranking, RANKING
            if self.arrange in {"layers", "rank_by_layer"}:
                self.arrange = "rank"
            # Where no head has anything left besides what is set aside, none comes first.
            if not math.isnan(first[2]):
                self._show_first(first, ranking)

    def _first_of_ranking(
        self, stream: ShownStream, request: Mapping[str, Any]
    ) -> tuple[int, int, float]:
        """Return layer, head and weight of the head that a ranking puts first."""
        # Says now what the browser would be told, and has it ready for the browser.
        block, data = self._jobs.run(self.source.heads.work(request))
        weights = decode(block, data).astype(np.float64)
        place = largest(weights)
        heads = [(layer.layer, head) for layer in stream for head in range(layer.num_heads)]
        return (*heads[place], float(weights[place]))

    def _show_first(self, first: tuple[int, int, float], ranking: Mapping[str, Any]) -> None:
        """Select the head that a ranking puts first, with its links pinned, and say so."""
        layer, head, weight = first
        names = ("layer", "heads", "together_layers", "query", "key")
        before = {name: getattr(self, name) for name in names}
        # One head by itself: those of other layers are no longer taken together with it.
        self.layer, self.heads, self.together_layers = layer, [head], None
        if "pattern" in ranking:
            why = f"the first of the heads ranked by {ranking['pattern']}"
        elif "grouping" in ranking:
            why = "the first of the heads ranked by the share between these groups"
        else:
            why = "the first of the heads ranked by these links"
            self.query, self.key = ranking["queries"], ranking["keys"]
        chosen = {
            "stream": self.stream,
            "layer": layer,
            "head": head,
            "query": self.query,
            "key": self.key,
        }
        self.set_trait(
            "chosen", {**chosen, "weight": weight, "why": why, "also": [], "before": before}
        )
