"""The harness itself, on the smallest possible widget: what it reports must be what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.lab import CellError, Lab, Notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTER = """
import anywidget, traitlets

class Counter(anywidget.AnyWidget):
    _esm = '''
    export default {
      render({ model, el }) {
        const button = document.createElement("button");
        const show = () => { button.textContent = "count " + model.get("count"); };
        button.addEventListener("click", () => {
          model.set("count", model.get("count") + 1);
          model.save_changes();
        });
        model.on("change:count", show);
        show();
        const root = document.createElement("div");
        root.className = "attnwidget";
        root.dataset.painted = "1";
        root.dataset.pending = "0";
        root.append(button);
        el.append(root);
      },
    };
    '''
    count = traitlets.Int(0).tag(sync=True)

seen = []
counter = Counter()
counter.observe(lambda change: seen.append(change["new"]), "count")
counter
"""

# An error that nobody catches, thrown before this returns.
SLIP = """() => new Promise((done) => {
  setTimeout(() => {
    setTimeout(done);
    throw new Error("a slip");
  });
})"""


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Notebook]:
    notebook = lab.notebook([COUNTER, "print('hello')", "1 / 0"])
    notebook.run(0)
    yield notebook
    notebook.close()


def test_clicks_reach_the_kernel_and_fire_observers(notebook: Notebook) -> None:
    button = notebook.widget(0).root.locator("button")
    before = notebook.value("counter.count")
    button.click()
    button.click()
    notebook.wait_value("counter.count", before + 2)
    notebook.wait_value("seen[-2:]", [before + 1, before + 2])


def test_kernel_moves_the_page(notebook: Notebook) -> None:
    notebook.execute("counter.count = 41")
    notebook.widget(0).root.get_by_text("count 41").wait_for()


def test_cells_give_their_text_or_raise(notebook: Notebook) -> None:
    notebook.run(1)
    assert notebook.text(1) == "hello\n"
    with pytest.raises(CellError, match="ZeroDivisionError"):
        notebook.run(2)
    with pytest.raises(CellError, match="NameError"):
        notebook.value("no_such_name")


def test_theme_and_width(lab: Lab, notebook: Notebook) -> None:
    lab.set_theme("dark")
    colour = "getComputedStyle(document.body).getPropertyValue('--jp-layout-color1').trim()"
    dark = lab.page.evaluate(colour)
    lab.set_theme("light")
    assert lab.page.evaluate(colour) != dark
    for width in (420, 700, 1400):
        notebook.set_output_width(0, width)
        box = notebook.output(0).locator(".jp-OutputArea-output").first.bounding_box()
        assert box is not None
        assert round(box["width"]) == width
    lab.set_viewport(1400)


def test_screenshot_is_of_the_widget(notebook: Notebook) -> None:
    widget = notebook.widget(0)
    widget.settle()
    assert widget.painted() == 1
    assert widget.screenshot("harness").read_bytes().startswith(b"\x89PNG")


def test_what_a_clean_page_does_not_do_is_reported(lab: Lab) -> None:
    lab.page.evaluate("() => console.error('a complaint')")
    lab.page.evaluate(SLIP)
    # Reserved for documentation: nobody answers there, with or without a network.
    lab.page.evaluate("() => fetch('http://192.0.2.1/').catch(() => null)")
    with pytest.raises(AssertionError, match="a complaint") as caught:
        lab.watch.assert_clean()
    assert "192.0.2.1" in str(caught.value)
    assert "a slip" in str(caught.value)
    lab.watch.assert_clean()
