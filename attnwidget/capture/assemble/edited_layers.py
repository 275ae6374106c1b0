"""Where each layer of a record is computed, and what was put in the place of its heads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.edits.places import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from attnwidget.capture.assemble.layer_sources import LayerSource
    from attnwidget.capture.edits.editor import Editor
    from attnwidget.capture.edits.places import Places
    from attnwidget.capture.edits.replacement import Replacement
    from attnwidget.record.layer import Layer

__all__ = ["layer_places", "with_edits"]


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
                windowed=source.windows is not None,
            )
    return places


def with_edits(
    layer: Layer,
    source: LayerSource,
    place: Place | None,
    editors: Sequence[Editor],
    queries: Tensor,
) -> Layer:
    """Return a layer that says what was put in the place of its heads.

    Args:
        layer: The layer.
        source: Its calls.
        place: Where it is computed.
        editors: What edited the model.
        queries: Which queries of the calls are in the layer.
    """
    heads: dict[int, Replacement] = {}
    for editor in editors:
        edited = None if place is None else editor.edits_of(source.module, place.call)
        heads |= {} if edited is None else edited.heads
    if not heads or layer.value is None:
        return layer
    width = layer.value.shape[2]
    if all(each.at is None for each in heads.values()):
        put = torch.zeros(len(heads), 1, width)
    else:
        whole = [_output(each, source, width) for each in heads.values()]
        put = torch.stack(whole)[:, queries]
    return replace(layer, edited_heads=tuple(heads), edited_output=put.to(layer.value))


def _output(replacement: Replacement, source: LayerSource, width: int) -> Tensor:
    """Return what was put at all queries of all calls, ``[query, value_dim]``."""
    return torch.cat(
        [
            replacement.rows(call.num_queries, call.mask_view.num_keys, width).expand(
                call.num_queries, -1
            )
            for call in source.calls
        ]
    )
