"""The quickstart as a reader runs it: every cell in a real JupyterLab, every widget drawn."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from browser.lab import Lab
    from browser.server import LabServer

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01_quickstart.ipynb"


def test_every_widget_of_the_quickstart_draws(lab: Lab, lab_server: LabServer) -> None:
    lab.set_viewport(1480, 1000)
    shutil.copy(NOTEBOOK, lab_server.root / NOTEBOOK.name)
    shutil.copytree(NOTEBOOK.parent / "images", lab_server.root / "images", dirs_exist_ok=True)
    notebook = lab.open(NOTEBOOK.name)
    notebook.run_all()
    shown = 0
    for cell in range(notebook.cells.count()):
        if notebook.output(cell).locator(".attnwidget").count() == 0:
            continue
        widget = notebook.widget(cell)
        widget.settle()
        assert widget.root.locator(".aw-failure").all_inner_texts() == []
        shown += 1
    assert shown >= 5
    pictures = notebook.page.locator(".jp-MarkdownOutput img")
    assert pictures.count() == 2
    for picture in pictures.all():
        assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    notebook.close()
