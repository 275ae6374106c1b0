"""Head lines and matrices drawn into matplotlib axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap, PowerNorm, to_rgba
from matplotlib.path import Path

from attnwidget.compute.checks import check_choice, is_word, number, options, shown
from attnwidget.compute.indexing import head_axis
from attnwidget.compute.not_numbers import warn_not_numbers
from attnwidget.export.colours import THEMES, head_colour, ramp
from attnwidget.record.position_lookup import resolve
from attnwidget.record.positions import visible_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axis import Axis
    from numpy.typing import NDArray

    from attnwidget.compute.indexing import Heads
    from attnwidget.export.colours import Theme
    from attnwidget.record.position_lookup import Place
    from attnwidget.record.positions import Position
    from attnwidget.record.stream import Stream

__all__ = ["Plot", "plot"]

# More labels than this on one axis run into one another at any size that fits a page.
MOST_LABELS = 64
LONGEST_LABEL = 24
# As js/src/marks/links.ts draws them: opacity by the three-quarters power, never quite opaque, level ends.
POWER, STRONGEST, LEAN = 0.75, 0.95, 0.3
INVISIBLE = (1 / 255 / STRONGEST) ** (1 / POWER)
POINTS_PER_PIXEL = 0.75


class Plot(NamedTuple):
    """What was drawn, and where.

    Attributes:
        axes: The matplotlib axes.
        artists: One ``PathCollection`` per head, or one ``AxesImage``.
    """

    axes: Axes
    artists: tuple[Artist, ...]


def plot(
    stream: Stream,
    kind: str,
    *,
    layer: int,
    heads: Heads,
    query: Place | None,
    threshold: float,
    layout: str,
    theme: str,
    ax: Axes | None,
) -> Plot:
    """Draw heads of a layer; `Attention.plot` says how.

    Raises:
        ValueError: If an option is none of those accepted.
    """
    if not is_word(kind, ("head", "matrix")):
        message = f"kind: plot draws 'head' or 'matrix', got {shown(kind)}."
        raise ValueError(message)
    check_choice("theme", theme, tuple(THEMES), said=options(THEMES))
    check_choice("layout", layout, ("vertical", "horizontal"), said="'vertical' or 'horizontal'")
    least = number(threshold)
    if least is None or math.isnan(least):
        message = f"threshold must be a number, the least weight of a line that is drawn, got {shown(threshold)}."
        raise ValueError(message)
    given: object = ax
    if given is not None and not isinstance(given, Axes):
        message = f"ax must be matplotlib axes, got {shown(given)}: pass one of those that plt.subplots() returns."
        raise ValueError(message)
    if kind == "matrix" and layout != "vertical":
        message = "a matrix has queries below one another: layout='horizontal' is for plot('head')."
        raise ValueError(message)
    flat = layout == "horizontal"
    colours = THEMES["dark" if theme == "dark" else "light"]
    chosen = stream[layer]
    indices = head_axis(heads, chosen.num_heads).indices
    if kind == "matrix" and len(indices) > 1:
        message = f"a matrix shows one head, got {list(indices)}: draw each into axes of its own, such as heads={indices[0]}."
        raise ValueError(message)
    if kind == "matrix" and query is not None:
        message = f"a matrix shows all queries, got query={shown(query)}: it chooses lines, in plot('head', query=…)."
        raise ValueError(message)
    queries = _queries(stream, query)
    axes = plt.gca() if ax is None else ax
    drawn, broken = [], []
    for head in indices:
        weights = chosen.weights(head, queries)
        if np.isnan(weights).any():
            broken.append((stream.name, chosen.layer, head))
        if kind == "matrix":
            warn_not_numbers(broken, "nothing is drawn there", stacklevel=3)
            return _matrix(axes, stream, weights, colours)
        colour = head_colour(colours, head, chosen.num_heads)
        label = f"head {head}"
        drawn.append(_lines(axes, weights, queries, colour, least, label=label, flat=flat))
    warn_not_numbers(broken, "nothing is drawn there", stacklevel=3)
    name = _rows if flat else _columns
    name(axes, stream, colours, queries if query is not None else ())
    return Plot(axes, tuple(drawn))


def _queries(stream: Stream, query: Place | None) -> Sequence[int]:
    positions = stream.query_positions
    return range(len(positions)) if query is None else resolve("query", query, positions)


def _lines(
    axes: Axes,
    weights: NDArray[np.float32],
    queries: Sequence[int],
    colour: str,
    threshold: float,
    *,
    label: str,
    flat: bool,
) -> PathCollection:
    rows, keys = np.nonzero(weights > max(threshold, INVISIBLE))
    strong = weights[rows, keys]
    # The strongest on top.
    order = np.argsort(strong, kind="stable")
    # A cubic whose handles stand at the thirds, so that x runs evenly.
    codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    paths = []
    for row, key in zip(rows[order], keys[order], strict=True):
        start, end = queries[row], int(key)
        bend = (end - start) * LEAN / 3
        points = [(0, start), (1 / 3, start + bend), (2 / 3, end - bend), (1, end)]
        paths.append(Path([point[::-1] for point in points] if flat else points, codes))
    strong = strong[order].astype(np.float64)
    edges = np.tile(to_rgba(colour), (len(strong), 1))
    edges[:, 3] = STRONGEST * np.minimum(strong, 1) ** POWER
    widths = (1 + 1.5 * np.clip(strong, 0, 1)) * POINTS_PER_PIXEL
    lines = PathCollection(paths, facecolors="none", edgecolors=edges, linewidths=widths)
    # In the data's coordinates, as lines are; a collection of markers would not be.
    lines.set_transform(axes.transData)
    axes.add_collection(lines, autolim=False)
    # What a legend shows: the collection's own first line is its faintest.
    axes.plot([], [], color=colour, label=label)
    return lines


def _columns(axes: Axes, stream: Stream, theme: Theme, pinned: Sequence[int]) -> None:
    """Name the queries along the left edge and the keys along the right one, equally spaced."""
    queries, keys = stream.query_positions, stream.key_positions
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(max(len(queries), len(keys)) - 0.5, -0.5)
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_facecolor("none")
    right = axes.secondary_yaxis("right")
    right.spines["right"].set_visible(False)
    _name(axes.yaxis, queries, theme, pinned)
    _name(right.yaxis, keys, theme)


def _rows(axes: Axes, stream: Stream, theme: Theme, pinned: Sequence[int]) -> None:
    """Name the queries along the upper edge and the keys along the lower one, upright and equally spaced."""
    queries, keys = stream.query_positions, stream.key_positions
    axes.set_xlim(-0.5, max(len(queries), len(keys)) - 0.5)
    axes.set_ylim(1.02, -0.02)
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_facecolor("none")
    top = axes.secondary_xaxis("top")
    top.spines["top"].set_visible(False)
    _name(top.xaxis, queries, theme, pinned, rotation=90)
    _name(axes.xaxis, keys, theme, rotation=90)


def _matrix(axes: Axes, stream: Stream, weights: NDArray[np.float32], theme: Theme) -> Plot:
    # The norm is the widget's square root; what it is applied to, and a colour bar says, is weights.
    image = axes.imshow(
        weights,
        cmap=ListedColormap(ramp(theme.sequential), name="attnwidget"),
        norm=PowerNorm(0.5, vmin=0, vmax=1),
        aspect="auto" if weights.shape[0] != weights.shape[1] else "equal",
        interpolation="nearest",
    )
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    _name(axes.yaxis, stream.query_positions, theme)
    _name(axes.xaxis, stream.key_positions, theme, rotation=90)
    axes.set_xlabel("key", color=theme.muted)
    axes.set_ylabel("query", color=theme.muted)
    for spine in axes.spines.values():
        spine.set_color(theme.muted)
        spine.set_linewidth(0.5)
    return Plot(axes, (image,))


def _name(
    axis: Axis,
    positions: Sequence[Position],
    theme: Theme,
    pinned: Sequence[int] = (),
    *,
    rotation: float = 0,
) -> None:
    """Write the tokens along an axis, or every so many of their numbers where there are too many."""
    many = len(positions) > MOST_LABELS
    step = -(-len(positions) // (MOST_LABELS // 4)) if many else 1
    ticks = range(0, len(positions), step)
    labels = [str(place) if many else _label(positions[place]) for place in ticks]
    axis.set_ticks(ticks, labels=labels)
    axis.set_tick_params(length=0, rotation=rotation)
    for place, tick in zip(ticks, axis.get_major_ticks(), strict=True):
        colour = theme.accent if place in pinned else _colour(positions[place], theme)
        for text in (tick.label1, tick.label2):
            # A token such as "$x$" is text, no formula.
            text.set_parse_math(False)
            text.set_color(colour)
            text.set_fontweight("bold" if place in pinned else "normal")


def _colour(position: Position, theme: Theme) -> str:
    """Return the colour of a label: what is no text of a token is paler, as in the widget."""
    if position.kind == "special":
        return theme.special
    numbered = position.kind == "latent" or (position.kind == "token" and position.text is None)
    return theme.muted if numbered else theme.text


def _label(position: Position) -> str:
    text = visible_text(position.label)
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
