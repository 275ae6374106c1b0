"""The matrix as a map: zoomed, moved and jumped in with wheel, keys and mouse, down to single weights."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser.figures import headless, saved_by_button

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.lab import Lab, Notebook, Widget

TESTS = Path(__file__).parents[1]
LENGTH = 2048
# Of the largest cells, in pixels; `LARGEST_CELL` in js/src/views/map/window.ts.
CELL = 56
START = f"""import sys
sys.path.insert(0, {str(TESTS)!r})
import attnwidget as aw
from browser.structured import structured
record = structured({LENGTH}, 3)
view = aw.view(record, view="head", layer=0, heads=[1, 2], form="matrix", theme="dark")
view"""

# Where the first picture is on the page: its corner from the stops of the first tokens in sight.
PICTURE = """(panel) => {
  const box = (stop) => panel.querySelector(`.aw-stop[aria-label^="${stop}"]`).getBoundingClientRect();
  const [row, column] = [box("query "), box("key ")];
  return { x: row.right, y: column.bottom };
}"""

# Of the wheel's turns over the canvas, how many have come to it.
COUNT_WHEELS = """(canvas) => {
  window.awCount ??= () => window.awWheels++;
  window.awWheels = 0;
  canvas.addEventListener("wheel", window.awCount, { passive: true });
}"""
# The hints that are given from now on: they do not stay.
WATCH_HINTS = """(panel) => {
  window.awHints = [];
  const note = (node) => node.classList?.contains("aw-hint") && window.awHints.push(node.textContent);
  const observer = new MutationObserver((changes) =>
    changes.forEach(({ addedNodes }) => addedNodes.forEach(note)));
  observer.observe(panel, { childList: true, subtree: true });
}"""

# Of every frame that is painted, how many pixels of the pictures nothing was drawn on.
WATCH = """(canvas, { x, y, width, height }) => {
  const seen = { blank: 0, frames: 0 };
  const context = canvas.getContext("2d");
  window.awSeen = seen;
  const look = () => {
    if (window.awSeen !== seen) return;
    const { data } = context.getImageData(x, y, width, height);
    let blank = 0;
    for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) blank++;
    seen.blank = Math.max(seen.blank, blank);
    seen.frames++;
    requestAnimationFrame(look);
  };
  look();
}"""


# Until an element has been in the same place for some frames: a page scrolls for several after the wheel was turned.
STILL = """async (element) => {
  let top = Number.NaN;
  for (let same = 0; same < 20; same++) {
    await new Promise(requestAnimationFrame);
    const now = element.getBoundingClientRect().top;
    if (now !== top) same = 0;
    top = now;
  }
}"""


class Map:
    """The head view's matrices on the page."""

    def __init__(self, notebook: Notebook) -> None:
        """Start with all of it in sight, and no pins."""
        self.notebook = notebook
        self.page = notebook.page
        self.widget: Widget = notebook.widget(0)
        self.canvas = self.widget.panel("head").locator("canvas")
        notebook.execute("view.query = view.key = None")
        self.canvas.scroll_into_view_if_needed()
        self.widget.leave()
        self.widget.root.focus()
        for _ in range(12):
            self.page.keyboard.press("+")
        self.settle()
        near = self.window
        assert near is not None
        self.side = CELL * (near["keys"][1] - near["keys"][0])
        self.page.keyboard.press("0")
        self.settle()
        assert self.window is None
        self.measure()

    def measure(self) -> None:
        """See where the first picture stands, once the page has stopped scrolling."""
        self.canvas.evaluate(STILL)
        found = self.widget.panel("head").evaluate(PICTURE)
        self.left, self.top = found["x"], found["y"]

    def settle(self) -> None:
        """Wait until all is drawn and Python knows what is in sight."""
        self.notebook.rest(self.widget)

    @property
    def window(self) -> dict[str, Any] | None:
        """What is in sight, as Python knows it; None for all."""
        found: dict[str, Any] | None = self.notebook.value("(view._screen or {}).get('map')")
        return found

    def at(self, across: float, down: float) -> tuple[float, float]:
        """A point of the first picture, in parts of it."""
        return self.left + across * self.side, self.top + down * self.side

    def wheel(self, across: float, down: float, turns: int, *, zoom: bool) -> None:
        """Turn the wheel there, away from the reader where ``turns`` is positive."""
        x, y = self.at(across, down)
        self.page.mouse.move(x - 3, y)
        self.page.mouse.move(x, y)
        if zoom:
            self.page.keyboard.down("Control")
        self.canvas.evaluate(COUNT_WHEELS)
        for turn in range(abs(turns)):
            self.page.mouse.wheel(0, -120 if turns > 0 else 120)
            # Turns that come while the page is busy would come as one; then each is drawn.
            self.page.wait_for_function("(turn) => window.awWheels > turn", arg=turn)
            self.widget.drawn()
        if zoom:
            self.page.keyboard.up("Control")
        self.settle()

    def position(self, part: float, axis: str) -> float:
        """The position at a part of an axis of the pictures."""
        start, stop = (self.window or {}).get(axis, [0, LENGTH])
        return float(start + part * (stop - start))


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Notebook]:
    notebook = lab.notebook([START], name="map")
    notebook.run(0)
    yield notebook
    notebook.close()


@pytest.fixture
def shown(notebook: Notebook) -> Map:
    return Map(notebook)


def test_the_wheel_with_ctrl_zooms_about_the_pointer(shown: Map) -> None:
    shown.wheel(0.3, 0.7, 4, zoom=True)
    window = shown.window
    assert window is not None
    assert window["keys"][1] - window["keys"][0] == pytest.approx(LENGTH / 4, rel=1e-3)
    assert shown.position(0.3, "keys") == pytest.approx(0.3 * LENGTH, abs=4)
    assert shown.position(0.7, "queries") == pytest.approx(0.7 * LENGTH, abs=4)
    shown.wheel(0.5, 0.5, -12, zoom=True)
    assert shown.window is None


def test_the_wheel_alone_moves_the_map_only_once_it_is_zoomed_in(shown: Map) -> None:
    shown.widget.panel("head").evaluate(WATCH_HINTS)
    shown.wheel(0.4, 0.6, -1, zoom=False)
    assert shown.window is None
    (hint,) = shown.page.evaluate("window.awHints")
    assert "zooms" in hint
    # Over a map that it does not move the wheel scrolls the page.
    shown.measure()
    shown.wheel(0.4, 0.6, 4, zoom=True)
    before = shown.window
    shown.wheel(0.4, 0.6, -2, zoom=False)
    after = shown.window
    assert before is not None
    assert after is not None
    assert after["keys"] == before["keys"]
    moved = after["queries"][0] - before["queries"][0]
    assert moved == pytest.approx(240 * LENGTH / 4 / shown.side, rel=0.02)


def test_keys_and_buttons_zoom(shown: Map) -> None:
    shown.widget.leave()
    shown.page.keyboard.press("+")
    shown.page.keyboard.press("+")
    shown.settle()
    window = shown.window
    assert window is not None
    assert window["queries"] == pytest.approx([LENGTH * 3 / 8, LENGTH * 5 / 8], abs=0.01)
    shown.page.keyboard.press("-")
    shown.settle()
    assert shown.position(1, "queries") == pytest.approx(LENGTH * 3 / 4, abs=0.01)
    button = shown.widget.stop("head", "Show the whole matrix")
    button.focus()
    shown.page.keyboard.press("Enter")
    shown.settle()
    assert shown.window is None
    shown.widget.click("head", "Zoom in")
    shown.settle()
    assert shown.position(0, "keys") == pytest.approx(LENGTH / 4, abs=0.01)


def test_a_drag_moves_it_and_pins_a_block_where_it_is_whole_or_with_shift(
    shown: Map, notebook: Notebook
) -> None:
    def drag(*, shift: bool = False) -> None:
        if shift:
            shown.page.keyboard.down("Shift")
        shown.page.mouse.move(*shown.at(0.2, 0.6))
        shown.page.mouse.down()
        shown.page.mouse.move(*shown.at(0.25, 0.65), steps=4)
        shown.page.mouse.move(*shown.at(0.3, 0.7), steps=4)
        shown.page.mouse.up()
        if shift:
            shown.page.keyboard.up("Shift")
        shown.settle()

    drag()
    keys = notebook.value("view.key")
    assert keys[0] == pytest.approx(0.2 * LENGTH, abs=5)
    # A line about several pins comes in below, and the pictures give way a little.
    assert len(keys) == pytest.approx(0.1 * LENGTH, rel=0.4)
    assert len(notebook.value("view.query")) == pytest.approx(0.1 * LENGTH, rel=0.4)
    notebook.execute("view.query = view.key = None")
    shown.wheel(0.3, 0.6, 4, zoom=True)
    start = shown.position(0, "keys")
    drag()
    assert notebook.value("[view.query, view.key]") == [None, None]
    assert shown.position(0, "keys") == pytest.approx(start - 0.1 * LENGTH / 4, abs=3)
    drag(shift=True)
    keys = notebook.value("view.key")
    assert keys[0] == pytest.approx(shown.position(0.2, "keys"), abs=2)
    assert len(keys) == pytest.approx(0.1 * LENGTH / 4, rel=0.4)


def test_a_double_click_zooms_and_leaves_the_pins(shown: Map, notebook: Notebook) -> None:
    notebook.execute("view.query, view.key = 1500, 700")
    shown.settle()
    shown.page.mouse.dblclick(*shown.at(0.5, 0.75))
    shown.settle()
    assert shown.position(0.5, "keys") == pytest.approx(LENGTH / 2, abs=4)
    window = shown.window
    assert window is not None
    assert window["keys"][1] - window["keys"][0] == pytest.approx(LENGTH / 2, rel=1e-3)
    assert notebook.value("[view.query, view.key]") == [1500, 700]


def test_a_click_on_the_small_map_goes_there(shown: Map) -> None:
    shown.wheel(0.2, 0.8, 6, zoom=True)
    # In the last picture of the row, at its corner, or beside it where there is room.
    second = shown.widget.panel("head").bounding_box()
    assert second is not None
    small = max(36.0, min(110.0, 0.28 * shown.side))
    right = shown.left + 2 * shown.side + 16
    beside = right + 12 + small + 4 <= second["x"] + second["width"]
    corner = right + 12 if beside else right - small - 8
    shown.page.mouse.click(corner + 0.5 * small, shown.top + 8 + 0.75 * small)
    shown.settle()
    assert shown.position(0.5, "keys") == pytest.approx(0.5 * LENGTH, abs=20)
    assert shown.position(0.5, "queries") == pytest.approx(0.75 * LENGTH, abs=20)


def test_zoomed_far_in_cells_say_the_weights_in_figures_too(
    shown: Map, notebook: Notebook, tmp_path: Path
) -> None:
    shown.wheel(0.25, 0.25, 40, zoom=True)
    shown.widget.leave()
    shown.settle()
    window = shown.window
    assert window is not None
    # Of cells that are cut off, those whose middle is in sight.
    (first, last), (start, stop) = (
        (math.ceil(window[axis][0] - 0.5), math.floor(window[axis][1] + 0.5))
        for axis in ("queries", "keys")
    )
    svg = saved_by_button(shown.widget)
    assert headless(notebook, tmp_path / "figure.svg") == svg
    exact = notebook.value(
        f"[record['self'][0].weights(head, slice({first}, {last}), slice({start}, {stop})).tolist()"
        " for head in (1, 2)]"
    )
    expected = sorted(said(weight) for head in exact for row in head for weight in row)
    legend = ["0", "0.01", "0.1", "0.5", "1"]
    texts = re.findall(r'font-size="10"[^>]*>(&lt;0\.001|[01](?:\.\d+)?)</text>', svg.decode())
    found = [text.replace("&lt;", "<") for text in texts]
    for tick in legend:
        found.remove(tick)
    assert sorted(found) == expected
    assert any(float(text) > 0.01 for text in found if not text.startswith("<"))


def said(weight: float) -> str:
    """A weight as the views say it."""
    if weight == 0:
        return "0"
    return "<0.001" if weight < 0.0005 else f"{weight:.3f}"


def test_the_number_under_the_pointer_is_exact_however_far_out(
    shown: Map, notebook: Notebook
) -> None:
    for turns in (0, 5, 9):
        if turns:
            shown.wheel(0.3, 0.3002, 4 if turns == 5 else turns, zoom=True)
        across, down = 0.3, 0.3002
        x, y = shown.at(across, down)
        shown.page.mouse.move(x - 2, y)
        shown.page.mouse.move(x, y)
        shown.settle()
        query, key = (
            int(shown.position(part, axis)) for part, axis in ((down, "queries"), (across, "keys"))
        )
        status = shown.widget.root.locator(".aw-status").text_content() or ""
        near = notebook.value(
            f"record['self'][0].weights(1, slice({query - 1}, {query + 2}), slice({key - 1}, {key + 2})).tolist()"
        )
        assert any(f" {said(weight)}" in status for row in near for weight in row), status


def test_pins_out_of_sight_have_markers_that_jump_and_python_moves_the_map(
    shown: Map, notebook: Notebook
) -> None:
    notebook.execute("view.query, view.key = 100, 50")
    shown.wheel(0.6, 0.9, 6, zoom=True)
    shown.widget.leave()
    shown.widget.click("head", "Jump up")
    shown.settle()
    assert shown.position(0.5, "queries") < 300
    shown.widget.click("head", "Jump left")
    shown.settle()
    assert shown.position(0, "keys") == 0
    notebook.execute("view.query = 2000")
    shown.settle()
    assert shown.position(0, "queries") < 2000 < shown.position(1, "queries")


def test_nothing_is_ever_blank_while_zooming_and_moving(shown: Map) -> None:
    scale = shown.page.evaluate("devicePixelRatio")
    box = shown.canvas.bounding_box()
    assert box is not None
    area = {
        "x": shown.left - box["x"] + 2,
        "y": shown.top - box["y"] + 2,
        "width": shown.side - 4,
        "height": shown.side - 4,
    }
    shown.canvas.evaluate(WATCH, {name: round(scale * value) for name, value in area.items()})
    for turns in (12, -6):
        shown.wheel(0.2, 0.4, turns, zoom=True)
    for turns in (-6, 3):
        shown.wheel(0.2, 0.4, turns, zoom=False)
    seen = shown.page.evaluate(
        "() => { const seen = window.awSeen; window.awSeen = null; return seen; }"
    )
    assert seen["frames"] > 20
    assert seen["blank"] == 0


def largest_in_sight(notebook: Notebook) -> float:
    """The largest weight that the maps of ``faint`` show, but of the first keys and of early queries, in their cells."""
    # As in `largestInSight` of js/src/views/map/scale.ts, whose tile of all of the map has cells of 8 positions.
    cell, early = LENGTH // 256, LENGTH // 16
    sight = notebook.value("(faint._screen or {}).get('map')") or {}
    rows, columns = (
        slice(
            max(apart, cell * math.floor(start / cell)), min(LENGTH, cell * math.ceil(stop / cell))
        )
        for (start, stop), apart in (
            (sight.get("queries", (0, LENGTH)), early),
            (sight.get("keys", (0, LENGTH)), cell),
        )
    )
    most: float = notebook.value(
        f"max(float(faint.attention['self'][0].weights(head)[{rows.start}:{rows.stop},"
        f" {columns.start}:{columns.stop}].max()) for head in (1, 2))"
    )
    return most


def test_faint_heads_share_a_scale_of_what_is_in_sight_or_a_fixed_one(
    notebook: Notebook, tmp_path: Path
) -> None:
    cell = notebook.append(
        f"faint = aw.view(structured({LENGTH}, 3, sharpness=0.15), view='head', heads=[1, 2], form='matrix')\n"
        "faint"
    )
    shown = notebook.widget(cell)
    shown.settle()

    def drawn(shade: str) -> str:
        notebook.execute(f"faint.shade = {shade!r}")
        # What is in sight reaches Python once it has come to rest.
        notebook.rest(shown)
        svg = saved_by_button(shown)
        assert headless(notebook, tmp_path / "faint.svg", view="faint") == svg
        return svg.decode()

    ends = set()
    for zoom in range(3):
        for _ in range(2 * zoom):
            shown.root.focus()
            notebook.page.keyboard.press("+")
        own = drawn("own")
        most = largest_in_sight(notebook)
        assert 0.005 < most < 0.2
        end = next(end for end in (0.01, 0.02, 0.05, 0.1, 0.2) if end >= most)
        assert f">≥ {end:g}</text>" in own
        assert ">1</text>" not in own
        assert f"full shade {end:g}<" in own
        ends.add(end)
        # Wherever the map is.
        fixed = drawn("fixed")
        assert ">1</text>" in fixed
        assert "≥" not in fixed
    assert len(ends) > 1
    notebook.execute("faint.close()")
