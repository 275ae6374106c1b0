"""`MeasuresOfHeads`: how far the measures that are drawn of gradients rank heads as exact effects do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.attribution.agreement import Agreement, AgreementRow
from attnwidget.attribution.sums import key_sums, positive_sums
from attnwidget.compute.measures import why_no_gradients

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attnwidget.compute.resumable import Slices
    from attnwidget.intervene.effects_table import StreamEffects
    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record

    Array = NDArray[np.float64]

__all__ = ["MeasuresOfHeads", "described"]

_SIGNED = {"gradient": True, "relevance": False}
"""The measures, and whether they are compared with exact effects with their signs, or by size."""


class MeasuresOfHeads:
    """What measures of gradients come to in each head of a record, summed over its links.

    Of ``gradient`` that is the method of the same name of `attnwidget.attribute`, and the agreement that which
    ``Attribution.agreement`` finds.
    """

    def __init__(self, record: Record) -> None:
        """Compute nothing yet.

        Args:
            record: A record with the gradients of a metric.
        """
        self.record = record
        self._sums: dict[tuple[str, int], dict[str, Array]] = {}

    def work(self) -> Slices[None]:
        """Add up the links of one layer in each slice; those that are known are kept."""
        layers = [(name, one) for name, stream in self.record.streams.items() for one in stream]
        for done, (name, layer) in enumerate(layers):
            if (name, layer.layer) not in self._sums and why_no_gradients(layer) is None:
                self._sums[name, layer.layer] = _sums(layer)
                yield done / len(layers)

    def agreements(self, effects: Mapping[str, StreamEffects]) -> dict[str, Agreement]:
        """Compare them with the heads that were run.

        Args:
            effects: What the metric changes without each head, by stream.

        Returns:
            The agreement of each measure; nothing where fewer than two heads can be compared.
        """
        found = {name: tuple(self._rows(name, effects)) for name in _SIGNED}
        total = sum(sum(stream.num_heads) for stream in effects.values())
        metric = str(self.record.metric)
        return {
            name: Agreement(name, metric, "heads", rows, total, _SIGNED[name])
            for name, rows in found.items()
            if len(rows) > 1
        }

    def _rows(self, measure: str, effects: Mapping[str, StreamEffects]) -> list[AgreementRow]:
        found = []
        for name, stream in effects.items():
            for at, layer in enumerate(stream.layers):
                sums = self._sums.get((name, layer), {}).get(measure, np.empty(0))
                for head, value in enumerate(sums.tolist()):
                    lost = -float(stream.effect[at, head])
                    if not math.isnan(lost):
                        found.append(
                            AgreementRow(name, layer, head, f"{layer}.{head}", value, lost)
                        )
        return found


def _sums(layer: Layer) -> dict[str, Array]:
    return {"gradient": key_sums(layer).sum(1), "relevance": positive_sums(layer)}


def described(agreement: Agreement) -> dict[str, Any]:
    """Return an agreement as the page is told it; see ``AgreementOfMeasure`` in the schema."""
    correlation = agreement.rank_correlation
    several = len({row.stream for row in agreement.rows}) > 1

    def named(row: AgreementRow) -> str:
        return f"{row.label} of {row.stream}" if several else row.label

    return {
        "correlation": correlation if math.isfinite(correlation) else None,
        "heads": agreement.count,
        "of": agreement.total,
        "first": agreement.first,
        "most": named(agreement.matters_most),
        "largest": named(agreement.ranked_first),
    }
