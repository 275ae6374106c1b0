"""BertViz and attnwidget on the same random attention, in the same JupyterLab and Chromium.

Run by ``make bench``; ``make bench BENCH="--help"`` lists the options. What is measured:

opening      from running the cell to the first task after the frame in which the whole picture was
             painted: every line of the head view, in attnwidget also the model view. Making the
             widget from the weights is part of the cell. BertViz's libraries are loaded before.
layer        from the change of the layer menu to the task after the frame that shows the layer. The
             next one may have been fetched ahead, a far one has not.
hover        from the time stamp of a mouse move over a token to the task after its frame.
bytes        payload of the page's websockets, both ways of sending (JSON and binary) alike.

Both draw twelve heads of a layer at once. Neither time includes what the compositor does after the
page has painted. Playwright listens in on the websockets, for both alike.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench import cdn  # noqa: E402 - found through the line above
from bench.subject import HEADS, LAYERS, OPEN, OPEN_MODEL, OPEN_PLAIN, Result, Subject  # noqa: E402
from browser import chromium as chromiums  # noqa: E402
from browser.lab import BROWSER_ARGUMENTS, Lab  # noqa: E402
from browser.server import serve  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Browser, BrowserContext

log = logging.getLogger("bench")
Column = tuple[str, Result]


def measure(browser: Browser, name: str, tokens: int, **plan: Any) -> Result:
    """Measure one subject in a server and a page of its own."""
    log.info("%s, %d x %d heads x %d tokens ...", name, LAYERS, HEADS, tokens)
    script = (HERE / "page.js").read_text("utf-8")
    with cdn.libraries() as sources, tempfile.TemporaryDirectory() as folder:

        def prepare(context: BrowserContext) -> None:
            context.add_init_script(script)
            cdn.serve(context, sources)

        with serve(Path(folder) / "lab") as server:
            lab = Lab(browser, server, prepare=prepare)
            result = Subject(lab, name, tokens).measure(**plan)
            lab.close()
    return result


def rows() -> Iterator[tuple[str, Callable[[Result], float | None], str]]:
    """Name, how to read it from a result, and unit of every line of the table."""
    yield "opening, first in a page", lambda result: first(result.opening), "ms"
    yield "opening, again (median)", lambda result: median(result.opening[1:]), "ms"
    yield "bytes to open", lambda result: result.opening_bytes, "bytes"
    yield "bytes in the saved notebook", lambda result: result.saved, "bytes"
    yield "to the next layer (median)", lambda result: median(result.next_layer), "ms"
    yield "to a far layer (median)", lambda result: median(result.far_layer), "ms"
    yield (
        "bytes a layer switch (most)",
        lambda result: max(result.layer_bytes, default=None),
        "bytes",
    )
    yield "hover (median)", lambda result: median(result.hover), "ms"
    yield "hover (slowest)", lambda result: max(result.hover, default=None), "ms"
    yield "messages while hovering", lambda result: result.hover_messages, ""
    yield "elements on the page", lambda result: result.nodes, ""


def first(values: Sequence[float]) -> float | None:
    """First value, None of none."""
    return values[0] if values else None


def median(values: Sequence[float]) -> float | None:
    """Median, None of none."""
    return statistics.median(values) if values else None


def written(value: float | None, unit: str) -> str:
    """Write a value as the table shows it."""
    if value is None:
        return "-"
    if unit == "bytes":
        return f"{value / 1e6:,.2f} MB" if value >= 1e5 else f"{value / 1e3:,.1f} kB"
    return f"{value:,.1f} {unit}".replace(".0 ", " ").rstrip()


def table(columns: Sequence[Column]) -> str:
    """Lay the results side by side; `ratio` is the first by the second."""
    both = columns[0][0] == "bertviz" and len(columns) > 1
    heads = [*(name for name, _ in columns[:2]), *["ratio"] * both, *(n for n, _ in columns[2:])]
    lines = [f"{'':30}" + "".join(f"{head:>16}" for head in heads)]
    for name, read, unit in rows():
        values = [read(result) for _, result in columns]
        cells = [written(value, unit) for value in values]
        if both:
            ratio = f"{values[0] / values[1]:,.0f} x" if values[0] and values[1] else ""
            cells.insert(2, ratio)
        lines.append(f"{name:30}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the options ask for and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, default=128, help="length both are measured at")
    parser.add_argument("--long", type=int, default=512, help="length ours is also measured at")
    parser.add_argument(
        "--times",
        type=int,
        default=2,
        help="how often each is opened; BertViz can end its page at the third",
    )
    parser.add_argument("--model-view", action="store_true", help="also model views; minutes, 6 GB")
    parser.add_argument("--ours", action="store_true", help="leave BertViz out")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromiums.find(), args=list(BROWSER_ARGUMENTS)
        )
        plan: dict[str, Any] = {"times": options.times, "layers": (1, 2, 3, 8, 5, 11), "hovers": 12}
        names = ["attnwidget"] if options.ours else ["bertviz", "attnwidget"]
        head = [
            (name, measure(browser, name, options.tokens, source=OPEN[name], **plan))
            for name in names
        ]
        plain = measure(browser, "attnwidget", options.tokens, source=OPEN_PLAIN, **plan)
        head.append(("one head", plain))
        if options.long:
            longer = measure(browser, "attnwidget", options.long, source=OPEN["attnwidget"], **plan)
            head.append((f"12 heads, {options.long}", longer))
        log.info("\nHead view, %d heads at once, %d tokens\n%s", HEADS, options.tokens, table(head))
        if options.model_view:
            plan = {"times": 1, "layers": (), "hovers": 0}
            model = [
                (name, measure(browser, name, options.tokens, source=OPEN_MODEL[name], **plan))
                for name in names
            ]
            log.info("\nModel view, %d tokens\n%s", options.tokens, table(model))
        browser.close()


if __name__ == "__main__":
    main()
