"""`ReadsContexts`: what `Survey` answers about contexts, deciles and counts of tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.score_definitions import SCORES, chosen
from attnwidget.compute.checks import check_choice, check_count, shown
from attnwidget.record.vocabulary import either, one_head, one_layer
from attnwidget.surveys.contexts.gathered import crossed
from attnwidget.surveys.contexts.rules import (
    DIGITS,
    LINK,
    NEAR,
    NEAR_KEY,
    RULES,
    THRESHOLD,
    rule_text,
)
from attnwidget.surveys.contexts.score_values import BINS
from attnwidget.surveys.contexts.tables import (
    Context,
    Contexts,
    ContextToken,
    Decile,
    Deciles,
    LinkedToken,
    LinkedTokens,
)
from attnwidget.surveys.contexts.token_counts import KINDS
from attnwidget.surveys.tables import HasStreams, head_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self

    from attnwidget.compute.indexing import Heads
    from attnwidget.record.vocabulary import Layers
    from attnwidget.surveys.contexts.gathered import StreamContexts
    from attnwidget.surveys.contexts.windows import TokenAxis
    from attnwidget.surveys.statistics import Surveyed

__all__ = ["ReadsContexts", "contexts_kept", "contexts_of", "let_go", "used_inputs"]

# What `contexts=True` keeps of each head and score, and the most there may be.
_DEFAULT, _MOST = 20, 1000
_NONE = "this survey has no contexts: they were not asked for; call survey(model, texts, tokenizer, contexts=True)."


def contexts_kept(given: object) -> int:
    """Return how many contexts to keep for each head and score, 0 for none.

    Raises:
        ValueError: If it is neither True nor False, nor an integer from 0 to 1,000.
    """
    if given is None or given is False:
        return 0
    if given is True:
        return _DEFAULT
    count = check_count("contexts", given, "such as 20, or True or False", least=0)
    if count > _MOST:
        message = f"contexts must be at most {_MOST:,} for each head and score, got {shown(given)}."
        raise ValueError(message)
    return count


def let_go(first: int, second: int, streams: Mapping[str, Surveyed]) -> bool:
    """Tell whether texts that nobody needs are let go: of surveys with contexts now and then, as there are many."""
    if all(found.contexts is None for found in streams.values()):
        return True
    return crossed(first, first + second)


def used_inputs(streams: Mapping[str, Surveyed]) -> set[int]:
    """Return the numbers of the inputs that any table may show."""
    used: set[int] = set()
    for found in streams.values():
        used |= set(np.unique(found.typical.index).tolist())
        if found.contexts is not None:
            used |= found.contexts.used
    return used - {-1}


class ReadsContexts(HasStreams):
    """The part of `Survey` that is about contexts."""

    __slots__ = ()

    texts: Mapping[int, str]

    def contexts(
        self,
        layer: int | None = None,
        head: int | None = None,
        score: str | None = None,
        *,
        stream: str | None = None,
        containing: str | None = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Contexts:
        """Return the places in which a head does most what a score asks about, with the tokens around.

        Of a survey that was asked for them: ``survey(model, texts, tokenizer, contexts=True)``. Without a score they are
        the queries with the strongest links that are not to the first position, the query itself or a special token, and
        special tokens are no queries. With one they are the queries with the highest values of that score, of those that
        its mean is taken over: their weight on all keys it is about, such as all that followed another copy of the token
        for ``"induction"``; for ``"local"`` and ``"broad"`` the value times n / (n + 1), n the keys that the query sees.
        Values are rounded to five decimals; of equal ones the earlier input, then the earlier query comes first.

        Args:
            layer: The model's number of the layer, negative from the end.
            head: The head, negative from the end.
            score: Name of one of `attnwidget.SCORES`; None for the strongest links.
            stream: Name of the stream; needed when there are several.
            containing: Only those of them in which this text stands, upper and lower case alike.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            A sequence of `Context`, best first, shown as a table: ten tokens on each side of the query, and two on each
            side of the key where it lies farther away. ``to_dataframe()`` has the columns ``rank``, ``input``, ``query``
            and ``key`` (positions), ``query_token``, ``key_token``, ``value``, ``weight`` and ``text``.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If contexts were not asked for, there is no such layer, head or score, or ``containing`` is no
                text.

        Example:
            >>> import attnwidget as aw
            >>> texts = ["the cat sat on the mat because it was tired", "the dog ran"]
            >>> found = aw.survey(model, texts, tokenizer, progress=False, contexts=3)
            >>> len(found.contexts(layer=0, head=2, score="previous"))
            3
        """
        rule = LINK if score is None else chosen(score)[0]
        at = self._head("contexts are of", stream, (layer, layers), (head, heads))
        rows = list(contexts_of(_asked(at.found), at.place, RULES.index(rule)))
        heading = f"{at.name}, {'strongest links' if rule == LINK else rule}"
        why = "" if rows else "no input has such a query"
        if containing is not None:
            wanted = _folded(_text(containing))
            every, rows = len(rows), [row for row in rows if wanted in _folded(row.plain_text)]
            why = why or (
                "" if rows else f"none of the {every} contexts that are kept has {containing!r}"
            )
        return Contexts(tuple(rows), heading, rule_text(rule), why)

    def deciles(
        self,
        layer: int | None = None,
        head: int | None = None,
        score: str | None = None,
        *,
        stream: str | None = None,
        examples: int = 3,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Deciles:
        """Return the deciles of a head's score over the inputs, with some inputs of each.

        Of a survey that was asked for contexts. Up to 4,096 inputs the scores of all are kept (float32) and deciles are
        those of a full sort: decile d of n inputs ends with the score number ``ceil(n · d / 10)``. Beyond, scores are
        counted in 1,024 bins between 0 and 1, so that ``up_to`` is wrong by 1/2,048 at most, and examples are of a sample
        of 512 inputs, chosen by their contents.

        Args:
            layer: The model's number of the layer, negative from the end.
            head: The head, negative from the end.
            score: Name of one of `attnwidget.SCORES`; None for the head's label.
            stream: Name of the stream; needed when there are several.
            examples: How many inputs of each decile.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            A sequence of ten `Decile`, lowest first, shown as a table; none where no input has the score.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If contexts were not asked for, there is no such layer, head or score, or the head has no label.

        Example:
            >>> import attnwidget as aw
            >>> found = aw.survey(model, ["the cat sat", "the dog ran"], tokenizer, progress=False, contexts=True)
            >>> len(found.deciles(layer=0, head=2, score="previous"))
            10
        """
        most = check_count("examples", examples, least=0)
        at = self._head("deciles are of", stream, (layer, layers), (head, heads), score)
        found, place, column = _asked(at.found).scores.settled(), at.place, at.column
        ends, count = found.deciles(place, column)
        members = found.members(place, column, most) if count else []
        rows = [
            Decile(
                tenth,
                float(end),
                tuple((index, value, self.texts.get(index)) for index, value in some),
            )
            for tenth, (end, some) in enumerate(zip(ends.tolist(), members, strict=False), start=1)
        ]
        heading = f"{at.name}, {list(SCORES)[column]}"
        error = 0.0 if found.exact else 0.5 / BINS
        return Deciles(tuple(rows), heading, count, error, not found.exact)

    def token_counts(
        self,
        layer: int | None = None,
        head: int | None = None,
        *,
        of: str = "pair",
        stream: str | None = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> LinkedTokens:
        """Return how often a head links each pair of tokens, or each token, most frequent first.

        Of a survey that was asked for contexts. A link fires if it is its query's strongest that is not to the first
        position, the query itself or a special token, and has a weight of 0.3 or more; special tokens are no queries.

        For each head 256 counters are kept of each kind (Misra & Gries 1982, as in space-saving summaries): counts are
        exact as long as there are no more different tokens or pairs. Beyond, each is too small by ``error`` at most, which
        is stated and at most a 257th of the head's links; whatever occurs more often has a row. The result does not depend
        on the number of workers; in sums of surveys (``first + second``) the errors add up.

        Args:
            layer: The model's number of the layer, negative from the end.
            head: The head, negative from the end.
            of: ``"pair"`` for pairs of query and key, ``"query"`` or ``"key"`` for tokens.
            stream: Name of the stream; needed when there are several.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            A sequence of `LinkedToken`, shown as a table.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If contexts were not asked for, there is no such layer or head, or ``of`` is something else.

        Example:
            >>> import attnwidget as aw
            >>> texts = ["the cat sat on the mat because it was tired", "the dog ran"]
            >>> found = aw.survey(model, texts, tokenizer, progress=False, contexts=True)
            >>> found.token_counts(layer=0, head=2).links > 0
            True
        """
        check_choice("of", of, KINDS, said=f"one of {', '.join(KINDS)}")
        at = self._head("token counts are of", stream, (layer, layers), (head, heads))
        found, place = _asked(at.found).counts.settled(), at.place
        counters = found.counters[KINDS.index(of)]
        links, error = int(found.links[place]), int(counters.error[place])
        some = np.flatnonzero(counters.head == place)
        rows = [
            LinkedToken(
                found.tokens[query] if query >= 0 else None,
                found.tokens[key] if key >= 0 else None,
                count,
                min(links, count + error),
                count / links,
            )
            for query, key, count in zip(
                counters.query[some].tolist(),
                counters.key[some].tolist(),
                counters.count[some].tolist(),
                strict=True,
            )
        ]
        rows.sort(key=lambda row: (-row.count, row.query_token or "", row.key_token or ""))
        what = {"pair": "pairs query → key", "query": "queries", "key": "keys"}[of]
        heading = f"{at.name}, {what} (weight {THRESHOLD} or more)"
        return LinkedTokens(tuple(rows), heading, links, error)

    def settled(self) -> Self:
        """Return the same without texts and tokens that no table shows; those are let go now and then only."""
        if all(found.contexts is None for found in self.streams.values()):
            return self
        streams = {
            name: found
            if found.contexts is None
            else replace(found, contexts=found.contexts.settled())
            for name, found in self.streams.items()
        }
        used = used_inputs(streams)
        texts = {index: text for index, text in self.texts.items() if index in used}
        survey: Any = self
        made: Self = replace(survey, streams=streams, texts=texts)
        return made

    def _head(
        self,
        what: str,
        stream: str | None,
        layers: tuple[Layers, Layers],
        heads: tuple[Any, Any],
        score: str | None = "self",
    ) -> _Head:
        """Return the head that a call is about, and the place of a score.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If there are several streams, or no such layer, head or score.
        """
        name = self._one(stream)
        found = self.streams[name]
        layer = one_layer(either(layer=layers[0], layers=layers[1]), what)
        head = one_head(either(head=heads[0], heads=heads[1]), what)
        place, column = head_place(found.moments, layer, head, score)
        start = 0
        for number, count in found.moments.layers:
            if place < start + count:
                return _Head(found, f"{name} layer {number} head {place - start}", place, column)
            start += count
        raise AssertionError  # `head_place` has found it


@dataclass(frozen=True, slots=True)
class _Head:
    """A head of a survey: its stream, what it is called, its place among all heads, and that of a score."""

    found: Surveyed
    name: str
    place: int
    column: int


def contexts_of(found: StreamContexts, place: int, rule: int) -> Iterator[Context]:
    """Yield the contexts of a head, by its place among all of the stream, and a rule, by its place in `RULES`."""
    places = found.places
    for rank, (value, weight, number, query, key) in enumerate(
        zip(*(array[place, rule].tolist() for array in places.arrays), strict=True), start=1
    ):
        if number < 0:
            return
        tokens = found.windows[number]
        offset = tokens.offset
        own = offset is not None
        queries = tokens.keys if own else tokens.queries
        asked = query + (offset or 0)
        yield Context(
            rank,
            number,
            asked,
            key,
            queries[asked][0],
            tokens.keys[key][0],
            round(value, DIGITS),
            weight,
            tuple(
                _tokens(
                    tokens.keys,
                    _around(key, NEAR_KEY) | (_around(asked, NEAR) if own else set()),
                    asked if own else -1,
                    key,
                )
            ),
            () if own else tuple(_tokens(queries, _around(query, NEAR), query, -1)),
        )


def _around(place: int, near: int) -> set[int]:
    return set(range(place - near, place + near + 1))


def _tokens(axis: TokenAxis, chosen: set[int], query: int, key: int) -> Iterator[ContextToken]:
    last = -1
    for position in sorted(chosen & axis.keys()):
        label, joined = axis[position]
        gap = position > last + 1
        yield ContextToken(position, label, joined, position == query, position == key, gap)
        last = position


def _asked(found: Surveyed) -> StreamContexts:
    if found.contexts is None:
        raise ValueError(_NONE)
    return found.contexts


def _text(given: object) -> str:
    if isinstance(given, str):
        return given
    message = f"containing must be a text, such as 'because', got {shown(given)}."
    raise ValueError(message)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
