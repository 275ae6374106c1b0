"""Notebooks that a program executes, with nobody looking: nbconvert and papermill."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import nbformat
from browser.copies import assert_answers, assert_fits, converted, frozen
from browser.server import environment
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

TEXT = "The cat sat on the mat because it was tired"
START = "import attnwidget as aw\nmodel, tokenizer = aw.pocket()"
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
    (output,) = executed["cells"][-1]["outputs"]
    assert sorted(output["data"]) == ["text/html", "text/plain"]
    assert done.stat().st_size < 1_000_000
    offline.goto(converted(done, tmp_path).as_uri())
    shown = offline.locator(".jp-CodeCell").last
    root = frozen(shown).locator(".attnwidget")
    expect(root.locator(".aw-panel-head .aw-stop[aria-label^='query 2 “dog”']")).to_be_attached()
    assert_answers(frozen(shown), offline)
    assert_fits(shown)
