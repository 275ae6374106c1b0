"""What gradients cost: a record with those of a metric against a forward pass and a record without, and one at length.

Run by ``make bench``; ``python tests/bench/bench_gradients.py --help`` lists the options. Times are the process's own processor
time on one thread, the three in turns, so that a busy machine spoils none; ratios are medians of the turns'. The model is
GPT-2 with random weights, the metric the log-probability of the likeliest next token. At length, the Llama of
`bench_long_recording.py` runs in a process of its own, plain, recorded, and recorded with gradients; its peak is the resident
set at its highest, of the whole process.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import torch
import transformers as hf
from bench_long_recording import built
from bench_recording import from_here, highest, size

import attnwidget as aw

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("bench")
WAYS = ("plain", "record", "gradients")


def spent(work: Callable[[], object]) -> float:
    """Return the processor seconds that ``work`` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def short(layers: int, tokens: int, turns: int) -> tuple[float, list[float], float]:
    """Return the seconds of a plain pass, the multiples of it of both records, and how much larger the second record is."""
    torch.manual_seed(0)
    model = hf.GPT2LMHeadModel(hf.GPT2Config(n_layer=layers)).eval()
    ids = torch.randint(1000, 20000, (1, tokens), generator=torch.Generator().manual_seed(1))

    def plain() -> None:
        with torch.no_grad():
            model(ids)

    def record() -> None:
        aw.capture(model, ids)

    def gradients() -> None:
        aw.capture(model, ids, metric=5)

    ways = (plain, record, gradients)
    for way in ways:
        way()
    turned = [[spent(way) for way in ways] for _ in range(turns)]
    ratios = [statistics.median(turn[at] / turn[0] for turn in turned) for at in (1, 2)]
    sizes = [size(aw.capture(model, ids, **more)) for more in ({}, {"metric": 5})]
    return statistics.median(turn[0] for turn in turned), ratios, sizes[1] / sizes[0]


def at_length(way: str, tokens: int) -> None:
    """Run the Llama once, and print seconds, bytes at the peak and bytes of the record."""
    model = built("sdpa", head=False)
    ids = torch.randint(5, 1000, (1, tokens))

    def number(output: hf.utils.ModelOutput) -> torch.Tensor:
        found: torch.Tensor = output.last_hidden_state[0, -1].sum()
        return found

    def run(ids: torch.Tensor) -> int:
        if way == "plain":
            with torch.no_grad():
                model(ids)
            return 0
        return size(aw.capture(model, ids, metric=number if way == "gradients" else None))

    run(ids[:, :16])
    from_here()
    begin = time.process_time()
    held = run(ids)
    seconds = time.process_time() - begin
    sys.stdout.write(f"{seconds} {highest()} {held}\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--long", type=int, default=4096, help="tokens at length, 0 for none")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "TOKENS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    if options.one:
        at_length(options.one[0], int(options.one[1]))
        return
    plain, (record, gradients), larger = short(options.layers, options.tokens, options.turns)
    log.info(
        "GPT-2, %d layers, %d tokens: a pass %.3f s, recorded %.2f ×, with gradients %.2f ×; the record is %.2f × as large with them",
        options.layers, options.tokens, plain, record, gradients, larger,
    )  # fmt: skip
    for way in WAYS if options.long else ():
        command = [sys.executable, __file__, "--one", way, str(options.long)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, peak, held = map(float, done.stdout.split())
        log.info(
            "Llama, %s tokens, %s: %.1f s, peak %.0f MB, record %.0f MB",
            f"{options.long:,}", way, seconds, peak / 1e6, held / 1e6,
        )  # fmt: skip


if __name__ == "__main__":
    main()
