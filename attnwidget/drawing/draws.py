"""`Attention.figure`: from a record to a figure, without a widget on show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from attnwidget.selection import integer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from attnwidget.attention import Attention
    from attnwidget.drawing.figure import Figure
    from attnwidget.drawing.options import FigureOptions
    from attnwidget.selection import Heads

__all__ = ["Draws"]

# Pixels of the layout: about what each view has in a wide notebook, and what a page has for all of them.
_WIDTHS = {"model": 420, "head": 460, "neuron": 560, "compare": 760, "all": 1200}
_WIDEST_GRID, _PANEL = 900, 230
_HORIZONTAL = 640
_FORMS = ("lines", "matrix", "image", "text")
Kind = Literal[
    "head", "lines", "matrix", "image", "text", "model", "scatter", "neuron", "compare", "all"
]


class Draws:
    """What an `Attention` draws without a widget."""

    __slots__ = ()

    def figure(
        self,
        kind: Kind = "head",
        *,
        layer: int | None = None,
        heads: Heads | list[tuple[int, int]] = None,
        query: int | str | list[int | str] | None = None,
        key: int | str | list[int | str] | None = None,
        stream: str | None = None,
        measure: str | None = None,
        score: str | None = None,
        other_score: str | None = None,
        selection: dict[str, Any] | None = None,
        **options: Unpack[FigureOptions],
    ) -> Figure:
        """Return a figure of a view, drawn by the widget's own renderer; needs no browser and no display.

        Args:
            kind: A view, or a form of the head view: ``"lines"``, ``"matrix"``, ``"image"`` (over the picture or the
                sound that went in) or ``"text"`` (the running text, shaded by what the pinned query attends to, what
                attends to the pinned key, or the mean over all queries). ``"head"`` is lines, or the image where
                there is one.
            layer: The layer, as the model counts it; the stream's first when left out.
            heads: The heads drawn; the first when left out. ``(layer, head)`` pairs are drawn as a grid, and for
                ``"compare"`` they are the heads compared.
            query: Pin a query: its position or its token's text, or several of either.
            key: Pin a key, in the same way.
            stream: Name of the stream; the first when left out.
            measure: What is drawn of a head: ``"weights"``, ``"value"``, ``"norm"`` or ``"rollout"``.
            score: What heads are coloured by in the model view, and the x of a ``"scatter"``: one of `SCORES`.
            other_score: The y of a ``"scatter"``.
            selection: Further traits of the widget, such as ``{"step": 3}``.
            **options: How it is drawn:

                - ``width``: of all of it in print, such as ``"85mm"`` or ``"3.3in"``; or pixels, without the margin.
                - ``font_size``: of the labels in points; 9 when left out. ``font``: a font family.
                - ``theme``: ``"light"``, ``"dark"``, or ``"print"``: black on white, heads and signs told apart in grey.
                - ``colour_map``: of weights, ``"blue"``, ``"cividis"``, ``"viridis"``, ``"magma"`` or ``"grey"``.
                - ``title``: text, or False for none. ``legend``: False for none. ``transparent``: no background.
                - ``grid``: each head in a panel of its own: True, or how many panels side by side.
                - ``positions``, or ``queries`` and ``keys``: which to draw, as for `find`; weights stay those over all.
                  ``positions="words"`` merges the pieces of words.
                - ``top_k``, ``threshold``: draw only each query's strongest lines, only those of this weight or more;
                  weights equal to the last are drawn too. The legend says so.
                - ``layout``: lines between tokens below one another (``"vertical"``) or side by side
                  (``"horizontal"``).
                - ``direction``: ``"ltr"`` or ``"rtl"``: which way a sentence runs; below one another, ``"rtl"`` has the
                  queries at the right. ``"auto"`` goes by the script where tokens stand side by side.
                - ``whole``: as high as all of the content and without what a pointer needs (True here), or as on the
                  screen. ``marked``: whether the model view outlines the selected heads (if any were given).

        Returns:
            A `Figure`: show it as the last line of a cell, ``save`` it as ``.svg``, ``.pdf`` or ``.png``, read its
            numbers in ``data``.

        Raises:
            TypeError: If an option does not exist.
            KeyError, ValueError: If a stream, layer, head, token or position does not exist or is ambiguous, or an
                option is none of what is accepted; the message says what is.

        Example:
            >>> figure = attention.figure("head", layer=3, heads=[1, 3], query="it", width="85mm")  # doctest: +SKIP
            >>> figure.save("it.pdf")  # doctest: +SKIP
        """
        from attnwidget.api import view  # noqa: PLC0415  (the widget builds on the record)
        from attnwidget.drawing.figure import split_heads  # noqa: PLC0415

        attention = cast("Attention", self)
        if kind not in get_args(Kind):
            message = f"figure draws {', '.join(map(repr, get_args(Kind)))}, got {kind!r}."
            raise ValueError(message)
        given = {
            "layer": layer, "query": query, "key": key, "stream": stream, "measure": measure, "score": score,
            "other_score": other_score,
        }  # fmt: skip
        state = _state(kind, {**(selection or {}), **given})
        if options.get("positions") in ("pieces", "words"):
            state["positions"] = options.pop("positions")
        pairs = split_heads(heads, layer if layer is not None else _first(attention, state))
        if kind == "compare" and heads is not None:
            state["compare"] = pairs or [[_first(attention, state), head] for head in _list(heads)]
        elif pairs:
            state["layer"], state["heads"] = pairs[0][0], [pairs[0][1]]
        elif heads is not None:
            state["heads"] = heads
        # Never connected to a browser: it is made for its checks and its snapshot.
        widget = view(attention, frozen=True, **state)
        if pairs and kind != "compare":
            options.setdefault("grid", True)
        options.setdefault("whole", True)
        if widget.view == "model":
            options.setdefault("marked", layer is not None or heads is not None)
        panels = pairs if pairs and kind != "compare" else [[widget.layer, h] for h in widget.heads]
        options.setdefault("width", _width(kind, widget.view, len(panels), options))
        return widget._figure(options, panels)  # noqa: SLF001 - the other half of this


def _state(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the widget's traits: what is given, and what the kind of figure says."""
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


def _first(attention: Attention, state: dict[str, Any]) -> int:
    """Return the layer that a selection without one has."""
    if "layer" in state:
        number = integer(state["layer"])
        return -1 if number is None else number
    name = state.get("stream", next(iter(attention.streams)))
    return next(iter(attention[name])).layer


def _list(heads: Any) -> list[int]:
    return [heads] if integer(heads) is not None else list(heads)
