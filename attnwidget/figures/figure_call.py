"""The call that makes a figure again, as Python text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import integer, listed
from attnwidget.record.options import DrawnSelection, FigureOptions
from attnwidget.serve.python_call import literal, named_options, view_call, with_link
from attnwidget.serve.selection import resolve_selection
from attnwidget.serve.selection_parts import STATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.analysis.position_groups import By
    from attnwidget.serve.source import Source

__all__ = ["figure_call", "figure_call_of_view"]

# Parts of a selection that are options of their own; the others go into ``selection``.
_OWN = {
    name
    for name in STATE
    if name in DrawnSelection.__annotations__ and name not in FigureOptions.__annotations__
}


def figure_call(
    source: Source,
    state: Mapping[str, Any],
    options: FigureOptions,
    panels: list[list[int]] | None,
    *,
    marked: bool,
    own: By | None = None,
) -> str:
    """Return the call of a source's ``figure``.

    Args:
        source: What is shown.
        state: The whole selection.
        options: How it is drawn, as the caller gave it.
        panels: ``[layer, head]`` of each panel of a grid, if heads were given as pairs.
        marked: Whether the model view outlines the selected heads.
        own: The caller's own groups.
    """
    kind, said = _kind(state)
    place = {"stream": state["stream"], "layer": state["layer"]}
    usual = resolve_selection(source, {**said, **place})
    given: dict[str, Any] = {}
    if state["stream"] != next(iter(source.streams)):
        given["stream"] = state["stream"]
    compared = state["compare"] if state["view"] == "compare" and not source.sides else None
    if compared:
        given["heads"] = [tuple(pair) for pair in compared]
    elif panels:
        given["heads"] = [tuple(pair) for pair in panels]
    elif state["view"] != "model" or marked:
        given["layer"], given["heads"] = state["layer"], state["heads"]
    more: dict[str, Any] = {}
    for name in STATE:
        if name in ("stream", "layer", "heads") or (name == "compare" and compared):
            continue
        if state[name] == usual[name]:
            continue
        # What is None is as if it were left out, but for a selection.
        (given if name in _OWN and state[name] is not None else more)[name] = state[name]
    if "compare" in given:
        given["compare"] = [tuple(pair) for pair in given["compare"]]
    if state["view"] == "model" and not marked:
        given["marked"] = False
    drawn = {name: value for name, value in options.items() if value is not None}
    last = {"selection": more} if more else {}
    beside = [] if own is None else named_options({"groups": own})
    written = [*_written({**given, **drawn, **last}), *beside]
    return f"{source.python_name}.figure({', '.join([literal(kind), *written])})"


def figure_call_of_view(
    told: Mapping[str, Any],
    state: Mapping[str, Any],
    screen: Mapping[str, Any] | None,
    options: FigureOptions,
    traced: Mapping[str, Any] | None = None,
) -> str:
    """Return the call of a view's ``figure``; how far its panels are scrolled is not said.

    A trace is found first, in a call of its own.

    Args:
        told: What `attnwidget.serve.python_call.opening` says of the view.
        state: The whole selection of the figure.
        screen: What the reader's screen is like, where there is one.
        options: How it is drawn, as the caller gave it.
        traced: The trace that is known; see ``TraceOfView`` in the schema.
    """
    drawn = {name: value for name, value in options.items() if value is not None}
    if screen:
        drawn.setdefault("width", screen["width"])
        if screen["dark"] and state["theme"] == "auto":
            drawn.setdefault("theme", "dark")
    figure = f"figure({', '.join(_written(drawn))})"
    told = with_link(told)
    if state["form"] == "trace" and traced is not None:
        # It is waited for, where a notebook would go on without it.
        comma = "" if traced["call"].endswith("()") else ", "
        found = f"{traced['call'][:-1]}{comma}wait=True)"
        return f"view = {view_call(told, state)}; {found}; view.{figure}"
    return f"{view_call(told, state)}.{figure}"


def _kind(state: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind of figure, and the parts of the selection that it says."""
    view = {"view": state["view"]}
    if state["view"] == "head":
        return state["form"], {**view, "form": state["form"]}
    if state["view"] == "model" and state["arrange"] == "scatter":
        return "scatter", {**view, "arrange": "scatter"}
    return state["view"], view


def _written(options: Mapping[str, Any]) -> list[str]:
    return [f"{name}={_value(value)}" for name, value in options.items()]


def _value(value: Any) -> str:
    """Return an option as Python reads it, be it a slice, an array or a number of another library."""
    if isinstance(value, slice):
        return f"slice({', '.join(map(_value, (value.start, value.stop, value.step)))})"
    if isinstance(value, (str, float, bool, dict)) or value is None:
        return literal(value)
    number = integer(value)
    if number is not None:
        return str(number)
    several = None if isinstance(value, (list, tuple)) else listed(value)
    if several is not None:
        value = list(several)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))}{',' * (len(value) == 1)})"
    return repr(value)
