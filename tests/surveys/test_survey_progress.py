"""The bar of a survey: rate and remaining time on a terminal and in a notebook, nothing in a log; inputs one at a time."""

from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support.workers import TEXTS

import attnwidget as aw
from attnwidget.surveys.progress import is_watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REST = r"2/2 \[\d\d:\d\d<\d\d:\d\d, +[\d.?]+ ?(input/s|s/input)\]"


class Terminal(io.StringIO):
    """A text file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


def said(monkeypatch: pytest.MonkeyPatch, pocket: Any, where: Any, texts: Iterable[Any], **options: Any) -> str:  # fmt: skip
    from tqdm import tqdm

    monkeypatch.setattr("attnwidget.surveys.run.tqdm", tqdm)  # whatever pytest itself runs in
    monkeypatch.setattr(sys, "stderr", where)
    aw.survey(pocket[0], texts, pocket[1], **options)
    text: str = where.getvalue()
    return text


def test_a_terminal_is_told_rate_and_remaining_time(
    monkeypatch: pytest.MonkeyPatch, pocket: Any
) -> None:
    found = said(monkeypatch, pocket, Terminal(), TEXTS[:2])
    assert "survey: 100%" in found
    assert re.search(REST, found), found
    # Of a generator nobody knows how many are left.
    found = said(monkeypatch, pocket, Terminal(), iter(TEXTS[:2]))
    assert "2input [" in found
    assert "%" not in found


def test_a_log_is_told_nothing(monkeypatch: pytest.MonkeyPatch, pocket: Any) -> None:
    assert said(monkeypatch, pocket, io.StringIO(), TEXTS[:2]) == ""
    assert said(monkeypatch, pocket, Terminal(), TEXTS[:2], progress=False) == ""
    with pytest.raises(ValueError, match="progress must be True or False, got 'no'"):
        aw.survey(pocket[0], TEXTS[:2], pocket[1], progress="no")  # type: ignore[arg-type]


def test_a_kernel_is_watched_and_a_script_in_ipython_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for shell, expected in ((SimpleNamespace(kernel=object()), True), (SimpleNamespace(), False), (None, False)):  # fmt: skip
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))  # fmt: skip
        assert is_watched() is expected
    monkeypatch.setattr(sys, "stderr", None)
    assert not is_watched()


def test_a_generator_is_read_one_input_at_a_time() -> None:
    given: list[str] = []
    read: list[int] = []
    model, tokenizer = aw.pocket()
    model.register_forward_pre_hook(lambda *_: read.append(len(given)))

    def texts() -> Iterator[str]:
        for text in TEXTS[:4]:
            given.append(text)
            yield text

    found = aw.survey(model, texts(), tokenizer, progress=False)
    assert found.count == 4
    assert read == [1, 2, 3, 4]
