"""How long scoring every head takes, against the forward pass that made the record, and against a layer's own attention.

Run by ``make bench``; ``python tests/bench/bench_scores.py --help`` lists the options. A BERT of 12 layers of 12 heads
(hidden size 768, random weights) reads 512 tokens; forward pass and scoring take turns, so that both have the machine
in the same state. The forward pass is the model alone, without recording.

At length, a stream of layers of random vectors is scored beside `torch.nn.functional.scaled_dot_product_attention` on
the same query, key and value. They take turns, one thread each, and processor time is compared, so that what else runs on
the machine counts for neither. Words are drawn as a language has them, the n-th most frequent one with a chance of 1/n
(a token meets 2 % of the others again), or one sentence of 20 tokens is repeated, two of them special, which is the most
that equal tokens and a sink cost.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

import attnwidget as aw
from attnwidget.analysis.head_scores import score_stream
from attnwidget.compute.masks import Band
from attnwidget.record.layer import Layer
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("bench")
LAYERS, HEADS, HIDDEN = 12, 12, 768
# Tokens, heads, layers and repetitions of what is measured at length: fewer where each takes long.
LENGTHS = ((2048, 32, 2, 3), (8192, 8, 1, 3), (32768, 4, 1, 1))
VOCABULARY = 5000
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


def words(tokens: int, text: str) -> list[str]:
    """Return tokens of drawn words, or of a repeated sentence."""
    if text == "repeated":
        return (f"{TEXT} " * tokens).split()[:tokens]
    chances = 1 / torch.arange(1, VOCABULARY + 1)
    ranks = torch.multinomial(
        chances, tokens - 1, replacement=True, generator=torch.Generator().manual_seed(0)
    )
    common = {0: ",", 1: "."}
    return ["[CLS]", *(common.get(rank, f"word{rank}") for rank in ranks.tolist())]


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time that ``work`` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def at_length(
    length: tuple[int, int, int, int], text: str, band: Band | None, head_dim: int, key_heads: int
) -> tuple[float, float]:
    """Return the median processor time of the attention of a layer, and of all scores of its heads."""
    tokens, heads, layers, times = length
    torch.manual_seed(0)
    query = torch.randn(heads, tokens, head_dim)
    key, value = torch.randn(2, key_heads, tokens, head_dim)
    layer = Layer(
        stream="decoder", layer=0, module_path="m", num_heads=heads, query=query, key=key, value=value,
        scaling=head_dim**-0.5, band=band,
    )  # fmt: skip
    positions = positions_from_tokens(words(tokens, text))
    every = tuple(replace(layer, layer=number) for number in range(layers))
    stream = Stream("decoder", every, positions, positions)

    def attention() -> None:
        functional.scaled_dot_product_attention(
            query[None],
            key[None],
            value[None],
            is_causal=band is not None,
            scale=layer.scaling,
            enable_gqa=key_heads < heads,
        )

    pairs = [(seconds(attention), seconds(lambda: score_stream(stream))) for _ in range(times)]
    own, scored = zip(*pairs, strict=True)
    return statistics.median(own), statistics.median(scored) / layers


def measure_lengths(most: int) -> None:
    """Measure all lengths, and print."""
    torch.set_num_threads(1)
    causal = Band(causal=True)
    for length in LENGTHS:
        tokens, heads, *_ = length
        if tokens > most:
            continue
        for kind, band, text, head_dim, key_heads in (
            ("causal", causal, "drawn", 64, heads),
            ("causal", causal, "drawn", 128, heads),
            ("causal, a key head for two", causal, "drawn", 64, heads // 2),
            ("causal", causal, "repeated", 64, heads),
            ("full", None, "drawn", 64, heads),
            ("causal", causal, "drawn", 32, heads),
        ):
            own, scored = at_length(length, text, band, head_dim, key_heads)
            log.info(
                "%6d tokens, %2d heads of %3d, %-26s words %-8s  attention %.2f s, all scores %.2f s a layer: %.2f x",
                tokens,
                heads,
                head_dim,
                f"{kind},",
                text,
                own,
                scored,
                scored / own,
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--times", type=int, default=5, help="how often each is measured")
    parser.add_argument("--longest", type=int, default=32768, help="tokens, of those at length")
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
    measure_lengths(options.longest)


if __name__ == "__main__":
    main()
