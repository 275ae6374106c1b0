"""The still picture beside a view: kept up to date, hidden while the view is live, there for readers without widgets."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest
from browser.copies import converted
from browser.notebook import OUTPUTS, Notebook
from browser.waiting import until
from browser.widget import SCREENSHOTS
from playwright.sync_api import expect

from attnwidget.figures.small_png import MOST_BYTES, checked_png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from browser.lab import Lab
    from playwright.sync_api import Locator, Page

START = """
import attnwidget as aw

model, tokenizer = aw.pocket()
text = "The cat sat on the mat because it was tired"
"""
VIEW = "view = aw.view(model, text, tokenizer, layer=1, heads=[0], query='it')\nview"
FIGURE = "aw.capture(model, text, tokenizer).figure()"
WITHOUT = "aw.view(model, text, tokenizer, still=False)"
# As where the `figures` extra is not installed.
NO_EXTRA = "from attnwidget.widget import still\nstill.can_draw = lambda: False"
OPEN_WITHOUT_KERNEL = """async (path) => {
  const panel = await jupyterapp.commands.execute("docmanager:open", {
    path, factory: "Notebook", kernelPreference: { shouldStart: false, canStart: false },
  });
  await panel.context.ready;
  return panel.id;
}"""
CLOSE_WITHOUT_KERNEL = (
    """(id) => [...jupyterapp.shell.widgets("main")].find((w) => w.id === id).dispose()"""
)
MANAGERS_OWN = "reading 'kernel'"


def second_output(notebook: Notebook, cell: int) -> dict[str, Any]:
    outputs = notebook.page.evaluate(OUTPUTS, [notebook.identity, cell])
    data: dict[str, Any] = outputs[1]["data"]
    return data


def picture(notebook: Notebook, cell: int, *, other_than: str = "") -> str:
    """Wait for the second output's picture to be there, or another one; return its base64."""
    found = ""

    def there() -> bool:
        nonlocal found
        found = second_output(notebook, cell).get("image/png", "").strip()
        return found not in ("", other_than)

    assert until(notebook.page, there), "no picture came"
    data = b64decode(found)
    checked_png(data)
    assert len(data) <= MOST_BYTES
    html = second_output(notebook, cell)["text/html"]
    assert f"data:image/png;base64,{found}" in "".join(html).replace("\n", "")
    return found


def assert_hidden(output: Locator) -> None:
    """Neither words nor picture are seen beside the live widget, and they leave no gap."""
    note, root = output.locator(".attnwidget-note"), output.locator(".attnwidget")
    note.evaluate("(note) => note.getAnimations().forEach((animation) => animation.finish())")
    expect(note).to_be_hidden()
    expect(note.locator("img")).to_be_hidden()
    outside, inside = output.bounding_box(), root.bounding_box()
    assert outside is not None
    assert inside is not None
    assert outside["height"] - inside["height"] < 12


def assert_seen(output: Locator) -> None:
    """Picture and words are seen, and the picture is one."""
    note = output.locator(".attnwidget-note")
    expect(note).to_be_visible()
    expect(note).to_contain_text("Run this cell again to bring it back")
    image = note.locator("img")
    expect(image).to_be_visible()
    assert image.evaluate("(image) => image.complete && image.naturalWidth > 300")
    box, around = image.bounding_box(), note.bounding_box()
    assert box is not None
    assert around is not None
    assert box["width"] <= around["width"] + 1
    assert box["height"] > 200


@pytest.mark.parametrize("maker", ["kernel", "browser"])
def test_it_follows_what_is_shown_and_stays_hidden(lab: Lab, maker: str) -> None:
    notebook = lab.notebook([START + NO_EXTRA * (maker == "browser"), VIEW])
    notebook.run_all()
    widget = notebook.widget(1)
    widget.settle()
    first = picture(notebook, 1)
    assert_hidden(notebook.output(1))
    # By the reader, and by a program.
    widget.root.locator("[data-head='3']").click()
    second = picture(notebook, 1, other_than=first)
    notebook.execute("view.layer = 3")
    third = picture(notebook, 1, other_than=second)
    assert_hidden(notebook.output(1))
    SCREENSHOTS.mkdir(exist_ok=True)
    (SCREENSHOTS / f"still-{maker}.png").write_bytes(b64decode(third))
    notebook.output(1).screenshot(path=SCREENSHOTS / f"still-live-{maker}.png")
    notebook.close()


@pytest.fixture(scope="module")
def written(lab: Lab) -> Iterator[Notebook]:
    """A notebook with a view, a figure and a view that keeps no picture; closed."""
    notebook = lab.notebook([START, VIEW, FIGURE, WITHOUT])
    notebook.run_all()
    notebook.widget(1).settle()
    picture(notebook, 1)
    notebook.close()
    return notebook


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_reopened_without_a_kernel_it_is_seen(lab: Lab, written: Notebook, theme: str) -> None:
    lab.set_theme(theme)
    identity = lab.page.evaluate(OPEN_WITHOUT_KERNEL, written.path)
    reopened = Notebook(lab, written.path, identity)
    assert_seen(reopened.output(1))
    reopened.output(1).screenshot(path=SCREENSHOTS / f"still-reopened-{theme}.png")
    without = reopened.output(3).locator(".attnwidget-note")
    expect(without).to_be_visible()
    expect(without.locator("img")).to_have_count(0)
    lab.page.evaluate(CLOSE_WITHOUT_KERNEL, identity)
    lab.watch.problems[:] = [each for each in lab.watch.problems if MANAGERS_OWN not in each]
    lab.set_theme("light")


def test_jupyterlab_shows_the_svg_of_a_figure(lab: Lab, written: Notebook) -> None:
    document = json.loads((lab.server.root / written.path).read_text("utf-8"))
    (output,) = document["cells"][2]["outputs"]
    kinds = ["application/pdf", "image/png", "image/svg+xml", "text/plain"]
    assert sorted(output["data"]) == kinds
    identity = lab.page.evaluate(OPEN_WITHOUT_KERNEL, written.path)
    shown = Notebook(lab, written.path, identity).output(2)
    expect(shown.locator(".jp-OutputArea-output")).to_have_attribute(
        "data-mime-type", "image/svg+xml"
    )
    lab.page.evaluate(CLOSE_WITHOUT_KERNEL, identity)
    lab.watch.problems[:] = [each for each in lab.watch.problems if MANAGERS_OWN not in each]


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_nbconvert_shows_it(
    lab: Lab, written: Notebook, template: str, tmp_path: Path, offline: Page
) -> None:
    source = lab.server.root / written.path
    page = converted(source, tmp_path, "--template", template)
    # The classic one loads scripts from elsewhere, which no picture needs.
    text = re.sub(r"<script.*?</script>", "", page.read_text("utf-8"), flags=re.DOTALL)
    page.write_text(text, "utf-8")
    offline.goto(page.as_uri())
    note = offline.locator(".attnwidget-note").first
    expect(note).to_be_visible()
    expect(note.locator("img")).to_be_visible()
    offline.screenshot(path=SCREENSHOTS / f"still-nbconvert-{template}.png", full_page=True)
