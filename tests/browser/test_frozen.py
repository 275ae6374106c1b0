"""The widget frozen into its notebook: reopened without a kernel, and in the page nbconvert makes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from browser.copies import assert_answers, assert_fits, converted, frozen
from browser.lab import Lab, Notebook
from browser.waiting import until
from browser.widget import in_sight
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

TEXT = "The cat sat on the mat because it was tired"
START = "import attnwidget as aw\nmodel, tokenizer = aw.pocket()"
VIEW = f"view = aw.view(model, {TEXT!r}, tokenizer=tokenizer, layer=1, heads=[0], query='it')\nview"
OPEN_WITHOUT_KERNEL = """async (path) => {
  const panel = await jupyterapp.commands.execute("docmanager:open", {
    path, factory: "Notebook", kernelPreference: { shouldStart: false, canStart: false },
  });
  await panel.context.ready;
  return panel.id;
}"""
SAVE = """(id) => [...jupyterapp.shell.widgets("main")].find((w) => w.id === id).context.save()"""
CLOSE_WITHOUT_KERNEL = (
    """(id) => [...jupyterapp.shell.widgets("main")].find((w) => w.id === id).dispose()"""
)
# The widget manager asks every notebook for its kernel, and trips over one that has none.
MANAGERS_OWN = "reading 'kernel'"


def stored(lab: Lab, notebook: Notebook) -> dict[str, Any]:
    """Save the notebook; return what is in the file."""
    lab.page.evaluate(SAVE, notebook.identity)
    return json.loads((lab.server.root / notebook.path).read_text("utf-8"))


@pytest.fixture(scope="module")
def written(lab: Lab) -> Iterator[Notebook]:
    """A notebook with one output frozen by its button, one by a call, and one left live; closed."""
    again = VIEW.replace("view =", "again =").removesuffix("view") + "again"
    notebook = lab.notebook([START, VIEW, again, "again.freeze()", VIEW])
    for cell in range(3):
        notebook.run(cell)
    notebook.widget(1).settle()
    notebook.widget(2).settle()
    in_sight(notebook.widget(1).root, ".aw-freeze").click()
    frozen(notebook.output(1))
    notebook.run(3)
    frozen(notebook.output(2))
    notebook.run(4)
    notebook.widget(4).settle()
    stored(lab, notebook)
    notebook.close()
    return notebook


@pytest.fixture
def reopened(lab: Lab, written: Notebook) -> Iterator[Notebook]:
    """That notebook in JupyterLab, trusted as its own author's, with no kernel."""
    identity = lab.page.evaluate(OPEN_WITHOUT_KERNEL, written.path)
    yield Notebook(lab, written.path, identity)
    lab.page.evaluate(CLOSE_WITHOUT_KERNEL, identity)
    lab.watch.problems[:] = [each for each in lab.watch.problems if MANAGERS_OWN not in each]


@pytest.mark.parametrize("cell", [1, 2])
def test_a_frozen_output_takes_the_place_of_the_live_one(
    lab: Lab, written: Notebook, cell: int
) -> None:
    document = json.loads((lab.server.root / written.path).read_text("utf-8"))
    data = [output["data"] for output in document["cells"][cell]["outputs"]]
    assert sorted(data[0]) == ["text/html", "text/plain"]
    # The second may hold a still picture besides.
    assert sorted({"image/png", *data[1]}) == ["image/png", "text/html", "text/plain"]
    assert "".join(data[0]["text/html"]).startswith('<iframe class="attnwidget-frozen"')
    assert "".join(data[0]["text/plain"]).startswith("AttentionWidget(")
    assert len(json.dumps(document["cells"][cell])) < 1_000_000
    # Nothing more came of the call than the other cell's output.
    assert document["cells"][3]["outputs"] == []


@pytest.mark.parametrize("cell", [1, 2])
def test_reopened_without_a_kernel_it_draws_and_answers(reopened: Notebook, cell: int) -> None:
    output = reopened.output(cell)
    inside = frozen(output)
    assert_answers(inside, reopened.page)
    assert_fits(output)
    expect(output.locator(".attnwidget-note")).to_be_hidden()


def test_a_live_output_without_its_kernel_says_how_to_bring_it_back(reopened: Notebook) -> None:
    note = reopened.output(4).locator(".attnwidget-note")
    expect(note).to_be_visible()
    expect(note).to_contain_text("Run this cell again to bring it back")
    expect(note).to_contain_text("view.freeze()")


def test_the_note_is_never_seen_beside_a_live_widget(lab: Lab) -> None:
    notebook = lab.notebook([START, VIEW])
    notebook.run_all()
    notebook.widget(1).settle()
    area, root = notebook.output(1), notebook.widget(1).root
    # It comes to be seen by an animation, unless it has no place on the page; at its end now, not in two seconds.
    note = area.locator(".attnwidget-note")
    note.evaluate("(note) => note.getAnimations().forEach((animation) => animation.finish())")
    expect(note).to_be_hidden()
    outside, inside = area.bounding_box(), root.bounding_box()
    assert outside is not None
    assert inside is not None
    assert outside["height"] - inside["height"] < 12
    notebook.close()


def test_a_frozen_output_follows_theme_and_width(reopened: Notebook, lab: Lab) -> None:
    output = reopened.output(1)
    root = frozen(output).locator(".attnwidget")
    expect(root).to_have_attribute("data-theme", "light")
    lab.set_theme("dark")
    expect(root).to_have_attribute("data-theme", "dark")
    wide = root.bounding_box()
    lab.set_viewport(640)
    assert wide is not None
    assert until(lab.page, lambda: (root.bounding_box() or wide)["width"] < wide["width"])
    assert_fits(output)
    lab.set_viewport(1400)
    lab.set_theme("light")
    expect(root).to_have_attribute("data-theme", "light")


def test_nbconvert_keeps_it_offline(
    lab: Lab, written: Notebook, tmp_path: Path, offline: Page
) -> None:
    offline.goto(converted(lab.server.root / written.path, tmp_path).as_uri())
    for cell in (1, 2):
        output = offline.locator(".jp-CodeCell").nth(cell)
        assert_answers(frozen(output), offline)
        assert_fits(output)
        expect(output.locator(".attnwidget-note")).to_be_hidden()


def test_shown_again_after_freezing_it_is_live(lab: Lab) -> None:
    notebook = lab.notebook([START, VIEW, "view.freeze()", "view", "view.layer = 3\nview.freeze()"])
    for cell in range(4):
        notebook.run(cell)
    notebook.widget(3).settle()
    frozen(notebook.output(1))
    notebook.run(4)
    # The second call replaces what is live now, not the first copy.
    inside = frozen(notebook.output(3))
    expect(inside.locator("select[aria-label='Layer']")).to_have_value("3")
    first = frozen(notebook.output(1))
    expect(first.locator("select[aria-label='Layer']")).to_have_value("1")
    notebook.close()


def test_freezing_inside_another_widget_says_what_to_do(lab: Lab) -> None:
    notebook = lab.notebook(
        [START, VIEW.removesuffix("view") + "import ipywidgets\nipywidgets.VBox([view])"]
    )
    notebook.run_all()
    widget = notebook.widget(1)
    widget.settle()
    in_sight(widget.root, ".aw-freeze").click()
    expect(widget.root.locator(".aw-failure")).to_contain_text("call view.freeze() in a cell")
    notebook.append("view.freeze()")
    frozen(notebook.output(2))
    notebook.close()


def test_hostile_tokens_are_inert_and_legible(lab: Lab) -> None:
    tokens = [
        "</script><img src=x onerror=alert(1)>",
        "]]>",
        "&amp;",
        "\"'`",
        "\u202eevil",
        "👩‍👩‍👧",
        "x" * 10_000,
    ]
    code = (
        "import numpy as np\n"
        f"weights = np.full((1, 1, {len(tokens)}, {len(tokens)}), 1 / {len(tokens)}, np.float32)\n"
        f"aw.view(aw.from_weights(weights, {tokens!r}), query=0, frozen=True)"
    )
    notebook = lab.notebook([START, code])
    notebook.run_all()
    inside = frozen(notebook.output(1))
    root = inside.locator(".attnwidget")
    assert root.locator("img, script").count() == 0
    stops = root.locator(".aw-panel-head .aw-stop")
    stops.first.wait_for(state="attached")  # a moment after the picture
    names = stops.evaluate_all("(stops) => stops.map((stop) => stop.getAttribute('aria-label'))")
    said = " ".join(names)
    for shown in (*tokens[:4], "⟨U+202E⟩evil", "👩‍👩‍👧"):
        assert shown in said
    assert "\u202e" not in said
    assert_fits(notebook.output(1))
    notebook.close()
