"""`Band`: causal and sliding-window masks as a description instead of a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Band"]


@dataclass(frozen=True, slots=True)
class Band:
    """Which keys a query may see, told by their distance alone.

    With ``centre = query + offset``, query sees key when

    - ``causal=True``: ``key <= centre``, and with a window also ``key > centre - window``;
    - ``causal=False``: always, or with a window when ``abs(key - centre) <= window``.

    Attributes:
        causal: Whether keys after the query are hidden.
        offset: Number of keys before the first query, ``n_key - n_query`` with a key/value cache.
        window: Size of the sliding window, or ``None`` for no window.
    """

    causal: bool
    offset: int = 0
    window: int | None = None

    def visible(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Tell which of ``keys`` each of ``queries`` sees.

        Args:
            queries: Query positions, integer ``[query]``.
            keys: Key positions, integer ``[key]``, on the same device.

        Returns:
            Boolean tensor ``[query, key]``, true where the key is seen.
        """
        centre = queries[:, None] + self.offset
        keys = keys[None, :]
        if self.causal:
            seen = keys <= centre
            return seen if self.window is None else seen & (keys > centre - self.window)
        if self.window is None:
            return (keys >= 0).expand(len(queries), -1)
        return (keys - centre).abs() <= self.window

    def span(self, first: int, last: int, num_keys: int) -> range:
        """Return the keys that at least one query in ``first..last`` (inclusive) may see.

        Args:
            first: Smallest query position.
            last: Largest query position.
            num_keys: Number of keys there are.

        Returns:
            A range within ``0..num_keys``; everything outside it is hidden from all these queries.
        """
        start, stop = 0, num_keys
        if self.causal:
            stop = last + self.offset + 1
            if self.window is not None:
                start = first + self.offset - self.window + 1
        elif self.window is not None:
            start = first + self.offset - self.window
            stop = last + self.offset + self.window + 1
        start = min(max(start, 0), num_keys)
        return range(start, min(max(stop, start), num_keys))

    def common(self, first: int, last: int, num_keys: int) -> range:
        """Return the keys that every query in ``first..last`` (inclusive) sees; an empty range when there is none.

        Args:
            first: Smallest query position.
            last: Largest query position.
            num_keys: Number of keys there are.
        """
        start, stop = 0, num_keys
        if self.causal:
            stop = first + self.offset + 1
            if self.window is not None:
                start = last + self.offset - self.window + 1
        elif self.window is not None:
            start = last + self.offset - self.window
            stop = first + self.offset + self.window + 1
        start = min(max(start, 0), num_keys)
        return range(start, min(max(stop, start), num_keys))
