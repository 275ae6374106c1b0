"""What the model view is coloured and ordered by: the widget's traits for scores and rankings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from attnwidget.finding.find import links
from attnwidget.finding.kinds import SCORES
from attnwidget.finding.places import resolve
from attnwidget.traits import Anything, SelectionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.attention import Attention, Stream
    from attnwidget.finding.find import Pattern
    from attnwidget.finding.places import Place
    from attnwidget.heads import HeadNumbers
    from attnwidget.jobs import Jobs

__all__ = ["RANKING", "Scoring"]

RANKING = "ranking"
ARRANGEMENTS = ("layers", "rank", "rank_by_layer", "scatter")


class Scoring(traitlets.HasTraits):  # type: ignore[misc,unused-ignore]  # traitlets' own base, untyped in old versions
    """The half of the widget that scores heads; what is selected are the widget's own traits."""

    if TYPE_CHECKING:
        _attention: Attention
        _heads: HeadNumbers
        _jobs: Jobs
        stream: str
        query: int | list[int] | None
        key: int | list[int] | None

        def _named(self, name: str) -> Stream:
            """Return a stream."""

    _score_names: tuple[str, ...] = tuple(SCORES)

    score = Anything(None).tag(sync=True)
    """What heads are coloured by in the model view; computed when first asked for.

    - Type: a name in `attnwidget.SCORES`, ``"ranking"`` after `rank`, or ``None`` for thumbnails alone
    - Default: ``None``
    """

    other_score = Anything(None).tag(sync=True)
    """The vertical axis of the scatter.

    - Type: as ``score``
    - Default: ``None``, which stands for ``"broad"``
    """

    without_sink = traitlets.Bool(False).tag(sync=True)  # noqa: FBT003  (traitlets' own signature)
    """Whether scores are those with the sink set aside: the first position and all special tokens.

    - Type: ``bool``
    - Default: ``False``
    """

    arrange = traitlets.Enum(ARRANGEMENTS, "layers").tag(sync=True)
    """How the model view stands: as the model has its heads, all in one ranking by their score, each layer's heads in
    a ranking, or as dots over two scores.

    - Type: ``"layers" | "rank" | "rank_by_layer" | "scatter"``
    - Default: ``"layers"``
    """

    threshold = Anything(None).tag(sync=True)
    """Heads with a lower score are faint.

    - Type: ``float | None``, 0 to 1
    - Default: ``None``
    """

    ranking = Anything(None).tag(sync=True)
    """The links that heads are ranked by, as `rank` sets it.

    - Type: ``{"queries": list[int] | None, "keys": list[int]} | {"pattern": str, "number": int} | None``
    - Default: ``None``
    """

    def rank(
        self,
        query: Place | None = None,
        key: Place | None = None,
        *,
        pattern: Pattern | None = None,
        name: str = "pattern",
    ) -> None:
        """Colour all heads by the weight of some links, and put them in one ranking; `Attention.find` as a picture.

        Args:
            query: A query's position, a slice, a token's text, or several of either; ``None`` for all queries.
            key: Keys, in the same way. With neither, the pinned query and key.
            pattern: Instead of both, a 0/1 mask ``[query, key]``, or a function from query positions and key positions
                to one.
            name: What the legend calls the pattern.

        Raises:
            ValueError: If nothing is named or pinned, a token is not there or is there several times, a position does
                not exist, the pattern is no mask, or the model's mask hides all of the links.

        Example:
            >>> view.rank(query="it", key="cat")  # doctest: +SKIP
        """
        stream = self._named(self.stream)
        if query is None and key is None and pattern is None:
            query, key = self.query, self.key
            if key is None:
                message = "rank takes key (and query), or pattern, or a pinned key: for instance view.rank(query='it', key='cat')."
                raise ValueError(message)
        asked = links(stream, query, key, pattern)
        ranking: dict[str, Any]
        if pattern is not None:
            ranking = {"pattern": str(name), "number": self._heads.add_pattern(asked)}
        else:
            queries = (
                None if query is None else list(resolve("query", query, stream.query_positions))
            )
            keys = asked.mask[0].nonzero()[:, 0].tolist()
            ranking = {"queries": queries, "keys": keys}
        request = {"what": "ranking", "stream": stream.name, "ranking": ranking}
        # Says now what the browser would be told, and has it ready for the browser.
        self._jobs.run(self._heads.work(request))
        with self.hold_trait_notifications():
            self.ranking, self.score = ranking, RANKING
            if self.arrange in {"layers", "rank_by_layer"}:
                self.arrange = "rank"

    @traitlets.validate("score", "other_score")
    def _check_score(self, proposal: traitlets.Bunch) -> str | None:
        name, value = proposal.trait.name, proposal.value
        if value is None or (isinstance(value, str) and value in self._score_names):
            return value
        if value == RANKING and self.ranking is not None:
            return RANKING
        accepted = f"{name} must be one of {', '.join(self._score_names)}, or None"
        if value == RANKING:
            message = f"{accepted}; 'ranking' needs links to rank by: call view.rank(query='it', key='cat')."
        else:
            message = f"{accepted}, got {value!r}."
        raise SelectionError(message)

    @traitlets.validate("threshold")
    def _check_threshold(self, proposal: traitlets.Bunch) -> float | None:
        value = proposal.value
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not 0 <= number <= 1 or isinstance(value, (bool, str)):
            message = (
                f"threshold must be a number from 0 to 1, or None for all heads, got {value!r}."
            )
            raise SelectionError(message)
        return number

    @traitlets.validate("ranking")
    def _check_ranking(self, proposal: traitlets.Bunch) -> dict[str, Any] | None:
        value = proposal.value
        if value is None:
            return None
        known = {"queries", "keys"}, {"pattern", "number"}
        if not isinstance(value, dict) or set(value) not in known:
            message = (
                f"ranking must be {{'queries': [6], 'keys': [2]}} or None, got {value!r}: call "
                "view.rank(query='it', key='cat')."
            )
            raise SelectionError(message)
        try:
            self._heads.links(self._named(self.stream), value)
        except ValueError as error:
            raise SelectionError(*error.args) from error
        return {
            name: list(one) if isinstance(one, (list, tuple, range)) else one
            for name, one in value.items()
        }

    @traitlets.observe("stream", "ranking")
    def _keep_what_can_be_ranked(self, _change: traitlets.Bunch) -> None:
        """Let go of links that the stream does not have, and of the ranking by links that are none."""
        with self.hold_trait_notifications():
            if self.ranking is not None and not self._fits(self.ranking):
                self.ranking = None
            if self.ranking is None:
                for name in ("score", "other_score"):
                    if getattr(self, name) == RANKING:
                        setattr(self, name, None)

    def _fits(self, ranking: Mapping[str, Any]) -> bool:
        try:
            self._heads.links(self._named(self.stream), ranking)
        except ValueError:
            return False
        return True
