"""What a layer holds as it is: query, key and value vectors; and the output they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from attnwidget.rows import output
from attnwidget.selection import Axis, head_axis
from attnwidget.softmax import exact

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.layer import Layer
    from attnwidget.selection import Heads

    Array = NDArray[np.float32]

__all__ = ["HoldsVectors", "to_array"]


class HoldsVectors:
    """The vectors of a `Layer`."""

    __slots__ = ()

    if TYPE_CHECKING:
        stream: str
        layer: int
        num_heads: int
        query: Tensor | None
        key: Tensor | None
        value: Tensor | None
        reason: str | None

        @property
        def num_key_value_heads(self) -> int:
            """Number of key and value heads."""

    def query_vectors(self, head: Heads = None) -> Array:
        """Return query vectors, float32 ``[head, query, head_dim]``, or ``[query, head_dim]`` for one head.

        Raises:
            ValueError: If a head is out of range, or if the layer holds only weights.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.query_vectors(head=1).shape
            (4, 32)
        """
        return self._vectors("query vectors", self.query, head, 1)

    def key_vectors(self, head: Heads = None) -> Array:
        """Return the key vectors that query heads use, float32 ``[head, key, head_dim]``.

        Raises:
            ValueError: If a head is out of range, or if the layer holds only weights.
        """
        return self._vectors(
            "key vectors", self.key, head, self.num_heads // self.num_key_value_heads
        )

    def value_vectors(self, head: Heads = None) -> Array:
        """Return the value vectors that query heads use, float32 ``[head, key, value_dim]``.

        Raises:
            ValueError: If a head is out of range, or if the layer holds no values.
        """
        return self._vectors(
            "value vectors", self.value, head, self.num_heads // self.num_key_value_heads
        )

    def output(self, head: Heads = None) -> Array:
        """Return weights times values, float32 ``[head, query, value_dim]``, before the output projection.

        Raises:
            ValueError: If a head is out of range, or if the layer holds no values.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.output().shape
            (4, 4, 32)
        """
        heads = head_axis(head, self.num_heads)
        if self.value is None:
            raise ValueError(self._missing("value vectors"))
        with exact(cast("Layer", self)):
            return to_array(output(cast("Layer", self), heads, self.value), heads)

    def _missing(self, what: str) -> str:
        reason = self.reason or "only its weights were recorded."
        return f"layer {self.layer} of stream {self.stream!r} has no {what}: {reason}"

    def _vectors(self, what: str, tensor: Tensor | None, head: Heads, share: int) -> Array:
        heads = head_axis(head, self.num_heads)
        if tensor is None:
            raise ValueError(self._missing(what))
        with exact(cast("Layer", self)):
            chosen = Axis(tuple(number // share for number in heads.indices)).take(tensor, 0)
            return to_array(chosen.float(), heads)


def to_array(tensor: Tensor, *axes: Axis) -> Array:
    """Return a tensor as numpy, without the axes that the caller gave one integer for."""
    index = tuple(0 if axis.dropped else slice(None) for axis in axes)
    array: Array = tensor.cpu().numpy()[index]
    return array
