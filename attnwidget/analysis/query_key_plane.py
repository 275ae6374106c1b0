"""`QueryKeyPlane`: the queries and keys of one head in one plane, by PCA of both together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.analysis.tables import table
from attnwidget.protocol.text import well_formed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.record.layer import Layer
    from attnwidget.record.positions import Positions
    from attnwidget.record.stream import Stream

    Array = NDArray[np.float32]

__all__ = ["QueryKeyPlane", "query_key_plane"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class QueryKeyPlane:
    """The queries and keys of one head in one plane.

    Two changes that attention does not see come first, as in AttentionViz (Yeh et al. 2023, 2305.03210): keys are moved, so
    that queries and keys have one mean, which adds the same to all scores of a query; queries are multiplied by a number
    ``c`` and keys divided by it, which changes no product. (With a soft cap or a sink, moving the keys would change
    weights: the picture is of the vectors alone.) AttentionViz looks for the ``c`` with which distances follow products
    best; here it is the one with which both spread equally, ``c² = spread of keys / spread of queries``, the spread being
    the root of the mean squared distance from the mean. Then comes the PCA of all of them together, exact, with the
    eigenvectors of their covariance. What is in the record is what the model multiplied: queries and keys after a rotary
    embedding.

    Attributes:
        stream: Name of the stream.
        layer: The model's number of the layer.
        head: The head.
        queries: float32 ``[query, 2]``, where each query lies.
        keys: float32 ``[key, 2]``, where each key lies.
        query_norms: float32 ``[query]``, length of each query vector as the model used it.
        key_norms: float32 ``[key]``, length of each key vector.
        shares: The share of the variance that lies along each of the two axes, between 0 and 1.
        scale: The number ``c``.
        axes: float32 ``[2, head_dim]``, the unit vectors along the two axes; the largest number of each is positive.
    """

    stream: str
    layer: int
    head: int
    queries: Array
    keys: Array
    query_norms: Array
    key_norms: Array
    shares: tuple[float, float]
    scale: float
    axes: Array
    # Labels of the queries, and of the keys.
    _labels: tuple[tuple[str, ...], tuple[str, ...]]

    def to_dataframe(self) -> Any:
        """Return one row for each query and each key.

        Returns:
            ``side`` (``"query"`` or ``"key"``), ``position``, ``token``, ``x``, ``y`` and ``norm``: a pandas ``DataFrame``, or
            a list of dicts where pandas is not installed.
        """
        return table(self._rows())

    def _rows(self) -> Iterator[dict[str, Any]]:
        sides = (
            ("query", self.queries, self.query_norms, self._labels[0]),
            ("key", self.keys, self.key_norms, self._labels[1]),
        )
        for side, places, norms, texts in sides:
            for position, (x, y) in enumerate(places):
                yield {
                    "side": side,
                    "position": position,
                    "token": texts[position],
                    "x": float(x),
                    "y": float(y),
                    "norm": float(norms[position]),
                }

    def __repr__(self) -> str:
        first, second = (f"{100 * share:.0f} %" for share in self.shares)
        return well_formed(
            f"QueryKeyPlane({self.stream}, {self.layer}.{self.head}: {len(self.queries)} queries, {len(self.keys)} keys, "
            f"axes with {first} and {second} of the variance)"
        )


def query_key_plane(stream: Stream, layer: Layer, head: int) -> QueryKeyPlane:
    """Return the plane of one head of a layer.

    Args:
        stream: The stream of the layer.
        layer: The layer.
        head: Its head, negative from the end.

    Raises:
        ValueError: If there is no such head, the layer holds only weights, or a number is not finite.
    """
    queries, keys = (
        torch.from_numpy(vectors).double()
        for vectors in (layer.query_vectors(head), layer.key_vectors(head))
    )
    if not (queries.isfinite().all() and keys.isfinite().all()):
        message = (
            f"Layer {layer.layer} · head {head} of stream {layer.stream!r} has queries or keys that are not numbers, so they have "
            "no plane: the model's own values overflowed, try it in float32."
        )
        raise ValueError(message)
    centred_queries, centred_keys = queries - queries.mean(0), keys - keys.mean(0)
    spreads = [float(one.square().sum(1).mean().sqrt()) for one in (centred_queries, centred_keys)]
    scale = (spreads[1] / spreads[0]) ** 0.5 if min(spreads) > 0 else 1.0
    both = torch.cat([centred_queries * scale, centred_keys / scale])
    axes, shares = _principal_axes(both)
    places = (both @ axes.T).float().numpy()
    return QueryKeyPlane(
        layer.stream,
        layer.layer,
        head % layer.num_heads,
        places[: len(queries)],
        places[len(queries) :],
        queries.norm(dim=1).float().numpy(),
        keys.norm(dim=1).float().numpy(),
        shares,
        scale,
        axes.float().numpy(),
        (_labels(stream.query_positions), _labels(stream.key_positions)),
    )


def _principal_axes(points: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """Return the two directions in which centred points vary most, ``[2, dim]``, and the share of each.

    Points of one dimension have no second direction: its axis is 0.
    """
    values, vectors = torch.linalg.eigh(points.T @ points)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    total = float(values.sum())
    axes = torch.zeros(2, points.shape[1], dtype=points.dtype)
    shares = [0.0, 0.0]
    for place in range(min(2, points.shape[1])):
        axis = vectors[:, place]
        # An eigenvector may point either way; the picture should be the same each time.
        axes[place] = axis * axis[axis.abs().argmax()].sign()
        shares[place] = float(values[place]) / total if total > 0 else 0.0
    return axes, (shares[0], shares[1])


def _labels(positions: Positions) -> tuple[str, ...]:
    return tuple(position.label for position in positions)
