"""`HasGroupShares`: what a survey says of the weight that groups of positions give each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.surveys.tables import HasStreams, group_rows

if TYPE_CHECKING:
    from attnwidget.compute.indexing import Heads
    from attnwidget.record.vocabulary import Layers

__all__ = ["HasGroupShares"]


class HasGroupShares(HasStreams):
    """A survey whose streams may have shares of groups."""

    __slots__ = ()

    def group_shares(
        self,
        *,
        stream: str | None = None,
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Return how much weight each group of positions gives each group, mean over the inputs that have both.

        Of a survey that was asked for groups: ``survey(model, texts, tokenizer, groups="segment")``.

        Args:
            stream: Name of a stream; ``None`` for all that have groups.
            layer: As for `head_scores`.
            head: As for `head_scores`.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            ``stream``, ``layer``, ``head``, ``from``, ``to`` and ``share`` as `Attention.group_shares`, and the ``spread``
            (standard deviation over the inputs) and the number of ``inputs`` that had both groups: a pandas
            ``DataFrame``, or a list of dicts where pandas is not installed.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If there is no such layer or head, groups were not asked for, or no input had any.

        Example:
            >>> import attnwidget as aw
            >>> pairs = [("the cat sat", "the dog sat ."), ("it was tired", "the cat was tired")]
            >>> found = aw.survey(model, pairs, tokenizer, progress=False, groups="special")
            >>> len(found.group_shares(layer=0, head=0))
            4
        """
        asked = self._asked(stream, layer, layers, head, heads)
        streams, _ = asked
        if all(self.streams[one].groups is None for one in streams):
            message = (
                f"this survey has no shares of groups in {', '.join(streams)}: groups were not asked for, or no input had "
                "any; call survey(model, texts, tokenizer, groups='special')."
            )
            raise ValueError(message)
        return self._table(asked, group_rows)
