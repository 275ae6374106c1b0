"""`RemovedDirections`: directions of queries and keys that a head's scores are computed without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
import torch

from attnwidget.compute.checks import shown
from attnwidget.edits.places import head_pairs, stream_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attnwidget.record.layer import Layer

__all__ = ["HasDirections", "RemovedDirections", "orthonormal", "without_directions"]

# How far the products of vectors may be from those of unit vectors at right angles, which are kept as they are.
_RIGHT = 1e-5
# A vector whose part outside of the others is smaller, relative to the largest, is among what they span.
_RANK = 1e-6

Pair = tuple[int, int]


@runtime_checkable
class HasDirections(Protocol):
    """What has directions of one head, such as `attnwidget.directions` returns."""

    def directions_of_head(self) -> tuple[Pair, str, NDArray[np.float32]]:
        """Return layer and head, the name of their stream, and the directions ``[count, head_dim]``."""


@dataclass(frozen=True, slots=True)
class RemovedDirections:
    """Directions that the scores of one head are computed without.

    Attributes:
        heads: Layer and head, one pair.
        vectors: Unit vectors at right angles, float32 ``[count][head_dim]``.
        stream: Name of their stream; ``None`` for the only one there is.
    """

    heads: tuple[Pair, ...]
    vectors: tuple[tuple[float, ...], ...]
    stream: str | None = None

    @classmethod
    def of(cls, vectors: Any, heads: Any, stream: Any) -> RemovedDirections:
        """Check what a caller gave, and make a value of it; `remove_directions` describes the arguments.

        Raises:
            ValueError: If one of them is not what it must be.
        """
        if isinstance(vectors, HasDirections):
            pair, name, found = vectors.directions_of_head()
            heads = pair if heads is None else heads
            stream = name if stream is None else stream
            vectors = found
        pairs, named = head_pairs(() if heads is None else heads), stream_name(stream)
        if len(pairs) != 1:
            message = (
                f"remove_directions takes one head, a pair of its layer and its number, got heads={shown(heads)}: pass "
                "heads=(0, 2), and add another edit for another head with +."
            )
            raise ValueError(message)
        return cls(pairs, tuple(map(tuple, orthonormal(vectors).tolist())), named)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.vectors)

    def __repr__(self) -> str:
        """Write the call that makes it; of the directions their number."""
        count = f"{len(self.vectors)} direction{'s' * (len(self.vectors) != 1)}"
        parts = [f"<{count}>", f"heads={list(self.heads)}"]
        parts += [f"stream={self.stream!r}"] * (self.stream is not None)
        return f"remove_directions({', '.join(parts)})"

    def array(self) -> NDArray[np.float32]:
        """Return the vectors, float32 ``[count, head_dim]``."""
        return np.array(self.vectors, dtype=np.float32)

    def to_data(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return {
            "remove_directions": [list(pair) for pair in self.heads],
            "vectors": [list(vector) for vector in self.vectors],
            "stream": self.stream,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> RemovedDirections:
        """Return what `to_data` made of one.

        Raises:
            ValueError: If it is not such.
        """
        expected = {"remove_directions", "vectors", "stream"}
        if set(data) != expected:
            message = f"an edit that removes directions has the entries {sorted(expected)}, got {sorted(map(str, data))}."
            raise ValueError(message)
        return cls.of(data["vectors"], data["remove_directions"], data["stream"])


def orthonormal(vectors: Any) -> NDArray[np.float32]:
    """Return unit vectors at right angles that span what some vectors span, float32 ``[count, head_dim]``.

    Vectors that are such already are returned as they are.

    Raises:
        ValueError: If they are no vectors of finite numbers, or all of them are 0.
    """
    given = vectors.detach().cpu().numpy() if isinstance(vectors, torch.Tensor) else vectors
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty((0, 0, 0))
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or 0 in array.shape or not np.isfinite(array).all() or not array.any():
        message = (
            "directions must be vectors as long as a query, [count, head_dim], of finite numbers that are not all 0, or what "
            f"attnwidget.directions(model, texts, layer=0, head=2) returns, got {shown(vectors)}."
        )
        raise ValueError(message)
    if np.abs(array @ array.T - np.eye(len(array))).max() <= _RIGHT:
        return array.astype(np.float32)
    _, sizes, rows = np.linalg.svd(array, full_matrices=False)
    return cast("NDArray[np.float32]", rows[sizes > _RANK * sizes[0]].astype(np.float32))


def without_directions(layer: Layer, head: int, vectors: NDArray[np.float32]) -> Layer:
    """Return a layer whose head has its scores computed without some directions: ``q' = q − Vᵀ V q``, keys as they are.

    Args:
        layer: The layer.
        head: The head, counted from 0.
        vectors: ``[count, head_dim]``, unit vectors at right angles.

    Raises:
        ValueError: If the layer holds only weights, or its queries are of another length.
    """
    if layer.query is None:
        message = f"layer {layer.layer} of stream {layer.stream!r} has no query vectors: {layer.reason or 'only its weights were recorded.'}"
        raise ValueError(message)
    if vectors.shape[1] != layer.head_dim:
        message = f"the directions have {vectors.shape[1]} numbers, a query of layer {layer.layer} of stream {layer.stream!r} has {layer.head_dim}: take those of this head."
        raise ValueError(message)
    basis = torch.from_numpy(vectors).to(layer.device)
    query = layer.query.clone()
    own = query[head].float()
    query[head] = (own - own @ basis.T @ basis).to(query)
    changed = replace(layer, query=query)
    if layer.recorded is None:
        return changed
    computed = replace(changed, recorded=None, exact="float32")
    recorded = layer.recorded.clone()
    recorded[head] = torch.from_numpy(computed.weights(head)).to(recorded)
    return replace(changed, recorded=recorded)
