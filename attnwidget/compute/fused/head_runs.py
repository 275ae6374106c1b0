"""`HeadRun`: vectors of some heads, widened by what the fused kernel is to add up beside them.

One table stands for keys and for values. A row of it is ``[key | added score | position | columns]``; queries are
``[query | 1 | 0 | 0]``. So one run of the kernel gives, for each row of weights, the log-sum-exp, the mean key, from
which the mean score and with it the entropy follow, the mean position and the weight on each column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.compute.fused.kernel import HIDDEN, MULTIPLE, can_attend
from attnwidget.compute.measures import KeyLengths
from attnwidget.compute.softmax import no_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.measures import Factors

__all__ = ["HeadRun", "head_runs", "why_not"]

# Bytes of the widened queries of a run. More heads at a time make fewer, larger products.
_RUN_BYTES = 1 << 23
# Scores further from 0 than this are left to whole rows; HIDDEN must stay far below.
_MOST_SCORE = 1e12


def why_not(layer: LayerTensors, factors: Factors | None = None) -> str | None:
    """Return why the fused kernel cannot compute what a layer does, in a sentence, or ``None`` if it can.

    Args:
        layer: The layer.
        factors: By what weights are multiplied before each row is divided by its sum.
    """
    if layer.has_matrices or not layer.has_vectors:
        return "its weights are read as whole matrices."
    if layer.softcap is not None:
        return "its scores are capped."
    if layer.bias is not None and layer.bias.shape[1] > 1:
        return "its bias differs from query to query."
    if layer.band is not None and layer.band.offset < 0:
        return "its first queries stand before the first key."
    if factors is not None and not isinstance(factors, KeyLengths):
        return "its measure has factors that differ from query to query."
    if not can_attend(layer.device):
        return "this torch does not give the log-sum-exp of fused attention here."
    return None if _is_moderate(layer, factors) else "its scores are not finite, or too large."


def _is_moderate(layer: LayerTensors, factors: Factors | None) -> bool:
    """Tell whether all scores are numbers far from `HIDDEN`, by the largest numbers that they are made of."""
    if layer.query is None or layer.key is None or layer.scaling is None:
        return False
    dots = _largest(layer.query) * _largest(layer.key) * layer.query.shape[2]
    most = [dots * abs(layer.scaling)]
    if layer.bias is not None:
        # A number that is NaN is not hidden.
        most.append(_largest(layer.bias[~(layer.bias <= layer.mask_threshold)]))
    if layer.sinks is not None:
        most.append(_largest(layer.sinks))
    if isinstance(factors, KeyLengths):
        most.append(_largest(factors.lengths))
    return all(each < _MOST_SCORE for each in most)


def _largest(tensor: Tensor) -> float:
    """Return the largest size of a tensor's numbers, NaN if one of them is."""
    if not tensor.numel():
        return 0.0
    least, most = (float(each) for each in tensor.aminmax())
    return max(most, -least)


@dataclass(slots=True, eq=False)
class HeadRun:
    """Some heads of a layer, as many key heads (groups) times as many heads to each.

    Attributes:
        heads: The heads.
        query: float32 ``[group, share, query, width]``, scaled.
        key: float32 ``[group, 1, key, width]``.
        added: What is added to the score of each key, float32 ``[group, key]``; `HIDDEN` where it is hidden.
        scored: How many of the columns, the first ones, make a score.
        sinks: A logit more for each row, float32 ``[group, share, query]``, ``None`` where there is none.
    """

    heads: slice
    query: Tensor
    key: Tensor
    added: Tensor
    scored: int
    sinks: Tensor | None

    @property
    def n_query(self) -> int:
        """The number of queries."""
        return self.query.shape[2]

    @property
    def n_key(self) -> int:
        """The number of keys."""
        return self.key.shape[2]

    @property
    def place(self) -> int:
        """Which column holds the position."""
        return self.scored

    def hide(self, keys: Tensor) -> None:
        """Hide some keys from all queries, and show all others.

        Args:
            keys: Which, boolean ``[key]``.
        """
        self.key[:, 0, :, self.scored - 1] = torch.where(keys, HIDDEN, self.added)

    def scores(self, queries: slice, keys: Tensor) -> Tensor:
        """Return the scores of some queries against some keys, float32 ``[head, query, key]``."""
        query = self.query[:, :, queries]
        groups, share, count, width = query.shape
        key = self.key[:, 0].index_select(1, keys)
        found = query.reshape(groups, share * count, width) @ key.mT
        return found.view(groups * share, count, len(keys))

    def link_scores(self, queries: Tensor | slice, keys: Tensor | slice) -> Tensor:
        """Return the scores of single links, each of a query and the key in its place, float32 ``[head, link]``."""
        query, key = (
            each.index_select(2, some) if isinstance(some, torch.Tensor) else each[:, :, some]
            for each, some in ((self.query, queries), (self.key, keys))
        )
        return (query * key).sum(-1).flatten(0, 1)


def head_runs(
    layer: LayerTensors,
    columns: Tensor,
    set_aside: Tensor,
    factors: Factors | None = None,
    *,
    positions: bool,
) -> Iterator[HeadRun]:
    """Cut the heads of a layer into runs, none of which takes more memory than a few times `_RUN_BYTES`.

    Args:
        layer: A layer that the kernel can compute.
        columns: What is added up beside the keys, float32 ``[key, column]``.
        set_aside: Keys that the mean key does not count, boolean ``[key]``.
        factors: By what weights are multiplied before each row is divided by its sum.
        positions: Whether the position of each key is added up, too, in a column before these.
    """
    if layer.query is None or layer.key is None or layer.scaling is None:
        raise ValueError(no_vectors(layer))
    share = layer.num_heads // layer.num_key_value_heads
    n_query, head_dim = layer.query.shape[1:]
    width = _wide(head_dim + 1 + positions + columns.shape[1])
    beside = columns.new_zeros((layer.n_key, width - head_dim - 1))
    if positions:
        beside[:, 0] = torch.arange(layer.n_key, device=layer.device)
    beside[:, int(positions) : positions + columns.shape[1]] = columns
    most = max(1, _RUN_BYTES // (4 * width * max(n_query, layer.n_key)))
    lengths = factors if isinstance(factors, KeyLengths) else None
    added = _added(layer, lengths)
    # What differs from head to head gives each head keys of its own.
    own = len(added) > 1
    for heads in _cut(layer.num_heads, 1 if own else share, most):
        first, last = heads.start // share, (heads.stop - 1) // share + 1
        key = layer.key[first:last].float()
        if own:
            used = torch.arange(heads.start, heads.stop, device=layer.device) // share
            key = key[used - first]
        groups, each = len(key), len(heads) // len(key)
        here = added[heads.start : heads.stop] if own else added.expand(groups, -1)
        centre = _mean_key(key, set_aside | (here <= HIDDEN))
        table = key.new_empty((groups, 1, layer.n_key, width))
        torch.sub(key, centre, out=table[:, 0, :, :head_dim])
        table[:, 0, :, head_dim] = here
        table[..., head_dim + 1 :] = beside
        query = key.new_empty((groups, each, n_query, width))
        some = layer.query[heads.start : heads.stop].float()
        some = some.reshape(groups, each, n_query, head_dim)
        torch.mul(some, layer.scaling, out=query[..., :head_dim])
        query[..., head_dim] = 1.0
        query[..., head_dim + 1 :] = 0.0
        sinks = None
        if layer.sinks is not None and factors is None:
            logits = layer.sinks[heads.start : heads.stop].float().view(groups, each, 1)
            # Every score has lost that of the mean key, which changes no weight; so must theirs.
            sinks = logits - (query[..., :head_dim] @ centre[:, None].mT)[..., 0]
        yield HeadRun(slice(heads.start, heads.stop), query, table, here, head_dim + 1, sinks)


def _wide(columns: int) -> int:
    return -(-columns // MULTIPLE) * MULTIPLE


def _cut(num_heads: int, share: int, most: int) -> Iterator[range]:
    """Cut heads into runs of whole groups of a key head, or of heads within one group."""
    if most >= share:
        step = most // share * share
        for first in range(0, num_heads, step):
            yield range(first, min(first + step, num_heads))
        return
    for group in range(0, num_heads, share):
        for first in range(group, group + share, most):
            yield range(first, min(first + most, group + share))


def _added(layer: LayerTensors, factors: KeyLengths | None) -> Tensor:
    """Return what is added to the score of each key, float32 ``[head or 1, key]``."""
    added = torch.zeros((1, layer.n_key), device=layer.device)
    if layer.bias is not None:
        bias = layer.bias[:, 0]
        added = torch.where(bias <= layer.mask_threshold, HIDDEN, bias.float()).expand(
            -1, layer.n_key
        )
    if factors is not None:
        # exp(score) * length is exp(score + log length).
        added = added + factors.lengths.log()
    return added.clamp(min=HIDDEN)


def _mean_key(key: Tensor, left_out: Tensor) -> Tensor:
    """Return the mean key of each group, float32 ``[group, 1, head_dim]``.

    Taken from all keys it changes no weight, and leaves scores that are closer to 0: entropy is a difference of two of
    their size.
    """
    counted = (~left_out).to(key.dtype)[:, None]
    return (counted @ key) / counted.sum(-1, keepdim=True).clamp(min=1)
