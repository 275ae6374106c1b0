"""`figure`: from a source and a selection to a `Figure`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from attnwidget.compute.checks import check_name, is_word, shown
from attnwidget.figures.figure import Figure, split_heads
from attnwidget.figures.figure_call import figure_call, figure_call_of_view
from attnwidget.figures.options import check_names, columns_of, refuse_weights
from attnwidget.figures.trace_table import is_of_trace
from attnwidget.record.options import DrawnSelection, FigureOptions
from attnwidget.serve.opening import selected_of
from attnwidget.serve.selection import (
    check,
    check_choice,
    check_layer,
    check_pairs,
    resolve_selection,
    usual_names,
)
from attnwidget.serve.selection_parts import as_list, as_number, as_pairs, normalised
from attnwidget.serve.snapshot import snapshot
from attnwidget.serve.together import together_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from attnwidget.analysis.position_groups import By
    from attnwidget.figures.renderer import Answer
    from attnwidget.serve.source import Source
    from attnwidget.serve.streams import ShownStream

__all__ = ["Kind", "figure", "figure_of_view"]

# Pixels of the layout: about what each view has in a wide notebook, and what a page has for all of them.
_WIDTHS = {"model": 420, "head": 460, "neuron": 560, "compare": 760, "all": 1200}

_WIDEST_GRID, _PANEL = 900, 230

_TRACE_WIDTH = 860

_HORIZONTAL = 640

_PINS = ("query", "key")

_FORMS = ("lines", "matrix", "image", "text", "groups", "profile", "geometry", "trace")

Kind = Literal[
    "head", "lines", "matrix", "image", "text", "groups", "profile", "geometry", "trace", "model", "scatter", "neuron",
    "compare", "all",
]  # fmt: skip

# What of the selection is an option of its own; the others are names of how a figure is drawn.
_SELECTED = tuple(
    name for name in DrawnSelection.__annotations__ if name not in FigureOptions.__annotations__
)


def figure(
    source: Source,
    kind: Kind | None = None,
    *,
    own: By | None = None,
    **options: Unpack[DrawnSelection],
) -> Figure:
    """Return a figure of what a source shows.

    No number is asked for here but those that say which head is drawn, where the caller does not: the renderer asks for
    those that it draws, thumbnails included.

    Args:
        source: What is shown.
        kind: A view, or a form of the head view; the source's usual one when left out.
        own: The caller's own groups, which the source has, for the figure's code.
        **options: What is drawn, and how; `Attention.figure` describes them.

    Raises:
        TypeError, KeyError, ValueError: As `Attention.figure` says.
    """
    drawn, selected = split_options(options)
    asked = drawn.copy()
    state, heads = _selected(source, kind, selected)
    if state["view"] not in {"model", "all"} and not source.has_weights:
        refuse_weights(*_asked_for(kind, state))
    stream, first = _stream(source, state), state.get("layer")
    if "together_layers" in state:
        # The layer may be the first of them: what is none is refused by the name that the caller used.
        several = normalised("together_layers", state["together_layers"])
        check(source, "together_layers", several, {"stream": stream.name})
    layer = next(iter(stream)).layer if first is None else check_layer(stream, as_number(first))
    pairs = _pairs(stream, split_heads(heads, layer))
    compared = state["view"] == "compare" and not source.sides
    if compared and heads is not None:
        alone = as_list(heads)
        alone = alone if isinstance(alone, list) else [alone]
        state["compare"] = pairs or _pairs(stream, [[layer, head] for head in alone])
    elif pairs:
        state["layer"], state["heads"] = pairs[0][0], [pairs[0][1]]
    elif heads is not None:
        state["heads"] = heads
    # The model view is of all heads, and marks none that the caller does not name.
    chosen = None if _crops(drawn) or state["view"] == "model" else source.choose(state)
    settled = resolve_selection(source, {**selected_of(chosen), **state})
    view = settled["view"]
    grid = pairs if view != "compare" else None
    if grid:
        drawn.setdefault("grid", True)
    drawn.setdefault("whole", True)
    if view == "model":
        drawn.setdefault("marked", first is not None or heads is not None)
    panels = grid or [[settled["layer"], head] for head in settled["heads"]]
    one = not grid and not source.sides and together_of(settled, stream) is not None
    drawn.setdefault("width", _width(settled, 1 if one else len(panels), drawn))
    # Of two records no thumbnail can be asked for later: they are made now if they are drawn.
    now = bool(source.sides) and view in {"model", "all"}
    meta, overview = source.meta(thumbnails=now)
    shown = snapshot(settled, meta, overview, media=source.media)
    call = figure_call(source, settled, asked, grid, marked=drawn.get("marked", True), own=own)
    return Figure(source, shown, source.answer, drawn, panels, call=call)


def split_options(options: DrawnSelection) -> tuple[FigureOptions, dict[str, Any]]:
    """Return how a figure is drawn, and what of the selection is given: the rest, what is None left out.

    Raises:
        TypeError: If an option does not exist, or groups are given of what has its own.
    """
    given: dict[str, Any] = dict(options)
    if given.pop("groups", None) is not None:
        message = (
            "a figure of a view has the groups of the view: pass them there, as in view(attention, groups={'question': "
            "range(0, 5)}).figure()."
        )
        raise TypeError(message)
    selected = {name: given.pop(name) for name in _SELECTED if name in given}
    check_names(given, besides=_SELECTED)
    drawn: FigureOptions = given  # type: ignore[assignment]  # its names were checked
    more = selected.pop("selection", None)
    if more is not None and not isinstance(more, Mapping):
        message = f"selection must be a dict of the widget's traits, such as {{'threshold': 0.3}}, got {shown(more)}."
        raise TypeError(message)
    # Whether words or pieces are the positions is a part of the selection; which of them are drawn is not.
    if is_word(given.get("positions"), ("pieces", "words")):
        selected["positions"] = given.pop("positions")
    return drawn, {
        **(more or {}),
        # All links are what None says of top_k.
        **{name: one for name, one in selected.items() if one is not None or name == "top_k"},
    }


def _crops(drawn: FigureOptions) -> bool:
    return any(drawn.get(name) is not None for name in ("positions", "queries", "keys"))


def figure_of_view(
    source: Source,
    shown: dict[str, Any],
    answer: Answer,
    options: DrawnSelection,
    kind: str | None = None,
) -> Figure:
    """Return a figure of what a widget shows, with the parts of the selection that are given in place of its own.

    Args:
        source: What is shown.
        shown: The widget's snapshot.
        answer: Answers the renderer's requests.
        options: As for `figure`.
        kind: As for `figure`; as on the screen when left out.

    Raises:
        TypeError, ValueError: As `Attention.figure` says.
    """
    drawn, selected = split_options(options)
    if kind is not None:
        _say_kind(kind, selected)
    chosen, state = shown.get("chosen"), shown["state"]
    if _crops(drawn) and chosen and all(state[name] == chosen[name] for name in _PINS):
        # The reader pinned nothing: what was chosen may lie outside of what is drawn.
        selected = {**dict.fromkeys(_PINS), **selected}
    if selected:
        state = resolve_selection(source, {**shown["state"], **usual_names(selected)})
        shown = {**shown, "state": state}
    call = figure_call_of_view(
        shown["meta"]["python"], shown["state"], shown["screen"], drawn, shown.get("traced")
    )
    return Figure(source, shown, answer, drawn, call=call)


def _selected(
    source: Source, kind: str | None, selected: dict[str, Any]
) -> tuple[dict[str, Any], Any]:
    """Return the selection, and the heads, which may be pairs: what is given, and what the kind of figure says.

    Raises:
        ValueError: If there is no such kind, or it is another one than what is given besides.
    """
    state = _words_first(usual_names(selected))
    heads = state.pop("heads", None)
    if kind is None:
        # What is given says what is meant, as it would of a view that shows everything.
        pairs = state.get("compare")
        compares = isinstance(pairs, list) and bool(pairs)
        meant = "model" if "arrange" in state else "compare" if compares else None
        kind = state.get("view") or meant or ("head" if "form" in state else _usual(source))
    _say_kind(kind, state)
    if state.get("arrange") == "scatter" and not {"score", "other_score"} <= set(state):
        message = (
            "a scatter has two scores: pass score='previous', other_score='induction', for example."
        )
        raise ValueError(message)
    return state, heads


def _say_kind(kind: str, state: dict[str, Any]) -> None:
    """Put what a kind of figure says of the selection into it.

    Raises:
        ValueError: If there is no such kind, or it is another one than what is given besides.
    """
    if not is_word(kind, get_args(Kind)):
        message = (
            f"kind or view: figure draws {', '.join(map(repr, get_args(Kind)))}, got {shown(kind)}."
        )
        raise ValueError(message)
    said = {"view": {**dict.fromkeys(_FORMS, "head"), "scatter": "model"}.get(kind, kind)}
    if kind in _FORMS:
        said["form"] = kind
    if kind == "scatter":
        said["arrange"] = "scatter"
    for name, value in said.items():
        if state.setdefault(name, value) != value:
            message = f"figure({kind!r}) is {name}={value!r}, got {name}={state[name]!r} besides: pass one of them."
            raise ValueError(message)


def _asked_for(kind: str | None, state: dict[str, Any]) -> tuple[str, Any]:
    """Return the argument that says which view is drawn, and its value."""
    if kind is not None:
        return "kind", kind
    name = {"compare": "compare", "head": "form"}.get(state["view"], "view")
    return (name, state[name]) if state.get(name) else ("view", state["view"])


def _words_first(state: dict[str, Any]) -> dict[str, Any]:
    """Return a selection whose words are words, and whose pairs, which may be read once only, were read.

    Raises:
        ValueError: If one is none of those accepted; which views there are, the kinds of figures say.
    """
    for name in ("view", "form", "arrange"):
        if name in state and not (name == "view" and isinstance(state[name], str)):
            check_choice(name, state[name])
    return {**state, "compare": as_pairs(state["compare"])} if "compare" in state else state


def _usual(source: Source) -> Kind:
    kind: Kind = source.figure_kind  # type: ignore[assignment]  # one of them
    return kind


def _stream(source: Source, state: dict[str, Any]) -> ShownStream:
    name = state.get("stream", next(iter(source.streams)))
    return source.streams[check_name("stream", name, source.streams)]


def _pairs(stream: ShownStream, pairs: list[list[int]] | None) -> list[list[int]] | None:
    """Return ``[layer, head]`` pairs, negative numbers counted from the end."""
    if pairs is None:
        return None
    return [found for pair in pairs for found in check_pairs(stream, as_pairs([pair]))]


def _width(state: dict[str, Any], panels: int, options: FigureOptions) -> int:
    view = state["view"]
    grid = options.get("grid")
    if grid is not None and (columns_of(grid) is not None or grid) and view == "head":
        return min(_WIDEST_GRID, _PANEL * max(2, panels))
    if is_word(options.get("layout"), ("horizontal",)):
        return _HORIZONTAL
    panelled = state["panels"] == "one a head" and state["together"] is None
    several = state["form"] in {"matrix", "geometry"} or (state["form"] == "lines" and panelled)
    if view == "head" and several:
        return min(_WIDEST_GRID, _WIDTHS["head"] * min(2, panels))
    return _TRACE_WIDTH if is_of_trace(state) and view == "head" else _WIDTHS[view]
