"""Links of a trace: which links lead from where a metric is read back to the input, by weight times gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnwidget.compute.indexing import Axis
from attnwidget.compute.measures import link_gradients
from attnwidget.compute.weights import weight_block

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.resumable import Slices

__all__ = ["TraceLink", "connected", "largest_first", "links_back", "starts_of", "strong"]

# Numbers of a block of links that is looked at at a time: 16 MB of float32.
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class TraceLink:
    """A link of a trace: a head's weight from a query to a key.

    Attributes:
        layer: Number of the layer.
        head: Number of the head.
        query: Position of the query.
        key: Position of the key.
        weight: Its weight, 0 … 1.
        estimate: ``−w · ∂m/∂w``, in units of the metric: the change of the metric without the link, to first order.
        change: The change of the metric when the link is cut, by running the model without it; ``None`` where that was
            not run.

    Example:
        >>> TraceLink(3, 3, query=8, key=2, weight=0.999, estimate=-0.89, change=-4.97).distance
        6
    """

    layer: int
    head: int
    query: int
    key: int
    weight: float
    estimate: float
    change: float | None = None

    @property
    def distance(self) -> int:
        """How many positions the query stands after the key; negative where it stands before it."""
        return self.query - self.key

    @property
    def size(self) -> float:
        """How much the metric changes without it, up or down: exact where it was run, else the estimate."""
        return abs(self.estimate if self.change is None else self.change)


def starts_of(layer: LayerTensors) -> tuple[int, ...]:
    """Return the queries of the last layer whose output the metric depends on: where it is read.

    Raises:
        ValueError: If the layer has no gradients.
    """
    if layer.output_gradient is None:
        return ()
    layer.before_reading()
    used = (layer.output_gradient != 0).flatten(2).any(dim=-1).any(dim=0)
    return tuple(used.nonzero().flatten().tolist())


def links_back(
    layers: Sequence[LayerTensors], starts: Iterable[int], threshold: float
) -> Slices[list[TraceLink]]:
    """Return the links through which a metric depends on the input, the largest estimate first.

    A slice reads a layer. From the last layer to the first: a link counts where its query is reached, which is where the metric is read, or a
    key that a link of a later layer reads. A position that is reached stays so in all earlier layers, as the residual
    stream carries it on.

    Args:
        layers: All layers of a stream, from the first to the last, with gradients.
        starts: Positions where the metric is read.
        threshold: Least size of an estimate, as a share of the largest of all links of the stream.

    Raises:
        ValueError: If a layer has no gradients.
    """
    largest, steps = 0.0, 2 * len(layers)
    for done, layer in enumerate(layers, 1):
        largest = max(largest, _largest(layer))
        yield done / steps
    if largest == 0:
        return []
    reached = set(starts)
    found: list[TraceLink] = []
    for done, layer in enumerate(reversed(layers), len(layers) + 1):
        rows = Axis(tuple(sorted(reached)))
        links = list(_at_least(layer, rows, threshold * largest))
        found += links
        reached |= {link.key for link in links}
        yield done / steps
    return largest_first(found)


def connected(links: Iterable[TraceLink], starts: Iterable[int]) -> list[TraceLink]:
    """Return the links that lead back from where the metric is read through others of these, in the order given."""
    given = list(links)
    reached, kept = set(starts), set()
    for number in sorted({link.layer for link in given}, reverse=True):
        here = [link for link in given if link.layer == number and link.query in reached]
        kept.update(here)
        reached |= {link.key for link in here}
    return [link for link in given if link in kept]


def strong(links: Iterable[TraceLink], threshold: float) -> list[TraceLink]:
    """Return the links whose size is at least a share of the largest, in the order given."""
    given = list(links)
    largest = max((link.size for link in given), default=0.0)
    return [link for link in given if link.size >= threshold * largest and link.size > 0]


def largest_first(links: Iterable[TraceLink]) -> list[TraceLink]:
    """Return links by size, the later layer first where two are the same."""
    return sorted(
        links, key=lambda link: (-link.size, -link.layer, link.head, link.query, link.key)
    )


def _blocks(layer: LayerTensors, rows: Axis) -> Iterator[tuple[Axis, Axis, Tensor, Tensor]]:
    """Yield heads, queries, their weights and ``w · ∂m/∂w`` ``[head, query, key]``, a bounded number at a time."""
    keys = Axis(range(layer.n_key))
    several = max(1, _BLOCK // max(1, len(rows) * len(keys)))
    step = max(1, _BLOCK // max(1, len(keys)))
    for head in range(0, layer.num_heads, several):
        heads = Axis(range(head, min(head + several, layer.num_heads)))
        for start in range(0, len(rows), step):
            queries = rows.part(start, start + step)
            weights = weight_block(layer, heads, queries, keys)
            yield heads, queries, weights, link_gradients(layer, heads, queries, keys) * weights


def _largest(layer: LayerTensors) -> float:
    every = Axis(range(layer.n_query))
    sizes = (products.abs().max() for *_, products in _blocks(layer, every) if products.numel())
    return max(map(float, sizes), default=0.0)


def _at_least(layer: LayerTensors, rows: Axis, least: float) -> Iterator[TraceLink]:
    for heads, queries, weights, products in _blocks(layer, rows):
        for head, row, key in (products.abs() >= least).nonzero().tolist():
            weight, estimate = float(weights[head, row, key]), -float(products[head, row, key])
            place = layer.layer, heads.indices[head], queries.indices[row], key
            yield TraceLink(*place, weight, estimate)
