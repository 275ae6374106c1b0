"""Per-row sums of every head score by runs of the fused attention kernel, in memory that grows with the positions alone.

All of `SCORES` are weighted sums of something per key, and are read this way from a layer whose scores are products of
queries and keys, with a scaling, an added number for each key (padding, position biases that are the same for all
queries), a causal mask or a window, and sinks: in weights, and in weights times the lengths of values. `why_dense` names
what is left to whole rows of weights: recorded weights, those of the model's own arithmetic, softcaps, biases that differ
from query to query, and the measures of gradients.

The keys of the sink are hidden from the kernel and added afterwards. What remains without them is then no difference of
two numbers that are nearly equal, however much weight rests on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.analysis.matching_keys import Matches
from attnwidget.analysis.score_definitions import SHARES
from attnwidget.analysis.score_sums import Sums
from attnwidget.analysis.visible_counts import visible_stats
from attnwidget.compute.fused.head_runs import head_runs, why_not
from attnwidget.compute.fused.kernel import HIDDEN
from attnwidget.compute.fused.row_sums import RowSums, row_sums
from attnwidget.compute.fused.visible import VisibleRanges
from attnwidget.compute.resumable import share_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from attnwidget.analysis.score_sums import VisibleKeyStats
    from attnwidget.analysis.token_features import TokenFeatures
    from attnwidget.compute.fused.head_runs import HeadRun
    from attnwidget.compute.layer_tensors import LayerTensors
    from attnwidget.compute.measures import Factors
    from attnwidget.compute.resumable import Slices

__all__ = ["FusedStream", "why_dense"]

# Weights of a head whose whole rows take less time than what runs of the kernel bring along: 256 × 256 of them.
_SHORT = 1 << 16
# So many keys of a sink are read by a product; the kernel takes longer to begin.
_FEW = 16
# Numbers of a product of queries and keys of the sink at a time.
_SINK_SCORES = 1 << 19


def why_dense(
    layer: LayerTensors, features: TokenFeatures, factors: Factors | None = None
) -> str | None:
    """Return why the scores of a layer need whole rows of weights, in a sentence, or ``None`` if they do not."""
    if layer.n_query * layer.n_key <= _SHORT:
        return "its rows are short."
    band = layer.band
    tied = band is not None and (band.causal or band.window is not None)
    if band is not None and tied and features.offset not in {None, band.offset}:
        return "its mask stands elsewhere than its positions."
    return why_not(layer, factors)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What layers have in common that see the same keys."""

    ranges: VisibleRanges
    stats: VisibleKeyStats
    matches: Matches


class FusedStream:
    """The sums of the layers of a stream, one layer after the other."""

    def __init__(self, features: TokenFeatures) -> None:
        """Hold the features of the positions."""
        self._features = features
        self._seen: dict[tuple[object, ...], _Seen] = {}
        sink = features.keys["sink"]
        self._sink = sink.nonzero()[:, 0]

    def read(
        self,
        layer: LayerTensors,
        factors: Factors | None,
        keep: Callable[[slice, Sums, VisibleKeyStats], object],
    ) -> Slices[None]:
        """Read a layer of which `why_dense` says nothing.

        Args:
            layer: The layer.
            factors: By what weights are multiplied before each row is divided by its sum.
            keep: Told some heads, their sums over all queries, and what keys the queries see.
        """
        features, seen = self._features, self._of(layer)
        sink = features.keys["sink"].to(layer.device)
        table = torch.stack([features.keys[name] for name in SHARES], 1).float().to(layer.device)
        positions = features.offset is not None
        for run in head_runs(layer, table, sink, factors, positions=positions):
            part = run.heads.start / layer.num_heads, run.heads.stop / layer.num_heads
            yield from share_of(self._run(run, layer, seen, keep), *part)

    def _of(self, layer: LayerTensors) -> _Seen:
        """Return statistics and matches of the keys that a layer sees, once for layers that see the same."""
        bias = layer.bias
        masked = bias is not None and bool((bias <= layer.mask_threshold).any())
        key = (layer.device, layer.band, id(bias) if masked else None)
        if key not in self._seen:
            ranges = VisibleRanges.of(layer)
            stats = visible_stats(self._features, ranges)
            self._seen[key] = _Seen(ranges, stats, Matches(self._features, ranges))
        return self._seen[key]

    def _run(
        self,
        run: HeadRun,
        layer: LayerTensors,
        seen: _Seen,
        keep: Callable[[slice, Sums, VisibleKeyStats], object],
    ) -> Slices[None]:
        offset = self._features.offset
        sink = self._features.keys["sink"].to(layer.device)
        found = []
        few = len(self._sink) <= _FEW
        if not few:
            work = row_sums(run, layer.band, offset, len(SHARES), self._sink.to(layer.device))
            found.append((yield from share_of(work, 0.0, 0.1)))
        run.hide(sink)
        work = row_sums(run, layer.band, offset, len(SHARES))
        outside = yield from share_of(work, 0.1, 0.9)
        run.hide(torch.zeros_like(sink))
        on_sink = self._on_sink(run, seen.ranges) if few else found[0]
        log = torch.logaddexp(outside.log, on_sink.log)
        if run.sinks is not None:
            log = torch.logaddexp(log, run.sinks.flatten(0, 1).double())
        pairs = yield from share_of(seen.matches.sums(run, log), 0.9, 1.0)
        stats = seen.stats.part(run.heads, slice(0, run.n_query))
        keep(run.heads, _together(outside, on_sink, log, pairs), stats)
        yield 1.0

    def _on_sink(self, run: HeadRun, ranges: VisibleRanges) -> RowSums:
        """Read the keys of a small sink."""
        features, device = self._features, run.query.device
        keys = self._sink.to(device)
        heads = run.heads.stop - run.heads.start
        found = RowSums.nothing(heads, run.n_query, len(SHARES), device)
        if not len(keys):
            return found
        columns = torch.stack([features.keys[name].to(device)[keys] for name in SHARES], 1).double()
        size = max(1, _SINK_SCORES // (heads * len(keys)))
        for start in range(0, run.n_query, size):
            rows = slice(start, min(start + size, run.n_query))
            seen = (keys >= ranges.start[rows, None]) & (keys < ranges.stop[rows, None])
            scores = run.scores(rows, keys).double() + torch.where(seen, 0.0, HIDDEN)
            log = scores.logsumexp(-1)
            weights = (scores - log[..., None]).exp_()
            found.log[:, rows] = log.masked_fill(log < HIDDEN / 2, -torch.inf)
            found.score[:, rows] = (weights * scores).sum(-1)
            found.columns[:, rows] = weights @ columns
            if features.offset is not None:
                own = torch.arange(rows.start, rows.stop, device=device) + features.offset
                far = (own[:, None] - keys).abs().double()
                found.distance[:, rows] = (weights * far).sum(-1)
        return found


def _together(outside: RowSums, on_sink: RowSums, log: Tensor, pairs: Tensor) -> Sums:
    """Make the sums of whole rows from those of their keys outside of the sink and on it."""
    # Rows that see nothing: exp(-inf - 0) is 0, where -inf - -inf would be NaN.
    log = log.masked_fill(log == -torch.inf, 0.0)
    weight, resting = (outside.log - log).exp(), (on_sink.log - log).exp()
    total = torch.stack([weight + resting, weight])
    own = weight * outside.columns.movedim(-1, 0)
    shares = torch.stack([own + resting * on_sink.columns.movedim(-1, 0), own])
    entropy = weight * (log - _below(outside))
    entropies = torch.stack([entropy + resting * (log - _below(on_sink)), entropy])
    if not pairs.shape[1]:
        return Sums(total, shares, pairs, entropies)
    far = weight * outside.distance
    distance = torch.stack([far + resting * on_sink.distance, far])[:, None]
    return Sums(total, shares, torch.cat([pairs, distance], 1), entropies)


def _below(sums: RowSums) -> Tensor:
    """Return the mean score: the log-sum-exp where rounding has put it above that, 0 where there is none."""
    return torch.minimum(sums.score, sums.log).masked_fill_(sums.log == -torch.inf, 0.0)
