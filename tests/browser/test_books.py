"""Books and sites that are made of notebooks: Sphinx with MyST-NB, Jupyter Book 1, MyST, whose environments `make hosts` sets up."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from browser.copies import assert_answers, frozen
from browser.npm_packages import NotFetchedError, NpmFile
from browser.server import environment
from browser.watch import watched
from browser.widget import SCREENSHOTS
from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

COMPAT = Path(__file__).parents[2] / ".compat"
SPHINX = COMPAT / "books/bin/sphinx-build"
JUPYTER_BOOK, MYST = COMPAT / "hosts/bin/jupyter-book", COMPAT / "hosts/bin/myst"
for _program in (SPHINX, JUPYTER_BOOK, MYST):
    if not _program.exists():
        pytest.skip(f"no {_program.name}: run `make hosts`", allow_module_level=True)

# Outputs are those that the notebook has, as a book that is built elsewhere has them.
CONFIGURATION = """
project = "book"
extensions = ["myst_nb"]
nb_execution_mode = "off"
"""
BOOK_1 = {
    "_config.yml": 'title: book\nexecute:\n  execute_notebooks: "off"\n',
    "_toc.yml": "format: jb-book\nroot: index\n",
}
# What the theme of Jupyter Book 1 complains about on every page.
BOOK_1_PROBLEMS = ("'THEBE_JS_URL' has already been declared", "Got invalid theme mode")
# MyST's own templates are fetched when they are used: these have what a build asks of one, and nothing that is looked at.
MYST_BOOK = {
    "myst.yml": """
version: 1
project:
  toc: [{file: index.ipynb}]
  exports: [{format: tex, template: ./paper, article: index.ipynb, output: out/index.tex}]
site: {template: ./theme}
""",
    "paper/template.yml": "{jtex: v1, kind: tex, title: paper, files: [template.tex]}",
    "paper/template.tex": "[-CONTENT-]",
    "theme/template.yml": "{myst: v1, kind: site, title: theme}",
}
# What MyST's themes draw outputs with, and the elements that they put around the outputs of a cell
# (`Outputs` and `PassiveOutputRenderer` of @myst-theme/jupyter 1.4).
THEBE = NpmFile(
    "thebe-core",
    "0.5.0",
    "LIAbySgyoH8PPojNOwTwnjHta332CXtqVMPtgC3wBuIkHkgQpJYZUkWGvZR+T6pkgmjIei/WkKMFtV1jstXwWA==",
    "dist/lib/thebe-core.min.js",
)
DRAW = """(outputs) => {
  const core = thebeCore.module;
  const container = document.createElement("div");
  container.dataset.name = "outputs-container";
  document.body.append(container);
  for (const output of outputs) {
    const place = document.createElement("div");
    place.dataset.thebePassiveRef = "true";
    container.append(place);
    const cell = new core.PassiveCellRenderer("cell", core.makeRenderMimeRegistry(), undefined);
    cell.attachToDOM(place, true);
    cell.render(core.stripWidgets([output]) ?? [output]);
  }
}"""
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


def beside(book: Path, folder: Path, files: dict[str, str]) -> Path:
    """A folder of the same notebook with these files around it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    shutil.copy(book / "index.ipynb", folder)
    return folder


def run(folder: Path, *command: Path | str) -> None:
    """Run a program of books in a folder, cut off from the network."""
    own = environment(folder)
    # MyST runs in Node; the environment of the tests brings one.
    own["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), own["PATH"]])
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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


def test_the_page_of_jupyter_book_1_has_the_copy(
    book: Path, tmp_path: Path, chromium: Browser
) -> None:
    folder = beside(book, tmp_path, BOOK_1)
    run(folder, JUPYTER_BOOK, "build", ".")
    size = {"width": 1300, "height": 900}
    with watched(chromium, viewport=size, offline=True, known=BOOK_1_PROBLEMS) as page:
        page.goto((folder / "_build/html/index.html").as_uri())
        output = page.locator(".cell_output")
        assert_answers(frozen(output), page)
        assert not output.locator("img").is_visible()
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "books-jupyter-book-1.png")


@pytest.fixture(scope="module")
def myst_book(book: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book that MyST has built: what its themes draw, and LaTeX."""
    folder = beside(book, tmp_path_factory.mktemp("myst"), MYST_BOOK)
    run(folder, MYST, "build", "--site", "--ci")
    run(folder, MYST, "build", "--tex", "--ci")
    return folder


@pytest.fixture
def theme(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page without a network that has what MyST's themes draw outputs with."""
    cache = request.config.cache
    assert cache is not None
    try:
        script = THEBE.read(cache.mkdir("npm"))
    except NotFetchedError as error:
        pytest.skip(str(error))
    size = {"width": 1000, "height": 1000}
    # It asks for what draws formulas whatever is in an output.
    with watched(chromium, viewport=size, offline=True, known=["MathJax"]) as page:
        page.set_content("<!doctype html><html><head></head><body></body></html>")
        page.add_script_tag(content=script)
        yield page


def test_the_site_of_myst_has_the_copy(myst_book: Path, theme: Page) -> None:
    site = myst_book / "_build/site"
    outputs = list(of_type(json.loads((site / "content/index.json").read_text("utf-8")), "output"))
    assert outputs
    theme.evaluate(
        DRAW, [with_files(output["jupyter_data"], site / "public") for output in outputs]
    )
    output = theme.locator("[data-name=outputs-container]")
    assert_answers(frozen(output), theme)
    # Each output has an area of its own there, which the copy is not in.
    assert not output.locator("img").is_visible()


def test_the_latex_of_myst_has_the_picture(myst_book: Path) -> None:
    text = (myst_book / "out/index.tex").read_text("utf-8")
    (picture,) = re.findall(r"\\includegraphics\[[^]]*\]\{([^}]+)\}", text)
    assert (myst_book / "out" / picture).read_bytes().startswith(b"\x89PNG")


def of_type(node: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Every node of this type in a tree of MyST's."""
    children = node if isinstance(node, list) else list(node.values())
    if isinstance(node, dict) and node.get("type") == kind:
        yield node
    for child in children:
        if isinstance(child, dict | list):
            yield from of_type(child, kind)


def with_files(output: dict[str, Any], public: Path) -> dict[str, Any]:
    """An output with what stands in files put in its place, as a theme reads it."""

    def content(entry: dict[str, str]) -> str:
        if "path" not in entry:
            return entry["content"]
        data = (public / entry["path"].lstrip("/")).read_bytes()
        image = entry["content_type"].startswith("image/")
        return base64.b64encode(data).decode("ascii") if image else data.decode("utf-8")

    return {**output, "data": {mime: content(entry) for mime, entry in output["data"].items()}}
