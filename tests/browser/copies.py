"""Frozen copies in outputs and in the pages that nbconvert makes: found, clicked through, measured."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from browser.lab import Widget
from browser.server import environment
from browser.waiting import until
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import FrameLocator, Locator, Page


# How high a frame is, how high what is in it, and whether that scrolls; asked inside, where alone all of it is known.
SIZES = """(root) => {
  const { height } = document.body.getBoundingClientRect();
  const overflow = getComputedStyle(root).overflow;
  return [innerHeight, height, root.scrollHeight > innerHeight || overflow !== "hidden"];
}"""


def frozen(output: Locator) -> FrameLocator:
    """The frame in an output, once what is in it has drawn all it has, and the frame is as high as that.

    The height comes in a message after the drawing: a click before it meets what stood there until then, in the copy
    and in all that follows it on the page.
    """
    assert_fits(output)
    return output.frame_locator("iframe.attnwidget-frozen")


def assert_answers(inside: FrameLocator, page: Page) -> None:
    """Click through a copy: the layer, a head and a token move the views, and nothing was missing."""
    root = inside.locator(".attnwidget")
    widget = Widget(page, root)
    before = widget.picture("head")
    assert int(before.split()[1]) > 10
    root.locator(".aw-next").click()
    expect(root.locator("select[aria-label='Layer']")).to_have_value("2")
    root.locator("[data-head='3']").click()
    expect(root.locator("[data-head='3']")).to_have_attribute("aria-pressed", "true")
    widget.wait_for_another("head", before)
    expect(root.locator(".aw-failure")).to_have_count(0)
    expect(root.locator(".aw-freeze")).to_have_count(0)


def assert_fits(output: Locator) -> None:
    """The frame comes to be as high as what is in it, without a scroll bar."""
    frame = output.locator("iframe.attnwidget-frozen")
    # A page of another origin has no frames before it is in sight: what waits for one would wait for ever.
    frame.scroll_into_view_if_needed()
    Widget(output.page, frame.content_frame.locator(".attnwidget")).settle()
    sizes: tuple[float, float, bool] = (0, 0, False)

    def fits() -> bool:
        nonlocal sizes
        sizes = frame.content_frame.locator("html").evaluate(SIZES)
        high, inside, scrolls = sizes
        return abs(high - inside) < 1 and not scrolls and high > 300

    assert until(output.page, fits), sizes


def converted(notebook: Path, folder: Path, *options: str) -> Path:
    """The page that nbconvert makes of a notebook, without the two scripts it would fetch for formulas."""
    subprocess.run(
        [
            *(sys.executable, "-m", "nbconvert", "--to", "html", "--log-level=ERROR"),
            *("--HTMLExporter.mathjax_url=data:,", "--HTMLExporter.require_js_url=data:,"),
            *(*options, "--output-dir", str(folder), str(notebook)),
        ],
        check=True,
        env=environment(folder),
    )
    return folder / f"{notebook.stem}.html"
