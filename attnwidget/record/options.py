"""`ViewOptions`, `SelectionOptions`, `FigureOptions` …: what the keyword arguments of views and figures are, for type checkers and editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    from attnwidget.record.position_lookup import Place

    Several: TypeAlias = int | Iterable[int]
    Pins: TypeAlias = int | str | Iterable[int | str]
    Head: TypeAlias = int | tuple[int, int]

__all__ = [
    "DrawnSelection",
    "FigureOptions",
    "FileOptions",
    "SelectionOptions",
    "ShownOptions",
    "ViewOptions",
    "WeightOptions",
]


class Shared(TypedDict, total=False):
    """The parts of a selection that views and figures call the same."""

    view: Literal["all", "model", "head", "neuron", "compare"]
    stream: str | None
    layer: int | None
    layers: Any
    head: Head | Iterable[Head] | None
    heads: Head | Iterable[Head] | None
    query: Pins | None
    key: Pins | None
    measure: Literal["weights", "value", "norm", "gradient", "relevance", "rollout"] | None
    form: (
        Literal["lines", "matrix", "image", "text", "groups", "profile", "geometry", "trace"] | None
    )
    compare: Iterable[tuple[int, int]]
    step: int | None
    score: str | None
    other_score: str | None
    without_sink: bool
    top_k: int | None
    mass: float | None
    aside: Literal["first", "special", "first and special"] | Iterable[int | str] | None
    shade: Literal["own", "fixed"]
    arrange: Literal["layers", "rank", "rank_by_layer", "scatter"] | None
    below_threshold: Literal["faint", "hidden"]
    show_layers: Several | None
    explain: Literal["link", "head"]
    together: Literal["mean", "max", "sum"] | None
    together_layers: Several | None
    panels: Literal["overlaid", "one a head"]
    grouping: str | None
    from_group: str | None
    to_group: str | None
    colour: Literal["position", "group", "norm"]


class SelectionOptions(Shared, total=False):
    """What a view starts with; `AttentionWidget` has a trait for each, and its documentation."""

    positions: Literal["pieces", "words"]
    theme: Literal["auto", "light", "dark"]
    threshold: float | None
    ranking: dict[str, Any] | None


class ShownOptions(SelectionOptions, total=False):
    """What a view of a record, or of two that are compared, starts with: a selection, and the groups of its positions."""

    groups: Any


class ViewOptions(Shared, total=False):
    """What `attnwidget.view` takes: a selection, and what `attnwidget.capture` takes."""

    positions: Any
    theme: Literal["auto", "light", "dark"]
    threshold: float | None
    ranking: dict[str, Any] | None
    groups: Any
    target: Any
    batch: int | None
    streams: str | Sequence[str] | None
    store: Any
    exact: Literal["float32", "model"]
    device: Any
    tokens: Any
    interventions: Any
    lens: bool
    metric: Any


class WeightOptions(ViewOptions, total=False):
    """What `attnwidget.head_view`, `model_view` and `neuron_view` take besides: weights that were computed elsewhere, as BertViz has them."""

    attention: Any
    encoder_attention: Any
    decoder_attention: Any
    cross_attention: Any
    encoder_tokens: Any
    decoder_tokens: Any
    sentence_b_start: int | None
    include_layers: Sequence[int] | None


class FigureOptions(TypedDict, total=False):
    """How a figure is drawn; `Attention.figure` says what each option means."""

    width: float | str | None
    font: str | None
    font_size: float | None
    theme: Literal["light", "dark", "print"] | None
    colour_map: Literal["blue", "cividis", "viridis", "magma", "grey"] | None
    title: bool | str
    legend: bool
    transparent: bool
    whole: bool
    marked: bool
    grid: bool | int
    positions: Place | None
    queries: Place | None
    keys: Place | None
    threshold: float
    layout: Literal["vertical", "horizontal"]
    direction: Literal["auto", "ltr", "rtl"]


class DrawnSelection(Shared, FigureOptions, total=False):
    """What a figure takes: how it is drawn, and what of the result."""

    selection: dict[str, Any] | None
    groups: Any


class FileOptions(DrawnSelection, total=False):
    """What ``save`` takes for figures and pages: what of the result, how it is drawn, and the file's resolution or size."""

    kind: str | None
    scale: float | None
    dpi: float | None
    budget: int | str | None
