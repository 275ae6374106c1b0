"""`ScoreContrast`: how the products of a head's queries and keys differ between pairs on and off a pattern."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.analysis.find_heads import pattern_mask
from attnwidget.analysis.score_definitions import PAIRS, SHARES
from attnwidget.analysis.score_sums import Patterns
from attnwidget.analysis.token_features import TokenFeatures
from attnwidget.compute.checks import listed, shown
from attnwidget.compute.visible_keys import VisibleKeys
from attnwidget.compute.weight_rows import query_blocks
from attnwidget.record.position_lookup import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.compute.indexing import Axis
    from attnwidget.record.layer import Layer
    from attnwidget.record.stream import Stream

    Numbers = NDArray[np.float64]

__all__ = ["Marked", "ScoreContrast", "check_pattern", "marked_pairs", "mean_weight"]

# Which of a block of queries and all keys are on a pattern, boolean ``[query, key]``.
Marked = Callable[["Axis"], "Tensor"]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreContrast:
    """Sums over queries, which add up over inputs.

    Of each query ``i`` that sees keys on the pattern and others, ``q_i (k̄_on − k̄_off)ᵀ``, with the means of the keys that
    it sees on and off the pattern. Each query counts once, so that what adds the same to all scores of a query, which a
    softmax does not see, adds nothing here either.

    Attributes:
        total: The sum over the queries, float64 ``[head_dim, head_dim]``: rows are dimensions of the query.
        rows: How many queries they are.
        scaling: Factor on ``q·k``.
    """

    total: Numbers
    rows: int
    scaling: float

    @classmethod
    def of(cls, stream: Stream, layer: Layer, head: int, marked: Marked) -> ScoreContrast:
        """Return that of one input.

        Args:
            stream: The stream of the layer.
            layer: The layer.
            head: The head.
            marked: Which pairs are on the pattern.

        Raises:
            ValueError: If the layer holds only weights, or there is no such head.
        """
        queries = torch.from_numpy(layer.query_vectors(head)).double()
        keys = torch.from_numpy(layer.key_vectors(head)).double()
        total = torch.zeros(queries.shape[1], keys.shape[1], dtype=torch.float64)
        rows = 0
        for some, on, off in _blocks(stream, layer, head, marked):
            counts = on.sum(1, keepdim=True), off.sum(1, keepdim=True)
            both = ((counts[0] > 0) & (counts[1] > 0))[:, 0]
            far = (on.double() / counts[0].clamp(min=1) - off.double() / counts[1].clamp(min=1))[
                both
            ]
            total += queries[some.indices[0] : some.indices[-1] + 1][both].T @ (far @ keys)
            rows += int(both.sum())
        scaling = 1.0 if layer.scaling is None else float(layer.scaling)
        return cls(total.numpy(), rows, scaling)

    def __add__(self, other: ScoreContrast) -> ScoreContrast:
        """Return that of both sets of inputs.

        Raises:
            ValueError: If they are of heads of different sizes.
        """
        if self.total.shape != other.total.shape or self.scaling != other.scaling:
            message = f"one head has {len(self.total)} dimensions and scaling {self.scaling:g}, another {len(other.total)} and {other.scaling:g}: take inputs of one model."
            raise ValueError(message)
        return ScoreContrast(self.total + other.total, self.rows + other.rows, self.scaling)

    @property
    def mean(self) -> Numbers:
        """The mean over the queries, in units of the score: its trace is the gap, ``[head_dim, head_dim]``."""
        return self.total * (self.scaling / max(self.rows, 1))


def mean_weight(
    stream: Stream, layer: Layer, head: int, marked: Marked, changed: Layer
) -> tuple[float, int]:
    """Return the sum over queries of the weight on the pattern's keys, and how many queries these are.

    Args:
        stream: The stream of the layer.
        layer: The layer, whose mask says which queries see keys on the pattern and others.
        head: The head.
        marked: Which pairs are on the pattern.
        changed: The layer whose weights are read.
    """
    total, rows = 0.0, 0
    for some, on, off in _blocks(stream, layer, head, marked):
        both = (on.any(1) & off.any(1)).numpy()
        queries = slice(some.indices[0], some.indices[-1] + 1)
        weights = changed.weights(head, queries).astype(np.float64)
        total += float((weights * on.numpy()).sum(1)[both].sum())
        rows += int(both.sum())
    return total, rows


def _blocks(
    stream: Stream, layer: Layer, head: int, marked: Marked
) -> Iterator[tuple[Axis, Tensor, Tensor]]:
    """Yield some queries, which of the keys that they see are on the pattern, and which are off it; no padding."""
    features = TokenFeatures.of(stream)
    visible = VisibleKeys(layer, offset=features.offset)
    for some in query_blocks(1, layer.n_query, layer.n_key):
        seen = visible.of(some, range(layer.n_key)).cpu()
        seen = seen[head if len(seen) > 1 else 0] & some.take(features.counts, 0)[:, None]
        on = marked(some)
        yield some, seen & on, seen & ~on


def check_pattern(pattern: Any, links: Any) -> None:
    """Raise `ValueError` unless a pattern or links are given, and a pattern's name is one."""
    if (pattern is None) == (links is None):
        message = (
            "directions takes a pattern or links: pattern='previous', say, or links=[('it', 'cat')]; got "
            f"pattern={shown(pattern)} and links={shown(links)}."
        )
        raise ValueError(message)
    names = (*PAIRS, *SHARES)
    if isinstance(pattern, str) and pattern not in names:
        message = (
            f"pattern must be one of {', '.join(names)}, a 0/1 mask, or a function from query positions and key positions to "
            f"one, got {shown(pattern)}."
        )
        raise ValueError(message)


def marked_pairs(stream: Stream, pattern: Any, links: Any = None) -> Marked:
    """Return which pairs of a stream are on a pattern.

    Args:
        stream: The stream.
        pattern: A score's name, a mask, or a function that returns one.
        links: Pairs of a query and a key, each a position or the text of a token, in place of a pattern.

    Raises:
        ValueError: If a score makes no sense here, a mask has another size, or a token is not there.
    """
    if links is not None:
        whole = _linked(stream, links)
    elif isinstance(pattern, str):
        features = TokenFeatures.of(stream)
        if pattern in features.absent:
            message = (
                f"stream {stream.name!r} has no pattern {pattern!r}: {features.absent[pattern]}"
            )
            raise ValueError(message)
        keys = range(len(stream.key_positions))
        return lambda some: Patterns(features, some, keys, torch.device("cpu")).mask(pattern)
    else:
        whole = pattern_mask(stream, pattern)
    return lambda some: some.take(whole, 0)


def _linked(stream: Stream, links: Any) -> Tensor:
    mask = torch.zeros(len(stream.query_positions), len(stream.key_positions), dtype=torch.bool)
    given = listed(links) or []
    pairs = [listed(link) for link in given]
    if not pairs or any(pair is None or len(pair) != 2 for pair in pairs):
        message = f"links must be pairs of a query and a key, such as links=[('it', 'cat'), (8, 2)], got {shown(links)}."
        raise ValueError(message)
    for query, key in (pair for pair in pairs if pair is not None):
        rows = resolve("query", query, stream.query_positions)
        columns = resolve("key", key, stream.key_positions)
        mask[list(rows)] |= torch.isin(torch.arange(mask.shape[1]), torch.tensor(columns))
    return mask
