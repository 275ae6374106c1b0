"""Readers of rows of weights and of values, from an attention call or a weighted sum that was seen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.calls.call import read_mask_view, scaling_of, sinks_of

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.calls.mask_reader import MaskView

__all__ = ["CallRows", "Rows", "SumRows"]


@dataclass(slots=True)
class Rows:
    """Reads rows of weights and the values of one row of a batch.

    Attributes:
        heads: How many heads there are.
    """

    heads: int

    def values(self, head: int) -> Tensor:
        """Return the values that a head reads, float32 ``[key, value_dim]``."""
        raise NotImplementedError

    def weights(
        self, head: int, rows: Tensor, hidden: list[int], *, renormalise: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return rows of one head's weights without the hidden keys, and where that changes them.

        Args:
            head: The head.
            rows: Which rows.
            hidden: The keys, which weigh 0.
            renormalise: Whether they are left out of the softmax; else the other weights are those with them.

        Returns:
            float32 ``[row, key]``, and boolean ``[row]``: which of them saw any of these keys.
        """
        raise NotImplementedError


@dataclass(slots=True)
class CallRows(Rows):
    """Rows of an attention call: scores computed from its arguments, as its implementation does it."""

    arguments: AttentionArguments
    batch: int
    directions: dict[int, Tensor] = field(default_factory=dict)
    view: MaskView = field(init=False)
    # What was read of the mask last, and for which rows: it is the same for all heads.
    _read: tuple[Tensor, Tensor] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.view = read_mask_view(self.arguments, self.batch)

    def values(self, head: int) -> Tensor:
        """Return the values that a head reads, as `Rows.values`."""
        value = self.arguments.value
        return value[
            min(self.batch, len(value) - 1), head // (self.heads // value.shape[1])
        ].float()

    def weights(
        self, head: int, rows: Tensor, hidden: list[int], *, renormalise: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return rows of one head's weights, as `Rows.weights`."""
        given, options = self.arguments, self.arguments.options
        query = self._query(head, rows)
        key = given.key[
            min(self.batch, len(given.key) - 1), head // (self.heads // given.key.shape[1])
        ]
        scores = (query @ key.float().mT) * scaling_of(given)
        softcap = options.get("softcap")
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        bias = options.get("position_bias")
        if bias is not None:
            scores = scores + _broadcast(bias, self.batch, head, rows).float()
        scores = scores + self._mask(head, rows).to(scores)
        saw = (scores[:, hidden] > -torch.inf).any(dim=-1)
        if renormalise:
            scores = _without(scores, hidden)
        sink = self._sinks(head, rows)
        if sink is not None:
            scores = torch.cat([scores, sink.to(scores)], dim=-1)
        weights = _softmax(scores)[:, : key.shape[0]]
        return weights if renormalise else _zeroed(weights, hidden), saw

    def _query(self, head: int, rows: Tensor) -> Tensor:
        """Return some queries of a head, without the directions that it does without."""
        query = self.arguments.query
        own = query[min(self.batch, len(query) - 1), head, rows].float()
        if head not in self.directions:
            return own
        basis = self.directions[head].to(own.device)
        if basis.shape[1] != own.shape[1]:
            msg = f"the directions have {basis.shape[1]} numbers, its queries {own.shape[1]}: take those of this head."
            raise ValueError(msg)
        return own - own @ basis.T @ basis

    def _mask(self, head: int, rows: Tensor) -> Tensor:
        if self._read is None or not torch.equal(self._read[0], rows):
            self._read = rows, self._masked(rows.cpu())
        mask = self._read[1]
        return mask[head if len(mask) > 1 else 0]

    def _masked(self, rows: Tensor) -> Tensor:
        """Return what the mask adds to some rows, ``[head or 1, row, key]``."""
        keys = torch.arange(self.view.num_keys)
        spans = self.view.spans(rows, keys)
        if spans.dense is not None:
            return spans.dense
        seen = (keys >= spans.start[:, None]) & (keys < spans.stop[:, None])
        return torch.zeros(seen.shape).masked_fill(~seen, -torch.inf)[None]

    def _sinks(self, head: int, rows: Tensor) -> Tensor | None:
        """Return the logit of the sink of each row, ``[row, 1]``."""
        # One that scales the output afterwards does what one in the softmax does.
        sinks = sinks_of(replace(self.arguments, sinks_in_softmax=True))
        if sinks is None:
            return None
        if sinks.ndim == 4:
            return sinks[self.batch, head, rows].float()
        return sinks.flatten()[head].float().expand(len(rows), 1)


@dataclass(slots=True)
class SumRows(Rows):
    """Rows of a weighted sum that was seen: its weights are there, and mostly the logits of its softmax.

    Attributes:
        multiplied: ``[head, query, key]``.
        value: ``[head, key, value_dim]``.
        logits: ``[head, query, key or more]``, where they are those of the weights; what is more are sinks.
        call: Reads rows of heads that do without some directions: their scores are computed from query and key.
    """

    multiplied: Tensor
    value: Tensor
    logits: Tensor | None
    call: CallRows | None = None

    def values(self, head: int) -> Tensor:
        """Return the values that a head reads, as `Rows.values`."""
        return self.value[head].float()

    def weights(
        self, head: int, rows: Tensor, hidden: list[int], *, renormalise: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return rows of one head's weights, as `Rows.weights`."""
        if self.call is not None and head in self.call.directions:
            return self.call.weights(head, rows, hidden, renormalise=renormalise)
        own = self.multiplied[head, rows].float()
        saw = (own[:, hidden] != 0).any(dim=-1)
        if not hidden or not renormalise:
            return _zeroed(own, hidden), saw
        if self.logits is not None:
            scores = _without(self.logits[head, rows].float(), hidden)
            return _softmax(scores)[:, : own.shape[-1]], saw
        left = _zeroed(own, hidden)
        total = left.sum(dim=-1, keepdim=True)
        return left / torch.where(total == 0, torch.ones_like(total), total), saw


def _without(scores: Tensor, hidden: list[int]) -> Tensor:
    if not hidden:
        return scores
    columns = torch.tensor(hidden, device=scores.device)
    return scores.index_fill(-1, columns, -torch.inf)


def _zeroed(weights: Tensor, hidden: list[int]) -> Tensor:
    return weights.index_fill(
        -1, torch.tensor(hidden, device=weights.device, dtype=torch.long), 0.0
    )


def _softmax(scores: Tensor) -> Tensor:
    """Return the softmax of each row; 0 where nothing is left."""
    none = (scores == -torch.inf).all(dim=-1, keepdim=True)
    return torch.softmax(scores.masked_fill(none, 0.0), dim=-1).masked_fill(none, 0.0)


def _broadcast(tensor: Tensor, batch: int, head: int, rows: Tensor) -> Tensor:
    """Cut ``[row or 1, key]`` out of ``[batch or 1, head or 1, query or 1, key]``."""
    own = tensor[min(batch, len(tensor) - 1)]
    own = own[head if own.shape[0] > 1 else 0]
    return own[rows] if own.shape[0] > 1 else own
