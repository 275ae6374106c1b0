"""What is saved: pages without a kernel, figures, and what the browser draws on request."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from contract.record import record

import attnwidget as aw
from attnwidget import figures
from attnwidget.page import blocks_that_fit

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def view() -> aw.AttentionWidget:
    return aw.view(record())


def test_a_page_holds_everything_and_nothing_that_ends_its_script(
    view: aw.AttentionWidget, tmp_path: Path
) -> None:
    view.layer, view.heads = 2, [3]
    text = view.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "</script><b>" not in text
    assert text.count("</script>") == 3
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", text)
    snapshot = json.loads(text.split('id="snapshot">')[1].split("</script>")[0])
    assert snapshot["state"]["layer"] == 2
    first = snapshot["blocks"][0]["request"]
    assert (first["what"], first["layer"], first["head"]) == ("weights", 2, 3)


def test_a_page_keeps_what_is_nearest_when_not_all_fits(view: aw.AttentionWidget) -> None:
    view.layer, view.heads, view.compare = 2, [3], [(0, 1)]
    state = view._snapshot()["state"]
    everything = blocks_that_fit(view.attention, state)
    sizes = [len(kept["block"]["data"]) for kept in everything]
    some = blocks_that_fit(view.attention, state, sum(sizes[:9]))
    assert 0 < len(some) <= 9
    assert some == everything[: len(some)]
    heads = [(kept["request"]["layer"], kept["request"]["head"]) for kept in everything]
    order = list(dict.fromkeys(heads[: heads.index((2, 0))]))
    assert sorted(order) == [(0, 1), (2, 3)]


@pytest.mark.parametrize("name", ["figure.svg", "figure.png", "figure.pdf"])
def test_figures_need_no_browser(view: aw.AttentionWidget, tmp_path: Path, name: str) -> None:
    view.query = 2
    data = view.save(tmp_path / name, width=700).read_bytes()
    start = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}[name[-3:]]
    assert data.startswith(start)
    assert data == view.save(tmp_path / name, width=700).read_bytes() or name.endswith("pdf")


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
        ({"width": 0}, "width must be a positive number, got 0"),
        ({"width": float("nan")}, "width must be a positive number, got nan"),
        ({"width": "wide"}, "width must be a positive number, got 'wide'"),
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
    (token,) = view._saving
    with pytest.warns(UserWarning, match=r"figure\.svg was not written: no canvas"):
        view.saved({"token": token, "error": "no canvas"}, [])
    assert not target.exists()
    assert view._saving == {}


def test_without_the_extra_a_figure_says_how_to_get_it(
    view: aw.AttentionWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "py_mini_racer", None)
    assert not figures.available()
    with pytest.raises(ImportError, match=re.escape('pip install "attnwidget[figures]"')):
        view.save(tmp_path / "figure.svg")
