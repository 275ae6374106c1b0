"""`make docs`: the site is whole, its links lead somewhere, and no page of it fetches anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs.links import problems

import attnwidget as aw

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / "tests/docs/build.py"), str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_every_public_name_and_notebook_has_its_place(site: Path) -> None:
    reference = (site / "api/attnwidget.html").read_text(encoding="utf-8")
    places = set(re.findall(r'id="([\w.]+)"', reference))
    assert {*aw.__all__, "Attention.find", "Attention.groups", "AttentionWidget.layer"} <= places
    # A trait that has no words of its own would have those of traitlets.
    assert "value_trait" not in reference
    assert "Figure.save" in (site / "api/attnwidget/figures/figure.html").read_text("utf-8")
    pages = {path.stem for path in (site / "notebooks").glob("*.html")} - {"index"}
    assert pages == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    # Formulas are drawn by the browser; nothing is left of what would need a script to do so.
    explained = (site / "notebooks/00_attention_explained.html").read_text(encoding="utf-8")
    assert "<math" in explained
    assert "$$" not in re.sub(r"<(script|style).*?</\1>", "", explained, flags=re.DOTALL)


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here">1</a><a href="#nowhere">2</a><a href="b.html#there">3</a>'
        '<a href="c.html">4</a><a href="https://example.org/">5</a><img src="data:image/png;base64,">'
        '<img src="https://example.org/a.png"><style>p { background: url(//example.org/b.png) }</style>'
        '<script type="module">import "https://example.org/c.js"</script><a href="../out.html">6</a>',
        encoding="utf-8",
    )
    (tmp_path / "b.html").write_text("<p>no such place</p>", encoding="utf-8")
    assert problems(tmp_path) == [
        "a.html: #nowhere has no such place",
        "a.html: b.html#there has no such place",
        "a.html: c.html is not there",
        "a.html: ../out.html is not there",
        "a.html: fetches https://example.org/a.png",
        "a.html: fetches //example.org/b.png",
        "a.html: fetches https://example.org/c.js",
    ]
