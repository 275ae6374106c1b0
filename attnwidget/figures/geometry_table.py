"""The table of the form ``geometry``: where queries and keys lie in the plane of each head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.protocol.codec import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.figures.renderer import Answer

    # `attnwidget.figures.data` has both, and takes its tables from here.
    DrawnAxis = Any
    DrawnNumbers = Any
    Columns = dict[str, NDArray[Any]]

__all__ = ["geometry_rows", "is_of_geometry"]


def is_of_geometry(state: Mapping[str, Any], shown: DrawnNumbers) -> bool:
    """Tell whether planes are drawn: of a layer without queries and keys, and of two records, the form is lines."""
    layer = shown.stream[state["layer"]]
    return state["form"] == "geometry" and not shown.two and getattr(layer, "has_vectors", False)


def geometry_rows(
    shown: DrawnNumbers, pairs: Sequence[Sequence[int]], answer: Answer
) -> Iterator[Columns]:
    """Yield a row for each query and each key that is drawn, head by head.

    Args:
        shown: The numbers of the stream.
        pairs: Layer and head of each panel.
        answer: Answers requests, which count the whole record's positions.
    """
    for layer, head in pairs:
        request = {"what": "geometry", "stream": shown.stream.name, "layer": layer, "head": head}
        points = decode(*answer(request))
        count = len(shown.stream.query_positions)
        for side, axis, first in (("query", shown.queries, 0), ("key", shown.keys, count)):
            # A word lies at the mean of those of its pieces that are drawn.
            own = points[first + axis.kept]
            several = len(axis.kept) > len(axis.all)
            found = (
                np.stack([own[axis.words == word].mean(axis=0) for word in axis.all])
                if several
                else own
            )
            rows = len(found)
            yield {
                "stream": np.full(rows, shown.stream.name, dtype=object),
                "layer": np.full(rows, layer),
                "head": np.full(rows, head),
                "side": np.full(rows, side, dtype=object),
                "position": axis.all,
                "label": np.array([axis.positions[at].label for at in axis.all], dtype=object),
                "x": found[:, 0],
                "y": found[:, 1],
                "norm": found[:, 2],
            }
