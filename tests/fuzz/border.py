"""What a cell or the page sets on a view, and messages of the page: taken in its form, or refused as a whole."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import random
from functools import partial
from typing import TYPE_CHECKING, Any

from contract.record import record
from fuzz.explained import Tally
from fuzz.odd_values import odd_value

import attnwidget as aw
from attnwidget.serve.selection_parts import STATE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["messages", "traits"]

# What an error of a part that is made of others may name.
_NAMED = {
    "compare": ("layer", "heads"),
    "ranking": ("pattern", "query", "queries", "key", "keys", "number"),
}
# Of each part some that are right, for a view of the contract's record.
_RIGHT: dict[str, tuple[Any, ...]] = {
    "view": ("all", "model", "neuron"), "stream": ("decoder", "probe"), "layer": (0, 2), "heads": ([0], [1, 2], range(2)),
    "query": (0, [0, 1], "cat"), "key": (1, [2, 3]), "measure": ("value", "rollout"), "positions": ("words",),
    "form": ("matrix", "text", "geometry"), "compare": ([(0, 1)], [[0, 0], [2, 1]]), "step": (None, 0), "theme": ("dark",),
    "score": ("broad", "ranking"), "other_score": ("previous",), "arrange": ("rank", "scatter"),
    "threshold": (0, 0.5, 1.0), "below_threshold": ("hidden",), "show_layers": ([0], range(1)),
    "ranking": ({"queries": [0], "keys": [1]}, {"queries": None, "keys": ["cat"]}),
    "explain": ("head", "link"), "top_k": (1, None), "mass": (0.5, None), "aside": ("first", "special", [0]),
    "shade": ("fixed",), "together": ("mean", "max", None),
    "together_layers": ([0], range(1), None), "panels": ("one a head",), "grouping": ("part", None), "from_group": (None,),
    "to_group": (None,), "colour": ("norm", "group"),
}  # fmt: skip
_JSON_ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 99, 0.0, 1.0, 0.5, 1e300, math.nan, math.inf, 10**400, -(2**63), "", "decoder", "cat",
    "weights", "a \ud800", "\x00", "x" * 3000, [], [0], [1, 0], [0, 10**12], [None], [[0]], [True], ["x"], {}, {"a": 1},
    {"": {}}, {"queries": [0]}, {"keys": [0], "queries": None}, [{}], [[[[]]]],
)  # fmt: skip
_BASE = {"stream": "decoder", "layer": 0, "head": 0}
_REQUESTS: tuple[dict[str, Any], ...] = (
    {**_BASE, "what": "weights", "queries": [0, 5]}, {**_BASE, "what": "column", "keys": [0, 2]},
    {**_BASE, "what": "tile", "level": 0, "tile": [0, 0]}, {**_BASE, "what": "mean", "queries": [0, 2]},
    {**_BASE, "what": "overview", "measure": "weights", "size": 8}, {**_BASE, "what": "lengths", "measure": "value"},
    {**_BASE, "what": "geometry"},
    {"what": "head_scores", "stream": "decoder"}, {"what": "head_labels", "stream": "decoder"},
    {"what": "ranking", "stream": "decoder", "ranking": {"queries": [0], "keys": [1]}},
)  # fmt: skip
_COMMANDS: dict[str, Any] = {
    "saved": {"token": 1, "error": "no"},
    "still_drawn": {"width": 4, "height": 4, "said": "“it” looks at “cat”"},
    "freeze_shown": {"height": 400},
    "open_example": {"example": 0},
}
_SCREEN = {"width": 700, "height": 900, "dark": False, "scroll": {"head": 3}}


def _view() -> aw.AttentionWidget:
    return aw.view(record(), layer=2, heads=[1], query=1, threshold=1.0, compare=[(0, 1)])


def _state(view: aw.AttentionWidget) -> str:
    # As text: True is equal to 1, and the page tells them apart.
    return json.dumps({name: getattr(view, name) for name in STATE}, allow_nan=False)


def _set_together(view: aw.AttentionWidget, values: dict[str, Any]) -> None:
    with view.hold_trait_notifications():
        for name, value in values.items():
            setattr(view, name, value)


def _set_by_the_page(view: aw.AttentionWidget, values: dict[str, Any]) -> None:
    view.set_state(values)


def _takes(way: Callable[..., None], *arguments: Any) -> bool:
    """Let a call be told from one that raised."""
    way(*arguments)
    return True


_WAYS: tuple[Callable[[aw.AttentionWidget, dict[str, Any]], None], ...] = (
    _set_together,
    _set_by_the_page,
)


def traits(seed: int, cases: int) -> Tally:
    """Set one to four parts of the selection at once, ``cases`` times: all of them hold afterwards, or none."""
    chance, tally = random.Random(seed), Tally()
    view = _view()
    for _ in range(cases):
        names = chance.sample(STATE, chance.choice((1, 1, 2, 3, 4)))
        values = {
            name: chance.choice(_RIGHT[name]) if chance.random() < 0.5 else odd_value(chance)
            for name in names
        }
        way, before = chance.choice(_WAYS), _state(view)
        shown = f"{way.__name__}({_shown(values)})"
        words = [word for name in names for word in (name, *_NAMED.get(name, ()))]
        taken = tally.run(partial(_takes, way, view, values), shown, words)
        try:
            after = _state(view)
        except (TypeError, ValueError) as error:
            tally.wrong.append(f"{shown}: left what is no JSON: {error}")
            after = ""
        if after == before:
            continue
        if taken is None:
            tally.wrong.append(f"{shown}: refused, and changed all the same")
        elif after and not _can_be_set_again(after):
            tally.wrong.append(f"{shown}: taken, and not taken again as {after}")
        # Closed and made anew: a change is not to hide the next one.
        view.close()
        view = _view()
    view.close()
    return tally


def _can_be_set_again(state: str) -> bool:
    """Tell whether a state is one that the page may send, and means itself."""
    values = json.loads(state)
    if values["ranking"] and "pattern" in values["ranking"]:
        # Of a mask that the other view does not have.
        return True
    with contextlib.closing(aw.view(record())) as again:
        again.set_state(values)
        return _state(again) == state


def _shown(values: object) -> str:
    try:
        return repr(values)[:300]
    except Exception as error:  # noqa: BLE001 - what cannot be printed is passed as well
        return f"{type(error).__name__} where it is printed"


def messages(seed: int, cases: int) -> Tally:
    """Send ``cases`` messages of the page, right ones with something changed: one answer each, and it can be sent."""
    chance, tally = random.Random(seed), Tally()
    left = cases
    while left > 0:
        with contextlib.closing(_view()) as view:
            sent: list[Any] = []
            view.send = lambda content, _buffers=None, sent=sent: sent.append(content)  # type: ignore[method-assign]
            for _ in range(min(left, 50)):
                sent.clear()
                if chance.random() < 0.75:
                    _send_command(tally, view, chance, sent)
                else:
                    _send_update(tally, view, chance, sent)
        left -= 50
    return tally


def _send_command(
    tally: Tally, view: aw.AttentionWidget, chance: random.Random, sent: list[Any]
) -> None:
    """Send a command: it has one answer, with the reason where it is refused, and moves nothing."""
    name = chance.choice(("blocks", "blocks", "blocks", *_COMMANDS))
    requests = chance.sample(_REQUESTS, chance.randint(1, 3))
    message = {"requests": requests} if name == "blocks" else _COMMANDS[name]
    command = {"id": "one", "kind": "anywidget-command", "name": name, "msg": message}
    content = _changed(command, chance)
    shown, before = f"custom({_shown(content)})", _state(view)
    data = {"method": "custom", "content": content}
    tally.run(partial(_takes, view._handle_msg, _of_page(data)), shown, ())
    if len(sent) != 1:
        tally.wrong.append(f"{shown}: {len(sent)} answers")
        return
    (answer,) = sent
    if not _travels(answer):
        tally.wrong.append(f"{shown}: an answer that cannot be sent: {_shown(answer)}")
    response = answer.get("response", {})
    same = isinstance(content, dict) and content.get("id") == "one"
    if same and answer.get("id") != "one":
        tally.wrong.append(f"{shown}: answered to {answer.get('id')!r}")
    replies = response.get("replies")
    # False is equal to 0, and no layer.
    whole = content == command and repr(content) == repr(command)
    if whole and name == "blocks" and any("error" in each for each in replies):
        tally.wrong.append(f"{shown}: {_shown(replies)}")
    for reply in replies or ():
        # One that is still worked on says how far it is.
        if not reply["ok"] and "part" not in reply and not reply["error"]:
            tally.wrong.append(f"{shown}: refused without a reason")
    if _state(view) != before:
        tally.wrong.append(f"{shown}: moved the view")


def _send_update(
    tally: Tally, view: aw.AttentionWidget, chance: random.Random, sent: list[Any]
) -> None:
    """Send what the page has set: all of it is taken, or none."""
    names = chance.sample(STATE, chance.randint(1, 4))
    state: dict[str, Any] = {name: json.loads(_state(view))[name] for name in names}
    if chance.random() < 0.5:
        state["_screen"] = copy.deepcopy(_SCREEN)
    data = _changed({"method": "update", "state": state, "buffer_paths": []}, chance)
    shown, before = f"update({_shown(data)})", _state(view)
    words = [
        word for name in (*STATE, "screen", *_SCREEN) for word in (name, *_NAMED.get(name, ()))
    ]
    taken = tally.run(partial(_updated, view, data), shown, (*words, "page"))
    if (taken is None or sent) and _state(view) != before:
        tally.wrong.append(f"{shown}: refused, and changed all the same")
    if not all(map(_travels, sent)):
        tally.wrong.append(f"{shown}: an answer that cannot be sent: {_shown(sent)}")


def _updated(view: aw.AttentionWidget, data: Any) -> bool:
    """Let the view take a message; raise what ipywidgets only logs."""
    raised: list[Exception] = []

    def set_state(values: Any) -> None:
        try:
            type(view).set_state(view, values)
        except Exception as error:
            raised.append(error)
            raise

    view.set_state = set_state
    view.log.disabled = True
    try:
        view._handle_msg(_of_page(data))
    finally:
        del view.set_state
        view.log.disabled = False
    if raised:
        raise raised[0]
    return True


def _of_page(data: Any) -> dict[str, Any]:
    return {"content": {"comm_id": "one", "data": data}, "buffers": []}


def _travels(answer: Any) -> bool:
    """Tell whether Jupyter can send an answer."""
    try:
        json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        return False
    return True


def _changed(value: Any, chance: random.Random) -> Any:
    """Return a copy of JSON with some places replaced, taken away or added; now and then as it was."""
    made = copy.deepcopy(value)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        made = _change_one(made, chance)
    return made


def _change_one(value: Any, chance: random.Random) -> Any:
    inside = isinstance(value, (dict, list)) and value and chance.random() < 0.85
    if not inside:
        return copy.deepcopy(chance.choice(_JSON_ODD))
    place = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
    what = chance.random()
    if what < 0.1:
        del value[place]
    elif what < 0.2 and isinstance(value, dict):
        value[chance.choice(("x", "", "what", "state", "id", "layer", "\ud800"))] = copy.deepcopy(
            chance.choice(_JSON_ODD)
        )
    else:
        value[place] = _change_one(value[place], chance)
    return value
