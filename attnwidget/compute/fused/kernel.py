"""torch's fused attention kernel with the log-sum-exp of each row, where this torch gives both as they should be.

The operations are those that `torch.nn.functional.scaled_dot_product_attention` calls. They are not part of torch's public
interface, so a small example is compared with plain arithmetic before one is used on a device for the first time.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HIDDEN", "MULTIPLE", "attend", "can_attend"]

HIDDEN = -1e30
"""Added to the score of a key that is hidden: finite, as rows that see nothing would be NaN otherwise."""

MULTIPLE = 8
"""Kernels of graphics cards take vectors of whole multiples of this."""

_TOLERANCE = 1e-4


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    causal: bool = False,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Run the kernel once; the scores are plain products of queries and keys.

    Args:
        query: float32 ``[group, head, query, width]``.
        key: float32 ``[group, head, key, width]``; expanded ones are not copied.
        value: As ``key``, of the same width: other widths leave the fused path, which takes several times as long.
        causal: Whether query ``i`` of these sees the keys ``0..i`` of these alone.
        mask: What is added to the scores instead, float32 ``[query, key]``.

    Returns:
        The weighted sums, float32 ``[group, head, query, width]``, and the logarithm of the sum of the exponentials of
        each row, float32 ``[group, head, query]``.
    """
    if query.device.type == "cpu":
        sums, logs = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(  # noqa: SLF001
            query, key, value, 0.0, causal, attn_mask=mask, scale=1.0
        )
        return sums, logs
    groups, heads, n_query, _ = query.shape
    bias = None
    if mask is not None:
        # The kernel reads masks in rows of whole multiples.
        wide = -(-mask.shape[1] // MULTIPLE) * MULTIPLE
        padded = torch.nn.functional.pad(mask, (0, wide - mask.shape[1]))[:, : mask.shape[1]]
        bias = padded.expand(groups, heads, -1, -1)
    run = torch.ops.aten._scaled_dot_product_efficient_attention  # noqa: SLF001
    sums, logs, *_ = run(
        query, key, value, bias, compute_log_sumexp=True, is_causal=causal, scale=1.0
    )
    return sums, logs[..., :n_query]


@functools.lru_cache(maxsize=16)
def can_attend(device: torch.device) -> bool:
    """Tell whether the kernel is there on a device and gives what it should, by small examples."""
    if device.type not in {"cpu", "cuda"}:
        return False
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn((2, heads, size, MULTIPLE), generator=generator).to(device)
        for heads, size in ((3, 21), (1, 37), (1, 37))
    )
    key, value = key.expand(-1, 3, -1, -1), value.expand(-1, 3, -1, -1)
    hidden = torch.randn((21, 37), generator=generator).to(device) > 0
    mask = torch.where(hidden, HIDDEN, 0.0)
    below = torch.ones((21, 37), dtype=torch.bool, device=device).tril().logical_not()
    return (
        _agrees(query, key, value, None)
        and _agrees(query, key, value, below, causal=True)
        and _agrees(query, key, value, hidden, mask=mask)
        # More queries than keys: the last ones see all of them.
        and _agrees(query, key[:, :, :9], value[:, :, :9], below[:, :9], causal=True)
    )


def _agrees(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    hidden: Tensor | None,
    *,
    causal: bool = False,
    mask: Tensor | None = None,
) -> bool:
    try:
        sums, logs = attend(query, key, value, causal=causal, mask=mask)
    except (RuntimeError, AttributeError, TypeError):
        return False
    scores = query.double() @ key.double().mT
    if hidden is not None:
        scores = scores.masked_fill(hidden, HIDDEN)
    plain = scores.softmax(-1) @ value.double()
    near = (sums - plain).abs().amax() < _TOLERANCE
    return bool(near & ((logs - scores.logsumexp(-1)).abs().amax() < _TOLERANCE))
