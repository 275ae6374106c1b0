"""`ComparisonSeries`: more than two records on common axes, ranked by how much each head changes from one to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attnwidget.comparison.common_axis import Place, pairs_of
from attnwidget.comparison.divergence import signed_difference
from attnwidget.comparison.lookup import checked_layer, compared_stream, several_layers
from attnwidget.comparison.ranking import ranked_heads
from attnwidget.compute.checks import check_choice, check_count, integer, listed, shown
from attnwidget.compute.indexing import head_axis
from attnwidget.compute.not_numbers import largest
from attnwidget.protocol.text import well_formed
from attnwidget.record import viewers
from attnwidget.record.options import DrawnSelection, FileOptions, ShownOptions
from attnwidget.record.pages import Pages
from attnwidget.record.saving import save_by_ending
from attnwidget.record.vocabulary import either, layers_and_heads, lists_options, one_layer

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from attnwidget.compute.indexing import Heads
    from attnwidget.record.record import Record
    from attnwidget.record.vocabulary import Layers

    Numbers = NDArray[np.float64]

NOWHERE = "there is no such layer in any of them"
CHANGES = ("change", "largest_step", "first_to_last")

__all__ = ["CHANGES", "NOWHERE", "ComparedSeries", "ComparisonSeries"]


@dataclass(frozen=True, slots=True, eq=False)
class ComparedSeries:
    """One stream that all records have.

    Attributes:
        stream: Its name.
        queries: The common query axis.
        keys: The common key axis.
        layers: Numbers of the layers that all have with as many heads.
        steps: For each of them, float64 ``[head, step]``: the divergence between each record and the one before it.
        first_to_last: For each of them, float64 ``[head]``: the divergence between the first record and the last.
        left_out: Numbers of the other layers, with the reason.
    """

    stream: str
    queries: tuple[Place, ...]
    keys: tuple[Place, ...]
    layers: tuple[int, ...]
    steps: tuple[Numbers, ...]
    first_to_last: tuple[Numbers, ...]
    left_out: Mapping[int, str]

    def changes(self, by: str) -> tuple[Numbers, ...]:
        """Return one number for each head of each layer, float64 ``[head]``.

        Args:
            by: ``"change"``, ``"largest_step"`` or ``"first_to_last"``; see `ComparisonSeries`.
        """
        if by == "first_to_last":
            return self.first_to_last
        # NaN of a step is NaN of all: what a head with such weights does is not known.
        over = np.max if by == "largest_step" else np.mean
        return tuple(over(steps, axis=-1) for steps in self.steps)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ComparisonSeries(Pages):
    """More than two records in a row: checkpoints of one training on one input, or prompts of one family.

    Every record is aligned with the first; what the first lacks has places of its own on the common axes, where equal
    tokens of several records stand together.

    From each record to the next a head has the divergence of `Comparison`, which is 0 where it looks at the same and 1
    where nothing is in common. Over the whole series a head has

    - ``change``: the mean of these steps,
    - ``largest_step``: the largest of them,
    - ``first_to_last``: the divergence between the first record and the last. Where it is small and ``change`` is not, the
      head went away and came back, or moves about without a direction.

    Attributes:
        records: The records, in the order they were given in.
        streams: What was compared, by the stream's name.
        names: What the records are called.

    Example:
        >>> import attnwidget as aw
        >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
        >>> comparison = aw.compare(attention, aw.capture(model, "the dog sat on the mat", tokenizer))
        >>> aw.compare(attention, comparison.b, attention)
        ComparisonSeries(GPT2LMHeadModel, 3 records, decoder: 16 heads, 7 of 7 queries and 7 of 7 keys in all)
    """

    records: tuple[Record, ...]
    streams: Mapping[str, ComparedSeries]
    names: tuple[str, ...]

    @lists_options(ShownOptions)
    def view(
        self,
        *,
        frozen: bool = False,
        still: bool = True,
        choose: bool = True,
        **options: Unpack[ShownOptions],
    ) -> Any:
        """Show the heads that change most, ranked, and one head in every record side by side, on one scale.

        As the last line of a cell a series shows itself in the same way.

        Args:
            frozen: As for `attnwidget.view`.
            still: As for `attnwidget.view`.
            choose: Open on the head that changes most, with its largest change pinned, where none is given.
            **options: The widget's traits to start with, such as ``layer=3, heads=[5], score="first_to_last"``, and ``groups``
                of places on the common axes, as `Attention.groups` takes them.

        Returns:
            The widget, an `AttentionWidget`. Its positions are places on the common axes, ``streams[name].queries`` and ``.keys``.

        Raises:
            TypeError: If there is no such trait.
            ValueError: If a trait is out of range.

        Example:
            >>> import attnwidget as aw
            >>> texts = (f"the {who} sat on the mat" for who in ("cat", "dog", "bird"))
            >>> aw.compare(*(aw.capture(model, text, tokenizer) for text in texts)).view(layer=3).layer
            3
        """
        return viewers.make(self, "widget", frozen=frozen, still=still, choose=choose, **options)

    @lists_options(DrawnSelection)
    def figure(self, kind: str | None = None, **options: Unpack[DrawnSelection]) -> Any:
        """Return a figure: one head in a panel for each record (``"compare"``, the kind when left out), or ``"model"``.

        Args:
            kind: As for `Attention.figure`.
            **options: As for `Attention.figure`; positions are places on the common axes.

        Returns:
            A `Figure`.

        Raises:
            TypeError, KeyError, ValueError: As `Attention.figure`.

        Example:
            >>> import attnwidget as aw
            >>> records = [aw.capture(model, f"the {who} sat", tokenizer) for who in ("cat", "dog", "bird")]
            >>> aw.compare(*records).figure("compare", layer=3, heads=1, form="matrix").svg[:4]
            '<svg'
        """
        return viewers.make(self, "figure", kind, **options)

    @lists_options(FileOptions)
    def save(self, path: str | os.PathLike[str], **options: Unpack[FileOptions]) -> Path:
        """Write a figure or a page of the series: the ending of the path says which.

        ``.svg``, ``.pdf`` and ``.png`` are what `figure` draws, ``.html`` is the widget over a snapshot, as `view` shows
        it. A series has no file of its own: save its ``records`` and compare them again.

        Args:
            path: File to write; an existing one is replaced.
            **options: As for `Attention.save`.

        Returns:
            The path.

        Raises:
            TypeError, ValueError: As `Attention.save`.

        Example:
            >>> import attnwidget as aw
            >>> records = [aw.capture(model, f"the {who} sat", tokenizer) for who in ("cat", "dog", "bird")]
            >>> path = aw.compare(*records).save("training.svg", layer=3, heads=1)
        """
        return save_by_ending(
            self,
            path,
            options,
            name="comparison",
            table="comparison.changed(top=None)",
            write=None,
            records="comparison.records[0].save('first.safetensors'), and so on",
        )

    def _ipython_display_(self) -> None:
        self.view()._ipython_display_()

    def difference(
        self,
        layer: int | None = None,
        head: Heads = None,
        *,
        between: tuple[int, int] = (0, -1),
        stream: str | None = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> NDArray[np.float32]:
        """Return how much more weight one record gives than another, the last than the first if not said otherwise.

        Args:
            layer: The model's number of the layer, negative from the end.
            head: One head, several, or ``None`` for all.
            between: Numbers of two records from 0, negative from the end; the first is taken away from the second.
            stream: Name of the stream; needed when there are several.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            float32 ``[head, query, key]`` on the common axes, without the head axis for one head; NaN where the query or
            the key is missing from one of the two records.

        Raises:
            KeyError: If the stream was not compared.
            ValueError: If the layer was not compared, or a head or record does not exist.

        Example:
            >>> import attnwidget as aw
            >>> records = [aw.capture(model, f"the {who} sat", tokenizer) for who in ("cat", "dog", "bird")]
            >>> aw.compare(*records).difference(layer=3, head=1, between=(0, 1)).shape
            (4, 4)
        """
        first, second = self._two(between)
        found = self._compared(stream)
        asked = one_layer(either(layer=layer, layers=layers), "difference is of")
        number = checked_layer(found, asked, nowhere=NOWHERE)
        a, b = (self.records[place][found.stream][number] for place in (first, second))
        chosen = head_axis(either(head=head, heads=heads), a.num_heads)
        axes = (pairs_of(axis, first, second) for axis in (found.queries, found.keys))
        difference = signed_difference(a, b, chosen.indices, *axes)
        return difference[0] if chosen.dropped else difference

    def _two(self, between: Any) -> tuple[int, int]:
        """Return the numbers of two records, counted from 0."""
        given, count = listed(between), len(self.records)
        numbers = [integer(one) for one in given or ()]
        if len(numbers) != 2 or any(one is None or not -count <= one < count for one in numbers):
            message = f"between must be two numbers of records in {-count}..{count - 1}, such as (0, -1), got {shown(between)}."
            raise ValueError(message)
        first, second = (int(one or 0) % count for one in numbers)
        return first, second

    def changed(
        self,
        top: int | None = 10,
        *,
        by: Literal["change", "largest_step", "first_to_last"] = "change",
        stream: str | None = None,
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Return the heads whose attention changes most over the series.

        Args:
            top: How many; ``None`` for all.
            by: What they are ranked by.
            stream: Name of a stream; ``None`` for all.
            layer: Only heads of this layer, or of several, as the model counts them; ``None`` for all.
            head: Only this head of each layer, or several; ``None`` for all.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            ``rank``, ``stream``, ``layer``, ``head``, ``change``, ``first_to_last``, ``largest_step`` and ``from`` and ``to``, the
            names of the records between which that step is, the largest first: a pandas ``DataFrame``, or a list of dicts
            where pandas is not installed. Heads whose weights are NaN come last; a warning names them.

        Raises:
            KeyError: If the stream was not compared.
            ValueError: If ``top`` is no positive integer, ``by`` no such number, or a layer or head was not compared.

        Example:
            >>> import attnwidget as aw
            >>> records = [aw.capture(model, f"the {who} sat", tokenizer) for who in ("cat", "dog", "bird")]
            >>> len(aw.compare(*records).changed(top=5, by="first_to_last"))
            5
        """
        count = None if top is None else check_count("top", top, " or None for all heads")
        ranked = check_choice("by", by, CHANGES)
        chosen = list(self.streams.values()) if stream is None else [self._compared(stream)]
        several, some = layers_and_heads(layer, layers, head, heads)
        asked = {one.stream: several_layers(one, several, nowhere=NOWHERE) for one in chosen}
        rows: list[dict[str, Any]] = []
        for one in chosen:
            changes = zip(
                one.layers, one.steps, one.changes("change"), one.first_to_last, strict=True
            )
            for number, steps, mean, whole in changes:
                if number not in asked[one.stream]:
                    continue
                for place in sorted(set(head_axis(some, len(mean)).indices)):
                    where = {"stream": one.stream, "layer": number, "head": place}
                    numbers = {"change": float(mean[place]), "first_to_last": float(whole[place])}
                    rows.append({**where, **numbers, **self._largest(steps[place])})
        return ranked_heads(rows, ranked, count, change="change")

    def _largest(self, steps: Numbers) -> dict[str, Any]:
        """Return a head's largest step, and between which records it is."""
        at = largest(steps)
        value = float(np.max(steps))
        return {"largest_step": value, "from": self.names[at], "to": self.names[at + 1]}

    def __repr__(self) -> str:
        parts = []
        for one in self.streams.values():
            heads = sum(len(steps) for steps in one.steps)
            queries = sum(place.aligned for place in one.queries)
            keys = sum(place.aligned for place in one.keys)
            parts.append(
                f"{one.stream}: {heads} heads, {queries} of {len(one.queries)} queries and {keys} of {len(one.keys)} "
                "keys in all"
            )
        models = " and ".join(dict.fromkeys(record.model_name for record in self.records))
        said = f"ComparisonSeries({models}, {len(self.records)} records, {'; '.join(parts)})"
        return well_formed(said)

    def _compared(self, stream: str | None) -> ComparedSeries:
        return compared_stream(self.streams, stream, of="all records")
