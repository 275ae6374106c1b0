"""How long scoring every head takes, against the forward pass that made the record.

Run by ``make bench``; ``python tests/bench/bench_scores.py --help`` lists the options. A BERT of 12 layers of 12 heads
(hidden size 768, random weights) reads 512 tokens; forward pass and scoring take turns, so that both have the machine
in the same state. The forward pass is the model alone, without recording.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from typing import TYPE_CHECKING

import torch
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

import attnwidget as aw
from attnwidget.analysis.head_scores import score_stream
from attnwidget.record.positions import positions_from_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnwidget.record.stream import Stream

log = logging.getLogger("bench")
LAYERS, HEADS, HIDDEN = 12, 12, 768
TEXT = "[CLS] the cat sat on the mat , un ##believ ##able . it was tired and so was the dog [SEP]"


def build(kind: str) -> torch.nn.Module:
    """Return a model of random weights, ready to run."""
    torch.manual_seed(0)
    if kind == "causal":
        return GPT2Model(GPT2Config(n_layer=LAYERS, n_head=HEADS, n_embd=HIDDEN)).eval()
    sizes = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_size": HIDDEN}
    return BertModel(BertConfig(**sizes)).eval()


def named(stream: Stream, tokens: int) -> Stream:
    """Return the stream with words for tokens, so that every score has something to find."""
    words = (f"{TEXT} " * tokens).split()[:tokens]
    positions = positions_from_tokens(words)
    return type(stream)(stream.name, stream.layers, positions, positions)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(kind: str, tokens: int, times: int) -> tuple[float, float]:
    """Return the median seconds of a forward pass and of scoring its record."""
    model = build(kind)
    ids = torch.randint(1000, 20000, (1, tokens), generator=torch.Generator().manual_seed(1))
    attention = aw.capture(model, ids)
    stream = named(attention[next(iter(attention))], tokens)

    def forward() -> None:
        with torch.no_grad():
            model(ids)

    forward()
    score_stream(stream)
    pairs = [(timed(forward), timed(lambda: score_stream(stream))) for _ in range(times)]
    forwards, scorings = zip(*pairs, strict=True)
    return statistics.median(forwards), statistics.median(scorings)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--times", type=int, default=5, help="how often each is measured")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log.info("%d x %d heads x %d tokens", LAYERS, HEADS, options.tokens)
    for kind in ("full", "causal"):
        forward, scoring = measure(kind, options.tokens, options.times)
        log.info(
            "%-6s  forward %.2f s, all scores of all heads %.2f s: %.2f x the forward pass",
            kind,
            forward,
            scoring,
            scoring / forward,
        )


if __name__ == "__main__":
    main()
