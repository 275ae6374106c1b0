"""How long an input may be: BertViz, CircuitsVis, eager attention and attnwidget, each as far as it gets.

Run by ``make bench``; ``python tests/bench/bench_tools.py --help`` lists the options. One random record of 12 layers of
12 heads, in the same JupyterLab and Chromium, at 128, 256, 512 … tokens. What is measured:

opening   from running the cell to the first task after the frame in which the whole picture was painted: BertViz's
          head view of all layers, CircuitsVis's `attention_heads` of the twelve heads of one layer (it takes no more),
          attnwidget's three views with those twelve heads, and as they open when nothing is said, with one. Weights
          are computed before for the others.
cpu       processor seconds that browser, server and kernel spent on it, which other work on the machine hardly changes.
bytes     payload of the page's websockets.
eager     a Llama of 8 layers of 8 heads of 64: a forward pass with `output_attentions`, and one inside of `recording`,
          each in a process of its own that may take so much memory; the peak above the one before the pass.

A subject that fails, or takes longer or more bytes than the limits, is not asked for longer inputs.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Error, sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench import cdn  # noqa: E402 - found through the line above
from browser import chromium as chromiums  # noqa: E402
from browser.lab import BROWSER_ARGUMENTS, Lab  # noqa: E402
from browser.server import serve  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from browser.notebook import Notebook
    from playwright.sync_api import Browser, BrowserContext

log = logging.getLogger("bench")

RECORD = """
import torch
import attnwidget as aw
from attnwidget.attention import Attention, Layer, Stream
from attnwidget.masks import Band
from attnwidget.positions import Position

generator = torch.Generator().manual_seed(0)
tokens = ["word%d" % number for number in range({tokens})]
positions = tuple(map(Position, tokens))

def layer(number):
    query, key, value = (torch.randn(12, {tokens}, 64, generator=generator) for _ in range(3))
    return Layer(stream="self", layer=number, module_path="layers.%d" % number, num_heads=12, query=query, key=key,
                 value=value, scaling=0.25, band=Band(causal=True))

record = Attention("Random", {{"self": Stream("self", tuple(map(layer, range(12))), positions, positions)}})
"""
# What each needs beforehand, and the cell that is timed.
TOOLS = {
    "bertviz": (
        """
from bertviz import head_view
weights = [torch.from_numpy(layer.weights())[None] for layer in record['self']]
""",
        "head_view(weights, tokens)",
    ),
    "circuitsvis": (
        """
from circuitsvis.attention import attention_heads
weights = torch.from_numpy(record['self'][0].weights())
""",
        "attention_heads(attention=weights, tokens=tokens)",
    ),
    "attnwidget": ("", "aw.view(record, heads=range(12))"),
    "one head": ("", "aw.view(record)"),
}
# BertViz starts its script without waiting for the loader it needs: the first picture of a page may fail.
WARM = {"bertviz": "head_view([torch.ones(1, 1, 2, 2) / 2], ['a', 'b'])"}


@dataclass(frozen=True)
class Outcome:
    """What came of one subject at one length."""

    #: Of the processor.
    seconds: float | None = None
    size: float | None = None
    #: Of the clock.
    waited: float | None = None
    failed: str | None = None

    def __str__(self) -> str:
        """As the table shows it."""
        if self.failed is not None:
            return self.failed
        seconds, size = self.seconds or 0, self.size or 0
        waited = "" if self.waited is None else f" ({self.waited:,.1f} s)"
        return f"cpu {seconds:,.2f} s{waited}, {size / 1e6:,.1f} MB"


def spent() -> float:
    """Return the processor seconds of all processes that this one has started, and of those that they have."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))  # its own and its ended children's
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(ticks[pid] for pid in ours - {os.getpid()}) / os.sysconf("SC_CLK_TCK")


def open_cell(notebook: Notebook, name: str, tokens: int, limit: float) -> Outcome:
    """Run what the tool needs and time the cell that shows it."""
    prepare, show = TOOLS[name]
    notebook.append(RECORD.format(tokens=tokens) + prepare)
    if name in WARM:
        notebook.append(WARM[name])
        notebook.page.wait_for_function("window.requirejs !== undefined")
        notebook.append(WARM[name])
        notebook.page.wait_for_timeout(1000)
    cell = notebook.add(show)
    subject = "attnwidget" if name == "one head" else name
    given = [notebook.identity, cell, subject, 1000 * limit]
    before = spent()
    opened = notebook.page.evaluate("(arguments) => window.bench.open(arguments)", given)
    return Outcome(spent() - before, opened["bytes"], opened["milliseconds"] / 1000)


def drawn(browser: Browser, name: str, tokens: int, limit: float) -> Outcome:
    """Measure one tool at one length in a server and a page of its own."""
    script = (HERE / "page.js").read_text("utf-8")
    with contextlib.ExitStack() as stack:
        sources = stack.enter_context(cdn.libraries()) if name == "bertviz" else {}
        folder = stack.enter_context(tempfile.TemporaryDirectory())

        def prepare(context: BrowserContext) -> None:
            context.add_init_script(script)
            cdn.serve(context, sources)

        server = stack.enter_context(serve(Path(folder) / "lab"))
        lab = Lab(browser, server, prepare=prepare)
        stack.callback(lab.close)
        try:
            return open_cell(lab.notebook([], name=f"{name}-{tokens}"), name, tokens, limit)
        except (Error, AssertionError) as error:
            log.debug("%s at %d tokens", name, tokens, exc_info=True)
            lines = str(error).strip().splitlines()
            return Outcome(failed=f"failed: {lines[-1][:60] if lines else type(error).__name__}")


def forward(how: str, tokens: int, limit: float) -> Outcome:
    """Time one forward pass in a process of its own."""
    command = [sys.executable, __file__, "--forward", how, "--most", str(tokens)]
    command += ["--memory", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        memory = any("alloc" in line or "memory" in line.lower() for line in lines[-3:])
        return Outcome(
            failed="out of memory" if memory or not lines else f"failed: {lines[-1][:60]}"
        )
    seconds, size = map(float, done.stdout.split())
    return Outcome(seconds, size)


def run_forward(how: str, tokens: int, limit: float) -> None:
    """Print the processor seconds and the memory of one pass; this is the process of `forward`."""
    import torch
    import transformers as hf

    from attnwidget import recording

    sizes = {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 8, "vocab_size": 1000,
             "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": tokens}  # fmt: skip
    model = hf.LlamaModel(hf.LlamaConfig(**sizes)).eval()
    if how == "eager":
        model.set_attn_implementation("eager")
    ids = torch.randint(0, 1000, (1, tokens))
    resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with torch.no_grad(), recording(model) if how == "recording" else contextlib.nullcontext():
        # What is returned is what a reader of attention keeps.
        kept = model(ids, use_cache=False, output_attentions=how == "eager")
    seconds = time.process_time() - start
    del kept
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(f"{seconds} {1024 * (peak - before)}\n")


def climb(
    name: str, measure: object, sizes: Sequence[int], limits: tuple[float, float]
) -> list[Outcome]:
    """Measure at rising lengths until it fails or passes a limit of seconds or bytes."""
    outcomes: list[Outcome] = []
    for tokens in sizes:
        outcome: Outcome = measure(tokens)  # type: ignore[operator]
        log.info("%s, %d tokens: %s (load %.1f)", name, tokens, outcome, os.getloadavg()[0])
        outcomes.append(outcome)
        if outcome.failed or outcome.seconds > limits[0] or outcome.size > limits[1]:  # type: ignore[operator]
            break
    return outcomes


def table(sizes: Sequence[int], columns: dict[str, list[Outcome]]) -> str:
    """Lay the outcomes side by side."""
    lines = [f"{'tokens':>8}" + "".join(f"{name:>34}" for name in columns)]
    for row, tokens in enumerate(sizes):
        cells = [str(each[row]) if row < len(each) else "-" for each in columns.values()]
        if any(cell != "-" for cell in cells):
            lines.append(f"{tokens:>8}" + "".join(f"{cell:>34}" for cell in cells))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the options ask for and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--most", type=int, default=16_384, help="tokens of the longest input")
    parser.add_argument(
        "--seconds",
        type=float,
        default=60,
        help="of the processor; what takes more goes no further",
    )
    parser.add_argument("--bytes", type=float, default=300e6, help="more than this goes no further")
    parser.add_argument(
        "--memory", type=float, default=12e9, help="address space of a forward pass"
    )
    parser.add_argument("--only", nargs="*", default=[*TOOLS, "eager", "recording"])
    parser.add_argument("--forward", choices=("eager", "recording"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.forward:
        run_forward(options.forward, options.most, options.memory)
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sizes = [128 << step for step in range(16) if 128 << step <= options.most]
    limits = (options.seconds, options.bytes)
    columns: dict[str, list[Outcome]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromiums.find(), args=list(BROWSER_ARGUMENTS)
        )
        for name in [name for name in options.only if name in TOOLS]:

            def opened(tokens: int, name: str = name) -> Outcome:
                return drawn(browser, name, tokens, 10 * options.seconds)

            columns[name] = climb(name, opened, sizes, limits)
        browser.close()
    log.info("\nOpening in a page, 12 x 12 heads\n%s", table(sizes, columns))
    passes = {
        how: climb(
            how,
            lambda tokens, how=how: forward(how, tokens, options.memory),
            sizes,
            (options.seconds, options.memory),
        )
        for how in ("eager", "recording")
        if how in options.only
    }
    log.info("\nA forward pass, and the memory above it\n%s", table(sizes, passes))


if __name__ == "__main__":
    main()
