"""`largest_link`: the link that a view of a measure of gradients opens on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnwidget.compute.measures import why_no_gradients

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnwidget.record.layer import Layer
    from attnwidget.record.stream import Stream

__all__ = ["largest_link"]


def largest_link(
    streams: Sequence[Stream], measure: str, most: int
) -> tuple[Stream, tuple[Layer, int, int, int]] | None:
    """Return the link where a measure is largest in size, with its stream; None where it is known of none, or 0 of all.

    Args:
        streams: Where to look.
        measure: One of the measures of gradients.
        most: How many links are read at most. Of more, those of the last queries: the metric is read at the last position.
    """
    each = sum(layer.num_heads * layer.n_key for stream in streams for layer in stream)
    count = max(1, most // each)
    found, largest = None, 0.0
    for stream in streams:
        for layer in stream:
            if why_no_gradients(layer) is not None:
                continue
            first = max(0, layer.n_query - count)
            queries = list(range(first, layer.n_query))
            sizes = np.nan_to_num(np.abs(layer.measure(measure, None, queries)))
            head, row, key = map(int, np.unravel_index(int(sizes.argmax()), sizes.shape))
            if sizes[head, row, key] > largest:
                largest = float(sizes[head, row, key])
                found = stream, (layer, head, first + row, key)
    return found
