"""The parts of the shared selection: their names, defaults and choices, and the one form in which each is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import integer, listed, number
from attnwidget.protocol.constants import STATE_NAMES, choices

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CHOICES", "DEFAULTS", "FIRST", "LAYERS", "OR_NONE", "STATE", "as_list", "as_number", "as_pairs", "as_pins", "as_ranking",
    "as_share", "has_form", "is_place", "is_ranking", "needs_the_model", "normalised",
]  # fmt: skip

CHOICES: dict[str, tuple[str, ...]] = {
    name: choices(name)
    for name in (
        "view",
        "measure",
        "positions",
        "form",
        "theme",
        "arrange",
        "below_threshold",
        "explain",
        "shade",
        "panels",
        "colour",
    )
}

# The shared selection, one two-way trait each (`State` in the schema), in the order in which one check needs another's
# result. A stream without a default is the source's first, a layer without one the stream's first.
DEFAULTS: dict[str, Any] = {
    "view": "all",
    "stream": None,
    "layer": None,
    "heads": [0],
    "query": None,
    "key": None,
    "measure": "weights",
    "positions": "pieces",
    "form": "lines",
    "compare": [],
    "step": None,
    "theme": "auto",
    "score": None,
    "other_score": None,
    "arrange": "layers",
    "threshold": None,
    "below_threshold": "faint",
    "show_layers": None,
    "ranking": None,
    "explain": "link",
    "top_k": 3,
    "mass": None,
    "aside": None,
    "shade": "own",
    "together": None,
    "together_layers": None,
    "panels": "overlaid",
    "grouping": None,
    "from_group": None,
    "to_group": None,
    "colour": "position",
}
STATE = STATE_NAMES
# Parts that are the first there is where they are left out.
FIRST = ("stream", "layer")
# Parts that have a default, and may be None as well.
OR_NONE = ("top_k",)
# Layers of the stream, or None.
LAYERS = ("show_layers", "together_layers")


def normalised(name: str, value: Any) -> Any:
    """Return a value as a trait holds it: what is written in several ways in one of them; checks nothing."""
    ways: dict[str, Callable[[Any], Any]] = {
        "layer": as_number, "step": as_number, "heads": as_list, "query": as_pins, "key": as_pins,
        "compare": as_pairs, "threshold": as_share, "ranking": as_ranking,
        "top_k": as_number, "mass": as_share, "aside": as_aside,
    }  # fmt: skip
    if name in LAYERS:
        return None if value is None else as_list(value)
    return ways.get(name, lambda same: same)(value)


def as_number(value: Any) -> Any:
    """Return any integer type as int; what is none is left for the check that knows the range."""
    found = integer(value)
    return value if found is None else found


def has_form(name: str, value: Any) -> bool:
    """Tell whether a normalised value is of the types that this part of the selection is made of."""
    if value is None:
        return name in OR_NONE or (DEFAULTS[name] is None and name not in FIRST)
    return _FORMS[name](value) if name in _FORMS else True


def _is_int(value: Any) -> bool:
    # True is an int to Python, and equal to 1.
    return type(value) is int


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(is_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and all(map(is_one, value))


def is_place(value: Any) -> bool:
    """Tell whether this may be a position: a number, or a token's text."""
    return _is_int(value) or _is_text(value)


def is_ranking(value: Any) -> bool:
    """Tell whether this is made as a ``Ranking`` is (see the schema)."""
    if not isinstance(value, dict):
        return False
    if set(value) == {"grouping", "from", "to"}:
        named = [
            value["grouping"],
            *(value[end] for end in ("from", "to") if value[end] is not None),
        ]
        return all(map(_is_text, named))
    if set(value) == {"pattern", "number"}:
        return _is_text(value["pattern"]) and _is_int(value["number"])
    sides = [side for side in (value.get("queries"), value.get("keys")) if side is not None]
    return set(value) == {"queries", "keys"} and all(map(_is_list(is_place), sides))


# What each part is made of, where that is no choice of words.
_FORMS: dict[str, Callable[[Any], bool]] = {
    "stream": _is_text,
    "layer": _is_int,
    "heads": _is_list(_is_int),
    "query": lambda value: is_place(value) or _is_list(is_place)(value),
    "key": lambda value: is_place(value) or _is_list(is_place)(value),
    "compare": _is_list(_is_list(_is_int)),
    "step": _is_int,
    "score": _is_text,
    "other_score": _is_text,
    "together": _is_text,
    "threshold": lambda value: type(value) is float,
    "show_layers": _is_list(_is_int),
    "together_layers": _is_list(_is_int),
    "ranking": is_ranking,
    "top_k": _is_int,
    "mass": lambda value: type(value) is float,
    "aside": lambda value: _is_text(value) or _is_list(is_place)(value),
    "grouping": _is_text,
    "from_group": _is_text,
    "to_group": _is_text,
}


def as_list(value: Any) -> Any:
    """Return one integer, or any iterable of them (list, range, array), as a list of int."""
    if integer(value) is not None:
        value = [value]
    several = listed(value)
    return value if several is None else [as_number(one) for one in several]


def as_pins(value: Any) -> Any:
    """Return positions as an int, a list of two or more, or None for none."""
    several = listed(value)
    if several is None:
        return as_number(value)
    pins = as_list(value)
    if not all(map(is_place, pins)):
        return pins
    pins = list(dict.fromkeys(pins))
    return pins if len(pins) > 1 else pins[0] if pins else None


def as_share(value: Any) -> Any:
    """Return any real number as float; what is none is left for the check that knows the range."""
    found = number(value)
    return value if found is None else found


def as_aside(value: Any) -> Any:
    """Return positions as a list, None for none of them; a word for some stays one."""
    if value is None or isinstance(value, str):
        return value
    pins = as_list(value)
    return None if isinstance(pins, list) and not pins else pins


def as_ranking(value: Any) -> Any:
    """Return the links of a ranking with the positions of each side as a list."""
    if not isinstance(value, Mapping):
        return value
    sides = {
        name: one if one is None else [one] if isinstance(one, str) else as_list(one)
        for name, one in value.items()
        if name in ("queries", "keys")
    }
    number = {"number": as_number(value["number"])} if "number" in value else {}
    return {**value, **sides, **number}


def as_pairs(value: Any) -> Any:
    """Return any iterable of pairs as a list of two-element lists."""
    several = listed(value)
    return value if several is None else [as_list(pair) for pair in several]


# Options of a view that ask its model to run, with what they may be.
_OF_A_RUN = {
    "hidden_states": "True",
    "interventions": "attnwidget.ablate(heads=[(3, 3)])",
    "lens": "True",
    "metric": "'a token'",
}


def needs_the_model(name: str) -> str | None:
    """Return what to call for an option that nothing shows without running the model, or None for any other."""
    if name not in _OF_A_RUN:
        return None
    return (
        f"{name} asks the model, and what is shown was recorded before: call "
        f"attnwidget.view(model, 'some text', tokenizer=tokenizer, {name}={_OF_A_RUN[name]})."
    )
