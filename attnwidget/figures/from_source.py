"""`figure`: from a source and a selection to a `Figure`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from attnwidget.compute.indexing import integer
from attnwidget.figures.figure import Figure, split_heads
from attnwidget.serve.selection import resolve_selection
from attnwidget.serve.snapshot import snapshot

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from attnwidget.compute.indexing import Heads
    from attnwidget.figures.options import FigureOptions
    from attnwidget.serve.source import Source

__all__ = ["Kind", "figure"]

# Pixels of the layout: about what each view has in a wide notebook, and what a page has for all of them.
_WIDTHS = {"model": 420, "head": 460, "neuron": 560, "compare": 760, "all": 1200}

_WIDEST_GRID, _PANEL = 900, 230

_HORIZONTAL = 640

_FORMS = ("lines", "matrix", "image", "text")

Kind = Literal[
    "head", "lines", "matrix", "image", "text", "model", "scatter", "neuron", "compare", "all"
]


def figure(
    source: Source,
    kind: Kind | None = None,
    *,
    layer: int | None = None,
    heads: Heads | list[tuple[int, int]] = None,
    selection: dict[str, Any] | None = None,
    given: dict[str, Any] | None = None,
    **options: Unpack[FigureOptions],
) -> Figure:
    """Return a figure of what a source shows.

    No number is asked for here: the renderer asks for those that it draws, thumbnails included.

    Args:
        source: What is shown.
        kind: A view, or a form of the head view; the source's usual one when left out.
        layer: The layer.
        heads: Heads, or ``(layer, head)`` pairs.
        selection: Further parts of the selection.
        given: Parts of the selection that have arguments of their own, None for those that were left out.
        **options: How it is drawn; `Attention.figure` describes them.

    Raises:
        TypeError, KeyError, ValueError: As `Attention.figure` says.
    """
    kind = kind if kind is not None else _usual(source)
    if kind not in get_args(Kind):
        message = f"figure draws {', '.join(map(repr, get_args(Kind)))}, got {kind!r}."
        raise ValueError(message)
    state = _state(kind, {**(selection or {}), **(given or {}), "layer": layer})
    if options.get("positions") in ("pieces", "words"):
        state["positions"] = options.pop("positions")
    pairs = split_heads(heads, layer if layer is not None else _first(source, state))
    if kind == "compare" and heads is not None and not source.sides:
        state["compare"] = pairs or [[_first(source, state), head] for head in _list(heads)]
    elif pairs:
        state["layer"], state["heads"] = pairs[0][0], [pairs[0][1]]
    elif heads is not None:
        state["heads"] = heads
    settled = resolve_selection(source, state)
    if pairs and kind != "compare":
        options.setdefault("grid", True)
    options.setdefault("whole", True)
    view = settled["view"]
    if view == "model":
        options.setdefault("marked", layer is not None or heads is not None)
    panels = (
        pairs
        if pairs and kind != "compare"
        else [[settled["layer"], head] for head in settled["heads"]]
    )
    options.setdefault("width", _width(kind, view, len(panels), options))
    meta, overview = source.meta(thumbnails=False)
    drawn = snapshot(settled, meta, overview, media=source.media)
    return Figure(source, drawn, source.answer, options, panels)


def _usual(source: Source) -> Kind:
    kind: Kind = source.figure_kind  # type: ignore[assignment]  # one of them
    return kind


def _state(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the selection: what is given, and what the kind of figure says."""
    state = {name: value for name, value in given.items() if value is not None}
    state["view"] = {**dict.fromkeys(_FORMS, "head"), "scatter": "model"}.get(kind, kind)
    if kind in _FORMS:
        state["form"] = kind
    if kind == "scatter":
        state.setdefault("arrange", "scatter")
        if "score" not in state or "other_score" not in state:
            message = "a scatter has two scores: pass score='previous', other_score='induction', for example."
            raise ValueError(message)
    return state


def _width(kind: str, view: str, panels: int, options: FigureOptions) -> int:
    if options.get("grid") and view == "head":
        return min(_WIDEST_GRID, _PANEL * max(2, panels))
    if options.get("layout") == "horizontal":
        return _HORIZONTAL
    if kind == "matrix":
        return min(_WIDEST_GRID, _WIDTHS["head"] * min(2, panels))
    return _WIDTHS[view]


def _first(source: Source, state: dict[str, Any]) -> int:
    """Return the layer that a selection without one has."""
    if "layer" in state:
        number = integer(state["layer"])
        return -1 if number is None else number
    name = state.get("stream", next(iter(source.streams)))
    if name not in source.streams:
        message = f"no stream {name!r}; available: {list(source.streams)}"
        raise KeyError(message)
    return next(iter(source.streams[name])).layer


def _list(heads: Any) -> list[int]:
    return [heads] if integer(heads) is not None else list(heads)
