"""`MaskView`: masks of any implementation read once into bands and spans: which keys does each query see?

Almost every mask lets a query see one unbroken run of keys. So a mask is read as two numbers per query, where the run
starts and where it stops, and those are recognised as a `Band` afterwards. Reading happens in blocks of rows; the only
masks kept as matrices are those that are no such runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.compute.masks import Band

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["MaskView", "Spans", "fit_band"]

_BLOCK = 1 << 24  # mask entries looked at in one go


@dataclass(frozen=True, slots=True)
class Spans:
    """The keys each query sees.

    Attributes:
        start: First key seen, ``[query]``.
        stop: One past the last key seen, ``[query]``.
        dense: When the keys seen are no unbroken runs, or the mask also adds numbers: the additive mask itself,
            ``[1 or head, query, key]``; ``start`` and ``stop`` then say nothing.
    """

    start: Tensor
    stop: Tensor
    dense: Tensor | None = None


@dataclass(frozen=True, slots=True)
class MaskView:
    """The mask of one attention call as its implementation reads it.

    Attributes:
        mask: ``None``; a boolean (true: seen) or additive tensor ``[batch, head, query, key]``, any of which may be 1;
            a flex ``BlockMask``; or a ``[batch, key]`` padding mask for flash attention.
        num_queries: Number of queries.
        num_keys: Number of keys.
        batch: Row of the batch.
        causal: Whether the implementation hides later keys by itself, without a mask.
        offset: Keys before the first query, for ``causal`` and ``window``.
        window: Number of keys seen to the left, the query's own included, where the implementation limits it itself.
    """

    mask: Any
    num_queries: int
    num_keys: int
    batch: int
    causal: bool = False
    offset: int = 0
    window: int | None = None

    def seen(self) -> Tensor:
        """Return which keys are seen, boolean ``[1 or head, query, key]`` on the CPU."""
        seen = self._seen(torch.arange(self.num_queries), torch.arange(self.num_keys))
        return seen.expand(-1, self.num_queries, self.num_keys)

    def last_seen(self) -> int:
        """Return one past the last key that any query sees: what follows is the unused tail of a static cache."""
        rows, columns = torch.arange(self.num_queries), torch.arange(self.num_keys)
        stop = 0
        for block in self._blocks(rows, self.num_keys):
            seen = self._seen(block, columns).flatten(0, 1).any(dim=0).nonzero()
            stop = max(stop, int(seen.max()) + 1 if seen.numel() else 0)
        return stop

    def sees_any(self, queries: Tensor, keys: Tensor) -> bool:
        """Tell whether any of ``queries`` sees any of ``keys`` (both index tensors)."""
        if not len(keys) or not len(queries):
            return False
        return any(
            bool(self._seen(block, keys).any()) for block in self._blocks(queries, len(keys))
        )

    def spans(self, queries: Tensor, keys: Tensor) -> Spans:
        """Describe what ``queries`` see of ``keys``, both ascending index tensors.

        Returns:
            Spans that count in positions of ``keys``.
        """
        if self.mask is None:
            first, last = self._limits(queries)
            # Ascending keys: a run of all keys stays a run when keys are left out.
            return Spans(torch.searchsorted(keys, first), torch.searchsorted(keys, last))
        starts, stops = [queries[:0]], [queries[:0]]
        for block in self._blocks(queries, len(keys)):
            seen = self._seen(block, keys)
            one = seen[0]
            start = one.view(torch.uint8).argmax(dim=1)
            stop = len(keys) - one.flip(1).view(torch.uint8).argmax(dim=1)
            rises = one[:, 1:] > one[:, :-1]
            late = start.nonzero()[:, 0]
            rises[late, start[late] - 1] = False
            broken = bool(rises.any()) or not bool(one.any(dim=1).all())
            apart = len(seen) > 1 and not bool((seen == one).all())
            if broken or apart or self._adds(block, keys):
                empty = torch.zeros(0, dtype=torch.long)
                return Spans(empty, empty, self._dense(queries, keys))
            starts.append(start)
            stops.append(stop)
        return Spans(torch.cat(starts), torch.cat(stops))

    def _blocks(self, queries: Tensor, columns: int) -> Iterator[Tensor]:
        """Cut ``queries`` so that each part against ``columns`` keys is a block of bounded size."""
        step = max(1, _BLOCK // max(columns, 1))
        for start in range(0, len(queries), step):
            yield queries[start : start + step]

    def _limits(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """First key and one past the last key seen, without looking at any mask."""
        centre = queries + self.offset
        first, last = torch.zeros_like(centre), torch.full_like(centre, self.num_keys)
        if self.causal:
            last = (centre + 1).clamp(max=self.num_keys)
        if self.window is not None:
            first = (centre - self.window + 1).clamp(min=0)
            last = torch.minimum(last, centre + self.window)
        return first, last

    def _seen(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Which keys are seen, boolean ``[1 or head, query, key]`` on the CPU."""
        mask = self.mask
        if mask is None or (isinstance(mask, torch.Tensor) and mask.ndim == 2):
            first, last = self._limits(queries)
            seen = (keys >= first[:, None]) & (keys < last[:, None])
            if mask is not None:
                seen &= mask[min(self.batch, len(mask) - 1)].bool().cpu()[keys]
            return seen[None]
        if not isinstance(mask, torch.Tensor):
            return self._flex(queries)[:, keys][None]
        block = self._block(queries, keys)
        # Half the lowest number: eager masks add finfo.min to a score, or twice where two masks were added up.
        return block if block.dtype == torch.bool else block > torch.finfo(block.dtype).min / 2

    def _block(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Cut ``[1 or head, query, key]`` out of a four-dimensional mask."""
        mask = self.mask[min(self.batch, len(self.mask) - 1)].detach()
        if mask.shape[1] > 1:
            mask = _cut(mask, 1, queries)
        if mask.shape[2] > 1:
            mask = _cut(mask, 2, keys)
        block: Tensor = mask.cpu()
        return block.expand(-1, len(queries), len(keys))

    def _flex(self, queries: Tensor) -> Tensor:
        """Evaluate the rows of a flex ``BlockMask``, which is a function of the indices."""
        from torch.nn.attention.flex_attention import create_mask  # noqa: PLC0415  since torch 2.5

        mask = self.mask
        device = mask.kv_num_blocks.device
        rows = queries.to(device)

        def row_mask(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            seen: Tensor = mask.mask_mod(batch + self.batch, head, rows[query], key)
            return seen

        dense: Tensor = create_mask(row_mask, 1, 1, len(queries), self.num_keys, device=str(device))
        return dense[0, 0].cpu()

    def _adds(self, queries: Tensor, keys: Tensor) -> bool:
        """Tell whether an additive mask also adds numbers where it does not hide."""
        if (
            not isinstance(self.mask, torch.Tensor)
            or not self.mask.is_floating_point()
            or self.mask.ndim == 2
        ):
            return False
        block = self._block(queries, keys)
        return bool(((block != 0) & self._seen(queries, keys)).any())

    def _dense(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Keep the mask as additive numbers, ``[1 or head, query, key]``."""
        parts = []
        for rows in self._blocks(queries, len(keys)):
            seen = self._seen(rows, keys)
            if (
                isinstance(self.mask, torch.Tensor)
                and self.mask.is_floating_point()
                and self.mask.ndim == 4
            ):
                # A row that is hidden altogether keeps its numbers: its softmax is whatever they make of it.
                alive = seen.any(dim=-1, keepdim=True)
                parts.append(self._block(rows, keys).masked_fill(alive & ~seen, float("-inf")))
            else:
                # Half precision holds 0 and -inf exactly, at half the size.
                parts.append(
                    torch.zeros(seen.shape, dtype=torch.float16).masked_fill(~seen, float("-inf"))
                )
        return torch.cat(parts, dim=1)


def _cut(tensor: Tensor, axis: int, positions: Tensor) -> Tensor:
    """Take ascending positions along an axis, without a copy where they follow each other."""
    first, count = int(positions[0]), len(positions)
    if int(positions[-1]) - first + 1 == count:
        return tensor.narrow(axis, first, count)
    return tensor.index_select(axis, positions.to(tensor.device))


def fit_band(start: Tensor, stop: Tensor, num_keys: int, offset: int | None = None) -> Band | None:
    """Recognise runs of keys as a band.

    Args:
        start: First key each query sees, ``[query]``.
        stop: One past the last key each query sees, ``[query]``.
        num_keys: Number of keys.
        offset: Index of the first query among the keys, if they are of one sequence; when left out, the last query
            is the last key.

    Returns:
        The band, or ``None`` when every query sees every key.

    Raises:
        ValueError: If the runs are no band; they then have to be kept as a mask.
    """
    if bool((start == 0).all()) and bool((stop == num_keys).all()):
        return None
    queries = torch.arange(len(start))
    expected = num_keys - len(start) if offset is None else offset
    for band in _candidates(start, stop, num_keys, expected):
        centre = queries + band.offset
        width = band.window
        first = torch.zeros_like(centre)
        last = centre + 1 if band.causal else torch.full_like(centre, num_keys)
        if width is not None:
            first = centre - width + 1 if band.causal else centre - width
            last = last if band.causal else centre + width + 1
        if torch.equal(first.clamp(0, num_keys), start) and torch.equal(
            last.clamp(0, num_keys), stop
        ):
            return band
    msg = "these runs of keys are no band"
    raise ValueError(msg)


def _candidates(start: Tensor, stop: Tensor, num_keys: int, expected: int) -> list[Band]:
    """Bands that fit the first telling query at either edge; the caller checks them against all."""
    cut_left, cut_right = (start > 0).nonzero(), (stop < num_keys).nonzero()
    left = int(cut_left[0]) if len(cut_left) else None
    right = int(cut_right[0]) if len(cut_right) else None
    # Causal: the run stops at the query itself. Every run reaching the end leaves the offset to the last query.
    row = right if right is not None else len(stop) - 1
    offset = int(stop[row]) - 1 - row
    window = None if left is None else left + offset + 1 - int(start[left])
    found = [Band(causal=True, offset=offset, window=window)]
    if left is not None and right is not None:
        # Both edges of a symmetric window: start = query + offset - window, stop = query + offset + window + 1.
        middle = int(start[left]) - left + int(stop[right]) - 1 - right
        if middle % 2 == 0:
            width = int(stop[right]) - 1 - right - middle // 2
            found.append(Band(causal=False, offset=middle // 2, window=width))
    elif left is not None or right is not None:
        # Only one edge is seen by these queries; their own index tells how wide the window is.
        edge = expected + left - int(start[left]) if left is not None else offset - expected
        found += [Band(causal=False, offset=expected, window=edge)] if edge >= 0 else []
    # A symmetric window is also a wider causal one with an offset; what the offset ought to be tells them apart.
    return found if offset == expected else found[::-1]
