"""`SurveyComparison`: how the head scores of two surveys differ, with standard errors; tables and a map of heads."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.score_definitions import SCORES, chosen
from attnwidget.analysis.tables import Records, table
from attnwidget.compute.checks import (
    check_choice,
    check_count,
    check_flag,
    check_name,
    listed,
    shown,
)
from attnwidget.compute.indexing import head_axis
from attnwidget.protocol.text import well_formed
from attnwidget.record.vocabulary import layers_and_heads
from attnwidget.surveys.difference_map import DifferenceMap
from attnwidget.surveys.tables import wanted_layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.compute.indexing import Heads
    from attnwidget.record.vocabulary import Layers
    from attnwidget.surveys.statistics import Moments, Surveyed

    Numbers = NDArray[np.float64]

__all__ = ["SurveyComparison", "compare_surveys"]

_NAMES = tuple(SCORES)
# Changes that a notebook shows of it.
_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SurveyComparison:
    """The head scores of two surveys side by side: a base and a fine-tuned model, or two corpora and one model.

    The difference is the second mean less the first. Its standard error is ``sqrt(s₁²/n₁ + s₂²/n₂)``, with the variances
    ``s²`` over the inputs (divided by ``n - 1``) and their numbers ``n``; ``z`` is the difference divided by it. Inputs are taken to
    be drawn independently: where both surveys read the same inputs, on which scores go up and down together, the error
    is larger than it need be. Of many heads and scores some are beyond two errors by chance: about one in twenty.

    Attributes:
        names: What the surveys are called.
        model_names: The classes of their models.
        counts: How many inputs were scored in each.
        streams: Of each stream in both the layers in common, and the scores of each survey there.

    Example:
        >>> import attnwidget as aw
        >>> first = aw.survey(model, ["the cat sat .", "the dog ran ."], tokenizer, progress=False)
        >>> second = aw.survey(model, ["cat the . sat", "ran . dog the"], tokenizer, progress=False)
        >>> found = aw.compare(first, second)
        >>> found.counts
        (2, 2)
        >>> len(found.differences("previous", layer=0))
        4
    """

    names: tuple[str, str]
    model_names: tuple[str, str]
    counts: tuple[int, int]
    streams: Mapping[str, tuple[Moments, Moments]]

    def differences(
        self,
        scores: str | Sequence[str] | None = None,
        *,
        without_sink: bool = False,
        stream: str | None = None,
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Return the difference of every score of every head, with its standard error.

        Args:
            scores: Names of `attnwidget.SCORES`; ``None`` for all.
            without_sink: Of the scores with the sink set aside.
            stream: Name of a stream; ``None`` for all.
            layer: Only this layer, or several, negative from the end; ``None`` for all.
            head: Only this head of each layer, or several; ``None`` for all.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            ``stream``, ``layer``, ``head``, ``score``, the means ``first`` and ``second``, ``difference``, ``error`` and ``z``
            (None where a survey has fewer than two inputs, or neither has any spread), ``first_inputs`` and ``second_inputs``: a
            pandas ``DataFrame``, or a list of dicts where pandas is not installed. Scores that one of them has not are left out.

        Raises:
            KeyError: If there is no such stream in both.
            ValueError: If there is no such score, layer or head.

        Example:
            >>> import attnwidget as aw
            >>> first, second = (aw.survey(model, [f"the {who} sat"], tokenizer, progress=False) for who in ("cat", "dog"))
            >>> len(aw.compare(first, second).differences("previous"))  # of 4 × 4 heads
            16
        """
        some = layers_and_heads(layer, layers, head, heads)
        return table(self._rows(scores, without_sink, stream, *some))

    def changed(
        self,
        top: int | None = 10,
        scores: str | Sequence[str] | None = None,
        *,
        without_sink: bool = False,
        stream: str | None = None,
    ) -> Any:
        """Return the heads and scores that differ most, by their difference in standard errors.

        Args:
            top: How many; ``None`` for all.
            scores: As for `differences`.
            without_sink: As for `differences`.
            stream: As for `differences`.

        Returns:
            ``rank`` and the columns of `differences`, largest ``|z|`` first; those without one come last, by their difference.

        Raises:
            KeyError: If there is no such stream in both.
            ValueError: If ``top`` is no positive integer, or there is no such score.
        """
        count = None if top is None else check_count("top", top, " or None for all")
        rows = sorted(
            self._rows(scores, without_sink, stream, None, None), key=_change, reverse=True
        )
        return table({"rank": rank, **row} for rank, row in enumerate(rows[:count], start=1))

    def map(
        self, score: str, *, stream: str | None = None, without_sink: bool = False
    ) -> DifferenceMap:
        """Return a map of the heads, layers below each other, coloured by the difference of a score.

        Args:
            score: One of `attnwidget.SCORES`.
            stream: Name of a stream; needed when there are several.
            without_sink: As for `differences`.

        Returns:
            What a notebook draws as the last line of a cell; ``save("map.svg")`` writes it.

        Raises:
            KeyError: If there is no such stream in both.
            ValueError: If there is no such score, or there are several streams and none is named.
        """
        name = check_choice("score", score, _NAMES)
        if stream is None and len(self.streams) > 1:
            message = f"there are several streams, {list(self.streams)}: choose one, such as stream={next(iter(self.streams))!r}."
            raise ValueError(message)
        one = next(iter(self.streams)) if stream is None else stream
        cells = {
            (row["layer"], row["head"]): (row["difference"], row["error"])
            for row in self._rows(name, without_sink, one, None, None)
        }
        layers = self.streams[one][0].layers
        title = f"{name}: {self.names[1]} less {self.names[0]}"
        return DifferenceMap(well_formed(title), layers, cells, well_formed(self.names[1]))

    def __repr__(self) -> str:
        lines = self._lines()
        return f"{self._said()}\n{Records(lines)!r}" if lines else self._said()

    def _repr_html_(self) -> str:
        lines = self._lines()
        head = "".join(f"<th>{escape(name)}</th>" for name in (lines[0] if lines else ()))
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line.values())}</tr>"
            for line in lines
        )
        drawn = (
            f"<p>The {len(lines)} largest changes, by their size in standard errors; <code>changed()</code> and "
            "<code>map(score)</code> say more.</p>"
            f'<div style="overflow-x:auto"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )
        return f"<div><p>{escape(self._said())}</p>{drawn if lines else ''}</div>"

    def _lines(self) -> list[dict[str, Any]]:
        """Return the largest changes, as they are shown."""
        rows = sorted(self._rows(None, False, None, None, None), key=_change, reverse=True)  # noqa: FBT003
        first, second = (well_formed(f"mean of {name}") for name in self.names)
        if first == second:
            first, second = "first mean", "second mean"
        return [
            {
                **({"stream": well_formed(row["stream"])} if len(self.streams) > 1 else {}),
                "head": f"{row['layer']}.{row['head']}",
                "score": row["score"],
                first: f"{row['first']:.3f}",
                second: f"{row['second']:.3f}",
                "difference": _signed(row["difference"]),
                "error": "" if row["error"] is None else f"{row['error']:.3f}",
                "z": "" if row["z"] is None else _signed(row["z"], 1),
            }
            for row in rows[:_SHOWN]
        ]

    def _said(self) -> str:
        """Say in one line what is compared."""
        parts = "; ".join(
            f"{name}: {sum(count for _, count in first.layers)} heads"
            for name, (first, _) in self.streams.items()
        )
        models = self.model_names[0]
        if self.model_names[1] != models:
            models += f" and {self.model_names[1]}"
        first, second = (
            f"{name}: {n} inputs" for name, n in zip(self.names, self.counts, strict=True)
        )
        return well_formed(f"SurveyComparison({models}, {parts}, {first}, {second})")

    def _rows(
        self,
        scores: str | Sequence[str] | None,
        without_sink: bool,  # noqa: FBT001
        stream: str | None,
        layers: Layers,
        heads: Heads,
    ) -> Iterator[dict[str, Any]]:
        names = chosen(scores)
        field = int(check_flag("without_sink", without_sink))
        streams = (
            list(self.streams) if stream is None else [check_name("stream", stream, self.streams)]
        )
        for one in streams:
            first, second = self.streams[one]
            means, errors, counts = _compared(first, second, field)
            wanted = {number for number, _ in wanted_layers(one, first.layers, layers)}
            start = 0
            for number, count in first.layers:
                for head in head_axis(heads, count).indices if number in wanted else ():
                    for name in names:
                        at = start + head, _NAMES.index(name)
                        if not counts[0][at] or not counts[1][at]:
                            continue
                        difference = float(means[1][at] - means[0][at])
                        error = float(errors[at]) if np.isfinite(errors[at]) else None
                        yield {
                            "stream": one,
                            "layer": number,
                            "head": head,
                            "score": name,
                            "first": float(means[0][at]),
                            "second": float(means[1][at]),
                            "difference": difference,
                            "error": error,
                            "z": difference / error if error else None,
                            "first_inputs": int(counts[0][at]),
                            "second_inputs": int(counts[1][at]),
                        }
                start += count


def _compared(
    first: Moments, second: Moments, field: int
) -> tuple[tuple[Numbers, Numbers], Numbers, tuple[Numbers, Numbers]]:
    """Return both means, the standard error of their difference, and both numbers of inputs, each ``[head, score]``."""
    both = (first, second)
    counts = tuple(one.count[field] for one in both)
    squared = np.zeros(counts[0].shape)
    for one, count in zip(both, counts, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            squared += np.where(count > 1, one.squares[field] / ((count - 1) * count), np.nan)
    return (first.means[field], second.means[field]), np.sqrt(squared), (counts[0], counts[1])


def _signed(value: float, digits: int = 3) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _change(row: Mapping[str, Any]) -> tuple[bool, float, float]:
    z = row["z"]
    return z is not None, abs(z or 0.0), abs(row["difference"])


def compare_surveys(
    surveys: tuple[tuple[str, int, Mapping[str, Surveyed]], tuple[str, int, Mapping[str, Surveyed]]], names: Any
) -> SurveyComparison:  # fmt: skip
    """Compare two surveys, each given by its model's name, its inputs and its streams; `Survey.compare` describes it.

    Raises:
        ValueError: If ``names`` are not two texts, or they have no stream with a layer of as many heads in common.
    """
    called = ["first", "second"] if names is None else listed(names)
    if called is None or len(called) != 2 or not all(isinstance(name, str) for name in called):
        message = f"names must be two texts, such as ('base', 'fine-tuned'), got {shown(names)}."
        raise ValueError(message)
    (first_model, first_count, first), (second_model, second_count, second) = surveys
    streams = {}
    for name in first:
        if name in second:
            pair = first[name].moments, second[name].moments
            layers = [layer for layer in pair[0].layers if layer in pair[1].layers]
            if layers:
                streams[name] = (_of_layers(pair[0], layers), _of_layers(pair[1], layers))
    if not streams:
        message = f"the surveys have no layer of as many heads in common: {_said(first)} and {_said(second)}."
        raise ValueError(message)
    return SurveyComparison(
        (called[0], called[1]), (first_model, second_model), (first_count, second_count), streams
    )


def _of_layers(moments: Moments, layers: Sequence[tuple[int, int]]) -> Moments:
    """Return the scores of some layers."""
    if tuple(layers) == moments.layers:
        return moments
    kept: list[int] = []
    start = 0
    for layer in moments.layers:
        kept += range(start, start + layer[1]) if layer in layers else ()
        start += layer[1]
    arrays = (getattr(moments, name)[:, kept] for name in ("count", "mean", "squares", "rows"))
    return type(moments)(tuple(layers), *arrays)


def _said(streams: Mapping[str, Surveyed]) -> str:
    return (
        "; ".join(f"{name} {list(found.moments.layers)}" for name, found in streams.items())
        or "no stream"
    )
