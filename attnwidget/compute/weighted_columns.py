"""Weights times columns of numbers of each key, ``[head, query, column]``, without any matrix of weights.

One run of the fused attention kernel with the columns in the place of values, where the layer is plain: causal or full
attention with nothing but a scaling. Elsewhere blocks of weights are multiplied with the columns, key block by key block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from attnwidget.compute.block_sizes import current_sizes
from attnwidget.compute.blockwise_scores import head_groups
from attnwidget.compute.indexing import Axis
from attnwidget.compute.overview import weight_strips
from attnwidget.compute.softmax import no_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.measures import Factors

__all__ = ["ColumnSums", "is_plain", "weighted_columns"]

# Scores of one run of the kernel: between two runs a kernel that shows the widget may answer something else.
_RUN_SCORES = 1 << 24
# A head of more scores is read in strips of queries: causal ones need a mask then, which costs a third.
_HEAD_SCORES = 1 << 28
# Columns of one run; keys and queries are padded to their number.
_RUN_COLUMNS = 512
# Kernels of graphics cards take vectors of whole multiples of this.
_MULTIPLE = 8


@dataclass(frozen=True, slots=True)
class ColumnSums:
    """Sums for some heads and queries.

    Attributes:
        heads: The heads.
        queries: The queries.
        sums: float32 ``[head, query, column]``.
    """

    heads: slice
    queries: slice
    sums: Tensor

    def part(self, num_heads: int, n_query: int) -> float:
        """Return the share of so many heads and queries that is done with this block."""
        rows = (self.heads.stop - self.heads.start) * self.queries.stop
        done: float = (self.heads.start * n_query + rows) / (num_heads * n_query)
        return done


def is_plain(layer: LayerTensors) -> bool:
    """Tell whether the fused kernel computes what this layer does: causal or full attention with a scaling alone."""
    band = layer.band
    causal = band is None or (band.causal and band.window is None and band.offset == 0)
    odd = (layer.bias, layer.softcap, layer.sinks)
    return layer.has_vectors and not layer.has_matrices and causal and odd == (None, None, None)


def weighted_columns(
    layer: LayerTensors,
    columns: Tensor,
    n_query: int | None = None,
    factors: Factors | None = None,
) -> Iterator[ColumnSums]:
    """Yield ``weights @ columns`` for all heads and the first queries of a layer, a block at a time.

    Args:
        layer: The layer.
        columns: float32 ``[head or 1, key, column]``, on the layer's device.
        n_query: How many queries; all of them when left out.
        factors: By what weights are multiplied first, where that differs from query to query.
    """
    n_query = layer.n_query if n_query is None else n_query
    if factors is None and is_plain(layer):
        yield from _fused(layer, columns, n_query)
        return
    size = current_sizes().strip_queries
    every, queries = Axis(range(layer.num_heads)), Axis(range(n_query))
    for some in head_groups(layer, every, n_query):
        heads = every.part(some.start, some.stop)
        own = columns if len(columns) == 1 else columns[some]
        for start in range(0, n_query, size):
            strip = queries.part(start, start + size)
            sums = columns.new_zeros((len(heads), len(strip), columns.shape[2]))
            for block in weight_strips(layer, heads, strip):
                if factors is not None:
                    block.weights.mul_(factors.of(block, heads, strip))
                part = (own if len(own) == 1 else own[block.heads])[:, block.keys]
                # Keys lie in rows of memory, and columns are few: this way round the weights are read fastest.
                by_key = torch.matmul(part.mT, block.weights.mT)
                sums[block.heads, block.queries] += by_key.mT
            yield ColumnSums(some, slice(start, start + len(strip)), sums)


def _fused(layer: LayerTensors, columns: Tensor, n_query: int) -> Iterator[ColumnSums]:
    n_key = layer.n_key
    count = max(1, _RUN_SCORES // (n_query * n_key))
    rows = n_query if n_query * n_key <= _HEAD_SCORES else current_sizes().strip_queries
    for first in range(0, layer.num_heads, count):
        heads = slice(first, min(first + count, layer.num_heads))
        query, key = _vectors(layer, heads)
        own = columns if len(columns) == 1 else columns[heads]
        for start in range(0, n_query, rows):
            strip = slice(start, min(start + rows, n_query))
            parts = [
                _run(layer, query[:, strip], key, own[..., at : at + _RUN_COLUMNS], start)
                for at in range(0, columns.shape[2], _RUN_COLUMNS)
            ]
            yield ColumnSums(heads, strip, torch.cat(parts, -1))


def _vectors(layer: LayerTensors, heads: slice) -> tuple[Tensor, Tensor]:
    """Return scaled queries and the keys of some heads, float32 ``[head, position, head_dim]``."""
    if layer.query is None or layer.key is None or layer.scaling is None:
        raise ValueError(no_vectors(layer))
    share = layer.num_heads // layer.num_key_value_heads
    own = torch.arange(heads.start, heads.stop, device=layer.device) // share
    return layer.query[heads].float() * layer.scaling, layer.key[own].float()


def _run(layer: LayerTensors, query: Tensor, key: Tensor, columns: Tensor, start: int) -> Tensor:
    """Run the kernel once for queries from ``start`` on, float32 ``[head, query, column]``."""
    wanted = columns.shape[2]
    # Unequal widths of keys and values leave the fused path, which takes six times as long, and n × n of memory.
    width = -(-max(query.shape[2], wanted) // _MULTIPLE) * _MULTIPLE
    causal, mask = layer.band is not None, None
    if causal:
        stop = min(layer.n_key, start + query.shape[1])
        if start:
            mask = key.new_full((query.shape[1], stop), -torch.inf).triu_(start + 1)
        key, columns = key[:, :stop], columns[:, :stop]
    values = functional.pad(columns, (0, width - wanted)).expand(len(query), -1, -1)
    wide_query, wide_key = (
        functional.pad(each, (0, width - each.shape[2]))[None] for each in (query, key)
    )
    sums = functional.scaled_dot_product_attention(
        wide_query,
        wide_key,
        values[None],
        attn_mask=mask,
        is_causal=causal and mask is None,
        scale=1.0,
    )
    return sums[0, ..., :wanted]
