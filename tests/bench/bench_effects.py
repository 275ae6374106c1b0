"""What edits cost: a forward pass with one head out, or one link cut, and the effects of all heads, against a plain pass.

Run by ``make bench``; ``python tests/bench/bench_effects.py --help`` lists the options. Times are the thread's own processor
time on one thread, plain and edited in turns, so that a busy machine spoils neither; ratios are medians of the turns'.
GPT-2 attends through transformers' interface, BLOOM is edited at its operations. Weights are random.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import transformers as hf

import attnwidget as aw

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("bench")


def build(kind: str, layers: int) -> Any:
    """Return a model of random weights, 12 heads of 64 in each layer."""
    torch.manual_seed(0)
    if kind == "gpt2":
        return hf.GPT2LMHeadModel(hf.GPT2Config(n_layer=layers)).eval()
    sizes = {"vocab_size": 32_000, "hidden_size": 768, "n_layer": layers, "n_head": 12}
    return hf.BloomForCausalLM(hf.BloomConfig(**sizes)).eval()


def spent(work: Callable[[], object]) -> float:
    """Return the processor seconds that ``work`` takes in this thread."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def measure(kind: str, layers: int, tokens: int, turns: int) -> tuple[float, list[float], str]:
    """Return the seconds of a plain pass, its multiples (a head out, a link cut, a head of `effects`), and the way of these."""
    model = build(kind, layers)
    ids = torch.randint(1000, 20000, (1, tokens), generator=torch.Generator().manual_seed(1))
    aw.capture(model, ids)  # says which module is which layer
    heads = [(layers // 2, 3)]
    edits = [aw.ablate(heads=heads), aw.cut(query=tokens - 1, key=1, heads=heads)]

    def plain() -> None:
        with torch.no_grad():
            model(ids)

    def edited(edit: aw.Edits) -> None:
        with aw.intervening(model, edit):
            plain()

    plain()
    turned = [
        (spent(plain), *(spent(partial(edited, edit)) for edit in edits)) for _ in range(turns)
    ]
    one = statistics.median(turn[0] for turn in turned)
    times = [statistics.median(turn[at] / turn[0] for turn in turned) for at in (1, 2)]
    found = []
    every = spent(lambda: found.append(aw.effects(model, ids)))
    return one, [*times, every / one / layers / 12], " and ".join(found[0].ways)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    for kind in ("gpt2", "bloom"):
        plain, (head, link, every), way = measure(
            kind, options.layers, options.tokens, options.turns
        )
        log.info(
            "%s, %d layers, %d tokens: a pass %.3f s, a head out %.2f ×, a link cut %.2f ×, effects %.2f passes a head (%s)",
            kind, options.layers, options.tokens, plain, head, link, every, way,
        )  # fmt: skip


if __name__ == "__main__":
    main()
