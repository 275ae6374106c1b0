"""`Attention`, the public result: a `Record` with its methods (scores, find, words, rollout, arrays, plot, figure, save)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from attnwidget.analysis import find_heads, query_key_plane, rollout, score_tables
from attnwidget.analysis.grouped import Grouped
from attnwidget.compute.indexing import head_axis
from attnwidget.export.exports import Exports
from attnwidget.record import storage, viewers, words
from attnwidget.record.options import DrawnSelection, FileOptions, ShownOptions
from attnwidget.record.pages import Pages
from attnwidget.record.record import Record, the_stream
from attnwidget.record.saving import save_by_ending
from attnwidget.record.vocabulary import (
    either,
    either_named,
    layers_and_heads,
    lists_options,
    one_head,
    one_layer,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from attnwidget.analysis.find_heads import Pattern
    from attnwidget.analysis.position_groups import By
    from attnwidget.analysis.query_key_plane import QueryKeyPlane
    from attnwidget.compute.indexing import Heads
    from attnwidget.figures.figure import Figure
    from attnwidget.figures.from_source import Kind
    from attnwidget.record.position_lookup import Place
    from attnwidget.record.vocabulary import Layers

__all__ = ["Attention"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Attention(Exports, Grouped, Pages):
    """One forward pass: every attention layer of a model on one input.

    Attributes:
        model_name: Class of the model, or what the caller called it.
        streams: Stream name to `Stream`, in order; read-only.
        text: The text that went in, where there was one.
        next_tokens: Query position to the most probable next tokens there, where the model gave logits of them.
        media: The pictures and sounds that went in; positions name theirs by its index.
        passes: How many passes, of which none goes on from another, ran while it was recorded.
        which: The number of the one that this is, from 0.
        edits: What was done to the model while it was recorded, each as the call that says so
            (``ablate(heads=[(3, 3)])``); nothing where it ran as it is.
        metric: What the gradients in its layers are of, such as ``log p(“purred”)``; ``None`` where it has none.
        hidden_states: The residual stream after each layer, where ``capture(…, hidden_states=True)`` kept it; files and
            copies do not.

    Example:
        >>> import attnwidget as aw
        >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
        >>> attention
        Attention(GPT2LMHeadModel, decoder: 4 layers × 4 heads, 7 tokens)
        >>> attention["decoder"][3].weights(head=3).shape
        (7, 7)
    """

    @classmethod
    def of(cls, record: Record) -> Attention:
        """Return a record as an `Attention`."""
        if isinstance(record, Attention):
            return record
        return Attention(**{one.name: getattr(record, one.name) for one in fields(Record)})

    def head_scores(
        self,
        scores: str | Sequence[str] | None = None,
        *,
        stream: str | None = None,
        sink: Place | None = None,
        aside: Place | None = None,
        measure: str = "weights",
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Score every head: previous token, induction, delimiters, how broad … `attnwidget.SCORES` has the formulas.

        A score is a mean over the queries that see at least two keys, one of which the score is about; padding is left
        out. Memory is bounded by a block of queries.

        Args:
            scores: Names of `attnwidget.SCORES`; ``None`` for all of these. Of a record with the gradients of a metric
                (``capture(…, metric=…)``) also ``"importance"``, ``|Σ_i o_i · ∂m/∂o_i|`` (Michel, Levy & Neubig 2019), which is
                of outputs whatever the measure, and has no value without the sink.
            stream: Name of a stream; ``None`` for all.
            sink: Another name of ``aside``.
            aside: Key positions to set aside in the column ``without_sink``: ``"first"`` for the first one, ``"special"``
                for special tokens, ``"first and special"`` for both, as ``None``; or others as numbers or as their
                tokens' text. Each row is then divided by what remains; a row with less than 1e-6 left is left out.
            measure: ``"weights"``, or ``"value"``, ``"norm"`` or ``"relevance"`` (see `Layer.measure`), each row divided by its sum.
            layer: Only this layer, or several, as the model counts them, negative from the end; ``None`` for all.
            head: Only this head of each layer, or several; ``None`` for all.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            One row per stream, layer, head and score: a pandas ``DataFrame`` with the columns ``stream``, ``layer``,
            ``head``, ``score``, ``value`` and ``without_sink``, or a list of dicts where pandas is not installed.
            ``None`` stands where only one of the two values is defined; scores that make no sense in a stream (the
            token before, in cross-attention) have no rows. Heads whose weights are NaN have NaN.

        Raises:
            KeyError, IndexError: If there is no such stream or layer.
            ValueError: If a score, head, position or measure does not exist, or cannot be given here, with the reason.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
            >>> len(attention.head_scores(["previous", "broad"]))  # of 4 × 4 heads
            32
        """
        chosen = layers_and_heads(layer, layers, head, heads)
        return score_tables.head_scores(
            self, scores, stream, either_named(sink=sink, aside=aside), measure, only=chosen
        )

    def head_labels(
        self,
        *,
        stream: str | None = None,
        sink: Place | None = None,
        aside: Place | None = None,
        measure: str = "weights",
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Give each head at most one short label: the score that stands out, read with the sink set aside.

        The rule is in `attnwidget.analysis.head_scores.labels`; even attention has no label.

        Args:
            stream: Name of a stream; ``None`` for all.
            sink: Another name of ``aside``.
            aside: As for `head_scores`.
            measure: As for `head_scores`.
            layer: As for `head_scores`.
            head: As for `head_scores`.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            ``stream``, ``layer``, ``head``, ``label``, the name of its ``score`` and the ``value`` of that, for the heads
            that have one: a pandas ``DataFrame``, or a list of dicts where pandas is not installed.

        Raises:
            KeyError, IndexError: If there is no such stream or layer.
            ValueError: If a head, position or measure does not exist, or cannot be given here.

        Example:
            >>> import attnwidget as aw
            >>> len(aw.capture(model, "the cat sat on the mat because it was tired", tokenizer).head_labels())
            7
        """
        chosen = layers_and_heads(layer, layers, head, heads)
        return score_tables.head_labels(
            self, stream, either_named(sink=sink, aside=aside), measure, only=chosen
        )

    def find(
        self,
        query: Place | None = None,
        key: Place | None = None,
        *,
        pattern: Pattern | None = None,
        from_group: str | None = None,
        to_group: str | None = None,
        by: By | None = None,
        aside: Place | None = None,
        top: int | None = 10,
        stream: str | None = None,
        measure: str = "weights",
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Rank all heads by the weight of some links: the mean over the queries of the weight summed over their keys.

        Args:
            query: A query's position, a slice, a token's text, or several of either; ``None`` for all queries.
            key: Keys, in the same way. The text of a word stands for all its pieces.
            pattern: Instead of both, a 0/1 mask ``[query, key]``, or a function from query positions and key positions
                to one. The mean is over the queries that have a key.
            from_group: Instead of all these, a group of positions whose queries count (`groups`); all when left out.
            to_group: The group whose weight is asked for; all keys when left out.
            by: The grouping that they are of, as for `groups`.
            aside: Key positions to set aside, as for `head_scores`; nothing when left out. Each row is then divided by what
                remains; a row with less than 1e-6 left is left out, and a head that has no other has NaN.
            top: How many heads to return; ``None`` for all.
            stream: Name of the stream; needed when there are several.
            measure: As for `head_scores`.
            layer: Only heads of this layer, or of several, as the model counts them; ``None`` for all.
            head: Only this head of each layer, or several; ``None`` for all.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            The best heads with ``rank``, ``stream``, ``layer``, ``head`` and ``weight``: a pandas ``DataFrame``, or a
            list of dicts where pandas is not installed. Heads whose weights are NaN come last; a warning names them.

        Raises:
            KeyError, IndexError: If there is no such stream or layer.
            ValueError: If a head or token is not there, a token is there several times (the message has the places), a
                position does not exist, the pattern is no mask, or the model's mask hides all of the links, or all of them
                are to keys that are set aside.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat because it was tired", tokenizer)
            >>> len(attention.find(query="it", key="cat", aside="first", top=3))
            3
        """
        layers, heads = layers_and_heads(layer, layers, head, heads)
        return find_heads.find(
            self,
            query,
            key,
            pattern=pattern,
            top=top,
            stream=stream,
            measure=measure,
            layers=layers,
            heads=heads,
            pair=(from_group, to_group),
            by=by,
            aside=aside,
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
        return words.words(self)

    def logit_lens(self, *, top: int = 5) -> Any:
        """Say what each layer would predict, from the hidden states that the record keeps; see `attnwidget.logit_lens`.

        Args:
            top: How many of the likeliest choices are kept of each layer and position.

        Returns:
            The `LogitLens` that ``attnwidget.logit_lens`` returns of the same run.

        Raises:
            ValueError: If the record keeps no hidden states: it was captured without, or read from a file, or copied.

        Example:
            >>> import attnwidget as aw
            >>> text = "the cat sat on the mat because it"
            >>> attention = aw.capture(model, text, tokenizer, hidden_states=True)
            >>> attention.logit_lens().predicted[3, -1]
            'was'
        """
        if self.hidden_states is None:
            message = (
                "this record keeps no hidden states, which files and copies never do: call "
                "attnwidget.capture(model, inputs, tokenizer, hidden_states=True).logit_lens(), or "
                "attnwidget.logit_lens(model, inputs, tokenizer)."
            )
            raise ValueError(message)
        return self.hidden_states.lens(top)

    def rollout(
        self, stream: str | None = None, *, layer: Layers = None, layers: Layers = None
    ) -> NDArray[np.float32]:
        """Follow attention through the layers of a stream (Abnar & Zuidema 2020, Quantifying Attention Flow).

        With ``A`` a layer's mean weights over its heads and ``I`` the residual stream, each layer mixes by
        ``(A + I) / 2``, rows divided by their sum; the rollout at a layer is the product of the layers up to it.

        Args:
            stream: Name of the stream; needed when there are several.
            layer: Above which layer, as the model counts them, or several; ``None`` for all.
            layers: Another name of ``layer``.

        Returns:
            float32 ``[layer, query, key]``, without the first axis for one layer: how much of each position below the
            first layer is in each position above that layer. Rows sum to 1.

        Raises:
            KeyError, IndexError: If there is no such stream or layer.
            ValueError: If the stream attends between different sequences, which cannot be chained.

        Example:
            >>> import attnwidget as aw
            >>> aw.capture(model, "the cat sat", tokenizer).rollout().shape
            (4, 4, 4)
        """
        chosen = either(layer=layer, layers=layers)
        return rollout.rollout(the_stream(self, stream), chosen)

    @lists_options(ShownOptions)
    def view(
        self,
        *,
        frozen: bool = False,
        still: bool = True,
        choose: bool = True,
        **options: Unpack[ShownOptions],
    ) -> Any:
        """Show the record in the widget, as `attnwidget.view` does.

        Args:
            frozen: As for `attnwidget.view`.
            still: As for `attnwidget.view`.
            choose: As for `attnwidget.view`.
            **options: The widget's traits to start with, such as ``layer=3, heads=[1, 3], query="it"``, and ``groups``, which
                are positions as `groups` takes them.

        Returns:
            The widget, an `AttentionWidget`.

        Raises:
            TypeError, ValueError: As `attnwidget.view`.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat because it", tokenizer)
            >>> view = attention.view(layer=3, heads=[1, 3], query="it")
            >>> view.heads, view.query
            ([1, 3], 8)
        """
        return viewers.make(self, "widget", frozen=frozen, still=still, choose=choose, **options)

    def query_key_plane(
        self,
        layer: int | None = None,
        head: int | None = None,
        *,
        stream: str | None = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> QueryKeyPlane:
        """Return the queries and keys of one head in one plane, by an exact PCA of both together.

        As in AttentionViz (Yeh et al. 2023), keys are first moved to the mean of the queries, and queries are multiplied
        by a number and keys divided by it, so that both spread equally: attention sees neither, but for soft caps and
        sinks. ``figure("geometry")`` draws it.

        Args:
            layer: The model's number of the layer, negative from the end.
            head: The head, negative from the end.
            stream: Name of the stream; may be left out where there is one only.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            The plane: ``queries`` ``[query, 2]``, ``keys`` ``[key, 2]``, their norms, the ``shares`` of the variance along its
            axes, the ``scale``, and a table of it all.

        Raises:
            KeyError, IndexError: If there is no such stream or layer.
            ValueError: If there is no such head, or only weights were recorded.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
            >>> attention.query_key_plane(layer=3, head=3).queries.shape
            (7, 2)
        """
        named = the_stream(self, stream)
        number = one_layer(either(layer=layer, layers=layers), "a plane is of")
        place = one_head(either(head=head, heads=heads), "a plane is of")
        found = named[number]
        (one,) = head_axis([place], found.num_heads).indices
        return query_key_plane.query_key_plane(named, found, one)

    @lists_options(DrawnSelection)
    def figure(self, kind: Kind | None = None, **options: Unpack[DrawnSelection]) -> Figure:
        """Return a figure of a view, drawn by the widget's own renderer; needs no browser and no display.

        Args:
            kind: What is drawn, in one word: a view, or a form of the head view: ``"lines"``, ``"matrix"``, ``"image"``
                (over the picture or the sound that went in) or ``"text"`` (the running text, shaded by what the pinned
                query attends to, what attends to the pinned key, or the mean over all queries), ``"groups"`` (how much
                weight the groups of positions give each other, a small matrix a head) or ``"profile"`` (the same over
                the layers), ``"geometry"`` (queries and keys of each head in one plane; `query_key_plane` says how), or
                ``"scatter"``, an arrangement of the model view. ``"head"``, the kind when left out, is lines, or the image where there is
                one.
            **options: What is drawn, by the names that a view has for it:

                - ``view``, ``form``, ``arrange``: the same as ``kind``: ``figure("head", form="matrix")`` is
                  ``figure("matrix")``, ``figure("model", arrange="scatter")`` is ``figure("scatter")``.
                - ``layer`` (or ``layers``): as the model counts it, negative from the end; the stream's first.
                - ``heads`` (or ``head``): the heads drawn; the first. ``(layer, head)`` pairs are drawn as a grid, and
                  for ``"compare"`` they are the heads compared, as in ``compare``.
                - ``together``: the heads as one: their ``"mean"``, ``"max"`` or ``"sum"``, number by number. The panels of a
                  ``grid`` are of single heads. ``together_layers``: those heads of several layers, such as ``range(4)``.
                  ``panels``: ``"one a head"`` for the lines of each head in a panel, as on the screen; a ``grid`` does that
                  for every form and for heads of several layers.
                - ``query``, ``key``: pin them: a position or a token's text, or several of either.
                - ``stream``: its name; the first. ``step``, ``show_layers``, ``below_threshold``: as for the widget.
                  ``aside``: key positions set aside in shades, widths and scores, ``"first"``, ``"special"``,
                  ``"first and special"`` (``without_sink=True``) or their numbers. ``selection``: further traits of the widget, such as ``{"threshold": 0.3}``.
                - ``measure``: ``"weights"``, ``"value"``, ``"norm"``, ``"gradient"``, ``"relevance"`` or ``"rollout"``.
                - ``grouping``: the groups of positions that are marked, one of those of `groups`; the texts of a pair, who
                  speaks, pictures and text, or prompt and answer when left out. ``from_group``, ``to_group``: the groups
                  that links are drawn between. ``groups``: your own groups, as for `attnwidget.view`.
                - ``colour``: of ``"geometry"``, what points are coloured by: their ``"position"``, their ``"group"`` of the
                  ``grouping``, or their ``"norm"``, the length of the vector.
                - ``explain``: of the neuron view: ``"link"``, or ``"head"`` for a matrix of each step of the whole head.
                - ``score``: what heads are coloured by in the model view, and the x of a ``"scatter"``: one of `SCORES`.
                  ``other_score``: its y.

                And how it is drawn:

                - ``width``: of all of it in print, such as ``"85mm"`` or ``"3.3in"``; or pixels, without the margin.
                - ``font_size``: of the labels in points; 9 when left out. ``font``: a font family.
                - ``theme``: ``"light"``, ``"dark"``, or ``"print"``: black on white, heads and signs told apart in grey.
                - ``colour_map``: of weights, ``"blue"``, ``"cividis"``, ``"viridis"``, ``"magma"`` or ``"grey"``.
                - ``title``: text, or True for a line that says model, stream, layer and heads; none when left out. ``legend``: False for none. ``transparent``: no background.
                - ``grid``: each head in a panel of its own: True, or how many panels side by side.
                - ``positions``, or ``queries`` and ``keys``: which to draw, as for `find`; weights stay those over all.
                  ``positions="words"`` merges the pieces of words.
                - ``top_k``: draw only so many of each query's strongest lines, 3 when left out, None for all of them.
                  ``mass``: only the fewest that make up this share of its weight. ``threshold``: only those of this
                  weight or more. The legend says so. ``shade``: ``"fixed"`` for matrices whose shades end at 1.
                - ``layout``: lines between tokens below one another (``"vertical"``) or side by side
                  (``"horizontal"``).
                - ``direction``: ``"ltr"`` or ``"rtl"``: which way a sentence runs; below one another, ``"rtl"`` has the
                  queries at the right. ``"auto"`` goes by the script where tokens stand side by side.
                - ``whole``: as high as all of the content and without what a pointer needs (True here), or as on the
                  screen. ``marked``: whether the model view outlines the selected heads (if any were given).

        Returns:
            A `Figure`: show it as the last line of a cell, ``save`` it as ``.svg``, ``.pdf`` or ``.png``, read its
            numbers in ``data``.

        Raises:
            TypeError: If an option does not exist.
            KeyError, ValueError: If a stream, layer, head, token or position does not exist or is ambiguous, or an
                option is none of what is accepted; the message says what is.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat because it", tokenizer)
            >>> figure = attention.figure("head", layer=3, heads=[1, 3], query="it", width="85mm")
            >>> path = figure.save("it.pdf")
        """
        made: Figure = viewers.make(self, "figure", kind, **options)
        return made

    @lists_options(FileOptions)
    def save(self, path: str | os.PathLike[str], **options: Unpack[FileOptions]) -> Path:
        """Write the record, a figure or a page of it: the ending of the path says which.

        ``.safetensors`` (or no ending) is the record itself, which `attnwidget.load` reads back exactly, but for its
        hidden states. ``.svg``, ``.pdf`` and ``.png`` are what `figure` draws, ``.html`` is the widget over a snapshot, as
        `view` shows it.

        Args:
            path: File to write; an existing one is replaced.
            **options: For a figure ``kind`` and the options of `figure`, ``scale`` or ``dpi``; for a page the options of
                `view` and ``budget``, as for `AttentionWidget.save`.

        Returns:
            The path.

        Raises:
            FileNotFoundError: If the folder does not exist.
            TypeError: If an option does not exist, or means nothing for such a file.
            ValueError: If the path ends in something else, or an option is none of what is accepted.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat", tokenizer)
            >>> path = attention.save("run.safetensors")
            >>> path = attention.save("sat.svg", layer=3, heads=[1, 3], query="sat")
        """
        return save_by_ending(
            self,
            path,
            options,
            name="attention",
            table="attention.to_dataframe()",
            write=lambda: storage.save(self, path),
        )
