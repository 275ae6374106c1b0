"""`make docs`: a site of the documents, the notebooks and every public docstring, in plain files that need no network.

``python tests/docs/build.py FOLDER`` writes it; it fails where a link of the site leads nowhere, or a page would fetch
anything. Notebooks are shown with the outputs that are stored in them; the first page has a view that draws.
"""

from __future__ import annotations

import html
import re
import shutil
import sys
import warnings
from pathlib import Path

import latex2mathml.converter
import markdown2
import nbformat
import pdoc
from nbconvert import HTMLExporter

import attnwidget as aw

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from docs.links import problems

ROOT = Path(__file__).resolve().parents[2]
# What stands in the site at the place that it has in the repository, as a page.
DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "attnwidget/capture/README.md",
    "attnwidget/pocket/README.md",
    "attnwidget/protocol/README.md",
    "notebooks/README.md",
    "tests/bench/README.md",
    "tests/browser/README.md",
    "tests/capture/coverage.md",
)
# Where a notebook's page would ask a server: for formulas, for requirejs, for what draws live widgets.
NOTHING = "data:,"
WIDGET = "application/vnd.jupyter.widget-view+json"
TEXT = "The cat sat on the mat because it was tired"
EXTRAS = ["fenced-code-blocks", "tables", "header-ids", "code-friendly", "cuddled-lists"]
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ max-width: 60rem; margin: 0 auto; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; }}
nav a {{ margin-right: 1rem; }}
img {{ max-width: 100%; }}
pre {{ overflow-x: auto; padding: .75rem; background: color-mix(in srgb, currentColor 6%, transparent); }}
code {{ font: 14px ui-monospace, monospace; }}
table {{ display: block; overflow-x: auto; border-collapse: collapse; }}
td, th {{ padding: .25rem .75rem; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); text-align: left; }}
iframe {{ width: 100%; height: 900px; border: 0; }}
</style>
</head>
<body>
<nav><a href="{up}index.html">attnwidget</a><a href="{up}api/attnwidget.html">Python</a><a
 href="{up}notebooks/index.html">notebooks</a></nav>
{body}
</body>
</html>
"""


def target(path: str) -> str:
    """Return where a file of the repository stands in the site: READMEs are the first page of their folder."""
    for own, there in (("README.md", "index.html"), (".md", ".html"), (".ipynb", ".html")):
        if path.endswith(own):
            return path.removesuffix(own) + there
    return path


def document(name: str, folder: Path) -> None:
    """Write the page of a document, and what it shows or leads to that is no page of the site."""
    text = (ROOT / name).read_text(encoding="utf-8")
    body = str(markdown2.markdown(text, extras=EXTRAS))

    def link(found: re.Match[str]) -> str:
        attribute, address = found[1], html.unescape(found[2])
        if re.match(r"[a-z]+:|#", address):
            return found[0]
        path, mark, anchor = address.partition("#")
        there = target(path)
        if there == path:
            source = (ROOT / name).parent / path
            copy = (folder / name).parent / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
        return f'{attribute}="{html.escape(there + mark + anchor)}"'

    body = re.sub(r'\b(href|src)="([^"]*)"', link, body)
    if name == "README.md":
        body += view(folder)
    page = folder / target(name)
    page.parent.mkdir(parents=True, exist_ok=True)
    title = text.splitlines()[0].lstrip("# ")
    up = "../" * name.count("/")
    page.write_text(PAGE.format(title=html.escape(title), up=up, body=body), encoding="utf-8")


def view(folder: Path) -> str:
    """Write a page with a view, and return the frame that shows it."""
    model, tokenizer = aw.pocket()
    attention = aw.capture(model, TEXT, tokenizer)
    attention.save(folder / "view.html", layer=3, heads=[3, 1], query="it")
    return '<h2 id="a-view">A view</h2><iframe src="view.html" title="a view of the pocket model"></iframe>'


def notebook(path: Path, folder: Path) -> None:
    """Write the page of a notebook with the outputs that are stored in it; of a live view these are its picture and words."""
    read = nbformat.read(path, as_version=4)
    for cell in read.cells:
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if WIDGET not in each.get("data", {})]
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\$\$(.+?)\$\$", formula, cell.source, flags=re.DOTALL)
            cell.source = re.sub(r"\]\(([\w/.-]+\.(?:ipynb|md))", page_of, cell.source)
    exporter = HTMLExporter(mathjax_url=NOTHING, require_js_url=NOTHING, mermaid_js_url=NOTHING)
    body, _ = exporter.from_notebook_node(read, {"metadata": {"name": path.stem}})
    there = folder / "notebooks" / f"{path.stem}.html"
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text(body, encoding="utf-8")


def page_of(found: re.Match[str]) -> str:
    """Return a link of a notebook as it is in the site."""
    return f"]({target(found[1])}"


def formula(found: re.Match[str]) -> str:
    """Return a formula as browsers draw it themselves."""
    return str(latex2mathml.converter.convert(found[1].strip(), display="block"))


def reference(folder: Path) -> None:
    """Write a page of every public name, from the docstrings."""
    pdoc.render.configure(
        docformat="google",
        show_source=False,
        footer_text=f"attnwidget {aw.__version__}",
        edit_url_map={},
    )
    taken_from = pdoc.doc.Class._taken_from

    def own(of: pdoc.doc.Class, name: str, value: object) -> tuple[str, str]:
        # Methods come from base classes that are no public names: they stand where a reader looks for them.
        module, place = taken_from(of, name, value)
        return (
            (of.modulename, f"{of.qualname}.{name}")
            if module.startswith("attnwidget")
            else (module, place)
        )

    pdoc.doc.Class._taken_from = own
    # Imported when it is asked for, which pdoc does not.
    vars(aw)["inspect"] = aw.inspect
    with warnings.catch_warnings():
        # Options are named by types that only a type checker imports.
        warnings.filterwarnings("ignore", message="Error parsing type annotation")
        pdoc.pdoc(
            "attnwidget",
            r"!attnwidget\..+",
            "attnwidget.figures.figure",
            output_directory=folder / "api",
        )


def build(folder: Path) -> None:
    """Write the site into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    reference(folder)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook(path, folder)
    shutil.copytree(ROOT / "notebooks/images", folder / "notebooks/images", dirs_exist_ok=True)
    for name in DOCUMENTS:
        document(name, folder)


def main() -> None:
    """Write the site and check it.

    Raises:
        SystemExit: A link leads nowhere, or a page would fetch something.
    """
    folder = Path(sys.argv[1]).resolve()
    build(folder)
    found = problems(folder)
    if found:
        sys.exit("\n".join(found))
    sys.stdout.write(f"{len(list(folder.rglob('*.html')))} pages: {folder / 'index.html'}\n")


if __name__ == "__main__":
    main()
