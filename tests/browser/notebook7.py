"""Notebook 7 in Chromium: JupyterLab's parts with one notebook to a page, driven by the same commands."""

from __future__ import annotations

from browser.lab import Lab, Notebook

READY = """async () => {
  await jupyterapp.restored;
  const [panel] = jupyterapp.shell.widgets("main");
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  return panel.id;
}"""
# Version 7.6 trips over the schema of its own shortcuts in every notebook, also in one without a widget.
OWN = ("/static/notebook/notebook_core", "reading 'schema'")


class Notebook7(Lab):
    """A page of Notebook 7, watched; it shows the notebook that was opened last."""

    def open(self, path: str) -> Notebook:
        """Open a notebook that is in the server's folder, in place of the one before."""
        self.page.goto(f"{self.server.url}/notebooks/{path}")
        self.page.wait_for_function("window.jupyterapp !== undefined")
        return Notebook(self, path, self.page.evaluate(READY))

    def forget_its_own(self) -> None:
        """Drop what Notebook 7 reports of itself."""
        kept = [each for each in self.watch.problems if not all(part in each for part in OWN)]
        self.watch.problems[:] = kept

    def _start(self) -> None:
        """Nothing is on show before a notebook is opened."""
