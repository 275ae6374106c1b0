"""One of the two subjects of the benchmark in a notebook: open it, switch layers, hover, weigh it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from browser.lab import Lab, Notebook

LAYERS, HEADS = 12, 12

PREPARE = """
import torch
generator = torch.Generator().manual_seed(0)
def weights(tokens):
    scores = torch.randn({layers}, 1, {heads}, tokens, tokens, generator=generator)
    return list((2 * scores).softmax(-1))
tokens = ["word%d" % number for number in range({tokens})]
attention = weights({tokens})
"""

IMPORTS = {
    "bertviz": "from bertviz import head_view, model_view",
    "attnwidget": "import attnwidget as aw",
}
# BertViz starts its script without waiting for the loader it needs, so the first picture of a page
# fails when the loader comes late. Here the loader is there before anything is timed.
LOADER = "head_view(weights(2)[:1], ['a', 'b'])"

OPEN = {
    "bertviz": "head_view(attention, tokens)",
    "attnwidget": f"aw.view(aw.from_weights(attention, tokens), heads=range({HEADS}))",
}
# As `aw.view` opens when nothing is said: three views, the first head of the first layer.
OPEN_PLAIN = "aw.view(aw.from_weights(attention, tokens))"
OPEN_MODEL = {
    "bertviz": "model_view(attention, tokens)",
    "attnwidget": "aw.model_view(aw.from_weights(attention, tokens))",
}
# Where the mouse finds tokens.
TOKENS = {
    "bertviz": "#vis #left text",
    "attnwidget": ".aw-panel-head .aw-stop",
}


@dataclass
class Result:
    """What one subject took; a list holds one number a repetition."""

    opening: list[float] = field(default_factory=list)
    opening_bytes: int = 0
    next_layer: list[float] = field(default_factory=list)
    far_layer: list[float] = field(default_factory=list)
    layer_bytes: list[int] = field(default_factory=list)
    hover: list[float] = field(default_factory=list)
    hover_messages: int = 0
    nodes: int = 0
    saved: int = 0


class Subject:
    """One notebook in which one of the two is measured."""

    def __init__(self, lab: Lab, name: str, tokens: int) -> None:
        """Open the notebook, import the package and make the weights."""
        self.name = name
        self.page = lab.page
        self.prepare = PREPARE.format(layers=LAYERS, heads=HEADS, tokens=tokens)
        cells = [IMPORTS[name], self.prepare]
        self.notebook: Notebook = lab.notebook(cells, name=f"{name}-{tokens}")
        self.notebook.run_all()
        if name == "bertviz":
            self.notebook.append(LOADER)
            self.page.wait_for_function("window.requirejs !== undefined")
            shown = self.notebook.append(LOADER)
            self.notebook.output(shown).locator("#vis svg").wait_for(state="attached")
            lab.watch.problems.clear()

    def call(self, function: str, cell: int, *arguments: object) -> Any:
        """Call one of the functions of page.js for a cell."""
        code = f"(arguments) => window.bench.{function}(arguments)"
        return self.page.evaluate(code, [self.notebook.identity, cell, *arguments])

    def add(self, source: str) -> int:
        """Put a cell at the end without running it."""
        return self.notebook.add(source)

    def open(self, source: str, times: int) -> tuple[int, Result]:
        """Show it this many times, each in a cell of its own; return the last cell."""
        result = Result()
        cell = -1
        for _ in range(times):
            cell = self.add(source)
            opened = self.call("open", cell, self.name)
            result.opening.append(opened["milliseconds"])
            result.opening_bytes = opened["bytes"]
            self.page.wait_for_timeout(500)
        return cell, result

    def measure(self, source: str, *, times: int, layers: Sequence[int], hovers: int) -> Result:
        """Open it, switch layers, hover tokens, weigh what is on the page."""
        cell, result = self.open(source, times)
        result.nodes = self.call("weigh", cell)["nodes"]
        before = 0
        for layer in layers:
            switched = self.call("layer", cell, self.name, layer)
            kind = result.next_layer if abs(layer - before) == 1 else result.far_layer
            kind.append(switched["milliseconds"])
            before = layer
            result.layer_bytes.append(switched["bytes"])
            self.page.wait_for_timeout(500)
        if hovers:
            self.hover(cell, hovers, result)
        weight = self.call("weigh", cell)
        result.nodes = max(result.nodes, weight["nodes"])
        result.saved = weight["saved"]
        if self.name == "attnwidget" and not self.call("inked", cell):
            message = "attnwidget left a canvas empty"
            raise RuntimeError(message)
        return result

    def hover(self, cell: int, hovers: int, result: Result) -> None:
        """Move the mouse from token to token."""
        output = self.notebook.output(cell)
        found = output.locator(TOKENS[self.name])
        found.first.wait_for(state="attached")
        found.first.scroll_into_view_if_needed()
        boxes = [box for box in (token.bounding_box() for token in found.all()) if box]
        left = min(box["x"] for box in boxes)
        column = [box for box in boxes if box["x"] < left + 60][: hovers + 1]
        points = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in column]
        self.page.mouse.move(*points[0])
        self.page.wait_for_timeout(1000)
        self.call("watchHover", cell)
        for point in points[1:]:
            self.page.mouse.move(*point)
            self.page.wait_for_timeout(200)
        self.page.wait_for_timeout(1000)
        hovered = self.page.evaluate("() => window.bench.hovered()")
        result.hover = hovered["samples"]
        result.hover_messages = hovered["messages"]
