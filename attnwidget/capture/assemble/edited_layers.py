"""Where each layer of a record is computed, and what was put in the place of its heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch

from attnwidget.capture.edits.changes import Changes
from attnwidget.capture.edits.places import Place
from attnwidget.capture.sparse.registry import adapter_of
from attnwidget.edits.removed_directions import without_directions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from attnwidget.capture.assemble.layer_sources import LayerSource
    from attnwidget.capture.edits.changes import Link, Taken
    from attnwidget.capture.edits.editor import Editor
    from attnwidget.capture.edits.places import Places
    from attnwidget.capture.edits.replacement import Replacement
    from attnwidget.record.layer import Layer

__all__ = ["Axes", "layer_places", "with_edits"]


@dataclass(frozen=True, slots=True)
class Axes:
    """Which positions of the calls are in a layer.

    Attributes:
        queries: Its queries, as the calls have them.
        keys: Its keys.
        all_queries: All queries that are no padding: a position of an edit is the number of one of them.
        all_keys: All such keys.
    """

    queries: Tensor
    keys: Tensor
    all_queries: Tensor
    all_keys: Tensor

    def rows(self, named: Sequence[int] | None) -> Tensor:
        """Return which queries of the layer these positions are; ``None`` is all."""
        return _places(named, self.query_numbers)

    def columns(self, named: Sequence[int] | None) -> Tensor:
        """Return which keys of the layer these positions are; ``None`` is all."""
        return _places(named, self.key_numbers)

    @property
    def query_numbers(self) -> Tensor:
        """The position of each query, counted without padding."""
        return torch.searchsorted(self.all_queries, self.queries)

    @property
    def key_numbers(self) -> Tensor:
        """The position of each key, counted without padding."""
        return torch.searchsorted(self.all_keys, self.keys)


def _places(named: Sequence[int] | None, numbers: Tensor) -> Tensor:
    if named is None:
        return torch.arange(len(numbers))
    return torch.isin(numbers, torch.tensor([*named])).nonzero()[:, 0]


def layer_places(streams: Mapping[str, Sequence[LayerSource]]) -> Places:
    """Return where the layers of some streams are computed; of a module that is several layers, which of its calls each is."""
    sharing: dict[str, list[LayerSource]] = {}
    for sources in streams.values():
        for source in sources:
            sharing.setdefault(source.path, []).append(source)
    places: Places = {}
    for name, sources in streams.items():
        for source in sources:
            alike = sharing[source.path]
            parts = any(one.part for one in alike)  # else layers that share one module's weights
            places[name, source.number] = Place(
                source.path,
                call=None if len(alike) == 1 else source.part if parts else source.number,
                calls=len(alike),
                num_heads=len(source.calls[0].query),
                windowed=source.windows is not None and source.windows.extra != "global",
            )
    return places


def with_edits(
    layer: Layer,
    source: LayerSource,
    place: Place | None,
    editors: Sequence[Editor],
    axes: Axes,
) -> Layer:
    """Return a layer that says what was put in the place of its heads.

    Args:
        layer: The layer.
        source: Its calls.
        place: Where it is computed.
        editors: What edited the model.
        axes: Which positions of the calls are in the layer.
    """
    heads: dict[int, Replacement] = {}
    changes = Changes()
    for editor in editors:
        edited = None if place is None else editor.edits_of(source.module, place.call)
        if edited is not None:
            heads |= edited.heads
            changes.links += edited.changes.links
            changes.taken += edited.changes.taken
            changes.directions |= edited.changes.directions
    for head, vectors in changes.directions.items():
        layer = without_directions(layer, head, vectors.numpy())
    if changes.links:
        layer = _without_links(layer, changes.links, axes)
    outputs = _changed_outputs(layer, changes, axes)
    outputs |= {head: _whole(one, source, layer, axes) for head, one in heads.items()}
    if not outputs or layer.value is None:
        return layer
    # One row stands for all queries, where that is so of all of these heads.
    count = max(len(rows) for rows in outputs.values())
    put = torch.stack([rows.expand(count, -1) for rows in outputs.values()])
    return replace(layer, edited_heads=tuple(outputs), edited_output=put.to(layer.value))


def _without_links(layer: Layer, links: Sequence[Link], axes: Axes) -> Layer:
    """Return a layer whose weights are those that are left, made to add up to what all of them did."""
    for link in links:
        if not link.renormalise:
            continue
        rows, columns = axes.rows(link.queries), axes.columns(link.keys)
        if layer.recorded is not None:
            layer = replace(layer, recorded=_recorded_without(layer, link, rows, columns))
        if layer.query is None:
            continue
        whole = link.queries is None
        shape = (1 if link.heads is None else layer.num_heads, 1 if whole else layer.n_query)
        bias = torch.zeros(*shape, layer.n_key, dtype=layer.query.dtype, device=layer.device)
        heads = torch.arange(shape[0]) if link.heads is None else torch.tensor(link.heads)
        at = torch.zeros(1, dtype=torch.long) if whole else rows
        bias[heads[:, None, None], at[:, None], columns] = -torch.inf
        layer = replace(layer, bias=bias if layer.bias is None else layer.bias + bias)
    return layer


def _recorded_without(layer: Layer, link: Link, rows: Tensor, columns: Tensor) -> Tensor:
    recorded = cast("Tensor", layer.recorded).clone()
    heads = range(layer.num_heads) if link.heads is None else link.heads
    for head in heads:
        own = recorded[head, rows].float()
        left = own.index_fill(-1, columns.to(own.device), 0.0)
        total = left.sum(dim=-1, keepdim=True)
        scaled = left * torch.where(total > 0, own.sum(dim=-1, keepdim=True) / total, 0.0)
        saw = (own[:, columns] != 0).any(dim=-1, keepdim=True)
        recorded[head, rows] = torch.where(saw, scaled, own).to(recorded)
    return recorded


def _changed_outputs(layer: Layer, changes: Changes, axes: Axes) -> dict[int, Tensor]:
    """Return ``[query, value_dim]`` of the heads whose output is no sum of the layer's own weights and values."""
    found: dict[int, Tensor] = {}
    if layer.value is None:
        return found

    def own(head: int) -> Tensor:
        return found[head] if head in found else torch.tensor(layer.output(head))

    for link in changes.links:
        if link.renormalise:
            continue
        rows, columns = axes.rows(link.queries), axes.columns(link.keys)
        for head in range(layer.num_heads) if link.heads is None else link.heads:
            found[head] = own(head)
            weights = torch.tensor(layer.weights(head))[rows][:, columns]
            found[head][rows] -= weights @ torch.tensor(layer.value_vectors(head))[columns]
    for one in changes.taken:
        found[one.head] = _taken(layer, one, own(one.head), axes)
    return found


def _taken(layer: Layer, taken: Taken, own: Tensor, axes: Axes) -> Tensor:
    """Return the output of a head that takes something from another record."""
    numbers = taken.numbers
    values = torch.tensor(layer.value_vectors(taken.head))
    named = range(len(numbers)) if taken.positions is None else taken.positions
    if taken.what == "value":
        places = axes.columns(named)
        values[places] = numbers[axes.key_numbers[places]]
        return torch.tensor(layer.weights(taken.head)) @ values
    places = axes.rows(named)
    rows = numbers[axes.query_numbers[places]]
    own[places] = rows if taken.what == "output" else rows[:, axes.key_numbers] @ values
    return own


def _whole(replacement: Replacement, source: LayerSource, layer: Layer, axes: Axes) -> Tensor:
    """Return what was put in the place of a head, ``[query or 1, value_dim]``."""
    width = 0 if layer.value is None else layer.value.shape[2]
    if replacement.at is None:
        return torch.zeros(1, width)
    return _output(replacement, source, width, axes.all_queries.tolist())[axes.queries]


def _output(
    replacement: Replacement, source: LayerSource, width: int, real: Sequence[int]
) -> Tensor:
    """Return what was put at all queries of all calls, ``[query, value_dim]``; ``real`` are those that are no padding."""
    sparse = adapter_of(source.module) is not None  # its keys may be more than the positions
    parts, first = [], 0
    for call in source.calls:
        keys = call.num_queries if sparse else call.mask_view.num_keys
        own = tuple(at - first for at in real if 0 <= at - first < call.num_queries)
        padded = own if len(own) < call.num_queries else None
        put = replacement.rows(call.num_queries, keys, width, real=padded)
        parts.append(put.expand(call.num_queries, -1))
        first += call.num_queries
    return torch.cat(parts)
