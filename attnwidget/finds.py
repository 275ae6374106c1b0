"""Which head is it: scores, labels, search by example, words and rollout of an `Attention`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from attnwidget.attention import Attention
    from attnwidget.finding.find import Pattern
    from attnwidget.finding.places import Place

__all__ = ["Finds"]


class Finds:
    """What an `Attention` says about its heads."""

    __slots__ = ()

    def head_scores(
        self,
        scores: str | Sequence[str] | None = None,
        *,
        stream: str | None = None,
        sink: int | Sequence[int] | None = None,
        measure: str = "weights",
    ) -> Any:
        """Score every head: previous token, induction, delimiters, how broad … `attnwidget.SCORES` has the formulas.

        A score is a mean over the queries that see at least two keys, one of which the score is about; padding is left
        out. Memory is bounded by a block of queries.

        Args:
            scores: Names of `attnwidget.SCORES`; ``None`` for all.
            stream: Name of a stream; ``None`` for all.
            sink: Key positions to set aside in the column ``without_sink``; ``None`` for the first position and all
                special tokens. Each row is then divided by what remains; a row with less than 1e-6 left is left out.
            measure: ``"weights"``, or ``"value"`` or ``"norm"`` (see `Layer.measure`), each row divided by its sum.

        Returns:
            One row per stream, layer, head and score: a pandas ``DataFrame`` with the columns ``stream``, ``layer``,
            ``head``, ``score``, ``value`` and ``without_sink``, or a list of dicts where pandas is not installed.
            ``None`` stands where only one of the two values is defined; scores that make no sense in a stream (the
            token before, in cross-attention) have no rows.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If a score, position or measure does not exist, or cannot be given here, with the reason.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
            >>> len(attention.head_scores(["previous", "broad"]))  # of 4 × 4 heads
            32
        """
        from attnwidget.finding import tables  # noqa: PLC0415  (it builds on the record)

        return tables.head_scores(cast("Attention", self), scores, stream, sink, measure)

    def head_labels(
        self,
        *,
        stream: str | None = None,
        sink: int | Sequence[int] | None = None,
        measure: str = "weights",
    ) -> Any:
        """Give each head at most one short label: the score that stands out, read with the sink set aside.

        The rule is in `attnwidget.finding.labels.labels`; even attention has no label.

        Args:
            stream: Name of a stream; ``None`` for all.
            sink: As for `head_scores`.
            measure: As for `head_scores`.

        Returns:
            ``stream``, ``layer``, ``head``, ``label``, the name of its ``score`` and the ``value`` of that, for the heads
            that have one: a pandas ``DataFrame``, or a list of dicts where pandas is not installed.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If a position or measure does not exist, or cannot be given here.

        Example:
            >>> import attnwidget as aw
            >>> len(aw.capture(model, "the cat sat on the mat because it was tired", tokenizer).head_labels())
            7
        """
        from attnwidget.finding import tables  # noqa: PLC0415  (it builds on the record)

        return tables.head_labels(cast("Attention", self), stream, sink, measure)

    def find(
        self,
        query: Place | None = None,
        key: Place | None = None,
        *,
        pattern: Pattern | None = None,
        top: int | None = 10,
        stream: str | None = None,
        measure: str = "weights",
    ) -> Any:
        """Rank all heads by the weight of some links: the mean over the queries of the weight summed over their keys.

        Args:
            query: A query's position, a slice, a token's text, or several of either; ``None`` for all queries.
            key: Keys, in the same way. The text of a word stands for all its pieces.
            pattern: Instead of both, a 0/1 mask ``[query, key]``, or a function from query positions and key positions
                to one. The mean is over the queries that have a key.
            top: How many heads to return; ``None`` for all.
            stream: Name of the stream; needed when there are several.
            measure: As for `head_scores`.

        Returns:
            The best heads with ``rank``, ``stream``, ``layer``, ``head`` and ``weight``: a pandas ``DataFrame``, or a
            list of dicts where pandas is not installed.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If a token is not there, or is there several times (the message has the places), a position does
                not exist, the pattern is no mask, or the model's mask hides all of the links.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat because it was tired", tokenizer)
            >>> len(attention.find(query="it", key="cat", top=3))
            3
        """
        from attnwidget.finding import find  # noqa: PLC0415  (it builds on the record)

        return find.find(
            cast("Attention", self),
            query,
            key,
            pattern=pattern,
            top=top,
            stream=stream,
            measure=measure,
        )

    def words(self) -> Attention:
        """Merge the pieces of words: the same record with one position for each word.

        The weight from one word to another is summed over the pieces of the key and averaged over the pieces of the
        query, so rows still sum to what they did. Pieces belong to a word by `Position.continues`; positions that are
        no text, and special tokens, stay as they are.

        Returns:
            A record of weights alone, held in float32; a stream without any word of several pieces is the same stream,
            vectors included.

        Raises:
            ValueError: If the weights would take more than 4 GB.

        Example:
            >>> import attnwidget as aw
            >>> weights = [[[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]]]
            >>> words = aw.from_weights(weights, ["the", "cat", "##s"]).words()
            >>> words["self"][0].weights(0).round(2).tolist()
            [[1.0, 0.0], [0.3499999940395355, 0.6499999761581421]]
        """
        from attnwidget.finding import words  # noqa: PLC0415  (it builds on the record)

        return words.words(cast("Attention", self))

    def rollout(self, stream: str | None = None) -> NDArray[np.float32]:
        """Follow attention through the layers of a stream (Abnar & Zuidema 2020, Quantifying Attention Flow).

        With ``A`` a layer's mean weights over its heads and ``I`` the residual stream, each layer mixes by
        ``(A + I) / 2``, rows divided by their sum; the rollout at a layer is the product of the layers up to it.

        Args:
            stream: Name of the stream; needed when there are several.

        Returns:
            float32 ``[layer, query, key]``: how much of each position below the first layer is in each position above
            that layer. Rows sum to 1.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If the stream attends between different sequences, which cannot be chained.

        Example:
            >>> import attnwidget as aw
            >>> aw.capture(model, "the cat sat", tokenizer).rollout().shape
            (4, 4, 4)
        """
        from attnwidget.finding import rollout  # noqa: PLC0415  (it builds on the record)
        from attnwidget.finding.find import the_stream  # noqa: PLC0415

        return rollout.rollout(the_stream(cast("Attention", self), stream))
