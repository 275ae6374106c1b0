"""`Replacement`: what is put in the place of a head's output; `replaced` puts it there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from attnwidget.capture.edits.padding import RealPositions

__all__ = ["Replacement", "gated", "replaced"]


@dataclass(frozen=True, slots=True)
class Replacement:
    """What is put in the place of the output of one head.

    Attributes:
        at: float32 ``[position, value_dim]``, for the first positions.
        elsewhere: float32 ``[value_dim]``, for all others; zeros without either.
    """

    at: Tensor | None = None
    elsewhere: Tensor | None = None

    def rows(
        self,
        queries: int,
        keys: int,
        width: int,
        first: int = 0,
        real: tuple[int, ...] | None = None,
    ) -> Tensor:
        """Return what is put at the queries of one call.

        Args:
            queries: How many it has.
            keys: How many keys.
            width: How long an output is.
            first: Position of the first of them, where the call is for a part of the input.
            real: Which of the queries are no padding, where some are: the positions are counted without.

        Returns:
            float32 ``[query or 1, width]``.

        Raises:
            ValueError: If it is of another width, or is not known for so many positions.
        """
        if self.at is None:
            return torch.zeros(1, width)
        if self.at.shape[-1] != width:
            msg = f"its source has outputs of {self.at.shape[-1]} numbers, the head puts out {width}: take one of this model."
            raise ValueError(msg)
        if real is not None and queries == keys:
            rows = self.rows(len(real), len(real), width)
            other = rows.new_zeros(width) if self.elsewhere is None else self.elsewhere
            return other.repeat(queries, 1).index_copy(0, torch.tensor(real), rows)
        if self.elsewhere is None:
            if queries != keys:
                msg = (
                    "another input's output is put in its place position by position, which needs as many queries as keys: "
                    "use how='mean' in cross-attention and while generating."
                )
                raise ValueError(msg)
            if first + queries > len(self.at):
                more = " or more" if first else ""
                msg = f"its source has {len(self.at)} positions, the input {first + queries}{more}: give a source that is as long."
                raise ValueError(msg)
            return self.at[first : first + queries]
        if queries != keys:
            return self.elsewhere[None]
        known = self.at[first : first + queries]
        return torch.cat([known, self.elsewhere.expand(queries - len(known), -1)])


def replaced(
    output: Tensor,
    heads: Mapping[int, Replacement],
    keys: int,
    *,
    first: int = 0,
    real: Sequence[RealPositions] = (),
) -> Tensor:
    """Return the output of one call with that of some heads replaced, as a new tensor; all other numbers stand.

    Args:
        output: ``[..., head, query, value_dim]``, a view of what the call returned.
        heads: What is put in the place of each.
        keys: How many keys the call has.
        first: Position of its first query, where it is for a part of the input.
        real: Which positions of each row are no padding, where there is any.
    """
    count = output.shape[-3]
    edited = output.clone()
    for head, replacement in heads.items():
        if not 0 <= head < count:
            msg = f"there is no head {head}, the heads are 0 .. {count - 1}."
            raise ValueError(msg)
        put = _put(replacement, output, keys, first, real)
        edited[..., head, :, :] = put.to(edited)
    return edited


def gated(
    output: Tensor,
    heads: Mapping[int, Replacement],
    keys: int,
    gates: Tensor,
    *,
    first: int = 0,
    real: Sequence[RealPositions] = (),
) -> Tensor:
    """Return the output of one call with each of some heads a mixture of its own and what would be put in its place.

    Args:
        output: ``[..., head, query, value_dim]``.
        heads: What would be put in the place of each.
        keys: How many keys the call has.
        gates: ``[head]`` shares of the own output.
        first: Position of its first query, where it is for a part of the input.
        real: As of `replaced`.
    """
    *_, count, queries, width = output.shape
    share = torch.ones(count, 1, 1, dtype=output.dtype, device=output.device)
    at = torch.tensor(list(heads), device=output.device)
    share = share.index_copy(0, at, gates.to(output)[:, None, None])
    rows = [
        _put(each, output, keys, first, real).expand(*_lead(output, real), queries, -1)
        for each in heads.values()
    ]
    put = output.new_zeros(*_lead(output, real), count, queries, width)
    put[..., at, :, :] = torch.stack(rows, dim=-3).to(output)
    return output * share + (1 - share) * put


def _put(
    replacement: Replacement, output: Tensor, keys: int, first: int, real: Sequence[RealPositions]
) -> Tensor:
    """Return what is put in the place of a head, ``[query or 1, value_dim]``, or with padding ``[..., query, value_dim]``."""
    *_, queries, width = output.shape
    if not real:
        return replacement.rows(queries, keys, width, first)
    rows = [
        replacement.rows(queries, keys, width, first, each.queries).expand(queries, -1)
        for each in real
    ]
    return torch.stack(rows).view(*_lead(output, real), queries, width)


def _lead(output: Tensor, real: Sequence[RealPositions]) -> tuple[int, ...]:
    """Return the axes before that of heads, along which what is put differs; none without padding."""
    return tuple(output.shape[:-3]) if real else ()
