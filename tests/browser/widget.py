"""One attention widget on a page, used as a reader does: with the mouse, and by what a screen reader finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from browser.waiting import PATIENCE, until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SCREENSHOTS = Path(__file__).parent / "screenshots"

# Two frames later everything that was due has been drawn.
DRAWN = """async () => {
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
}"""
# Until so many milliseconds have passed in which nothing was drawn. The front end does some things with a timer that
# it starts anew with every frame. No matter how slow a page is, its timers run in the order in which they are due: when
# one that was started later and is longer has run, that one has.
REST = """async (root, { quiet, blocks }) => {
  const frame = () => new Promise(requestAnimationFrame);
  for (let tries = 0; tries < 200; tries++) {
    await frame();
    await frame();
    const { painted } = root.dataset;
    await new Promise((done) => setTimeout(done, quiet));
    await frame();
    if (root.dataset.painted === painted && !(blocks && root.dataset.pending !== "0")) return true;
  }
  return false;
}"""
# Longer than it waits before it lays the stops over a picture (`STOPS_DELAY_MS` in js/src/shell/panel.ts), and before
# it reports what is on screen (`SETTLE_MS` in js/src/shell/shell.ts).
STOPS_MS, REPORT_MS = 160, 400
PICTURE = """async (canvas) => {
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let hash = 0;
  for (const word of new Uint32Array(data.buffer)) hash = (Math.imul(hash, 31) + word) | 0;
  const colours = new Set(new Uint32Array(data.buffer)).size;
  return `${canvas.width}x${canvas.height} ${colours} colours ${hash}`;
}"""


def in_sight(root: Locator, selector: str) -> Locator:
    """A control of the line above the views; the box that it stands in, if it does, is opened."""
    found = root.locator(selector)
    found.wait_for(state="attached")
    box = found.locator("xpath=ancestor::*[@popover]")
    if not box.count():
        return found
    button = box.locator("xpath=preceding-sibling::button")

    def opened() -> bool:
        # While a page scrolls, Chromium may give a click to a frame of another origin that was there just before.
        if not box.is_visible():
            button.click()
        return box.is_visible()

    assert until(root.page, opened), f"the box of {selector} does not open"
    return found


class Widget:
    """One attention widget on the page, told apart by its root element."""

    def __init__(self, page: Page, root: Locator) -> None:
        """In a notebook use :meth:`Notebook.widget` instead."""
        self.page = page
        self.root = root

    def painted(self) -> int:
        """How many times the front end has finished drawing; waits for the first."""
        self.root.locator("xpath=self::*[@data-painted]").wait_for(state="attached")
        return int(self.root.get_attribute("data-painted") or 0)

    def drawn(self) -> None:
        """Wait until what was due has been drawn, be it of what is here so far."""
        self.root.evaluate(DRAWN)

    def settle(self, *, seconds: float = PATIENCE) -> None:
        """Wait until it has drawn what it was last told, and waits for no block."""
        self.painted()
        self.drawn()
        quiet = "xpath=self::*[@data-pending='0']"
        self.root.locator(quiet).wait_for(state="attached", timeout=1000 * seconds)

    def rest(self) -> None:
        """Wait until it has come to rest: all is drawn, the stops lie over it, and its screen was reported."""
        self.settle()
        self._quiet(REPORT_MS, blocks=True)

    def _quiet(self, milliseconds: int, *, blocks: bool) -> None:
        asked = {"quiet": milliseconds, "blocks": blocks}
        assert self.root.evaluate(REST, asked), "the widget goes on drawing"

    def panel(self, view: str) -> Locator:
        """The panel of one view: ``"model"``, ``"head"``, ``"neuron"`` or ``"compare"``."""
        return self.root.locator(f".aw-panel-{view}")

    def stop(self, view: str, name: str) -> Locator:
        """What a screen reader finds in a view under a name that starts like this."""
        return self.panel(view).locator(f".aw-stop[aria-label^='{name}']").first

    def names(self, view: str) -> list[str]:
        """The names of all that a screen reader finds in a view, in their order on the page."""
        self.rest()
        found: list[str] = (
            self.panel(view)
            .locator(".aw-stop")
            .evaluate_all("(stops) => stops.map((stop) => stop.getAttribute('aria-label') ?? '')")
        )
        return found

    def point(self, view: str, name: str) -> tuple[float, float]:
        """The middle of what has this name, in the page, scrolled into sight."""
        stop = self.stop(view, name)
        stop.wait_for(state="attached")
        # One of the picture before may lie elsewhere.
        self._quiet(STOPS_MS, blocks=False)
        stop.scroll_into_view_if_needed()
        box = stop.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def click(self, view: str, name: str, *, shift: bool = False) -> None:
        """Click with the mouse on the picture, where the thing of this name is drawn."""
        x, y = self.point(view, name)
        keyboard = self.page.keyboard
        if shift:
            keyboard.down("Shift")
        self.page.mouse.click(x, y)
        if shift:
            keyboard.up("Shift")

    def hover(self, view: str, name: str) -> None:
        """Move the mouse there."""
        self.page.mouse.move(*self.point(view, name))

    def leave(self) -> None:
        """Move the mouse away from every widget."""
        self.page.mouse.move(2, 2)

    def picture(self, view: str) -> str:
        """Fingerprint of the pixels of one view's canvas, once nothing is awaited."""
        self.settle()
        found: str = self.panel(view).locator("canvas").evaluate(PICTURE)
        return found

    def wait_for_another(self, view: str, picture: str) -> str:
        """Wait until a view looks different from this picture; return how it looks then."""
        now = picture

        def changed() -> bool:
            nonlocal now
            now = self.picture(view)
            return now != picture

        assert until(self.page, changed), f"the {view} view still looks as before"
        return now

    def screenshot(self, name: str) -> Path:
        """Save a picture of all of the widget as ``screenshots/<name>.png``; return its path."""
        before, box = self.page.viewport_size, self.root.bounding_box()
        assert before is not None
        assert box is not None
        # The notebook scrolls inside the page, so only what fits into the window can be pictured.
        self.page.set_viewport_size(
            {"width": before["width"], "height": max(1000, round(box["height"]) + 300)}
        )
        self.settle()
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.root.screenshot(path=path, animations="disabled")
        self.page.set_viewport_size(before)
        return path
