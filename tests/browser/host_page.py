"""Pages that stand for hosts which cannot run here: what VS Code and Colab put around an output, as far as it is known.

The widget on such a page has a real kernel side behind it, in this process, and of its host no more than a model that
gets, sets, sends and listens: no requirejs, no widget manager, no `experimental` of anywidget.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

    import attnwidget as aw

# What a notebook webview of VS Code sets up (src/vs/workbench/contrib/notebook/browser/view/renderers): its classes, a
# part of its variables, the styles that reach into outputs, and the policy of `notebook.experimental.enableCsp`.
VSCODE = """<!doctype html>
<html lang="en" style="--vscode-font-family: monospace; --vscode-editor-background: {background}">
<head><meta charset="utf-8">{policy}
<style>
  html {{ background: {background}; }}
  body {{ padding: 0; margin: 0; height: 100%; width: 100%; overflow: hidden; }}
  #container {{ position: absolute; width: 100%; top: 0; }}
  #container > div > div > div.output {{ font-size: 13px; width: 100%; box-sizing: border-box; padding: 8px; }}
  #container > div > div:not(.preview) > div {{ overflow-x: auto; }}
  table, thead, tr, th, td, tbody {{ border: none !important; border-spacing: 0; border-collapse: collapse; }}
  table, th, tr {{ vertical-align: middle; text-align: right; }}
  th, td {{ padding: 4px 8px; }}
  tr:nth-child(even) {{ background-color: rgba(130, 130, 130, 0.08); }}
</style></head>
<body class="{theme}">
<div id="container"><div><div><div class="output" id="output">{output}</div></div></div></div>
</body></html>"""
VSCODE_POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "script-src https://*.vscode-cdn.net 'unsafe-inline' 'unsafe-eval'; "
    "style-src https://*.vscode-cdn.net 'unsafe-inline'; img-src https: http: data:; font-src https:; "
    'connect-src https:; child-src https: data:;">'
)
# Each output of Colab is a frame of another origin.
COLAB = '<!doctype html><html {theme}><body><iframe id="output" src="{output}" sandbox="{sandbox}"></iframe></body></html>'

# Programs that take HTML put it into a frame whose page is given as text: Streamlit's `components.v1.html`, and what one
# writes oneself for Gradio's `gr.HTML`, which sets HTML and runs none of its scripts.
FRAMED = """<!doctype html><html><body style="margin: 0">
<div id="place"></div>
<script>
  window.put = (page, sandbox) => {
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", sandbox);
    frame.setAttribute("width", "100%");
    frame.setAttribute("height", "900");
    frame.setAttribute("srcdoc", page);
    document.getElementById("place").append(frame);
  };
</script></body></html>"""
STREAMLIT_SANDBOX = (
    "allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-same-origin allow-scripts"
    " allow-downloads"
)

MOUNT = """async ([module, state]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  for (const [name, text] of Object.entries(state.buffers)) {
    state.state[name] = new DataView(bytes(text).buffer);
  }
  const listeners = new Map();
  const emit = (event, ...values) => (listeners.get(event) ?? []).forEach((each) => each(...values));
  let changed = {};
  const model = {
    get: (name) => state.state[name],
    set(name, value) {
      changed[name] = state.state[name] = value;
      emit(`change:${name}`);
    },
    save_changes() {
      kernel({ method: "update", state: changed });
      changed = {};
    },
    on: (event, callback) => listeners.set(event, [...(listeners.get(event) ?? []), callback]),
    off: (event, callback) =>
      listeners.set(event, (listeners.get(event) ?? []).filter((each) => each !== callback)),
    async send(content) {
      const { answer, buffers } = await kernel({ method: "custom", content });
      emit("msg:custom", answer, buffers.map((text) => new DataView(bytes(text).buffer)));
    },
  };
  window.update = (state) => Object.entries(state).forEach(([name, value]) => model.set(name, value));
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  widget.initialize({ model });
  await widget.render({ model, el: document.getElementById("output") });
}"""


class Kernel:
    """The kernel side of a widget, for a page: plain messages there and back, and how large they were."""

    def __init__(self, view: aw.AttentionWidget) -> None:
        """Stand behind this widget."""
        self.view = view
        #: Bytes of the largest message to the page.
        self.largest = 0

    def answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Take a message of the page's."""
        if message["method"] == "update":
            self.view.set_state(message["state"])
            return None
        content = json.loads(json.dumps(message["content"]))
        answer, buffers = getattr(self.view, content["name"])(content["msg"], [])
        self.largest = max(self.largest, sum(map(len, buffers)))
        return {
            "answer": {
                "id": content["id"],
                "kind": "anywidget-command-response",
                "response": answer,
            },
            "buffers": [base64.b64encode(data).decode("ascii") for data in buffers],
        }


def mount(page: Page, view: aw.AttentionWidget) -> Kernel:
    """Draw a widget into the ``#output`` of a page."""
    kernel = Kernel(view)
    page.expose_function("kernel", kernel.answer)
    state = view.get_state()
    buffers = {name: value for name, value in state.items() if isinstance(value, bytes)}
    plain = {
        name: value
        for name, value in state.items()
        if name in view.trait_names(sync=True) and name not in buffers and _is_plain(value)
    }
    module = plain.pop("_esm")
    encoded = {name: base64.b64encode(value).decode("ascii") for name, value in buffers.items()}
    page.evaluate(MOUNT, [module, {"state": plain, "buffers": encoded}])
    return kernel


def _is_plain(value: object) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
