"""Figures: drawn here, and what the browser draws on request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from contract.record import record

import attnwidget as aw
from attnwidget.figures import renderer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def view() -> aw.AttentionWidget:
    return aw.view(record(), choose=False)


@pytest.mark.parametrize("name", ["figure.svg", "figure.png", "figure.pdf"])
def test_figures_need_no_browser(view: aw.AttentionWidget, tmp_path: Path, name: str) -> None:
    view.query = 2
    data = view.save(tmp_path / name, width=700).read_bytes()
    start = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}[name[-3:]]
    assert data.startswith(start)
    assert data == view.save(tmp_path / name, width=700).read_bytes()


def test_a_figure_follows_the_selection(view: aw.AttentionWidget, tmp_path: Path) -> None:
    first = view.save(tmp_path / "a.svg").read_text(encoding="utf-8")
    view.layer, view.heads = 2, [1]
    second = view.save(tmp_path / "b.svg").read_text(encoding="utf-8")
    assert "layer 2, heads 1" in second
    assert first != second


def test_an_unknown_ending_and_a_missing_browser_say_what_to_do(
    view: aw.AttentionWidget, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"path must end in .svg, .png, .pdf or .html"):
        view.save(tmp_path / "figure.gif")
    with pytest.raises(RuntimeError, match="not displayed"):
        view.save(tmp_path / "figure.svg", renderer="browser")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"width": 0}, "width must be a positive number of pixels, or text such as '85mm'"),
        ({"width": float("nan")}, "got nan"),
        ({"width": "wide"}, "got 'wide'"),
        ({"scale": -1}, "scale must be a positive number, got -1"),
        ({"renderer": "chrome"}, "renderer must be 'auto', 'headless' or 'browser', got 'chrome'"),
    ],
)
def test_options_of_a_figure_are_checked(
    view: aw.AttentionWidget, tmp_path: Path, option: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        view.save(tmp_path / "figure.png", **option)


def test_the_browsers_figure_is_written_when_it_arrives(
    view: aw.AttentionWidget, tmp_path: Path
) -> None:
    sent = []
    view.send = lambda content, **_: sent.append(content)
    view._screen = {"width": 700, "dark": False, "scroll": {}}
    target = view.save(tmp_path / "figure.svg", renderer="browser")
    assert sent[0]["format"] == "svg"
    assert not target.exists()
    view.saved({"token": sent[0]["token"]}, [memoryview(b"<svg/>")])
    assert target.read_bytes() == b"<svg/>"


def test_a_figure_that_the_browser_could_not_draw_is_missed_aloud(
    view: aw.AttentionWidget, tmp_path: Path
) -> None:
    view._screen = {"width": 700, "dark": False, "scroll": {}}
    target = view.save(tmp_path / "figure.svg", renderer="browser")
    (token,) = view._browser_figures.waiting
    with pytest.warns(UserWarning, match=r"figure\.svg was not written: no canvas"):
        view.saved({"token": token, "error": "no canvas"}, [])
    assert not target.exists()
    assert view._browser_figures.waiting == {}


def test_without_the_extra_a_figure_says_how_to_get_it(
    view: aw.AttentionWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The engine of figures that were drawn before stays usable.
    renderer._renderer_of.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "py_mini_racer", None)
    assert not renderer.available()
    with pytest.raises(ImportError, match=re.escape('pip install "attnwidget[figures]"')):
        view.save(tmp_path / "figure.svg")


def test_the_text_of_the_page_follows_the_selection(
    view: aw.AttentionWidget, tmp_path: Path
) -> None:
    first = view.html(budget="1 MB")
    view.layer, view.heads = 2, [1]
    second = view.html(budget="1 MB")
    assert first != second
    assert view.save(tmp_path / "it.html", budget="1 MB").read_text(encoding="utf-8") == second
    assert len(second.encode()) <= 1_000_000
    with pytest.raises(ValueError, match="budget"):
        view.html(budget="much")
