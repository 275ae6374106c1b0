"""VS Code's own widget manager on a page, over a kernel of a real Jupyter server.

The manager is the bundle that VS Code's Jupyter extension puts into a notebook's webview. The page does around it what the
extension does: it loads requirejs first, hands the manager a kernel connection, names the script of a widget's module in
the kernel's ``nbextensions``, makes a view of each output that holds a widget, and sets outputs of HTML as VS Code's own
renderer does. The connection is the one of Jupyter that the bundle holds; VS Code puts its own socket under it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from browser.host_page import VSCODE
from browser.npm_packages import NpmFile
from browser.watch import Watch
from browser.widget import Widget
from jupyter_core.paths import jupyter_path

if TYPE_CHECKING:
    from browser.server import LabServer
    from playwright.sync_api import Browser, Locator, Route

MANAGER = NpmFile(
    "@vscode/jupyter-ipywidgets8",
    "1.0.9",
    "bocCThfa4JDIDd7qCFAfW3HpzHfTLYxOTpTbiDfw4DXOUjKHnr6ObkMBiIkuzYPRybh5bY4FhYLemuDuTvIbpQ==",
    "dist/ipywidgets.js",
)
REQUIREJS = NpmFile(
    "requirejs",
    "2.3.8",
    "7/cTSLOdYkNBNJcDMWf+luFvMriVm7eYxp4BcFCsAX0wF421Vyce5SXP17c+Jd5otXKGNehIonFlyQXSowL6Mw==",
    "require.js",
)
# The manager's modules are its own; the page wants the kernel connection among them.
SHARED = "\nexport { __webpack_require__ as load, __webpack_modules__ as modules };\n"

START = """async (base) => {
  const { activate, load, modules } = await import(`${base}/ipywidgets.js`);
  activate();
  window.vscIPyWidgets8.load();
  const exported = (name) => {
    const id = Object.keys(modules).find((id) => modules[id].toString().includes(`t.${name}=void 0`));
    return load(Number(id))[name];
  };
  const ServerConnection = Object.entries(modules)
    .filter(([, module]) => module.toString().includes(".ServerConnection=void 0"))
    .map(([id]) => load(Number(id)).ServerConnection)[0];
  const KernelConnection = exported("KernelConnection");
  const serverSettings = ServerConnection.makeSettings({
    baseUrl: `${location.origin}/`, wsUrl: `${location.origin.replace("http", "ws")}/`,
  });
  const started = await fetch("/api/kernels", { method: "POST", body: JSON.stringify({ name: "python3" }) });
  const kernel = new KernelConnection({ model: await started.json(), serverSettings, handleComms: true });
  await kernel.info;
  const loader = {
    widgetsRegisteredInRequireJs: new Set(),
    async loadWidgetScript(name) {
      requirejs.config({
        paths: { [name]: `${base}/nbextensions/${name}/index` },
        map: { "*": { "jupyter-js-widgets": "@jupyter-widgets/base" } },
      });
      loader.widgetsRegisteredInRequireJs.add(name);
    },
    successHandler() {},
    errorHandler: (...what) => console.error("not loaded:", ...what.map(String)),
  };
  const manager = new window.vscIPyWidgets.WidgetManager(kernel, undefined, loader, () => {});

  const shown = new Map();
  const render = async (element, data) => {
    shown.get(element)?.dispose();
    shown.delete(element);
    element.replaceChildren();
    const view = data["application/vnd.jupyter.widget-view+json"];
    if (view) {
      const model = await manager.get_model(view.model_id);
      const made = await manager.create_view(model, { el: element });
      shown.set(element, await manager.display_view(view, made, { node: element }));
    } else if (data["text/html"]) {
      element.innerHTML = data["text/html"];
      for (const script of element.querySelectorAll("script")) {
        const again = document.createElement("script");
        again.textContent = script.textContent;
        script.replaceWith(again);
      }
    } else {
      element.textContent = data["text/plain"];
    }
  };
  const cells = new Map(), displayed = new Map();
  const place = (id) => {
    const found = document.getElementById(id);
    if (found) return found;
    const cell = document.createElement("div");
    cell.id = id;
    document.getElementById("output").append(cell);
    return cell;
  };
  const output = (cell) => {
    const element = document.createElement("div");
    element.className = "cell-output";
    cell.append(element);
    return element;
  };
  kernel.iopubMessage.connect((_, { header, content, parent_header }) => {
    const id = content.transient?.display_id;
    const cell = cells.get(parent_header.msg_id);
    if (header.msg_type === "update_display_data") {
      for (const element of displayed.get(id) ?? []) render(element, content.data);
    } else if (cell && ["display_data", "execute_result"].includes(header.msg_type)) {
      const element = output(cell);
      if (id) displayed.set(id, [...(displayed.get(id) ?? []), element]);
      render(element, content.data);
    }
  });
  let printed = "";
  window.run = async (id, code) => {
    const cell = place(id);
    for (const element of cell.children) shown.get(element)?.dispose();
    cell.replaceChildren();
    const future = kernel.requestExecute({ code }, true, { cellId: id });
    cells.set(future.msg.header.msg_id, cell);
    printed = "";
    future.onIOPub = ({ header, content }) => {
      if (header.msg_type === "stream") printed += content.text;
    };
    const { content } = await future.done;
    if (content.status !== "ok") throw new Error(content.traceback.join("\\n"));
    return printed;
  };
  window.stop = () => fetch(`/api/kernels/${kernel.id}`, { method: "DELETE" });
}"""


class VSCode:
    """A page with VS Code's widget manager and one kernel, watched."""

    def __init__(self, browser: Browser, server: LabServer, cache: Path, theme: str) -> None:
        """Open the page, start a kernel of the server, and connect the manager to it.

        Raises:
            NotFetchedError: The manager or requirejs could not be had.
        """
        manager, requirejs = MANAGER.read(cache), REQUIREJS.read(cache)
        self.context = browser.new_context(viewport={"width": 900, "height": 1200})
        self.watch = Watch(self.context)
        self.base = f"{server.url}/webview"
        #: Scripts of widgets that the manager has asked for.
        self.asked: list[str] = []
        page = VSCODE.format(theme=theme, background="#1f1f1f", policy="", output="")
        head = '<script src="/webview/require.js"></script></head>'
        script = "text/javascript"
        self._serve("/ipywidgets.js", manager + SHARED, script)
        self._serve("/require.js", requirejs, script)
        self.context.route(f"{self.base}/nbextensions/**", self._extension)
        self.page = self.context.new_page()
        # A page that Playwright answers for is of no known network, and may open no socket to this machine. So a
        # text of the server is opened first, and what stands there replaced.
        self.page.goto(f"{server.url}/static/style/index.css")
        self.page.set_content(page.replace("</head>", head))
        self.page.evaluate(START, self.base)

    def run(self, cell: str, code: str) -> str:
        """Run code as the cell of this id; return what it printed."""
        printed: str = self.page.evaluate("([cell, code]) => run(cell, code)", [cell, code])
        return printed

    def value(self, expression: str) -> object:
        """What an expression is worth in the kernel."""
        return json.loads(self.run("asked", f"import json; print(json.dumps({expression}))"))

    def output(self, cell: str) -> Locator:
        """The outputs of a cell."""
        return self.page.locator(f"#{cell}")

    def widget(self, cell: str) -> Widget:
        """The attention widget that a cell shows."""
        return Widget(self.page, self.output(cell).locator(".attnwidget"))

    def close(self) -> None:
        """Stop the kernel and close the page."""
        self.page.evaluate("stop()")
        self.context.close()

    def _serve(self, path: str, body: str, kind: str) -> None:
        def answer(route: Route) -> None:
            route.fulfill(body=body, content_type=kind)

        self.context.route(f"{self.base}{path}", answer)

    def _extension(self, route: Route) -> None:
        """Give a widget's script as VS Code finds it: in ``nbextensions`` of Jupyter's data folders."""
        path = route.request.url.removeprefix(f"{self.base}/")
        self.asked.append(path)
        there = [Path(folder) / path for folder in jupyter_path()]
        route.fulfill(path=next(file for file in there if file.exists()))
