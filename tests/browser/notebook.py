"""A notebook open in JupyterLab: run cells, ask its kernel."""

from __future__ import annotations

import ast
import json
import time
from typing import TYPE_CHECKING, Any

from browser.widget import Widget

if TYPE_CHECKING:
    from browser.lab import Lab
    from playwright.sync_api import Locator

RUN = """async ([id, index]) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  jupyterapp.shell.activateById(id);
  panel.content.activeCellIndex = index;
  panel.content.deselectAll();
  await jupyterapp.commands.execute("notebook:run-cell");
  return panel.content.widgets[index].model.outputs?.toJSON() ?? [];
}"""

OUTPUTS = """([id, index]) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  return panel.content.widgets[index].model.outputs?.toJSON() ?? [];
}"""

ADD = """([id, source]) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  const shared = panel.content.model.sharedModel;
  shared.insertCell(shared.cells.length, { cell_type: "code", source });
  return shared.cells.length - 1;
}"""

EVALUATE = """async ([id, code, expressions]) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  const future = panel.sessionContext.session.kernel.requestExecute({
    code,
    silent: false,
    store_history: false,
    user_expressions: expressions,
  });
  return (await future.done).content;
}"""

CLOSE = """async (id) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  await panel.sessionContext.shutdown();
  await panel.context.save();
  panel.dispose();
}"""


class CellError(AssertionError):
    """A cell or an expression raised in the kernel; the message is its traceback."""


class Notebook:
    """An open notebook with a running kernel. Cells are counted from 0."""

    def __init__(self, lab: Lab, path: str, identity: str) -> None:
        """Use :meth:`Lab.notebook` or :meth:`Lab.open` instead."""
        self.lab = lab
        self.page = lab.page
        self.path = path
        self.identity = identity

    def run(self, cell: int) -> list[dict[str, Any]]:
        """Run one cell to its end; return its outputs.

        Raises:
            CellError: The cell raised.
        """
        outputs: list[dict[str, Any]] = self.page.evaluate(RUN, [self.identity, cell])
        for output in outputs:
            if output["output_type"] == "error":
                raise CellError("\n".join(output["traceback"]))
        return outputs

    def run_all(self) -> None:
        """Run every cell in order."""
        for cell in range(self.cells.count()):
            self.run(cell)

    def add(self, source: str) -> int:
        """Add a cell at the end without running it; return its number."""
        cell: int = self.page.evaluate(ADD, [self.identity, source])
        return cell

    def append(self, source: str) -> int:
        """Add a cell at the end and run it; return its number."""
        cell = self.add(source)
        self.run(cell)
        return cell

    def text(self, cell: int) -> str:
        """What the cell printed, and its result as plain text."""
        outputs = self.page.evaluate(OUTPUTS, [self.identity, cell])
        parts = [
            output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs
        ]
        return "".join(part if isinstance(part, str) else "".join(part) for part in parts)

    def execute(self, code: str) -> None:
        """Run code in the kernel without a cell, so that nothing on the page moves.

        Raises:
            CellError: The code raised.
        """
        self._evaluate(code, {})

    def value(self, expression: str) -> Any:
        """Value of a Python expression in the kernel, by way of JSON.

        The front end's own messages go first: the kernel answers in the order it was asked.

        Raises:
            CellError: The expression raised.
        """
        wrapped = f"__import__('json').dumps({expression})"
        answer = self._evaluate("", {"value": wrapped})["user_expressions"]["value"]
        if answer["status"] != "ok":
            raise CellError("\n".join(answer["traceback"]))
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def wait_value(self, expression: str, expected: object, *, seconds: float = 15) -> None:
        """Wait until the expression has this value in the kernel; tuples compare as lists."""
        give_up = time.monotonic() + seconds
        wanted = json.loads(json.dumps(expected))
        while (found := self.value(expression)) != wanted and time.monotonic() < give_up:
            self.page.wait_for_timeout(50)
        assert found == wanted, f"{expression} is {found!r}, expected {wanted!r}"

    @property
    def cells(self) -> Locator:
        """All cells of this notebook, in order."""
        return self.page.locator(f"[id='{self.identity}'] .jp-Notebook .jp-Cell")

    def output(self, cell: int) -> Locator:
        """The output area of one cell."""
        return self.cells.nth(cell).locator(".jp-Cell-outputWrapper")

    def widget(self, cell: int) -> Widget:
        """The attention widget that a cell shows."""
        return Widget(self.page, self.output(cell).locator(".attnwidget").first)

    def set_output_width(self, cell: int, width: int) -> None:
        """Resize the window until the cell's output area is ``width`` CSS pixels wide."""
        area = self.output(cell).locator(".jp-OutputArea-output").first
        matches = 0
        for _ in range(12):
            size, box = self.page.viewport_size, area.bounding_box()
            assert size is not None
            assert box is not None
            lacking = width - round(box["width"])
            # Twice, because JupyterLab lays itself out some time after the window has changed.
            matches = matches + 1 if lacking == 0 else 0
            if matches == 2:
                return
            if lacking:
                self.lab.set_viewport(size["width"] + lacking, size["height"])
            self.page.wait_for_timeout(100)
        message = f"the output of cell {cell} cannot be made {width} px wide"
        raise AssertionError(message)

    def close(self) -> None:
        """Shut the kernel down, save, and close the tab."""
        self.page.evaluate(CLOSE, self.identity)

    def _evaluate(self, code: str, expressions: dict[str, str]) -> dict[str, Any]:
        content: dict[str, Any] = self.page.evaluate(EVALUATE, [self.identity, code, expressions])
        if content["status"] != "ok":
            raise CellError("\n".join(content["traceback"]))
        return content
