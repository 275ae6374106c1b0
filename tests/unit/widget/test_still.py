"""When a still picture is made, of what, and what becomes of it; the kernel is a stand-in."""

from __future__ import annotations

import html
import re
import weakref
from base64 import b64decode
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contract.record import record

import attnwidget as aw
from attnwidget.figures.small_png import MOST_BYTES, checked_png, encoded
from attnwidget.widget import notebook_display
from attnwidget.widget import still as stills

if TYPE_CHECKING:
    from collections.abc import Callable

PNG = "image/png"


class Loop:
    """A kernel's loop: nothing runs until the cell is over."""

    def __init__(self) -> None:
        self.callbacks: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.timers: dict[int, Callable[[], None]] = {}
        self.made = 0

    def add_callback(self, function: Callable[..., None], *arguments: Any) -> None:
        self.callbacks.append((function, arguments))

    def call_later(self, _seconds: float, function: Callable[[], None]) -> int:
        self.made += 1
        self.timers[self.made] = function
        return self.made

    def remove_timeout(self, timer: int) -> None:
        self.timers.pop(timer, None)

    def run_in_executor(
        self, _: None, function: Callable[..., Any], *arguments: Any
    ) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future

    def add_future(self, future: Future[Any], callback: Callable[..., None]) -> None:
        self.add_callback(callback, future)

    def step(self) -> None:
        function, arguments = self.callbacks.pop(0)
        function(*arguments)

    def rest(self) -> int:
        """Run callbacks and timers until there are none; return how many timers went off."""
        fired = 0
        while self.callbacks or self.timers:
            if self.callbacks:
                self.step()
            else:
                fired += 1
                self.timers.pop(min(self.timers))()
        return fired


class Events:
    def __init__(self) -> None:
        self.kept: list[Callable[..., None]] = []

    def register(self, _event: str, function: Callable[..., None]) -> None:
        self.kept.append(function)

    def unregister(self, _event: str, function: Callable[..., None]) -> None:
        self.kept.remove(function)

    def end_of_cell(self) -> None:
        for function in list(self.kept):
            function(None)


class Kernel:
    def __init__(self) -> None:
        self.io_loop = Loop()
        self.shell = self
        self.events = Events()
        self.asks = True

    def get_parent(self) -> dict[str, Any]:
        return {"header": {"msg_type": "execute_request"}, "content": {"allow_stdin": self.asks}}


Shown = list[tuple[dict[str, str], dict[str, Any]]]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(stills, "kernel", lambda: made)
    return made


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    outputs: Shown = []
    monkeypatch.setattr(
        notebook_display, "display", lambda bundle, **options: outputs.append((bundle, options))
    )
    return outputs


@pytest.mark.usefixtures("kernel")
def test_nothing_is_drawn_before_the_cell_is_over(shown: Shown) -> None:
    aw.view(record())._ipython_display_()
    assert len(shown) == 2
    assert PNG not in shown[1][0]


def test_it_comes_once_the_kernel_is_idle_in_place_of_the_note(
    kernel: Kernel, shown: Shown
) -> None:
    view = aw.view(record(), layer=2, heads=[1], query=2)
    view._ipython_display_()
    assert kernel.io_loop.rest() == 1
    _, note, (later, options) = shown
    assert options["update"]
    assert options["display_id"] == note[1]["display_id"] != shown[0][1]["display_id"]
    data = b64decode(later[PNG])
    assert options["metadata"][PNG]["width"] == checked_png(data)[0]
    assert f'src="data:image/png;base64,{later[PNG]}"' in later["text/html"]
    assert "Run this cell again" in later["text/html"]
    # What the reading line says stands over it.
    weight = view.attention["decoder"][2].weights(head=1)[2].max()
    assert re.search(
        rf'<p class="attnwidget-said">“.+” looks most at “.+”, {weight:.3f} of its weight\. decoder, layer 2, head 1 · query 2</p><img',
        later["text/html"],
    )


def test_many_changes_make_one_picture_and_none_makes_none(kernel: Kernel, shown: Shown) -> None:
    view = aw.view(record())
    view._ipython_display_()
    kernel.io_loop.rest()
    view.layer, view.heads, view.query = 2, [2], 3
    view.layer = 0
    view.layer = 2
    # Each change begins the wait anew.
    assert kernel.io_loop.rest() == 1
    assert len(shown) == 4
    assert shown[2][0][PNG] != shown[3][0][PNG]
    view.query = 2
    view.query = 3
    assert kernel.io_loop.rest() == 1
    assert len(shown) == 4


def test_a_change_while_it_is_drawn_begins_anew(kernel: Kernel, shown: Shown) -> None:
    view = aw.view(record(), choose=False)
    view._ipython_display_()
    loop = kernel.io_loop
    loop.step()
    loop.timers.pop(1)()
    assert loop.callbacks, "drawn in one go"
    view.layer = 2
    loop.rest()
    assert len(shown) == 3
    again = aw.view(record(), layer=2)
    again._ipython_display_()
    loop.rest()
    assert shown[-1][0][PNG] == shown[2][0][PNG]


def test_a_program_s_cell_has_it_at_once_and_the_last_of_each_cell(
    kernel: Kernel, shown: Shown
) -> None:
    kernel.asks = False
    view = aw.view(record())
    view._ipython_display_()
    assert PNG in shown[1][0]
    view.layer = 2
    view.query = 2
    assert len(shown) == 2
    kernel.events.end_of_cell()
    assert len(shown) == 3
    assert shown[2][1]["update"]
    assert shown[2][0][PNG] != shown[1][0][PNG]
    assert not kernel.events.kept
    assert not kernel.io_loop.callbacks


def test_not_shown_switched_off_or_closed_it_is_not_made(kernel: Kernel, shown: Shown) -> None:
    unseen = aw.view(record())
    unseen.layer = 2
    aw.view(record(), still=False)._ipython_display_()
    closed = aw.view(record())
    closed._ipython_display_()
    closed.close()
    kernel.io_loop.rest()
    assert not [bundle for bundle, _ in shown if PNG in bundle]


def test_comparisons_and_surveys_have_the_option(kernel: Kernel, shown: Shown) -> None:
    compared = aw.compare(record(), record())
    aw.view(compared, still=False)._ipython_display_()
    compared.view(still=False)._ipython_display_()
    kernel.io_loop.rest()
    assert not [bundle for bundle, _ in shown if PNG in bundle]
    aw.view(compared)._ipython_display_()
    kernel.io_loop.rest()
    assert PNG in shown[-1][0]


def test_a_frozen_view_has_one_beside_it(kernel: Kernel, shown: Shown) -> None:
    aw.view(record(), frozen=True)._ipython_display_()
    kernel.io_loop.rest()
    copy, note, later = (bundle for bundle, _ in shown)
    assert copy["text/html"].startswith("<iframe")
    assert PNG not in note
    assert PNG in later
    assert "Run this cell again" not in later["text/html"]


def test_frozen_later_the_words_change_and_the_picture_stays(kernel: Kernel, shown: Shown) -> None:
    view = aw.view(record())
    view._ipython_display_()
    kernel.io_loop.rest()
    view.freeze()
    kernel.io_loop.rest()
    note = shown[-1][0]
    assert note[PNG] == shown[2][0][PNG]
    assert "Run this cell again" in shown[2][0]["text/html"]
    assert "Run this cell again" not in note["text/html"]


def test_the_browser_is_asked_where_the_extra_is_missing(
    kernel: Kernel, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stills, "can_draw", lambda: False)
    view = aw.view(record())
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(view, "send", lambda content, _buffers=None: asked.append(content))
    view._ipython_display_()
    kernel.io_loop.rest()
    assert not asked, "no browser has shown it yet"
    view._screen = {"width": 900, "dark": False, "scroll": {}}
    kernel.io_loop.rest()
    assert asked == [{"kind": "still", "most": MOST_BYTES}]
    data = encoded(np.zeros((20, 30, 3), np.uint8), 16, 1.0)
    said = "“<b>” looks at “cat”, 0.999 of its weight."
    assert view.still_drawn({"width": 60, "height": 40, "said": said}, [data]) == ({}, [])
    assert b64decode(shown[-1][0][PNG]) == data
    note = shown[-1][0]["text/html"]
    escaped = "“&lt;b&gt;” looks at “cat”, 0.999 of its weight."
    assert f'<p class="attnwidget-said">{escaped}</p><img' in note
    assert f'alt="{html.escape(repr(view))}: {escaped}"' in note
    assert shown[-1][1]["metadata"][PNG] == {"width": 60, "height": 40}


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("data", [b"", b"<svg/>", bytes(MOST_BYTES + 1)])
def test_what_the_browser_sends_is_checked(shown: Shown, data: bytes) -> None:
    view = aw.view(record())
    view._ipython_display_()
    answer, _ = view.still_drawn({"width": 60, "height": 40, "said": ""}, [data])
    assert answer["error"].startswith("The picture")
    assert len(shown) == 2


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("size", [None, "9", -1, 0, 10**9, float("nan")])
def test_a_size_that_cannot_be_is_not_taken(shown: Shown, size: object) -> None:
    view = aw.view(record())
    view._ipython_display_()
    data = encoded(np.zeros((20, 30, 3), np.uint8), 16, 1.0)
    view.still_drawn({"width": size, "height": size, "said": ""}, [data])
    assert shown[-1][1]["metadata"][PNG] == {"width": 30, "height": 20}


def test_a_picture_that_fails_harms_nothing(
    kernel: Kernel, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.asks = False
    view = aw.view(record())

    def fails(_request: object) -> object:
        raise ValueError

    monkeypatch.setattr(view, "work", fails)
    view._ipython_display_()
    assert PNG not in shown[1][0]
    kernel.asks = True
    view.layer = 2
    kernel.io_loop.rest()
    assert len(shown) == 2


def test_what_takes_too_long_is_left_out(
    kernel: Kernel, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def slow() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(stills.time, "monotonic", slow)
    view = aw.view(record())

    def endless(_request: object) -> Any:
        while True:
            yield 0.0

    monkeypatch.setattr(view, "work", endless)
    view._ipython_display_()
    kernel.io_loop.rest()
    assert PNG in shown[-1][0]


def test_a_frozen_view_lives_until_its_picture_is_there_and_no_longer(
    kernel: Kernel, shown: Shown
) -> None:
    view = aw.view(record(), frozen=True)
    view._ipython_display_()
    gone = weakref.ref(view)
    del view
    assert gone() is not None
    kernel.io_loop.rest()
    # Without Python's search for rings, which may not come before many more are made.
    assert gone() is None
    before = len(shown)
    kernel.io_loop.rest()
    assert len(shown) == before
