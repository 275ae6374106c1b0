"""What is computed of a long head block by block, against computing the whole head, and against the forward pass.

Run by ``make bench``; ``python tests/bench/bench_blocks.py --help`` lists the options. One causal layer of random
vectors (8 heads of 64, 2 key heads). What is compared takes turns, one thread each, and is timed by the processor time
it takes, so that what else runs on the machine counts less; the smallest of the turns is taken.
"""

from __future__ import annotations

import argparse
import logging
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from attnwidget.compute import overview
from attnwidget.compute.indexing import Axis
from attnwidget.compute.masks import Band
from attnwidget.compute.online_softmax import row_stats_slices
from attnwidget.compute.resumable import finish
from attnwidget.compute.softmax_stats import StatsCache
from attnwidget.compute.tiles import Maps, tile, tile_slices
from attnwidget.protocol.constants import TILE_SIZE as TILE
from attnwidget.record.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("bench")
HEADS, KEY_HEADS, HEAD_DIM = 8, 2, 64
THUMBNAIL = 48
# A head in float32 of more bytes than this is not computed whole.
MOST_DENSE = 5 << 30


def build(tokens: int) -> Layer:
    """Return a causal layer of random vectors."""
    generator = torch.Generator().manual_seed(0)
    return Layer(
        stream="decoder",
        layer=0,
        module_path="model.layers.0",
        num_heads=HEADS,
        query=torch.randn(HEADS, tokens, HEAD_DIM, generator=generator),
        key=torch.randn(KEY_HEADS, tokens, HEAD_DIM, generator=generator),
        value=torch.randn(KEY_HEADS, tokens, HEAD_DIM, generator=generator),
        scaling=HEAD_DIM**-0.5,
        band=Band(causal=True),
    )


def forward(layer: Layer, heads: int) -> None:
    """Run fused attention of so many heads."""
    assert layer.query is not None
    assert layer.key is not None
    assert layer.value is not None
    groups = max(1, heads * KEY_HEADS // HEADS)
    query, key, value = (
        layer.query[None, :heads],
        layer.key[None, :groups],
        layer.value[None, :groups],
    )
    with torch.no_grad():
        scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)


def dense(layer: Layer, level: int) -> np.ndarray:
    """Compute a whole head and pool it to the top of its map, as one would without blocks."""
    assert layer.query is not None
    assert layer.key is not None
    scores = (layer.query[0] * layer.scaling) @ layer.key[0].T
    scores.masked_fill_(torch.ones(scores.shape, dtype=torch.bool).triu_(1), -torch.inf)
    weights = torch.softmax(scores, -1)
    del scores
    return torch.nn.functional.max_pool2d(weights[None], 1 << level, ceil_mode=True)[0].numpy()


def top(tokens: int) -> int:
    """Return the level at which one tile covers a head."""
    level = 0
    while TILE << level < tokens:
        level += 1
    return level


def taken(times: int, *works: Callable[[], object]) -> list[float]:
    """Return the least seconds of processor time that each of some works takes, turn by turn."""
    best = [float("inf")] * len(works)
    for _ in range(times):
        for place, work in enumerate(works):
            start = time.process_time()
            work()
            best[place] = min(best[place], time.process_time() - start)
    return best


def fresh(layer: Layer) -> Layer:
    """Return the layer without anything that was kept."""
    object.__setattr__(layer, "_stats", StatsCache())
    return layer


def longest_slice(layer: Layer, level: int) -> float:
    """Return the seconds of the longest slice of reading a whole head."""
    work, longest = tile_slices(fresh(layer), 0, level, (0, 0), maps=Maps()), 0.0
    last = time.process_time()
    for _ in work:
        now = time.process_time()
        longest, last = max(longest, now - last), now
    return longest


def measure(tokens: int, times: int) -> dict[str, float]:
    """Measure one length and print it; return seconds by name."""
    layer, level = build(tokens), top(tokens)
    row, last = tokens // TILE - 1, Axis(range(tokens))
    found = {}
    found["forward"], found["totals"], found["map"] = taken(
        times,
        lambda: forward(layer, 1),
        lambda: finish(row_stats_slices(fresh(layer), Axis(range(1)), last)),
        lambda: tile(fresh(layer), 0, level, (0, 0), maps=Maps()),
    )
    kept = Maps()
    tile(layer, 0, level, (0, 0), maps=kept)
    found["cold tile"] = taken(times, lambda: tile(fresh(layer), 0, 0, (row, row // 2)))[0]
    tile(layer, 0, 0, (row, row // 2))
    found["tile"], found["map again"] = taken(
        5 * times,
        lambda: tile(layer, 0, 0, (row, row // 2)),
        lambda: tile(layer, 0, level, (0, 0), maps=kept),
    )
    found["layer forward"], found["survey"] = taken(
        times, lambda: forward(layer, HEADS), lambda: overview.summary(fresh(layer), THUMBNAIL)
    )
    found["longest slice"] = longest_slice(layer, level)
    if 4 * tokens**2 * 2 <= MOST_DENSE:
        whole, mapped = dense(layer, level), tile(fresh(layer), 0, level, (0, 0))
        found["error"] = float(np.abs(whole - mapped).max())
        found["dense"] = taken(times, lambda: dense(layer, level))[0]
    return found


def report(tokens: int, found: dict[str, float]) -> None:
    """Print what was measured as ratios."""
    log.info("%d tokens, fused attention of one head %.0f ms", tokens, 1e3 * found["forward"])
    log.info("  totals of all rows: %.2f x that", found["totals"] / found["forward"])
    log.info("  the head as one tile, from nothing: %.2f x that", found["map"] / found["forward"])
    if "dense" in found:
        log.info(
            "  the same by computing the whole head: %.1f x as long, largest difference %.1e",
            found["dense"] / found["map"],
            found["error"],
        )
        log.info(
            "  a tile of single weights: 1/%.0f of the whole head, %.2f ms; its rows unread 1/%.0f, %.1f ms",
            found["dense"] / found["tile"],
            1e3 * found["tile"],
            found["dense"] / found["cold tile"],
            1e3 * found["cold tile"],
        )
    else:
        log.info(
            "  the whole head would take %.1f GB; a tile of single weights %.2f ms, its rows unread %.1f ms",
            8 * tokens**2 / 1e9,
            1e3 * found["tile"],
            1e3 * found["cold tile"],
        )
    log.info("  the head as one tile again: %.2f ms", 1e3 * found["map again"])
    log.info("  longest slice of reading the head: %.0f ms", 1e3 * found["longest slice"])
    log.info(
        "  thumbnails and strongest links of the layer: %.2f x its fused attention%s",
        found["survey"] / found["layer forward"],
        "" if tokens <= overview.OVERVIEW_EXACT_ROWS else " (a sample of the queries)",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 4096, 8192, 16384, 32768])
    parser.add_argument("--times", type=int, default=3, help="how often each is measured")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    log.info("a causal layer of %d heads of %d, %d key heads", HEADS, HEAD_DIM, KEY_HEADS)
    cold = []
    for tokens in options.tokens:
        found = measure(tokens, options.times)
        report(tokens, found)
        cold.append(found["cold tile"])
    if len(cold) > 1:
        slope, constant = np.polyfit(options.tokens, cold, 1)
        line = slope * np.array(options.tokens) + constant
        share = 1 - np.sum((cold - line) ** 2) / np.sum((cold - np.mean(cold)) ** 2)
        log.info(
            "a tile whose rows are unread: %.2f ms + %.2f ms for each 1,000 tokens, r2 %.4f",
            1e3 * constant,
            1e6 * slope,
            share,
        )


if __name__ == "__main__":
    main()
