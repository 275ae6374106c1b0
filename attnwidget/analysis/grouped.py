"""`Grouped`: the methods of a record about groups of its positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.analysis import group_shares
from attnwidget.record.record import Record
from attnwidget.record.vocabulary import layers_and_heads

if TYPE_CHECKING:
    from attnwidget.analysis.position_groups import By
    from attnwidget.compute.indexing import Heads
    from attnwidget.record.vocabulary import Layers

__all__ = ["Grouped"]


class Grouped(Record):
    """A record whose positions belong to groups: texts of a pair, speakers, pictures, sentences, or the caller's own."""

    __slots__ = ()

    def groups(
        self, by: By, *, stream: str | None = None
    ) -> dict[str, dict[str, dict[str, list[int]]]]:
        """Tell which groups positions belong to: the texts of a pair, chat roles, pictures, sentences, or your own.

        Every position is in one group; those that are in none of these are the ``"rest"``.

        Args:
            by: - ``"segment"``: ``A`` and ``B``, the texts of a pair.
                - ``"role"``, ``"turn"``: who speaks in a chat; its messages (``1 user``, ``2 assistant`` …), two of one
                  role in a row as one.
                - ``"modality"``: ``text``, ``picture 1`` …, ``sound``.
                - ``"part"``: ``prompt`` and ``answer`` of a generation.
                - ``"special"``: ``special`` tokens and ``content``.
                - ``"sentence"``: ``sentence 1`` …, split after tokens that end in . ! ? … and after line breaks; a text or
                  speaker begins one, special tokens are in none.
                - A dict from names to positions (numbers, ranges, tokens' texts), of which none may be in two. Of
                  cross-attention they are those of the keys.
                - A function from a `Position` to a name, or None.
            stream: Name of a stream; ``None`` for all that have such groups.

        Returns:
            By the stream's name, for ``"query"`` and ``"key"``, the positions of each group by its name.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If there are no such groups here, with the reason, or the caller's own are wrong.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat . it was tired .", tokenizer)
            >>> attention.groups("sentence")["decoder"]["key"]["sentence 2"]
            [5, 6, 7, 8]
        """
        return group_shares.group_positions(self, by, stream)

    def group_shares(
        self,
        by: By,
        *,
        stream: str | None = None,
        measure: str = "weights",
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Tell how much weight each group of positions gives each group, in every head.

        The share is the mean over the queries of *from* of their weight on *to*, over all of its keys. It is exact at any
        length: one run of attention with a column for each group, and no matrix of weights.

        Args:
            by: As for `groups`.
            stream: Name of a stream; ``None`` for all that have such groups.
            measure: As for `head_scores`.
            layer: Only this layer, or several, as the model counts them, negative from the end; ``None`` for all.
            head: Only this head of each layer, or several; ``None`` for all.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            One row per stream, layer, head and pair of groups: a pandas ``DataFrame`` with the columns ``stream``,
            ``layer``, ``head``, ``from``, ``to`` and ``share``, or a list of dicts where pandas is not installed. Groups
            without queries give nothing, and have no rows as ``from``. Heads whose weights are NaN have NaN.

        Raises:
            KeyError, IndexError: If there is no such stream or layer.
            ValueError: As `groups`, or if a head or measure does not exist or cannot be given here.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat . it was tired .", tokenizer)
            >>> len(attention.group_shares({"cat": "cat", "it": "it"}, layer=0, head=0))  # and the rest
            9
        """
        chosen = layers_and_heads(layer, layers, head, heads)
        return group_shares.group_shares(self, by, stream, measure, only=chosen)

    def group_profile(
        self,
        by: By,
        *,
        stream: str | None = None,
        measure: str = "weights",
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Follow the shares of groups over the layers: mean and spread over the heads of each.

        Arguments and errors are those of `group_shares`.

        Args:
            by: As for `groups`.
            stream: As for `group_shares`.
            measure: As for `group_shares`.
            layer: As for `group_shares`.
            head: As for `group_shares`.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            One row per stream, layer and pair of groups: ``stream``, ``layer``, ``from``, ``to``, ``mean``, ``spread``
            (standard deviation over the heads), ``least``, ``most`` and ``heads`` (how many, those with NaN left out): a
            pandas ``DataFrame``, or a list of dicts where pandas is not installed.

        Raises:
            KeyError, IndexError: As `group_shares`.
            ValueError: As `group_shares`.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat . it was tired .", tokenizer)
            >>> len(attention.group_profile("sentence"))  # of 4 layers; the first token is in none of two sentences
            36
        """
        chosen = layers_and_heads(layer, layers, head, heads)
        return group_shares.group_profile(self, by, stream, measure, only=chosen)
