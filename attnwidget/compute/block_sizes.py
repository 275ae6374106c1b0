"""How much is computed at a time: sizes of the blocks of queries, keys and scores, in one object."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BlockSizes", "block_sizes", "current_sizes"]


@dataclass(frozen=True, slots=True)
class BlockSizes:
    """Sizes of blocks.

    Attributes:
        row_bytes: Bytes of scores held at a time while whole rows are read: they stay in a core's cache, and little of a
            causal mask's hidden half is computed. The temporaries beside them are a few times as large at most.
        key_bytes: Bytes of keys held in float32 beside them where the record's are of another dtype, one key head at the
            least.
        least_rows: Queries of a block of all heads, at least. Fewer rows would make the products of queries and keys
            slow; more hold more of a long input than needed.
        strip_queries: Queries of a strip: enough for a product of matrices to be fast, few enough that a causal mask
            hides little of it.
        strip_scores: Scores of a block of a strip for each thread, where processors compute them: the share of each
            stays in its own cache (1 MB). Beside a block there are one or two temporaries of its size, and its keys in
            float32.
        device_strip_scores: The same on a graphics card, which needs more to do at a time.
        least_keys: Keys of a block of a strip, at least, where several heads are read at a time.
        model_head_bytes: Bytes of weights kept of the heads that were last computed in the model's own dtype.
    """

    row_bytes: int = 2 << 20
    key_bytes: int = 32 << 20
    least_rows: int = 16
    strip_queries: int = 256
    strip_scores: int = 1 << 18
    device_strip_scores: int = 1 << 24
    least_keys: int = 512
    model_head_bytes: int = 256 << 20


_in_use = [BlockSizes()]


def current_sizes() -> BlockSizes:
    """Return the sizes in use."""
    return _in_use[-1]


@contextmanager
def block_sizes(**changes: Any) -> Iterator[BlockSizes]:
    """Use other sizes inside the block, in all threads: for tests and measurements.

    Args:
        **changes: Fields of `BlockSizes`.

    Example:
        >>> with block_sizes(strip_queries=2):
        ...     current_sizes().strip_queries
        2
    """
    _in_use.append(replace(current_sizes(), **changes))
    try:
        yield current_sizes()
    finally:
        _in_use.pop()
