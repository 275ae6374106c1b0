"""`compare` and `Comparison`: two records on common axes, ranked by how much each head changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, overload

from attnwidget.comparison.alignment import Pair, align
from attnwidget.comparison.build_series import compare_series
from attnwidget.comparison.divergence import divergence, signed_difference
from attnwidget.comparison.lookup import checked_layer, compared_stream, several_layers
from attnwidget.comparison.names import names_of
from attnwidget.comparison.ranking import ranked_heads
from attnwidget.compute.checks import (
    check_count,
    check_flag,
    listed,
    shown,
)
from attnwidget.compute.indexing import head_axis
from attnwidget.protocol.text import well_formed
from attnwidget.record import viewers
from attnwidget.record.options import DrawnSelection, FileOptions, ShownOptions
from attnwidget.record.pages import Pages
from attnwidget.record.record import Record
from attnwidget.record.saving import save_by_ending
from attnwidget.record.vocabulary import (
    either,
    layers_and_heads,
    lists_options,
    one_layer,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from attnwidget.comparison.series import ComparisonSeries
    from attnwidget.compute.indexing import Heads
    from attnwidget.record.vocabulary import Layers

    Numbers = NDArray[np.float64]

_NOWHERE = "there is no such layer in either"

__all__ = ["Compared", "Comparison", "compare"]


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """One stream that both records have.

    Attributes:
        stream: Its name.
        queries: The common query axis.
        keys: The common key axis.
        layers: Numbers of the layers that both have with as many heads.
        divergence: For each of them, float64 ``[head]``: see `Comparison`.
        left_out: Numbers of the other layers, with the reason.
    """

    stream: str
    queries: tuple[Pair, ...]
    keys: tuple[Pair, ...]
    layers: tuple[int, ...]
    divergence: tuple[Numbers, ...]
    left_out: Mapping[int, str]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison(Pages):
    """Two records side by side: two inputs to one model, or two models on one input.

    The divergence of a head is the Jensen–Shannon divergence (Lin 1991) between its rows in the two records, to base 2
    and averaged over the queries that both have: 0 where both look at the same, 1 where nothing is in common. A row is
    a distribution over the common key axis; a key that only one record has is one the other never looks at, and what a
    row lacks to 1 (the share of a learned sink) is one more place to look.

    Attributes:
        a: The first record.
        b: The second record.
        streams: What was compared, by the stream's name.
        names: What they are called.

    Example:
        >>> import attnwidget as aw
        >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
        >>> comparison = aw.compare(attention, aw.capture(model, "the dog sat on the mat", tokenizer))
        >>> comparison.changed(top=1)[["layer", "head"]].values.tolist()
        [[2, 1]]
    """

    a: Record
    b: Record
    streams: Mapping[str, Compared]
    names: tuple[str, str] = ("first", "second")

    @property
    def records(self) -> tuple[Record, Record]:
        """Both records."""
        return self.a, self.b

    @lists_options(ShownOptions)
    def view(
        self,
        *,
        frozen: bool = False,
        still: bool = True,
        choose: bool = True,
        **options: Unpack[ShownOptions],
    ) -> Any:
        """Show both records: the heads that changed most, ranked, and one head of both side by side.

        As the last line of a cell a comparison shows itself in the same way.

        Args:
            frozen: As for `attnwidget.view`.
            still: As for `attnwidget.view`.
            choose: Open on the head that changed most, with its largest change pinned, where none is given.
            **options: The widget's traits to start with, such as ``layer=3, heads=[5]``, and ``groups`` of places on the common axes,
                as `Attention.groups` takes them.

        Returns:
            The widget, an `AttentionWidget`. Its positions are places on the common axes, ``streams[name].queries`` and ``.keys``.

        Raises:
            TypeError: If there is no such trait.
            ValueError: If a trait is out of range.

        Example:
            >>> import attnwidget as aw
            >>> texts = "the cat sat on the mat", "the dog sat on the mat"
            >>> aw.compare(*(aw.capture(model, text, tokenizer) for text in texts)).view(layer=3).layer
            3
        """
        return viewers.make(self, "widget", frozen=frozen, still=still, choose=choose, **options)

    @lists_options(DrawnSelection)
    def figure(self, kind: str | None = None, **options: Unpack[DrawnSelection]) -> Any:
        """Return a figure: two panels and their difference (``"compare"``, the kind when left out), or ``"model"``.

        Args:
            kind: As for `Attention.figure`.
            **options: As for `Attention.figure`; positions are places on the common axes.

        Returns:
            A `Figure`.

        Raises:
            TypeError, KeyError, ValueError: As `Attention.figure`.

        Example:
            >>> import attnwidget as aw
            >>> first, second = (aw.capture(model, f"the {who} sat", tokenizer) for who in ("cat", "dog"))
            >>> aw.compare(first, second).figure(layer=3, heads=1).svg[:4]
            '<svg'
        """
        return viewers.make(self, "figure", kind, **options)

    @lists_options(FileOptions)
    def save(self, path: str | os.PathLike[str], **options: Unpack[FileOptions]) -> Path:
        """Write a figure or a page of the comparison: the ending of the path says which.

        ``.svg``, ``.pdf`` and ``.png`` are what `figure` draws, ``.html`` is the widget over a snapshot, as `view` shows
        it. A comparison has no file of its own: save its records, `a` and `b`, and compare them again.

        Args:
            path: File to write; an existing one is replaced.
            **options: As for `Attention.save`.

        Returns:
            The path.

        Raises:
            TypeError, ValueError: As `Attention.save`.

        Example:
            >>> import attnwidget as aw
            >>> first, second = (aw.capture(model, f"the {who} sat", tokenizer) for who in ("cat", "dog"))
            >>> path = aw.compare(first, second).save("changed.svg", layer=3, heads=1)
        """
        return save_by_ending(
            self,
            path,
            options,
            name="comparison",
            table="comparison.changed(top=None)",
            write=None,
        )

    def _ipython_display_(self) -> None:
        self.view()._ipython_display_()

    def difference(
        self,
        layer: int | None = None,
        head: Heads = None,
        *,
        stream: str | None = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> NDArray[np.float32]:
        """Return how much more weight the second record gives, ``b − a``.

        Args:
            layer: The model's number of the layer, negative from the end.
            head: One head, several, or ``None`` for all.
            stream: Name of the stream; needed when there are several.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            float32 ``[head, query, key]`` on the common axes, without the head axis for one head; NaN where the query or
            the key is missing from one of the records.

        Raises:
            KeyError: If the stream was not compared.
            ValueError: If the layer was not compared or a head does not exist.

        Example:
            >>> import attnwidget as aw
            >>> first, second = (aw.capture(model, f"the {who} sat", tokenizer) for who in ("cat", "dog"))
            >>> aw.compare(first, second).difference(layer=3, head=1).shape
            (4, 4)
        """
        found = self._compared(stream)
        asked = one_layer(either(layer=layer, layers=layers), "difference is of")
        number = checked_layer(found, asked, nowhere=_NOWHERE)
        first, second = self.a[found.stream][number], self.b[found.stream][number]
        chosen = head_axis(either(head=head, heads=heads), first.num_heads)
        difference = signed_difference(first, second, chosen.indices, found.queries, found.keys)
        return difference[0] if chosen.dropped else difference

    def changed(
        self,
        top: int | None = 10,
        *,
        stream: str | None = None,
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Return the heads whose attention changed most.

        Args:
            top: How many; ``None`` for all.
            stream: Name of a stream; ``None`` for all.
            layer: Only heads of this layer, or of several, as the model counts them; ``None`` for all.
            head: Only this head of each layer, or several; ``None`` for all.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            ``rank``, ``stream``, ``layer``, ``head`` and ``divergence``, the largest first: a pandas ``DataFrame``, or a
            list of dicts where pandas is not installed. Heads whose weights are NaN come last; a warning names them.

        Raises:
            KeyError: If the stream was not compared.
            ValueError: If ``top`` is no positive integer, or a layer or head was not compared.

        Example:
            >>> import attnwidget as aw
            >>> first, second = (aw.capture(model, f"the {who} sat", tokenizer) for who in ("cat", "dog"))
            >>> len(aw.compare(first, second).changed(top=5))
            5
        """
        count = None if top is None else check_count("top", top, " or None for all heads")
        chosen = list(self.streams.values()) if stream is None else [self._compared(stream)]
        several, some = layers_and_heads(layer, layers, head, heads)
        asked = {one.stream: several_layers(one, several, nowhere=_NOWHERE) for one in chosen}
        rows: list[dict[str, Any]] = [
            {"stream": one.stream, "layer": layer, "head": head, "divergence": float(value)}
            for one in chosen
            for layer, values in zip(one.layers, one.divergence, strict=True)
            if layer in asked[one.stream]
            for head in sorted(set(head_axis(some, len(values)).indices))
            for value in [values[head]]
        ]
        return ranked_heads(rows, "divergence", count, change="divergence")

    def __repr__(self) -> str:
        parts = []
        for one in self.streams.values():
            heads = sum(len(values) for values in one.divergence)
            queries = sum(pair.aligned for pair in one.queries)
            keys = sum(pair.aligned for pair in one.keys)
            parts.append(
                f"{one.stream}: {heads} heads, {queries} of {len(one.queries)} queries and {keys} of {len(one.keys)} "
                "keys in both"
            )
        names = self.a.model_name
        if self.b.model_name != names:
            names += f" and {self.b.model_name}"
        return well_formed(f"Comparison({names}, {'; '.join(parts)})")

    def _compared(self, stream: str | None) -> Compared:
        return compared_stream(self.streams, stream, of="both records")


class _ComparesItself(Protocol):
    """A survey."""

    def compare(self, other: Any, names: Any) -> Any: ...


@overload
def compare(
    a: _ComparesItself, b: _ComparesItself, *, names: Sequence[str] | None = None
) -> Any: ...


@overload
def compare(
    a: Record, b: Record, *, names: Sequence[str] | None = None, replaced: bool = True
) -> Comparison: ...


@overload
def compare(
    a: Record,
    b: Record,
    c: Record,
    /,
    *more: Record,
    names: Sequence[str] | None = None,
    replaced: bool = True,
) -> ComparisonSeries: ...


def compare(
    a: Any,
    b: Any,
    *more: Record,
    names: Sequence[str] | None = None,
    replaced: bool = True,
) -> Any:
    """Put records side by side: two inputs to one model, two models on one input, or a series of more than two; or surveys.

    Two surveys are compared by their head scores, `Survey.compare`.

    As the last line of a cell it shows a widget; two heads of one record are compared by
    ``view(attention, view="compare", compare=[(3, 5), (4, 1)])``.

    Positions are aligned by their tokens with ``difflib.SequenceMatcher`` of the standard library; what only one record
    has is kept and marked. A series, such as the checkpoints of one training or prompts of one family, is aligned with its
    first record, and each record is compared with the one before it.

    Args:
        a: The first record.
        b: The second record.
        *more: Further records, in the order of the series: 26 in all at most.
        names: What to call them, such as ``("base", "fine-tuned")``; their texts, or their models' names, where those
            differ.
        replaced: Whether tokens that stand in the place of as many others ("nurse" for "doctor") are aligned with
            them. If not, each is one that only one record has.

    Returns:
        The comparison: `Comparison.changed` ranks the heads, `Comparison.difference` has the signed difference of one. Of more
        than two records a `ComparisonSeries`, whose `ComparisonSeries.changed` ranks the heads by their change over it.

    Raises:
        TypeError: If one of them is no record.
        ValueError: If they have no stream, or no layer, in common that could be compared, or are too many.

    Example:
        >>> import attnwidget as aw
        >>> texts = "the cat sat on the mat", "the dog sat on the mat ."
        >>> compare(*(aw.capture(model, text, tokenizer) for text in texts))
        Comparison(GPT2LMHeadModel, decoder: 16 heads, 7 of 8 queries and 7 of 8 keys in both)
        >>> texts += ("the old cat sat on the mat",)
        >>> compare(*(aw.capture(model, text, tokenizer) for text in texts))
        ComparisonSeries(GPT2LMHeadModel, 3 records, decoder: 16 heads, 7 of 9 queries and 7 of 9 keys in all)
    """
    given: tuple[object, ...] = (a, b, *more)
    own = getattr(given[0], "compare", None)
    if own is not None and not more and not isinstance(given[0], Record):
        whole: Any = own(b, names)  # a survey, which says what is wrong with the other
        return whole
    if more and own is not None and not isinstance(given[0], Record):
        message = (
            f"surveys are compared two at a time, got {len(given)}: call compare(first, second)."
        )
        raise TypeError(message)
    wrong = [type(record).__name__ for record in given if not isinstance(record, Record)]
    if wrong:
        message = (
            f"compare takes {'' if more else 'two '}records, got {wrong[0]}: call compare(capture(model, first), capture(model, second)); for "
            'two heads of one record, view(attention, view="compare", compare=[(3, 5), (4, 1)]).'
        )
        raise TypeError(message)
    called = names_of((a, b, *more)) if names is None else listed(names)
    if called is None or len(called) != len(given) or not all(isinstance(n, str) for n in called):
        expected = f"{len(given)} texts, one for each record" if more else "two texts"
        message = f"names must be {expected}, such as ('base', 'fine-tuned'), got {shown(names)}."
        raise ValueError(message)
    replaced = check_flag("replaced", replaced)
    if more:
        return compare_series((a, b, *more), tuple(called), replaced=replaced)
    shared = [name for name in a if name in b.streams]
    if not shared:
        message = f"the records have no stream in common: {list(a)} and {list(b)}."
        raise ValueError(message)
    streams = {name: _compare_streams(name, a, b, replaced=replaced) for name in shared}
    if not any(one.layers for one in streams.values()):
        message = (
            "the records have no layer in common with as many heads, so no head can be compared."
        )
        raise ValueError(message)
    return Comparison(a, b, streams, (called[0], called[1]))


def _compare_streams(name: str, a: Record, b: Record, *, replaced: bool) -> Compared:
    first, second = a[name], b[name]
    keys = align(first.key_positions, second.key_positions, replaced=replaced)
    queries = align(first.query_positions, second.query_positions, replaced=replaced)
    if not any(pair.aligned for pair in queries):
        message = (
            f"the records have no query of stream {name!r} in common, so nothing can be compared."
        )
        raise ValueError(message)
    others = {layer.layer: layer for layer in second}
    left_out = {layer.layer: "only the first record has it" for layer in first}
    left_out = dict.fromkeys(others, "only the second record has it") | left_out
    layers, divergences = [], []
    for layer in first:
        other = others.get(layer.layer)
        if other is None:
            continue
        if other.num_heads != layer.num_heads:
            left_out[layer.layer] = (
                f"it has {layer.num_heads} heads in one and {other.num_heads} in the other"
            )
            continue
        del left_out[layer.layer]
        layers.append(layer.layer)
        divergences.append(divergence(layer, other, queries, keys))
    return Compared(name, queries, keys, tuple(layers), tuple(divergences), left_out)
