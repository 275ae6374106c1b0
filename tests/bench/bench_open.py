"""From the cell to the picture in a real JupyterLab: records of random vectors, large models and long inputs.

Run by ``make bench``; ``--help`` lists the options. The record is made before anything is timed, so that what is
measured comes on top of the model's forward pass:

first paint   from running ``aw.view(record)`` to the task after the first frame that the widget drew, and the payload
              of the page's websockets until then.
sampled       until every head of the stream has a thumbnail, of a sample of its rows where those of all take long.
whole         until nothing is awaited any more: rows of the selected head, thumbnails that come later.
layer, head   from the arrow key to the task after the frame that shows the layer or head whole, 95th percentile. Both
              ways: one step (fetched ahead when there was time) and far ones (asked for).
hover, pan    frames: from one frame to the next while the mouse moves or the wheel turns over the head view, 95th
              percentile. Answer: from such an event to the task after the frame that shows what it did.
heap          the page's JavaScript heap after a garbage collection, all of it and what the widget added.
effects       hover frames and answers while the kernel runs a model without each of its heads and their badges fill in:
              GPT-2 of random weights, 12 × 12 heads, 128 tokens.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from browser import chromium as chromiums  # noqa: E402 - found through the line above
from browser.lab import BROWSER_ARGUMENTS, Lab  # noqa: E402
from browser.server import serve  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from browser.lab import Notebook
    from browser.widget import Widget
    from playwright.sync_api import Browser, CDPSession

log = logging.getLogger("bench")

# Layers, heads, tokens; the first two are those of the limits below.
SIZES = ((12, 12, 512), (32, 32, 2048), (8, 8, 4096), (8, 8, 16384))
MOST_SAMPLED = 1000.0
LIMITS = {(12, 12, 512): 1000.0, (32, 32, 2048): 1500.0}
MOST_BYTES = 2e6
MOST_SWITCH, MOST_FRAME = 100.0, 33.0
MOST_HEAP = 150e6
MOST_HOVER = 32.0

PREPARE = """
import torch
import attnwidget as aw
from attnwidget import Attention, Layer, Stream
from attnwidget.compute.masks import Band
from attnwidget.record.positions import positions_from_tokens

torch.manual_seed(0)
def layer(number, heads, tokens):
    def draw(count, scale=1.0):
        return scale * torch.randn(count, tokens, 64)
    groups = max(1, heads // 4)
    return Layer(stream="decoder", layer=number, module_path=f"layers.{{number}}.self_attn", num_heads=heads,
                 query=draw(heads, 2.0), key=draw(groups), value=draw(groups), scaling=0.125, band=Band(causal=True))

positions = positions_from_tokens([f"Ġword{{place % 997}}" for place in range({tokens})])
layers = tuple(layer(number, {heads}, {tokens}) for number in range({layers}))
record = Attention("random", {{"decoder": Stream("decoder", layers, positions, positions)}})
"""

# A model that runs again and again while a reader points at its heads, in as many threads as the kernel has.
UNDER_EFFECTS = """
import torch, transformers
import attnwidget as aw
torch.manual_seed(0)
model = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
view = aw.view(model, torch.randint(1000, 20000, (1, 128)))
"""

# Times one change of the picture: from now to the task after the frame in which no block of the heads is awaited.
SWITCH = """([root, act]) => new Promise((resolve, reject) => {
  const before = root.dataset.painted;
  const start = performance.now();
  const give_up = setTimeout(() => { observer.disconnect(); resolve(null); }, 60_000);
  const observer = new MutationObserver(() => {
    if (root.dataset.painted === before || root.dataset.missing !== "0") return;
    observer.disconnect();
    clearTimeout(give_up);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(performance.now() - start);
    port2.postMessage(null);
  });
  observer.observe(root, { attributeFilter: ["data-painted", "data-missing"] });
  const { key, shift } = act;
  if (key) root.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  else {
    const menu = root.querySelector("select[aria-label='Layer']");
    menu.value = String(act.layer);
    menu.dispatchEvent(new Event("change", { bubbles: true }));
  }
})"""

# Collects the milliseconds from each event over the head view to the task after the frame that answers it.
FRAMES = """([root, kind]) => {
  const samples = [];
  let since = null;
  const listen = (event) => { since ??= event.timeStamp; };
  root.addEventListener(kind, listen, { capture: true, passive: true });
  const observer = new MutationObserver(() => {
    if (since === null) return;
    const from = since;
    since = null;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => samples.push(performance.now() - from);
    port2.postMessage(null);
  });
  observer.observe(root, { attributeFilter: ["data-painted"] });
  window.benchFrames = () => {
    observer.disconnect();
    root.removeEventListener(kind, listen, { capture: true });
    return samples;
  };
}"""


# Collects the milliseconds between frames.
INTERVALS = """() => {
  const samples = [];
  let going = true, last = performance.now();
  const next = () => {
    const now = performance.now();
    samples.push(now - last);
    last = now;
    if (going) requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
  window.benchIntervals = () => {
    going = false;
    return samples.slice(2);
  };
}"""


@dataclass
class Opened:
    """What one size took; milliseconds and bytes."""

    first: float
    first_bytes: float
    sampled: float
    whole: float
    whole_bytes: float
    next_layer: list[float]
    far_layer: list[float]
    head: list[float]
    hover: list[float]
    pan: list[float]
    hover_frames: list[float]
    pan_frames: list[float]
    heap: float
    more_heap: float


def heap(session: CDPSession) -> float:
    """Return the bytes of the page's heap after a garbage collection."""
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"])


def tail(values: Sequence[float]) -> float:
    """Return the 95th percentile, the largest of a few."""
    if not values:
        return float("nan")
    return (
        statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
    )


def opened(lab: Lab, notebook: Notebook, *, patience: float) -> tuple[int, Opened]:
    """Run the cell that shows the record; wait until all of it is there, or no longer than patience."""
    session = lab.context.new_cdp_session(lab.page)
    before = heap(session)
    cell = notebook.add("view = aw.view(record)\nview")
    call: Any = lab.page.evaluate(
        "(given) => window.bench.open(given)", [notebook.identity, cell, "attnwidget_first"]
    )
    root = notebook.widget(cell).root
    whole = lab.page.evaluate(
        """async ([root, patience]) => {
          const start = performance.now();
          let sampled = null;
          while (root.dataset.pending !== "0" && performance.now() - start < patience) {
            if (root.dataset.blank === "0") sampled ??= performance.now() - start;
            await new Promise((done) => setTimeout(done, 20));
          }
          const milliseconds = performance.now() - start;
          const drawn = root.dataset.blank === "0" ? milliseconds : NaN;
          return { milliseconds, sampled: sampled ?? drawn, bytes: window.bench.received() };
        }""",
        [root.element_handle(), 1000 * patience],
    )
    held = heap(session)
    return cell, Opened(
        first=call["milliseconds"],
        first_bytes=call["bytes"],
        sampled=call["milliseconds"] + whole["sampled"],
        whole=call["milliseconds"] + whole["milliseconds"],
        whole_bytes=whole["bytes"] - call["before"],
        next_layer=[],
        far_layer=[],
        head=[],
        hover=[],
        pan=[],
        hover_frames=[],
        pan_frames=[],
        heap=held,
        more_heap=held - before,
    )


def used(lab: Lab, notebook: Notebook, cell: int, layers: int, found: Opened) -> None:
    """Switch layers and heads, hover and pan."""
    page, widget = lab.page, notebook.widget(cell)
    root = widget.root.element_handle()

    def switch(**act: Any) -> list[float]:
        page.wait_for_timeout(400)
        taken = page.evaluate(SWITCH, [root, act])
        return [] if taken is None else [taken]

    for _ in range(min(6, layers - 1)):
        found.next_layer += switch(key="ArrowDown")
    for layer in (1, layers - 2, 2, layers - 1, 0, layers // 2):
        found.far_layer += switch(layer=layer)
    for _ in range(6):
        found.head += switch(key="ArrowRight")
    widget.panel("head").scroll_into_view_if_needed()
    box = widget.panel("head").locator("canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.wait_for_timeout(1500)
    for kind in ("mousemove", "wheel"):
        page.evaluate(FRAMES, [root, kind])
        for step in range(24):
            if kind == "wheel":
                page.mouse.wheel(0, 60)
            else:
                page.mouse.move(box["x"] + 60, box["y"] + 60 + 8 * step)
            page.wait_for_timeout(120)
        page.wait_for_timeout(500)
        samples = page.evaluate("() => window.benchFrames()")
        (found.hover if kind == "mousemove" else found.pan).extend(samples)
        page.evaluate(INTERVALS)
        for step in range(60):
            if kind == "wheel":
                page.mouse.wheel(0, 60 if step < 40 else -60)
            else:
                page.mouse.move(box["x"] + 60 + 2 * (step % 30), box["y"] + 60 + 3 * (step % 40))
            page.wait_for_timeout(16)
        intervals = page.evaluate("() => window.benchIntervals()")
        (found.hover_frames if kind == "mousemove" else found.pan_frames).extend(intervals)


def measure(browser: Browser, size: tuple[int, int, int], patience: float) -> Opened:
    """Measure one size in a server and a page of its own."""
    layers, heads, tokens = size
    script = (HERE / "page.js").read_text("utf-8")
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder) / "lab") as server,
    ):
        lab = Lab(browser, server, prepare=lambda context: context.add_init_script(script))
        source = PREPARE.format(layers=layers, heads=heads, tokens=tokens)
        notebook = lab.notebook([source, "aw.view(aw.from_weights([[[[1.0]]]]))"], name="open")
        # The second cell shows a widget, so that what a page loads once is loaded.
        notebook.run_all()
        notebook.widget(1).settle()
        cell, found = opened(lab, notebook, patience=patience)
        used(lab, notebook, cell, layers, found)
        lab.close()
    return found


@dataclass
class Hover:
    """Milliseconds between frames, from an event to the frame that answers it, and of the page's own work a frame."""

    frames: list[float]
    answers: list[float]
    work: float


def hovered(lab: Lab, widget: Widget, moves: int, goes_on: Callable[[], bool]) -> Hover:
    """Move the mouse over the heads, so many times at most."""
    page = lab.page
    box = widget.panel("model").locator("canvas").bounding_box()
    assert box is not None
    session = lab.context.new_cdp_session(page)
    # The thread's own time: whatever else the machine does.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return 1000 * float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))

    page.evaluate(FRAMES, [widget.root.element_handle(), "mousemove"])
    page.evaluate(INTERVALS)
    before, painted = spent(), widget.painted()
    for move in range(moves):
        across, down = (move % 40) / 40, (move % 31) / 31
        x = box["x"] + 40 + across * (box["width"] - 60)
        page.mouse.move(x, box["y"] + 60 + down * (box["height"] - 90))
        page.wait_for_timeout(16)
        if not goes_on():
            break
    work = (spent() - before) / max(1, widget.painted() - painted)
    intervals = page.evaluate("() => window.benchIntervals()")
    session.detach()
    return Hover(intervals, page.evaluate("() => window.benchFrames()"), work)


def under_effects(browser: Browser) -> tuple[Hover, Hover, int]:
    """Hover over heads while the kernel is idle, then while it finds their effects, and say how many it found."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "lab") as server:
        lab = Lab(browser, server)
        notebook = lab.notebook([UNDER_EFFECTS, "view"], name="effects")
        notebook.run_all()
        widget = notebook.widget(1)
        widget.rest()
        widget.panel("model").scroll_into_view_if_needed()
        idle = hovered(lab, widget, 200, lambda: True)
        widget.root.locator("[data-edit=effects]").click()
        running = widget.root.locator(".aw-progress")
        running.wait_for()
        busy = hovered(lab, widget, 400, lambda: running.count() > 0)
        heads = int(notebook.value("view.effects['done']"))
        lab.close()
    return idle, busy, heads


def report_effects(idle: Hover, busy: Hover, heads: int) -> str:
    """Return the figures of hovering under effects."""
    title = f"hover over 12 × 12 heads while the effects of {heads} of them are found"
    lines = [title]
    for name, found in (("kernel idle", idle), ("effects are found", busy)):
        frames, answer = tail(found.frames), tail(found.answers)
        said = f"frames {frames:.0f} ms ({ratio(frames, MOST_HOVER)}), answer {answer:.0f} ms, p95"
        lines.append(f"  {name:22}{said}; the page's own time {found.work:.1f} ms a frame")
    return "\n".join(lines)


def ratio(value: float, limit: float | None) -> str:
    """Return a value by its limit, as text."""
    return "" if limit is None else f"{value / limit:.2f} ×"


def report(size: tuple[int, int, int], found: Opened) -> str:
    """Return the figures of one size, each with its ratio to what it may be."""
    lines = [
        ("first paint", f"{found.first:,.0f} ms", ratio(found.first, LIMITS.get(size))),
        (
            "sent before it",
            f"{found.first_bytes / 1e6:.2f} MB",
            ratio(found.first_bytes, MOST_BYTES),
        ),
        (
            "every thumbnail, sampled",
            f"{found.sampled:,.0f} ms",
            ratio(found.sampled - found.first, MOST_SAMPLED),
        ),
        ("whole", f"{found.whole:,.0f} ms", ""),
        ("sent for it", f"{found.whole_bytes / 1e6:.2f} MB", ""),
    ]
    for name, values, limit in (
        ("next layer, p95", found.next_layer, MOST_SWITCH),
        ("far layer, p95", found.far_layer, MOST_SWITCH),
        ("next head, p95", found.head, MOST_SWITCH),
        ("hover frames, p95", found.hover_frames, MOST_FRAME),
        ("pan frames, p95", found.pan_frames, MOST_FRAME),
        ("hover answer, p95", found.hover, None),
        ("pan answer, p95", found.pan, None),
    ):
        lines.append((name, f"{tail(values):,.0f} ms", ratio(tail(values), limit)))
    lines += [
        ("JS heap, whole page", f"{found.heap / 1e6:.0f} MB", ""),
        ("JS heap, added", f"{found.more_heap / 1e6:.0f} MB", ratio(found.more_heap, MOST_HEAP)),
    ]
    title = "{} × {} × {:,}".format(*size)
    return "\n".join([title, *(f"  {name:26}{value:>12}{part:>10}" for name, value, part in lines)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the options ask for and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=range(len(SIZES)), help="which sizes, by number"
    )
    parser.add_argument(
        "--patience", type=float, default=60, help="seconds to wait for the whole picture"
    )
    parser.add_argument(
        "--no-effects", action="store_true", help="leave the hover under effects out"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromiums.find(), args=list(BROWSER_ARGUMENTS)
        )
        for number in options.sizes:
            size = SIZES[number]
            log.info("%s", report(size, measure(browser, size, options.patience)))
        if not options.no_effects:
            log.info("%s", report_effects(*under_effects(browser)))
        browser.close()


if __name__ == "__main__":
    main()
