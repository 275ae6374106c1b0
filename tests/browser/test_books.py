"""Books and sites that are made of notebooks: MyST-NB (Sphinx, Jupyter Book 1), whose environment `make books` sets up."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from browser.copies import assert_answers, frozen
from nbclient import NotebookClient

if TYPE_CHECKING:
    from playwright.sync_api import Page

SPHINX = Path(__file__).parents[2] / ".compat/books/bin/sphinx-build"
if not SPHINX.exists():
    pytest.skip("no Sphinx with MyST-NB: run `make books`", allow_module_level=True)

# Outputs are those that the notebook has, as a book that is built elsewhere has them.
CONFIGURATION = """
project = "book"
extensions = ["myst_nb"]
nb_execution_mode = "off"
"""
START = "import attnwidget as aw\nmodel, tokenizer = aw.pocket()"
TEXT = "The cat sat on the mat because it was tired"
FROZEN = (
    f"aw.view(model, {TEXT!r}, tokenizer=tokenizer, layer=1, heads=[0], query='it', frozen=True)"
)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a book of one notebook with a frozen view."""
    folder = tmp_path_factory.mktemp("book")
    cells = [nbformat.v4.new_markdown_cell("# Attention")]
    cells += [nbformat.v4.new_code_cell(text) for text in (START, FROZEN)]
    document = nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    NotebookClient(document, timeout=300, store_widget_state=False).execute()
    nbformat.write(document, folder / "index.ipynb")
    (folder / "conf.py").write_text(CONFIGURATION, "utf-8")
    return folder


def built(book: Path, builder: str) -> Path:
    target = book / "built" / builder
    command = [str(SPHINX), "-q", "-b", builder, "-d", str(book / "trees"), str(book), str(target)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def test_the_page_of_a_book_has_the_copy(book: Path, offline: Page) -> None:
    offline.goto((built(book, "html") / "index.html").as_uri())
    output = offline.locator(".cell_output")
    assert_answers(frozen(output), offline)
    # The picture is for those that do not draw.
    assert not output.locator("img").is_visible()


def test_the_pdf_of_a_book_has_the_picture(book: Path) -> None:
    target = built(book, "latex")
    (picture,) = target.glob("*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    (text,) = target.glob("book.tex")
    included = re.findall(
        r"\\sphinxincludegraphics\[[^]]*\]\{\{(\w+)\}\.png\}", text.read_text("utf-8")
    )
    assert included == [picture.stem]
