"""A notebook open in JupyterLab: run cells, ask its kernel."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

from browser.waiting import PATIENCE, until
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

#: What tells the harness' own messages to widgets from those of the front end.
ROUND_TRIP = "a round trip of the tests"
# Messages to widgets go to a thread of the kernel's (JupyterLab's subshells), past the code of `EVALUATE`: only another
# message to a widget comes after them. One that nothing answers to is as good as any.
FLUSH = """async ([id, kind]) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  const comms = [...panel.sessionContext.session.kernel._comms.values()];
  const comm = comms.find(({ targetName }) => targetName === "jupyter.widget");
  await comm?.send({ method: "custom", content: { kind } }).done;
}"""

# Until an element has been as wide for some frames: JupyterLab lays itself out some of them after the window changed.
WIDTH = """async (element) => {
  let width = 0;
  for (let same = 0; same < 10; same++) {
    await new Promise(requestAnimationFrame);
    const now = element.getBoundingClientRect().width;
    if (now !== width) same = 0;
    width = now;
  }
  return width;
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

        Messages that a widget has sent before may be handled after it: see :meth:`rest`.

        Raises:
            CellError: The expression raised.
        """
        wrapped = f"__import__('json').dumps({expression})"
        answer = self._evaluate("", {"value": wrapped})["user_expressions"]["value"]
        if answer["status"] != "ok":
            raise CellError("\n".join(answer["traceback"]))
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def wait_value(self, expression: str, expected: object, *, seconds: float = PATIENCE) -> None:
        """Wait until the expression has this value in the kernel; tuples compare as lists."""
        wanted = json.loads(json.dumps(expected))
        found: Any = None

        def there() -> bool:
            nonlocal found
            found = self.value(expression)
            return bool(found == wanted)

        assert until(self.page, there, seconds=seconds), (
            f"{expression} is {found!r}, expected {wanted!r}"
        )

    def rest(self, widget: Widget) -> None:
        """Wait until a widget has come to rest, and the kernel has handled all that it sent."""
        widget.rest()
        self.flush()

    def flush(self) -> None:
        """Wait until the kernel has handled every message that widgets of the page had for it."""
        # Twice: a widget keeps changes back until the kernel has handled the ones before.
        for _ in range(2):
            self.page.evaluate(FLUSH, [self.identity, ROUND_TRIP])

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
        for _ in range(12):
            lacking = width - round(area.evaluate(WIDTH))
            if lacking == 0:
                return
            size = self.page.viewport_size
            assert size is not None
            self.lab.set_viewport(size["width"] + lacking, size["height"])
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
