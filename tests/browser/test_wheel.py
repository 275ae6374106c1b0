"""The wheel over a panel: it moves what the panel holds while it can, and then the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.copies import assert_fits, frozen
from browser.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.lab import Lab, Notebook, Widget
    from playwright.sync_api import Locator

WINDOW = (1300, 700)
# Positions of the short text.
LENGTH = 11
START = """
import numpy as np

import attnwidget as aw

model, tokenizer = aw.pocket()
text = "the cat sat on the mat because it was tired"

def plain(layers, count):
    weights = np.tile(np.eye(count, dtype=np.float32), (1, 4, 1, 1))
    return aw.from_weights([weights] * layers, [" word"] * count)
"""
# By its name: the code, the panels, and those of them that hold more than they show.
KINDS: dict[str, tuple[str, set[str], set[str]]] = {
    "all": ("view = aw.view(model, text, tokenizer, query=3)", {"model", "head", "neuron"}, set()),
    "matrix": (
        "view = aw.view(model, text, tokenizer, view='head', form='matrix')",
        {"head"},
        set(),
    ),
    "text": ("view = aw.view(model, text, tokenizer, view='head', form='text')", {"head"}, set()),
    "heads": (
        "view = aw.view(model, text, tokenizer, view='compare', compare=[(0, 1), (2, 3)])",
        {"compare"},
        set(),
    ),
    "comparison": (
        "view = aw.compare(*(aw.capture(model, t, tokenizer) for t in (text, 'the dog sat'))).view()",
        {"model", "compare"},
        set(),
    ),
    "survey": (
        "view = aw.survey(model, [text, 'the dog sat'], tokenizer=tokenizer, progress=False).view()",
        {"model", "examples"},
        set(),
    ),
    "generation": (
        """
inputs = tokenizer("the cat sat", return_tensors="pt")
with aw.recording(model, tokenizer) as attention:
    model.generate(**inputs, max_new_tokens=4, min_new_tokens=4)
view = aw.view(attention)""",
        {"model", "head", "neuron", "next"},
        set(),
    ),
    "long": (
        "view = aw.view(model, ' '.join([text] * 8), tokenizer, query=3)",
        {"model", "head", "neuron"},
        {"head"},
    ),
    "long-text": (
        "view = aw.view(plain(1, 1600), view='head', form='text')",
        {"head"},
        {"head"},
    ),
    "rank": (
        "view = aw.view(plain(80, 8), view='model', arrange='rank', score=next(iter(aw.SCORES)))",
        {"model", "head"},
        {"model"},
    ),
}
# Room to scroll on both sides of a widget, inside the output: JupyterLab takes away cells that are out of sight.
SHOW = "print('\\n' * 60)\ndisplay(view)\nprint('\\n' * 60)"
PAGE = ".jp-WindowedPanel-outer"
# Once it has stayed where it is for some frames: a wheel is followed smoothly.
RESTS = """async (element) => {
  for (let same = 0, top = -1; same < 20; same++) {
    await new Promise(requestAnimationFrame);
    if (element.scrollTop !== top) same = 0;
    top = element.scrollTop;
  }
  return element.scrollTop;
}"""
TO_THE_END = "(element, down) => element.scrollTo(0, down ? element.scrollHeight : 0)"
CENTRE = "(element) => element.scrollIntoView({ block: 'center', behavior: 'instant' })"
ROOM = "(element) => element.scrollHeight - element.clientHeight"
# A turn of the wheel, and less than it: pages follow it to a few pixels.
TURN, MOVED = 100, 40


class Wheel:
    """The wheel over one panel in a notebook."""

    def __init__(self, notebook: Notebook, panel: Locator) -> None:
        """Look at the panel that is given."""
        self.page = notebook.page
        self.canvas = panel.locator("canvas")
        self.scroller = panel.locator(".aw-scroll")
        self.outer = notebook.page.locator(f"[id='{notebook.identity}'] {PAGE}")

    def start(self, *, at_the_end: bool) -> float:
        """Scroll the panel to an end and the page to the panel; return where the page is."""
        self.scroller.evaluate(TO_THE_END, at_the_end)
        # What follows on a turn goes where that went, unless the pointer has been elsewhere.
        self.page.mouse.move(2, 2)
        self.canvas.evaluate(CENTRE)
        top = self.page_top()
        box = self.canvas.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x - 3, y)
        self.page.mouse.move(x, y)
        return top

    def turn(self, *, down: bool) -> None:
        self.page.mouse.wheel(0, TURN if down else -TURN)

    def page_top(self) -> float:
        found: float = self.outer.evaluate(RESTS)
        return found

    def panel_top(self) -> float:
        found: float = self.scroller.evaluate(RESTS)
        return found

    def assert_page_follows(self, *, down: bool) -> None:
        """With the panel at that end, one turn of the wheel moves the page and not the panel."""
        before = self.start(at_the_end=down)
        inside = self.panel_top()
        self.turn(down=down)
        way = 1 if down else -1
        assert until(self.page, lambda: way * (self.page_top() - before) > MOVED, seconds=10), (
            "the page stays where it is"
        )
        assert self.panel_top() == inside

    def assert_panel_follows(self, *, down: bool) -> None:
        """With the panel at the other end, one turn moves what it holds and not the page."""
        before = self.start(at_the_end=not down)
        inside = self.panel_top()
        self.turn(down=down)
        way = 1 if down else -1
        assert until(self.page, lambda: way * (self.panel_top() - inside) > MOVED, seconds=10), (
            "the panel stays where it is"
        )
        assert self.page_top() == before


def panels(root: Locator) -> dict[str, Locator]:
    """The panels on show, by name."""
    found: dict[str, Locator] = {}
    for panel in root.locator(".aw-panel").all():
        classes = (panel.get_attribute("class") or "").split()
        [name] = [
            each.removeprefix("aw-panel-") for each in classes if each.startswith("aw-panel-")
        ]
        found[name] = panel
    return found


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Notebook]:
    lab.set_viewport(*WINDOW)
    notebook = lab.notebook([START], name="wheel")
    notebook.run(0)
    yield notebook
    notebook.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_scrolls_where_a_panel_cannot(notebook: Notebook, kind: str) -> None:
    code, names, scrolling = KINDS[kind]
    widget = notebook.widget(notebook.append(f"{code}\n{SHOW}"))
    notebook.rest(widget)
    shown = panels(widget.root)
    assert set(shown) == names
    room = {name: panel.locator(".aw-scroll").evaluate(ROOM) for name, panel in shown.items()}
    assert {name for name, pixels in room.items() if pixels > 0} == scrolling, room
    for name, panel in shown.items():
        wheel = Wheel(notebook, panel)
        for down in (True, False):
            wheel.assert_page_follows(down=down)
            if name in scrolling:
                wheel.assert_panel_follows(down=down)


def test_the_page_scrolls_over_a_frozen_copy(notebook: Notebook) -> None:
    code, names, _ = KINDS["all"]
    show = SHOW.replace("display(view)", "view.freeze()")
    cell = notebook.append(f"{code}\n{show}")
    root = frozen(notebook.output(cell)).locator(".attnwidget")
    assert_fits(notebook.output(cell))
    shown = panels(root)
    assert set(shown) == names
    for panel in shown.values():
        for down in (True, False):
            Wheel(notebook, panel).assert_page_follows(down=down)


def test_a_map_that_is_zoomed_in_moves_until_its_edge_and_then_the_page(notebook: Notebook) -> None:
    code, _, _ = KINDS["matrix"]
    widget: Widget = notebook.widget(notebook.append(f"{code}\n{SHOW}"))
    widget.settle()
    widget.root.focus()
    for _ in range(3):
        notebook.page.keyboard.press("+")
    notebook.rest(widget)
    seen = "(view._screen or {}).get('map')"
    before = notebook.value(seen)
    assert before is not None
    wheel = Wheel(notebook, widget.panel("head"))
    top = wheel.start(at_the_end=False)
    wheel.turn(down=True)
    assert until(notebook.page, lambda: notebook.value(seen)["queries"] != before["queries"])
    assert wheel.page_top() == top

    def turned() -> bool:
        wheel.turn(down=True)
        return wheel.page_top() > top + MOVED

    assert until(notebook.page, turned), "the page stays where it is"
    # Not before there was nothing left of the map below.
    notebook.rest(widget)
    assert notebook.value(seen)["queries"][1] == LENGTH
