"""What comes over the border with the page, or from a cell: all of it is checked, answered, and refused as a whole."""

from __future__ import annotations

import itertools
import json
import math
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import traitlets
from contract.record import record

import attnwidget as aw
from attnwidget.serve.selection import SelectionError
from attnwidget.serve.selection_parts import STATE

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = {"stream": "decoder", "layer": 0, "head": 0}
RESPONSE = "anywidget-command-response"
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 10**400, 10**5000, -(10**400), 0.0, 1.0, 0.5, -0.5, 2.5, math.nan, math.inf,
    "", "decoder", "probe", "ranking", "broad", "all", "\ud800", b"x", [], [0], [1], [True], [1.0], [[0, 1]], [[0], [1]],
    [[True, 0]], [[0, 1, 2]], ["cat"], [None], [{}], {}, {"queries": None, "keys": [1]}, {"queries": [0], "keys": []},
    {"queries": [[0]], "keys": [1]}, {"queries": None, "keys": [True]}, {"queries": None}, {"pattern": "p", "number": []},
    {"pattern": [], "number": 0}, {"pattern": "p", "number": True}, {"pattern": "p", "number": 10**400}, (), (0, 1),
    {0, 1}, range(3), range(0), slice(0, 2), object(), np.array([0, 1]), np.array([[0, 1]]), np.array(1), np.array(0.5),
    np.array([True, False]), np.int64(1), np.float32(0.5), np.bool_(1), torch.tensor([0, 1]), torch.tensor([[0, 1]]),
    torch.tensor(1), torch.tensor(0.5), torch.tensor([]), torch.tensor([True]), complex(1, 1), int, {"a": {"b": [1]}},
)  # fmt: skip


# What an error of a part that is made of others may name.
NAMED = {
    "compare": ("compare", "layer", "heads"),
    "ranking": ("ranking", "pattern", "query", "key"),
}


def view_of_two_layers() -> aw.AttentionWidget:
    view = aw.view(record())
    view.layer, view.heads, view.threshold, view.without_sink, view.compare = (
        2, [1], 1.0, True, [(0, 1)],
    )  # fmt: skip
    view.show_layers, view.query = [0], 1
    view.rank(query=0, key=1)
    return view


def state(view: aw.AttentionWidget) -> str:
    # As text: True is equal to 1, and the page tells them apart.
    return json.dumps({name: getattr(view, name) for name in STATE}, allow_nan=False)


def set_one(view: aw.AttentionWidget, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(view, name, value)


def set_together(view: aw.AttentionWidget, values: dict[str, Any]) -> None:
    with view.hold_trait_notifications():
        set_one(view, values)


def set_by_the_page(view: aw.AttentionWidget, values: dict[str, Any]) -> None:
    view.set_state(values)


@pytest.mark.parametrize("ways", [set_one, set_together, set_by_the_page])
def test_every_value_is_taken_in_its_form_or_refused_without_a_trace(
    ways: Callable[[aw.AttentionWidget, dict[str, Any]], None],
) -> None:
    # Two views for all of it: making one anew for every value would take most of the time.
    view, again = view_of_two_layers(), aw.view(record())
    before = state(view)
    for name, value in itertools.product(STATE, ODD):
        said = None
        try:
            ways(view, {name: value})
        except SelectionError as error:
            said = str(error)
        if said is not None:
            assert state(view) == before, name
            assert any(word in said for word in NAMED.get(name, (name,))), said
            assert len(said) < 1_500
        else:
            taken = json.loads(state(view))
            if taken["ranking"] is None or "pattern" not in taken["ranking"]:
                again.set_state(taken)
                assert state(again) == state(view)
            view.set_state(json.loads(before))
            assert state(view) == before, name


def test_several_values_are_taken_all_or_none() -> None:
    chance = random.Random(7)
    view = view_of_two_layers()
    ways = (set_together, set_by_the_page)
    for _ in range(400):
        before = state(view)
        names = chance.sample(STATE, chance.randint(2, 4))
        values = {name: chance.choice(ODD) for name in names}
        try:
            chance.choice(ways)(view, values)
        except SelectionError:
            assert state(view) == before, values
        else:
            view.set_state(json.loads(before))


@pytest.mark.parametrize("raised", [KeyError("own"), KeyboardInterrupt()])
def test_what_a_block_raises_comes_as_it_is_and_takes_all_back(raised: BaseException) -> None:
    view = view_of_two_layers()
    before, seen = state(view), []
    view.observe(seen.append)

    def fails() -> None:
        with view.hold_trait_notifications():
            view.layer, view.heads = 99, [0]
            raise raised

    with pytest.raises(type(raised)) as caught:
        fails()
    assert caught.value is raised
    assert state(view) == before
    assert seen == []


def test_the_values_of_the_report() -> None:
    view = view_of_two_layers()
    before = state(view)
    for values in (
        {"layer": True, "heads": [0]},
        {"threshold": 10**400, "layer": 0},
        {"show_layers": torch.tensor([[0, 1]])},
        {"score": np.array([1, 2]), "layer": 0},
        {"query": [[0, 1]], "heads": [2]},
        {"ranking": {"pattern": "p", "number": []}, "layer": 0},
        {"stream": ["decoder"]},
    ):
        for way in (set_together, set_by_the_page):
            with pytest.raises(traitlets.TraitError):
                way(view, values)
            assert state(view) == before
    # What holds can still be drawn.
    view.snapshot()


class Page:
    """The page's side of a widget, as far as messages go."""

    def __init__(self, view: aw.AttentionWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        self.view = view
        self.told: list[dict[str, Any]] = []
        self.states: list[set[str]] = []
        monkeypatch.setattr(
            view, "send", lambda content, _buffers=None: self.told.append(content), raising=False
        )
        monkeypatch.setattr(
            view, "send_state", lambda key=None: self.states.append({key} if isinstance(key, str) else set(key or ())),
            raising=False,
        )  # fmt: skip

    def custom(self, content: Any) -> dict[str, Any]:
        """Send a custom message; return the one answer to it."""
        self.told.clear()
        self.view._handle_custom_msg(json.loads(json.dumps(content)), [])
        (answer,) = self.told
        # What Jupyter does with it.
        json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
        return answer


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    return Page(aw.view(record()), monkeypatch)


def command(name: Any = "blocks", msg: Any = None, **rest: Any) -> dict[str, Any]:
    return {"id": "one", "kind": "anywidget-command", "name": name, "msg": msg, **rest}


@pytest.mark.parametrize(
    "msg",
    [None, [], "x", 3, {}, {"requests": "x"}, {"requests": None}, {"requests": {}}, {"request": []}, {"requests": [], "x": 1}],
)  # fmt: skip
def test_a_message_of_another_form_is_answered_with_the_reason(page: Page, msg: Any) -> None:
    answer = page.custom(command(msg=msg))
    assert (answer["id"], answer["kind"]) == ("one", RESPONSE)
    assert answer["response"]["error"]
    if isinstance(msg, dict):
        assert page.view.blocks(msg, [])[0]["error"]


@pytest.mark.parametrize(
    ("name", "msg"),
    [
        ("saved", {"token": []}), ("saved", {}), ("freeze_shown", {}), ("freeze_shown", []),
        ("freeze_shown", {"height": "9"}), ("freeze_shown", {"height": math.nan}), ("freeze_shown", {"height": -1}),
        ("still_drawn", {}), ("still_drawn", []), ("open_example", {"example": 0}), ("nothing", {}), ("__init__", {}),
        ("close", {}), ([], {}), (None, {}),
    ],
)  # fmt: skip
def test_every_command_is_answered(page: Page, name: Any, msg: Any) -> None:
    answer = page.custom(command(name, msg))
    assert answer["id"] == "one"
    assert answer["response"]["error"]
    assert page.view.comm is not None or page.view.layer == 0


@pytest.mark.parametrize(
    "content",
    [None, [], "x", 3, {}, {"kind": "anywidget-command"}, {"kind": "else"}, {"kind": "anywidget-command", "name": "blocks"},
     command(msg={"requests": []}, id=None), command(msg={"requests": []}, id=["x"]),
     command(msg={"requests": []}, id="\ud800")],
)  # fmt: skip
def test_what_is_no_command_is_answered_too(page: Page, content: Any) -> None:
    answer = page.custom(content)
    assert answer["kind"] == RESPONSE
    assert answer["response"]["error"]


def test_an_interrupt_is_answered_and_goes_on(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(page.view._jobs, "reply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        page.custom(command(msg={"requests": []}))
    assert "interrupted" in page.told[0]["response"]["error"]


def test_ones_own_messages_go_to_who_listens(page: Page) -> None:
    heard = []
    page.view.on_msg(lambda _, content, __: heard.append(content))
    page.view._handle_custom_msg({"kind": "own"}, [])
    assert heard == [{"kind": "own"}]
    assert page.told == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (None, "must be object, got None"),
        ({**BASE, "what": ["tile"]}, "what must be one of weights"),
        ({"what": "tile"}, "must have stream, layer, head, level, tile"),
        ({**BASE, "what": "weights"}, "must have queries"),
        ({**BASE, "what": "lengths"}, "must have measure"),
        ({**BASE, "what": "overview", "measure": "weights"}, "must have size"),
        ({**BASE, "what": "column"}, "must have keys"),
        ({**BASE, "what": "weights", "queries": [0, 1], "layer": -1}, "layer must be"),
        ({**BASE, "what": "weights", "queries": [0, 1], "layer": True}, "layer must be integer, got True"),
        ({**BASE, "what": "weights", "queries": [0, 1], "layer": 0.0}, "integers where it has numbers, got 0.0"),
        ({**BASE, "what": "weights", "queries": [0, 1], "layer": 1}, "layer must be one of 0, 2"),
        ({**BASE, "what": "weights", "queries": [0, 1], "head": 10**12}, "heads must be integers in 0..3"),
        ({**BASE, "what": "weights", "queries": [-2, 10**12]}, "must be bigger than or equal to 0, got -2"),
        ({**BASE, "what": "weights", "queries": [0, 10**12]}, "queries must be a range of 0..5"),
        ({**BASE, "what": "weights", "queries": [3, 3]}, "queries must be a range of 0..5"),
        ({**BASE, "what": "column", "keys": [0, 99]}, "keys must be a range of 0..7"),
        ({**BASE, "what": "mean", "queries": [4, 9]}, "queries must be a range"),
        ({**BASE, "what": "tile", "level": 10**6, "tile": [0, 0]}, "level must be smaller than or equal to 40"),
        ({**BASE, "what": "tile", "level": 40, "tile": [0, 0]}, "level must be in 0..3"),
        ({**BASE, "what": "tile", "level": 0, "tile": [0, 10**9]}, "there is no tile"),
        ({**BASE, "what": "overview", "measure": "weights", "size": 10**9}, "size must be smaller"),
        ({**BASE, "what": "weights", "queries": [0, 1], "stream": "nowhere"}, "stream must be one of 'decoder', 'probe'"),
        ({"what": "head_scores", "stream": "nowhere"}, "stream must be one of"),
        ({"what": "ranking", "stream": "decoder"}, "must have ranking"),
        ({"what": "ranking", "stream": "decoder", "ranking": {"pattern": "p", "number": []}}, "none of the forms"),
        ({"what": "ranking", "stream": "decoder", "ranking": {"pattern": "p", "number": 7}}, "there is no pattern 'p'"),
        ({"what": "ranking", "stream": "decoder", "ranking": {"queries": None, "keys": [99]}}, "99"),
    ],
)  # fmt: skip
def test_a_request_for_what_there_is_not_says_so_and_takes_nothing_from_others(
    page: Page, request_: Any, words: str
) -> None:
    good = {**BASE, "what": "weights", "queries": [0, 5]}
    answer = page.custom(command(msg={"requests": [good, request_, good]}))
    first, bad, last = answer["response"]["replies"]
    assert first["ok"] is last["ok"] is True
    assert bad["ok"] is False
    assert words in bad["error"]


def test_bands_of_vectors_are_checked_by_the_positions_of_their_own_side(page: Page) -> None:
    """Five queries and seven keys: the range of a band of key or value vectors is one of keys."""
    for what, count in {"query_vectors": 5, "key_vectors": 7, "value_vectors": 7}.items():
        requests = [{**BASE, "what": what, "queries": [0, stop]} for stop in (count, count + 1)]
        answer = page.custom(command(msg={"requests": requests}))
        within, beyond = answer["response"]["replies"]
        assert within["ok"] is True, within
        assert beyond["ok"] is False
        assert f"queries must be a range of 0..{count}" in beyond["error"]


def test_after_a_refused_set_the_page_is_told_what_holds(page: Page) -> None:
    for wrong in (
        {"layer": 99, "heads": [0]},
        {"layer": -1},
        {"layer": "0"},
        {"heads": 2},
        {"_screen": {"width": "x"}},
    ):
        page.states.clear()
        with pytest.raises(SelectionError):
            page.view.set_state(wrong)
        assert set(wrong) in page.states
    for wrong in (None, [], "x"):
        with pytest.raises(SelectionError):
            page.view.set_state(wrong)


def test_what_is_the_kernels_own_the_page_cannot_set(page: Page) -> None:
    view = page.view
    before = {name: getattr(view, name) for name in ("meta", "overview", "_esm", "_bundle")}
    view.set_state({"meta": {}, "overview": b"", "_esm": "alert(1)", "_bundle": b"", "layer": 2})
    assert {name: getattr(view, name) for name in before} == before
    assert view.layer == 2
    assert set(before) in page.states
    page.states.clear()
    # A host that sends everything back.
    view.set_state({"meta": view.meta, "layer": 0})
    assert not any(page.states)


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"method": 3}, {"method": "gossip"}, {"method": "update", "state": []},
     {"method": "update", "state": {}, "buffer_paths": [["layer", "x"]]}],
)  # fmt: skip
def test_a_message_that_is_none_of_a_widgets_is_answered(page: Page, data: Any) -> None:
    page.view._handle_msg({"content": {"data": data}, "buffers": []})
    assert page.told[0]["kind"] == "refused"
    assert page.told[0]["error"]
