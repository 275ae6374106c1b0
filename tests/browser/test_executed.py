"""Notebooks that a program executes, with nobody looking: nbconvert and papermill."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

import nbformat
import pytest
from browser.copies import assert_answers, assert_fits, converted, frozen
from browser.server import environment
from nbclient import NotebookClient
from nbconvert import HTMLExporter, LatexExporter, MarkdownExporter
from nbconvert.preprocessors import SVG2PDFPreprocessor
from playwright.sync_api import expect

from attnwidget.figures.small_png import MOST_BYTES, checked_png

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

TEXT = "The cat sat on the mat because it was tired"
# A picture takes what numbers there are after some seconds. Here all of them are waited for: pictures are compared.
START = """
import attnwidget as aw
from attnwidget.widget import still

still.MOST_SECONDS = float("inf")
model, tokenizer = aw.pocket()
"""
LIVE = f"view = aw.view(model, {TEXT!r}, tokenizer=tokenizer, layer=1, heads=[0])\nview"
CHANGED = "view.layer = 3"
FIGURE = f"aw.capture(model, {TEXT!r}, tokenizer).figure()"
BARE = f"aw.view(model, {TEXT!r}, tokenizer, still=False)"
NO_EXTRA = "still.can_draw = lambda: False"
FROZEN = (
    f"aw.view(model, {TEXT!r}, tokenizer=tokenizer, layer=1, heads=[0], query='it', frozen=True)"
)


def test_frozen_from_the_start_an_executed_notebook_needs_nothing_else(
    tmp_path: Path, offline: Page
) -> None:
    source = tmp_path / "executed.ipynb"
    document = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (START, FROZEN)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(document, source)
    page = converted(source, tmp_path, "--execute")
    text = page.read_text("utf-8")
    assert "widget-state" not in text
    assert "widget-view" not in text
    offline.goto(page.as_uri())
    output = offline.locator(".jp-CodeCell").nth(1)
    assert_answers(frozen(output), offline)
    assert_fits(output)


def test_papermill_writes_a_notebook_that_draws(tmp_path: Path, offline: Page) -> None:
    parameters = nbformat.v4.new_code_cell(f"text, layer = {TEXT!r}, 0")
    parameters.metadata["tags"] = ["parameters"]
    view = "aw.view(model, text, tokenizer=tokenizer, layer=layer, heads=[0], frozen=True)"
    given, done = tmp_path / "given.ipynb", tmp_path / "done.ipynb"
    document = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(START), parameters, nbformat.v4.new_code_cell(view)],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )
    nbformat.write(document, given)
    subprocess.run(
        [
            *(sys.executable, "-m", "papermill", str(given), str(done), "--no-progress-bar"),
            *("-p", "text", "the dog saw the cat", "-p", "layer", "1"),
        ],
        check=True,
        capture_output=True,
        env=environment(tmp_path),
    )
    executed = json.loads(done.read_text("utf-8"))
    assert "widgets" not in executed["metadata"]
    output, note = executed["cells"][-1]["outputs"]
    assert sorted(output["data"]) == ["text/html", "text/plain"]
    assert sorted(note["data"]) == ["image/png", "text/html", "text/plain"]
    assert done.stat().st_size < 1_000_000
    offline.goto(converted(done, tmp_path).as_uri())
    shown = offline.locator(".jp-CodeCell").last
    root = frozen(shown).locator(".attnwidget")
    expect(root.locator(".aw-panel-head .aw-stop[aria-label^='query 2 “dog”']")).to_be_attached()
    assert_answers(frozen(shown), offline)
    assert_fits(shown)


def executed_notebook(*cells: str) -> nbformat.NotebookNode:
    """Return a notebook of these cells after nbclient has run them, as nbconvert does."""
    document = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    NotebookClient(document, timeout=300, store_widget_state=False).execute()
    return document


@pytest.fixture(scope="module")
def executed() -> nbformat.NotebookNode:
    return executed_notebook(START, LIVE, FROZEN, FIGURE, BARE)


@pytest.mark.parametrize("cell", [1, 2])
def test_a_view_s_second_output_holds_a_picture(executed: nbformat.NotebookNode, cell: int) -> None:
    first, second = executed.cells[cell].outputs
    assert "image/png" not in first.data
    assert sorted(second.data) == ["image/png", "text/html", "text/plain"]
    data = b64decode(second.data["image/png"])
    assert len(data) <= MOST_BYTES
    assert checked_png(data)[0] == second.metadata["image/png"]["width"]
    # Both pictures are one.
    assert f'src="data:image/png;base64,{second.data["image/png"]}"' in second.data["text/html"]
    words = "showed" if cell == 2 else "Run this cell again"
    assert words in second.data["text/html"]


def test_a_view_that_keeps_none_holds_none(executed: nbformat.NotebookNode) -> None:
    _, note = executed.cells[4].outputs
    assert sorted(note.data) == ["text/html", "text/plain"]
    assert "<img" not in note.data["text/html"]


def test_the_picture_is_of_what_a_later_cell_changed(executed: nbformat.NotebookNode) -> None:
    changed = executed_notebook(START, LIVE, CHANGED)
    third = executed_notebook(START, LIVE.replace("layer=1", "layer=3"))
    pictures = [each.cells[1].outputs[1].data for each in (executed, changed, third)]
    assert pictures[0]["image/png"] != pictures[1]["image/png"] == pictures[2]["image/png"]
    assert changed.cells[2].outputs == []


def test_without_the_extra_an_executed_notebook_has_words_alone() -> None:
    document = executed_notebook(START, NO_EXTRA, LIVE, FROZEN)
    assert [sorted(output.data) for output in document.cells[2].outputs] == [
        ["application/vnd.jupyter.widget-view+json", "text/plain"],
        ["text/html", "text/plain"],
    ]
    assert len(document.cells[3].outputs) == 1


def test_latex_takes_pictures_and_asks_for_no_inkscape(
    executed: nbformat.NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        pytest.fail("nbconvert asks for Inkscape")

    monkeypatch.setattr(SVG2PDFPreprocessor, "convert_figure", asked)
    text, resources = LatexExporter().from_notebook_node(executed)
    kinds = sorted(name.rpartition(".")[2] for name in resources["outputs"])
    assert [kind for kind in kinds if kind != "svg"] == ["pdf", "png", "png", "png"]
    included = [name for name in resources["outputs"] if f"{{{name}}}" in text]
    assert sorted(name.rpartition(".")[2] for name in included) == ["pdf", "png", "png"]
    assert "Run this cell again" in text


def test_markdown_and_html_show_them(executed: nbformat.NotebookNode) -> None:
    markdown, resources = MarkdownExporter().from_notebook_node(executed)
    page, _ = HTMLExporter().from_notebook_node(executed)
    for text in (markdown, page):
        for cell in (1, 2):
            assert executed.cells[cell].outputs[1].data["image/png"] in text.replace("\n", "")
    # The figure's SVG: a file beside the Markdown, inside the page.
    (svg,) = (name for name in resources["outputs"] if name.endswith(".svg"))
    assert f"]({svg})" in markdown
    figure = executed.cells[3].outputs[0].data["image/svg+xml"].encode()
    assert b64encode(figure).decode()[:400] in page or figure.decode()[:400] in page


def test_nbval_finds_the_same_outputs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sums of more threads differ in their last bits, which a picture may show: both runs have as many.
    monkeypatch.setenv("OMP_NUM_THREADS", environment(tmp_path)["OMP_NUM_THREADS"])
    document = executed_notebook(START, LIVE)
    nbformat.write(document, tmp_path / "again.ipynb")
    command = (sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q")
    options = ("-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null")
    subprocess.run(
        [*command, *options, str(tmp_path / "again.ipynb")],
        check=True,
        env=environment(tmp_path),
    )
