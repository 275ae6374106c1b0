"""One attention layer: what its call used, and the exact maths on it, for the block asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import torch

from attnwidget.fits import check
from attnwidget.held import HoldsVectors, to_array
from attnwidget.overviews import Overviews
from attnwidget.rows import weight_block
from attnwidget.selection import head_axis, position_axis
from attnwidget.softmax import additive_block, exact, score_block
from attnwidget.totals import RowCache

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.masks import Band
    from attnwidget.selection import Axis, Heads, Index

    Array = NDArray[np.float32]

__all__ = ["Layer"]

_ALL = slice(None)


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Layer(HoldsVectors, Overviews):
    """What one attention call used; scores, weights and the rest are computed for the block asked, in float32.

    A layer holds vectors (``query``, ``key``, ``scaling``) or ``recorded`` weights. Methods take one head, several, or
    ``None`` for all; queries and keys are an integer, a slice or several integers. As in numpy, an integer drops its
    axis from the result.

    Attributes:
        stream: Name of the stream this layer belongs to.
        layer: The model's own number of the layer; hybrids leave gaps.
        module_path: Where the attention module sits in the model.
        num_heads: Number of query heads.
        query: ``[num_heads, n_query, head_dim]``, detached, in the model's dtype.
        key: ``[num_key_value_heads, n_key, head_dim]``.
        value: ``[num_key_value_heads, n_key, value_dim]``.
        scaling: Factor on ``query . key``.
        band: Structural mask, as a description.
        bias: Additive ``[num_heads or 1, n_query or 1, n_key]``: position bias, or a mask that no band describes.
            Entries at or below half of the dtype's lowest number mean "masked".
        softcap: Scores become ``softcap * tanh(score / softcap)`` before bias and mask.
        sinks: ``[num_heads]``, one extra logit per head whose share is dropped: rows then sum to less than 1.
        recorded: ``[num_heads, n_query, n_key]`` weights as the model gave them, for layers without vectors.
        reason: Why there are no vectors, in one sentence.
        value_norms: ``[num_heads, n_key]`` lengths of the values behind the head's part of the output projection.
        norm_reason: Why there are none, in one sentence.
    """

    stream: str
    layer: int
    module_path: str
    num_heads: int
    query: Tensor | None = None
    key: Tensor | None = None
    value: Tensor | None = None
    scaling: float | None = None
    band: Band | None = None
    bias: Tensor | None = None
    softcap: float | None = None
    sinks: Tensor | None = None
    recorded: Tensor | None = None
    reason: str | None = None
    value_norms: Tensor | None = None
    norm_reason: str | None = None
    _rows: RowCache = field(default_factory=RowCache, init=False)

    def __post_init__(self) -> None:
        """Check that the tensors fit together.

        Raises:
            ValueError: If a shape or dtype does not fit, or if there are neither vectors nor recorded weights.
        """
        check(self)

    @property
    def has_vectors(self) -> bool:
        """Whether query and key are there, so that scores and the neuron view can be shown."""
        return self.query is not None and self.key is not None

    @property
    def num_key_value_heads(self) -> int:
        """Number of key and value heads; query head ``h`` uses ``h // (num_heads // num_key_value_heads)``."""
        held = self.key if self.key is not None else self.value
        return self.num_heads if held is None else held.shape[0]

    @property
    def head_dim(self) -> int | None:
        """Length of a query vector, or ``None`` without vectors."""
        return None if self.query is None else self.query.shape[2]

    @property
    def n_query(self) -> int:
        """Number of query positions."""
        return int(self._held.shape[1])

    @property
    def n_key(self) -> int:
        """Number of key positions."""
        return int(
            self.key.shape[1]
            if self.key is not None and self.recorded is None
            else self._held.shape[2]
        )

    @property
    def device(self) -> torch.device:
        """Where the tensors are and where the maths runs."""
        return self._held.device

    @property
    def mask_threshold(self) -> float:
        """Bias entries at or below this mean "masked"."""
        dtypes = [tensor.dtype for tensor in (self.bias, self.query) if tensor is not None]
        return max((torch.finfo(dtype).min / 2 for dtype in dtypes), default=-torch.inf)

    @property
    def _held(self) -> Tensor:
        return cast("Tensor", self.recorded if self.recorded is not None else self.query)

    def weights(self, head: Heads = None, queries: Index = _ALL, keys: Index = _ALL) -> Array:
        """Return attention weights, after softmax.

        Rows sum to 1, or to 1 minus the share of the sink. A row in which every key is masked holds what the model's
        eager softmax makes of it: even weights for an additive mask of lowest numbers, zeros for ``-inf`` or a band.

        Args:
            head: One head, several, or ``None`` for all.
            queries: Query positions.
            keys: Key positions.

        Returns:
            float32 ``[head, query, key]``, without the axes given as one integer.

        Raises:
            ValueError: If an index is not an integer or out of range.

        Example:
            >>> layer.weights(head=5, queries=slice(0, 4)).shape  # doctest: +SKIP
            (4, 14)
        """
        axes = self._axes(head, queries, keys)
        with exact(self):
            return to_array(weight_block(self, *axes, self._rows), *axes)

    def measure(
        self, name: str, head: Heads = None, queries: Index = _ALL, keys: Index = _ALL
    ) -> Array:
        """Return the weights, or the weights times the length of what each key brings along.

        - ``"weights"``: ``w``, as `weights`.
        - ``"value"``: ``w ‖v‖``, the weight times the length of the key's value vector.
        - ``"norm"``: ``w ‖f(x)‖``, ``f(x) = v W_O`` the value behind the head's part of the output projection
          (Kobayashi, Kuribayashi, Yokoi & Inui 2020, Attention is Not Only a Weight). The projection is the model's
          own; it is believed if, while recording, it was given the very output that the record yields.

        The last two are lengths, not shares: they have no upper bound, and rows do not sum to 1.

        Args:
            name: One of the three.
            head: One head, several, or ``None`` for all.
            queries: Query positions.
            keys: Key positions.

        Returns:
            float32 ``[head, query, key]``, without the axes given as one integer.

        Raises:
            ValueError: If there is no such measure, the layer cannot give it (the message says why), or an index is
                wrong.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.measure("norm", head=3).shape
            (4, 4)
        """
        from attnwidget.finding.measures import lengths  # noqa: PLC0415  (it builds on this module)

        scale = lengths(self, name)
        axes = self._axes(head, queries, keys)
        with exact(self):
            block = weight_block(self, *axes, self._rows)
            if scale is not None:
                block.mul_(axes[2].take(axes[0].take(scale, 0), 1)[:, None])
            return to_array(block, *axes)

    def scores(self, head: Heads = None, queries: Index = _ALL, keys: Index = _ALL) -> Array:
        """Return scores before softmax: scaling, softcap, bias and mask included, ``-inf`` where masked.

        Arguments and shape are those of `weights`.

        Raises:
            ValueError: If an index is wrong, or if the layer holds only weights.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.scores(head=1, queries=0).tolist()[1:]  # a decoder's first token sees itself only
            [-inf, -inf, -inf]
        """
        self._need_vectors("scores")
        axes = self._axes(head, queries, keys)
        with exact(self):
            return to_array(score_block(self, *axes), *axes)

    def bias_block(self, head: Heads = None, queries: Index = _ALL, keys: Index = _ALL) -> Array:
        """Return what is added to the scaled, soft-capped product: 0 where nothing is, ``-inf`` where masked.

        Arguments and shape are those of `weights`.

        Raises:
            ValueError: If an index is wrong, or if the layer holds only weights.
        """
        self._need_vectors("bias")
        axes = self._axes(head, queries, keys)
        with exact(self):
            return to_array(additive_block(self, *axes), *axes)

    def __repr__(self) -> str:
        heads = f"{self.num_heads} heads"
        if self.num_key_value_heads != self.num_heads:
            heads += f" ({self.num_key_value_heads} key-value)"
        kind = f"head_dim {self.head_dim}" if self.has_vectors else "weights only"
        return f"Layer({self.stream} {self.layer}: {heads}, {self.n_query} × {self.n_key}, {kind})"

    def _axes(self, head: Heads, queries: Index, keys: Index) -> tuple[Axis, Axis, Axis]:
        return (
            head_axis(head, self.num_heads),
            position_axis("queries", queries, self.n_query),
            position_axis("keys", keys, self.n_key),
        )

    def _need_vectors(self, what: str) -> None:
        if not self.has_vectors:
            raise ValueError(self._missing(what))
