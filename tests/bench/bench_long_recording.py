"""What recording costs at length: a Llama-shaped model with and without it, from 4,096 tokens to 32,768.

Run by ``make bench``; ``python tests/bench/bench_long_recording.py --help`` lists the options. Every figure comes from a
process of its own, which runs the model (8 layers of 512, 8 heads of 64, 2 key-value heads, random weights, sdpa, one
thread) once on a few tokens and then once on many:

plain      the forward pass alone.
memory     recorded, the record in memory. Making the record is part of the pass.
disk       recorded, the record in files that are mapped into memory.
eager      ``output_attentions=True`` with eager attention, under a limit on address space, so that it fails alone.

time       the process's own processor time, so that a busy machine spoils it little.
peak       the resident set at its highest, of the whole process; "added" leaves out what it was before the pass.

The model is the one below the language model's head: logits of every token, where they are asked for, take more than all
the rest and would make the ratios look better than they are; ``--head`` adds the head, for the last token's logits.
"""

from __future__ import annotations

import argparse
import logging
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers as hf
from bench_recording import from_here, highest, size

from attnwidget.recordings import recording

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger("bench")
WAYS = ("plain", "memory", "disk")
_STORES = {"memory": "cpu", "disk": "disk"}
_LIMIT = 24 * 10**9  # bytes of address space
_LAYERS, _HEADS = 8, 8


def built(implementation: str, *, head: bool) -> Any:
    """Build the model, the same every time."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = hf.LlamaConfig(
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS,
        num_key_value_heads=2,
        vocab_size=32_000,
        max_position_embeddings=1 << 16,
        attn_implementation=implementation,
    )
    return (hf.LlamaForCausalLM if head else hf.LlamaModel)(config).eval()


def measure(way: str, tokens: int, *, head: bool) -> None:
    """Run once, and print seconds, bytes before, bytes at the peak and bytes of the record."""
    resource.setrlimit(resource.RLIMIT_AS, (_LIMIT, _LIMIT))
    model = built("eager" if way == "eager" else "sdpa", head=head)
    ids = torch.randint(5, 1000, (1, tokens))
    options: dict[str, Any] = {"logits_to_keep": 1} if head else {}

    def run(ids: torch.Tensor) -> int:
        if way not in _STORES:
            model(ids, output_attentions=way == "eager", **options)
            return 0
        with recording(model, store=_STORES[way]) as attention:
            model(ids, **options)
        return size(attention)

    with torch.no_grad():
        run(ids[:, :16])
        from_here()
        before = highest()
        begin = time.process_time()
        held = run(ids)
        seconds = time.process_time() - begin
    sys.stdout.write(f"{seconds} {before} {highest()} {held}\n")


def apart(way: str, tokens: int, *, head: bool) -> list[float] | str:
    """Measure in a process of its own; what it died of, if it did."""
    command = [sys.executable, __file__, "--one", way, str(tokens), *(["--head"] if head else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [float(part) for part in done.stdout.split()]
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"ended by signal {-done.returncode}"


def linear(tokens: Sequence[int], costs: Sequence[float]) -> str:
    """Fit a straight line and a power through costs of several lengths, in words."""
    slope, start = np.polyfit(tokens, costs, 1)
    fitted = np.polyval([slope, start], tokens)
    spread = np.sum((np.array(costs) - np.mean(costs)) ** 2)
    r2 = 1 - float(np.sum((np.array(costs) - fitted) ** 2) / spread)
    power = np.polyfit(np.log(tokens), np.log(np.maximum(costs, 1e-9)), 1)[0]
    return f"{slope:.4g} per token, R² = {r2:.4f}, grows as tokens^{power:.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the options ask for and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, nargs="+", default=[4096, 8192, 16_384, 32_768])
    parser.add_argument("--eager", type=int, nargs="+", default=[4096, 32_768])
    parser.add_argument("--head", action="store_true", help="with the head, for one token's logits")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "TOKENS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.one:
        measure(options.one[0], int(options.one[1]), head=options.head)
        return
    log.info(
        "Llama-shaped, %d layers of 512, %d heads, sdpa, one thread, float32; %s",
        _LAYERS,
        _HEADS,
        where(),
    )
    heads = ("tokens", "way", "time", "ratio", "peak", "ratio", "added", "ratio", "record")
    log.info("%s", "".join(f"{name:>10}" for name in heads))
    # What recording costs at each length: each is to grow as the tokens do.
    costs: dict[str, dict[int, float]] = {
        "bytes of the record": {},
        "bytes at the peak above the plain pass": {},
        "seconds above the plain pass": {},
    }
    for tokens in options.tokens:
        plain: list[float] = []
        for way in WAYS:
            found = apart(way, tokens, head=options.head)
            if isinstance(found, str):
                log.info("%10s%10s  %s", f"{tokens:,}", way, found)
                continue
            seconds, before, peak, held = found
            plain = plain or found
            cells = (
                f"{tokens:,}", way, f"{seconds:.1f} s", f"{seconds / plain[0]:.2f}", f"{peak / 1e6:,.0f} MB",
                f"{peak / plain[2]:.2f}", f"{(peak - before) / 1e6:,.0f} MB",
                f"{(peak - before) / (plain[2] - plain[1]):.2f}", f"{held / 1e6:,.0f} MB",
            )  # fmt: skip
            log.info("%s", "".join(f"{cell:>10}" for cell in cells))
            if way == "memory":
                more = (held, peak - plain[2], seconds - plain[0])
                for cost, value in zip(costs.values(), more, strict=True):
                    cost[tokens] = value
    for name, cost in costs.items():
        if len(cost) > 2:
            log.info("%s: %s", name, linear(list(cost), list(cost.values())))
    for tokens in options.eager:
        found = apart("eager", tokens, head=options.head)
        needs = 4 * _HEADS * _LAYERS * tokens**2
        said = (
            found if isinstance(found, str) else f"{found[0]:.1f} s, peak {found[2] / 1e6:,.0f} MB"
        )
        log.info(
            "eager output_attentions at %s tokens, %s GB of weights, within %d GB of address space: %s",
            *(f"{tokens:,}", f"{needs / 1e9:.1f}", _LIMIT // 10**9, said),
        )


def where() -> str:
    """Name the machine and the versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    name = next(
        (line.split(":", 1)[1].strip() for line in lines if "model name" in line),
        platform.machine(),
    )
    return f"{name}; Python {platform.python_version()}, torch {torch.__version__}, transformers {hf.__version__}"


if __name__ == "__main__":
    main()
