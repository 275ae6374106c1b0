"""Fixtures for what a view finds a slice at a time: the pocket model, a view of it, a kernel that takes one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.loops import CalledLoop

import attnwidget as aw
from attnwidget.compute import resumable
from attnwidget.widget.found import in_slices

if TYPE_CHECKING:
    from attnwidget.widget.widget import AttentionWidget


@pytest.fixture(scope="module")
def pocket() -> tuple[Any, Any]:
    return aw.pocket()


@pytest.fixture
def view(pocket: tuple[Any, Any]) -> AttentionWidget:
    text = "the cat sat on the mat because it"
    return aw.view(pocket[0], text, pocket[1], layer=3, query="it")


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> CalledLoop:
    """A kernel whose callbacks are called when the test says so, and one slice of work each."""
    loop = CalledLoop.of_kernel(monkeypatch)
    monkeypatch.setattr(in_slices, "advance", lambda work, _: resumable.advance(work, 0.0))
    return loop
