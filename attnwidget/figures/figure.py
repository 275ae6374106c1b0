"""`Figure`: drawn when it is looked at or saved."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import integer, listed
from attnwidget.figures import data, renderer
from attnwidget.figures.crop import Crop, crop_of, crop_snapshot, cropped_answer
from attnwidget.figures.group_tables import is_of_groups
from attnwidget.figures.options import check_names, columns_of, figure_spec, pixels_of
from attnwidget.figures.picture import Picture
from attnwidget.figures.trace_table import check_trace_options, is_of_trace
from attnwidget.serve.selection import check_heads, check_layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.figures.renderer import Answer
    from attnwidget.protocol.codec import Block
    from attnwidget.record.options import FigureOptions
    from attnwidget.record.positions import Positions
    from attnwidget.serve.source import Source
    from attnwidget.serve.streams import ShownStream

__all__ = ["Figure", "split_heads"]

_CLIPS = re.compile(r'(<g id="(?:head-view|tokens)"[^>]*) clip-path="[^"]*"')
_WITH_LINKS = {"head", "compare", "all"}


class Figure(Picture):
    """A figure of attention. The last line of a cell shows it; `save` writes it.

    Made by `Attention.figure` and `AttentionWidget.figure`, and a value: what is selected later changes nothing.
    """

    def __init__(
        self,
        source: Source,
        snapshot: Mapping[str, Any],
        answer: Answer,
        options: FigureOptions,
        panels: list[list[int]] | None = None,
        *,
        call: str = "",
    ) -> None:
        """Settle what is drawn.

        Args:
            source: What is shown.
            snapshot: State, meta, thumbnails and screen; see ``Snapshot`` in the schema.
            answer: Answers the renderer's requests, positions counted in the whole record.
            options: See `Attention.figure`.
            panels: ``[layer, head]`` of each panel of a grid; the selected heads when left out.
            call: What makes the figure again, in Python.

        Raises:
            TypeError, ValueError: If an option does not exist, or is none of what is accepted.
        """
        check_names(options)
        state = snapshot["state"]
        stream = source.streams[state["stream"]]
        self._source = source
        self._call = call
        self._crop = crop_of(
            stream, options.get("positions"), options.get("queries"), options.get("keys")
        )
        if self._crop and is_of_groups(state):
            message = (
                f"figure({state['form']!r}) is of whole groups: leave positions, queries and keys out, or pass groups of "
                "their own, as in attention.figure('groups', groups={'these': range(0, 5)})."
            )
            raise ValueError(message)
        if is_of_trace(state):
            check_trace_options(options)
        heads = panels or [[state["layer"], head] for head in state["heads"]]
        self.spec = _spec(stream, state, options, self._crop, heads)
        self.width = pixels_of(options.get("width"))
        screen = snapshot["screen"]
        if self.width is not None or "size" in self.spec:
            # Another width is another layout, in which the reader's scroll means nothing.
            screen = {**screen, "width": self.width or screen["width"], "scroll": {}}
        self._snapshot = {**snapshot, "screen": screen}
        if self._crop:
            self._snapshot, thumbnails = crop_snapshot(self._snapshot, source, self._crop)
            self._snapshot["overview"] = b64encode(thumbnails).decode("ascii")
        #: The selection that is drawn, by the names of a view's traits.
        self.selection = state
        self._whole = answer
        self._drawn: renderer.Drawn | None = None

    @property
    def cropped(self) -> bool:
        """Whether some positions are left out."""
        return self._crop is not None

    def code(self) -> str:
        """Return the call that makes this figure again, as Python text.

        Names of the caller's variables are not known: a record is called ``attention``, a comparison ``comparison``, a
        survey ``survey``. Of a view's figure it is the view's own call (see `AttentionWidget.code`) and ``.figure(…)``; how
        far the reader has scrolled in it is not said.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "The cat sat on the mat", tokenizer=tokenizer)
            >>> attention.figure("lines", layer=3, heads=[1], query=2).code()
            'attention.figure("lines", layer=3, heads=[1], query=2)'
        """
        return self._call

    @property
    def _picture(self) -> renderer.Drawn:
        if self._drawn is None:
            self._drawn = renderer.draw(self._snapshot, self._answer, self.spec)
        return self._drawn

    @property
    def data(self) -> Any:
        """The numbers that are drawn, one row for each: a pandas ``DataFrame``, or a list of dicts without pandas.

        Lines and matrices have a row for each link or cell, with ``stream``, ``layer``, ``head``, ``query``, ``key``,
        ``query_label``, ``key_label`` and ``weight``; a comparison also has ``panel``, in which ``"B − A"`` holds the
        differences of the first two. The model view has a row for each cell of its thumbnails, which is the largest
        weight from there to the next. The neuron view has a row for each key, with its ``score``, and with
        ``explain="head"`` for each pair of its matrices. A text has a row for
        each token that a pinned query sees, or for each query that sees a pinned key; without pins one for each key,
        with its mean ``weight`` over all queries and -1 as its ``query``. A scatter has a row for each head, with its two
        scores; a model view that is coloured by a score has its column. An ``effect`` has its sign, of which the picture
        shows the size.

        Groups have a row for each head, group of queries (``from``) and group of keys (``to``), with its ``share``; a
        profile one for each layer and group of keys, with the ``mean`` over the heads, ``low`` and ``high`` (the middle
        half of them), ``least``, ``most`` and how many ``heads``.

        Geometry has a row for each query and each key of each head (``side``, ``position``, ``label``): where it lies in the
        plane (``x``, ``y``), and the length of its vector (``norm``).

        A trace has a row for each link, the largest first, with its ``weight``, the ``estimate`` of what the metric loses
        without it, and the ``change`` when it was cut (NaN where it was not).

        Under another measure its name is in the place of ``weight``; a rollout is of a layer, and has -1 as its
        ``head``. Between words, ``query`` and ``key`` are numbers of words, as `Attention.words` counts them. Of two
        records there are the panels ``"A"``, ``"B"`` and ``"B − A"``, and in the model view the size of the change.
        """
        return data.figure_table(
            self._source,
            self._snapshot,
            state=self.selection,
            spec=self.spec,
            crop=self._crop,
            answer=self._whole,
        )

    def _converted(self, scale: float, links: int) -> str:
        """Return the SVG that is converted, in which more than so many links are one picture.

        Args:
            scale: Pixels of that picture for each CSS pixel of the print.
            links: How many links are vectors.
        """
        if not self._has_links:
            return self.svg
        zoom = self.spec["size"]["zoom"] if "size" in self.spec else 1.0
        spec = {**self.spec, "raster_links": {"scale": scale * zoom, "most": links}}
        svg = renderer.draw(self._snapshot, self._answer, spec).svg
        # Nothing of a whole head view is cut, and each clip is a layer of the whole picture.
        summed = '<g id="links">' in svg
        return _CLIPS.sub(r"\1", svg) if summed and self.spec.get("whole") else svg

    @property
    def _has_links(self) -> bool:
        return self.selection["form"] == "lines" and self.selection["view"] in _WITH_LINKS

    def _answer(self, request: Mapping[str, Any]) -> tuple[Block, bytes]:
        if self._crop:
            return cropped_answer(self._source, self._crop, request, self._whole)
        return self._whole(request)

    def __repr__(self) -> str:
        state = self.selection
        view = state["form"] if state["view"] == "head" else state["view"]
        if "grid" in self.spec or (view == "compare" and state["compare"]):
            pairs = self.spec["grid"]["heads"] if "grid" in self.spec else state["compare"]
            return f"Figure({view}, {state['stream']}, {', '.join(f'{a}·{b}' for a, b in pairs)})"
        if view == "model":
            return f"Figure(model, {state['stream']})"
        heads = ", ".join(map(str, state["heads"]))
        return f"Figure({view}, {state['stream']}, layer {state['layer']}, heads {heads})"


def split_heads(heads: Any, layer: int) -> list[list[int]] | None:
    """Return heads given as ``(layer, head)`` pairs, or one by one in any layer; None where none is a pair."""
    several = None if integer(heads) is not None else listed(heads)
    pairs = [listed(head) for head in several or ()]
    if several is None or not any(pair is not None and len(pair) == 2 for pair in pairs):
        return None
    return [
        [layer, head] if pair is None else pair for head, pair in zip(several, pairs, strict=True)
    ]


def _spec(
    stream: ShownStream,
    state: Mapping[str, Any],
    options: FigureOptions,
    crop: Crop | None,
    panels: list[list[int]],
) -> dict[str, Any]:
    spec = figure_spec(options)
    if options.get("direction") in (None, "auto"):
        spec.pop("direction", None)
        if spec.get("layout") == "horizontal" and _runs_backwards(stream.query_positions):
            spec["direction"] = "rtl"
    grid = options.get("grid")
    columns = None if grid is None else columns_of(grid)
    if grid is not None and (columns is not None or grid):
        _check_panels(stream, state, panels)
        spec["grid"] = {"heads": panels, "columns": columns}
    notes = _notes(stream, state, spec, crop)
    if notes and spec.get("legend", True):
        spec["notes"] = notes
    return spec


def _check_panels(stream: ShownStream, state: Mapping[str, Any], panels: list[list[int]]) -> None:
    if state["view"] != "head":
        message = f"a grid is of the head view's panels, got view={state['view']!r}: figure('head', grid=True)."
        raise ValueError(message)
    for layer, head in panels:
        check_heads(stream[check_layer(stream, layer)], [head])


def _notes(
    stream: ShownStream, state: Mapping[str, Any], spec: Mapping[str, Any], crop: Crop | None
) -> list[str]:
    """Return what a reader has to know: which links are drawn, and which positions."""
    notes = []
    lines = state["form"] == "lines" and state["view"] in {"head", "compare", "all"}
    least = spec.get("threshold")
    if lines and least:
        weight = "weight " * (state["measure"] == "weights")
        notes.append(f"links drawn: {weight}{least:g} or more")
    if crop:
        parts = [
            f"{len(kept)} of {len(whole)} {name}"
            for name, kept, whole in (
                ("queries", crop.queries, stream.query_positions),
                ("keys", crop.keys, stream.key_positions),
            )
            if len(kept) < len(whole)
        ]
        if crop.queries == crop.keys and stream.query_positions == stream.key_positions:
            parts = [f"{len(crop.keys)} of {len(stream.key_positions)} positions"]
        notes.append(f"{' and '.join(parts)} shown; weights are over all keys")
    return notes


def _runs_backwards(positions: Positions) -> bool:
    """Tell whether most letters are of scripts that run from right to left."""
    import unicodedata  # noqa: PLC0415 - for this alone

    kinds = [unicodedata.bidirectional(char) for one in positions for char in one.label]
    backwards = sum(kind in {"R", "AL"} for kind in kinds)
    return backwards > sum(kind == "L" for kind in kinds)
