"""What the shares of groups of positions cost, beside the layer's own attention.

Run by ``make bench``; ``python tests/bench/bench_groups.py --help`` lists the options. Both are one run over the same
layer: causal attention of a few heads of 64 numbers each, by torch's fused kernel with the layer's values, and
`attnwidget.compute.group_sums` on the same vectors. They take turns, and processor time is compared, so that what else runs on
the machine counts for neither.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from attnwidget.compute.group_sums import GroupNumbers, group_share_slices
from attnwidget.compute.masks import Band
from attnwidget.compute.resumable import finish
from attnwidget.record.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("bench")
HEAD_DIM = 64


def build(tokens: int, heads: int, band: Band) -> Layer:
    """Return a layer of random vectors."""
    torch.manual_seed(0)
    query, key, value = torch.randn(3, heads, tokens, HEAD_DIM)
    return Layer(
        stream="decoder", layer=0, module_path="m", num_heads=heads, query=query, key=key, value=value,
        scaling=HEAD_DIM**-0.5, band=band,
    )  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time that ``work`` takes, of all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(layer: Layer, groups: int, times: int) -> tuple[float, float]:
    """Return the median processor time of the layer's attention, and of the shares of its groups."""
    assert layer.query is not None
    assert layer.key is not None
    assert layer.value is not None
    vectors = layer.query[None], layer.key[None], layer.value[None]
    which = [at * groups // layer.n_key for at in range(layer.n_key)]
    numbers = GroupNumbers(groups, which, which)

    def attention() -> None:
        functional.scaled_dot_product_attention(*vectors, is_causal=True, scale=layer.scaling)

    def shares() -> None:
        finish(group_share_slices(layer, numbers))

    pairs = [(seconds(attention), seconds(shares)) for _ in range(times)]
    attentions, of_groups = zip(*pairs, strict=True)
    return statistics.median(attentions), statistics.median(of_groups)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, nargs="+", default=[4096, 16384])
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--groups", type=int, nargs="+", default=[2, 8, 64])
    parser.add_argument("--times", type=int, default=3, help="how often each is measured")
    options = parser.parse_args()
    # Threads that wait for one another count as processor time.
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    bands = {"causal": Band(causal=True), "in a window": Band(causal=True, window=1024)}
    for tokens in options.tokens:
        for kind, band in bands.items():
            layer = build(tokens, options.heads, band)
            for groups in options.groups if kind == "causal" else options.groups[:1]:
                own, shares = measure(layer, groups, options.times)
                log.info(
                    "%6d tokens, %d heads %-11s  causal attention %.2f s, shares of %2d groups %.2f s of processor time: %.2f x",
                    tokens,
                    options.heads,
                    kind,
                    own,
                    groups,
                    shares,
                    shares / own,
                )


if __name__ == "__main__":
    main()
