"""How long an input may be: BertViz, CircuitsVis, eager attention and attnwidget, each as far as it gets.

Run by ``make bench``; ``python tests/bench/bench_tools.py --help`` lists the options. One random record of 12 layers of
12 heads, in the same Chromium, at 128, 256, 512 ... tokens. What is measured:

bertviz       the page that `head_view` of all layers makes, from its opening until all lines of a layer are painted.
circuitsvis   the page that `attention_heads` makes of the twelve heads of one layer (it takes no more), likewise.
attnwidget    a cell of a live JupyterLab, from running it until the three views are painted, with twelve heads; "one
              head" is what it opens with when nothing is said.
cpu           processor seconds of Python, server and browser until then, which other work on the machine hardly
              changes; the clock's in brackets. Weights are computed before, for those that need them.
bytes         of the page, or payload of JupyterLab's websockets.
eager         a Llama of 8 layers of 8 heads of 64: a forward pass with `output_attentions`, and one inside of
              `recording`, each in a process that may take so much memory; the peak above the one before the pass.

A subject that fails, or takes more seconds or bytes than the limits, is not asked for longer inputs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench import cdn  # noqa: E402 - found through the line above
from browser import chromium as chromiums  # noqa: E402
from browser.lab import BROWSER_ARGUMENTS, Lab  # noqa: E402
from browser.server import serve  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import BrowserContext

log = logging.getLogger("bench")

RECORD = """
import torch
import attnwidget as aw
from attnwidget import Attention, Layer, Stream
from attnwidget.compute.masks import Band
from attnwidget.record.positions import Position

generator = torch.Generator().manual_seed(0)
tokens = ["word%d" % number for number in range({tokens})]
positions = tuple(map(Position, tokens))

def layer(number):
    query, key, value = (torch.randn(12, {tokens}, 64, generator=generator) for _ in range(3))
    return Layer(stream="self", layer=number, module_path="layers.%d" % number, num_heads=12, query=query, key=key,
                 value=value, scaling=0.25, band=Band(causal=True))

record = Attention("Random", {{"self": Stream("self", tuple(map(layer, range(12))), positions, positions)}})
"""
# What makes the page of those that are pages; the namespace is that of RECORD.
PAGES = {
    "bertviz": """
from bertviz import head_view
weights = [torch.from_numpy(layer.weights())[None] for layer in record["self"]]
make = lambda: head_view(weights, tokens, html_action="return").data
""",
    "circuitsvis": """
from circuitsvis.attention import attention_heads
weights = torch.from_numpy(record["self"][0].weights())
make = lambda: attention_heads(attention=weights, tokens=tokens).local_src
""",
}
PASSES = ("eager", "recording")
CELLS = {"attnwidget": "aw.view(record, heads=range(12))", "one head": "aw.view(record)"}


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


def in_page(context: BrowserContext, name: str, tokens: int, limit: float) -> Outcome:
    """Make a tool's page, open it and wait for its picture."""
    space: dict[str, Any] = {}
    exec(RECORD.format(tokens=tokens) + PAGES[name], space)  # noqa: S102 - the source above
    start = time.process_time()
    html = f"<!doctype html><meta charset='utf-8'><body>{space['make']()}</body>"
    seconds = time.process_time() - start
    page = context.new_page()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "page.html")
        path.write_text(html, "utf-8")
        before = spent()
        page.goto(path.as_uri(), wait_until="commit", timeout=1000 * limit)
        given = [name, 1000 * limit]
        waited = page.evaluate("(arguments) => window.bench.drawn(arguments)", given)
    return Outcome(seconds + spent() - before, len(html.encode()), waited / 1000)


def in_cell(lab: Lab, name: str, tokens: int, limit: float) -> Outcome:
    """Run the cell that shows the widget."""
    notebook = lab.notebook([], name=f"tools-{tokens}")
    notebook.append(RECORD.format(tokens=tokens))
    cell = notebook.add(CELLS[name])
    before = spent()
    given = [notebook.identity, cell, "attnwidget", 1000 * limit]
    opened = notebook.page.evaluate("(arguments) => window.bench.open(arguments)", given)
    return Outcome(spent() - before, opened["bytes"], opened["milliseconds"] / 1000)


def run_drawn(name: str, tokens: int, limit: float) -> Outcome:
    """Measure one tool at one length; this is the process of `drawn`."""
    script = (HERE / "page.js").read_text("utf-8")
    with contextlib.ExitStack() as stack:
        sources = stack.enter_context(cdn.libraries()) if name == "bertviz" else {}
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=chromiums.find(), args=list(BROWSER_ARGUMENTS)
        )

        def prepare(context: BrowserContext) -> None:
            context.add_init_script(script)
            cdn.serve(context, sources)

        if name in PAGES:
            context = browser.new_context(viewport={"width": 1400, "height": 1000})
            prepare(context)
            return in_page(context, name, tokens, limit)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(serve(Path(folder) / "lab"))
        return in_cell(Lab(browser, server, prepare=prepare), name, tokens, limit)


def apart(how: str, tokens: int, limit: float) -> Outcome:
    """Measure in a process of its own: it may be ended for want of memory, and the browser with it."""
    command = [sys.executable, __file__, "--one", how, "--most", str(tokens), "--limit", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Outcome(**json.loads(done.stdout.splitlines()[-1]))
    log.debug("%s", done.stderr)
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["killed"]
    memory = any("alloc" in line or "memory" in line.lower() for line in lines)
    return Outcome(failed="out of memory" if memory else f"failed: {lines[-1][:60]}")


def run_forward(how: str, tokens: int, limit: float) -> Outcome:
    """Measure one forward pass; `limit` is the address space it may take."""
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
    return Outcome(seconds, 1024 * (peak - before))


def climb(
    name: str, sizes: Sequence[int], limit: float, most: tuple[float, float]
) -> list[Outcome]:
    """Measure at rising lengths until it fails or takes more than so many seconds or bytes."""
    outcomes: list[Outcome] = []
    for tokens in sizes:
        outcome = apart(name, tokens, limit)
        log.info("%s, %d tokens: %s (load %.1f)", name, tokens, outcome, os.getloadavg()[0])
        outcomes.append(outcome)
        if outcome.failed or (outcome.seconds or 0) > most[0] or (outcome.size or 0) > most[1]:
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
    parser.add_argument("--bytes", type=float, default=200e6, help="more than this goes no further")
    parser.add_argument(
        "--memory", type=float, default=12e9, help="address space of a forward pass"
    )
    parser.add_argument("--only", nargs="*", default=[*PAGES, *CELLS, *PASSES])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        measure = run_forward if options.one in PASSES else run_drawn
        sys.stdout.write(json.dumps(asdict(measure(options.one, options.most, options.limit))))
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sizes = [128 << step for step in range(16) if 128 << step <= options.most]
    most = (options.seconds, options.bytes)
    wait = 10 * options.seconds
    opened = {name: climb(name, sizes, wait, most) for name in options.only if name not in PASSES}
    if opened:
        log.info("\nOpening, 12 x 12 heads\n%s", table(sizes, opened))
    most = (options.seconds, options.memory)
    passes = {how: climb(how, sizes, options.memory, most) for how in options.only if how in PASSES}
    if passes:
        log.info("\nA forward pass, and the memory it took\n%s", table(sizes, passes))


if __name__ == "__main__":
    main()
