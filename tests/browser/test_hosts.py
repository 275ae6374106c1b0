"""What hosts that cannot run here ask of the widget: VS Code's themes, styles and policy, the frames of Colab, Streamlit and Gradio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.copies import assert_fits
from browser.host_page import COLAB, FRAMED, STREAMLIT_SANDBOX, VSCODE, VSCODE_POLICY, mount
from browser.lab import PICTURE, Widget
from browser.waiting import until
from browser.watch import watched
from browser.widget import in_sight
from playwright.sync_api import expect

import attnwidget as aw
from attnwidget.serve.jobs import MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, FrameLocator, Page

TEXT = "The cat sat on the mat because it was tired"
OUTER, INNER = "http://127.0.0.1:8801/", "http://127.0.0.1:8802/"
THEMES = {
    "vscode-light": ("#ffffff", "light"),
    "vscode-dark": ("#1f1f1f", "dark"),
    "vscode-high-contrast": ("#000000", "dark"),
    "vscode-high-contrast vscode-high-contrast-light": ("#ffffff", "light"),
}


@pytest.fixture
def view() -> aw.AttentionWidget:
    model, tokenizer = aw.pocket()
    return aw.view(model, TEXT, tokenizer=tokenizer, layer=1, query="it")


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with watched(chromium, viewport={"width": 900, "height": 1200}) as page:
        yield page


def answers(frame: FrameLocator) -> None:
    """A frozen copy draws, and a click moves it."""
    root = frame.locator(".attnwidget[data-pending='0']")
    root.wait_for()
    assert int(root.locator(".aw-panel-head canvas").evaluate(PICTURE).split()[1]) > 10
    root.locator(".aw-next").click()
    expect(root.locator("select[aria-label='Layer']")).to_have_value("2")
    expect(root.locator(".aw-failure")).to_have_count(0)


@pytest.mark.parametrize("theme", THEMES)
def test_vscode_live(page: Page, view: aw.AttentionWidget, theme: str) -> None:
    background, expected = THEMES[theme]
    page.set_content(VSCODE.format(theme=theme, background=background, policy="", output=""))
    mount(page, view)
    widget = Widget(page, page.locator(".attnwidget"))
    widget.settle()
    expect(widget.root).to_have_attribute("data-theme", expected)
    for name in ("model", "head", "neuron"):
        assert int(widget.picture(name).split()[1]) > 10, f"the {name} view is nearly empty"
    widget.click("model", "layer 2 head 1")
    expect(widget.root.locator("select[aria-label='Layer']")).to_have_value("2")
    assert until(page, lambda: [view.layer, view.heads] == [2, [1]]), [view.layer, view.heads]
    before = widget.picture("head")
    page.evaluate("window.update({ layer: 3, heads: [1, 3] })")
    widget.wait_for_another("head", before)
    assert page.evaluate("window.require === undefined && window.define === undefined")
    overflow = widget.root.evaluate("(root) => root.parentElement.scrollWidth - root.clientWidth")
    assert overflow <= 16  # the output's own padding
    expect(widget.root.locator(".aw-failure")).to_have_count(0)
    widget.screenshot(f"hosts-{theme.rsplit(maxsplit=1)[-1]}")


@pytest.mark.parametrize("policy", ["", VSCODE_POLICY], ids=["usual", "strict"])
def test_vscode_frozen(page: Page, view: aw.AttentionWidget, policy: str) -> None:
    output = view._notebook.frozen_bundle(view, 900_000)["text/html"]
    html = VSCODE.format(theme="vscode-dark", background="#1f1f1f", policy=policy, output=output)
    page.set_content(html)
    frame = page.frame_locator("iframe.attnwidget-frozen")
    answers(frame)
    expect(frame.locator(".attnwidget")).to_have_attribute("data-theme", "dark")
    with page.expect_download() as download:
        in_sight(frame.locator(".attnwidget"), ".aw-save-png").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "sandbox",
    [
        "allow-scripts allow-same-origin allow-downloads allow-forms allow-popups allow-modals",
        "allow-scripts",
    ],
    ids=["its own origin", "no origin"],
)
def test_colab_frozen(page: Page, view: aw.AttentionWidget, sandbox: str) -> None:
    output = view._notebook.frozen_bundle(view, 900_000)["text/html"]
    dark = "<!doctype html><html theme='dark'><body>"
    page.context.route(
        f"{OUTER}**",
        lambda route: route.fulfill(
            body=COLAB.format(theme="theme='dark'", output=INNER, sandbox=sandbox),
            content_type="text/html",
        ),
    )
    page.context.route(
        f"{INNER}**", lambda route: route.fulfill(body=f"{dark}{output}", content_type="text/html")
    )
    page.goto(OUTER)
    page.locator("#output").evaluate("(frame) => { frame.width = 880; frame.height = 1000; }")
    outputs = page.frame_locator("#output")
    frame = outputs.frame_locator("iframe.attnwidget-frozen")
    answers(frame)
    # As high as what is in it, so that nothing scrolls inside something that scrolls.
    assert_fits(outputs.locator("body"))
    expect(frame.locator(".attnwidget")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize(
    ("of", "sandbox"),
    [("view", STREAMLIT_SANDBOX), ("record", "allow-scripts")],
    ids=["a view, as Streamlit", "a record, scripts alone"],
)
def test_the_text_of_a_page_in_a_frame(
    page: Page, view: aw.AttentionWidget, of: str, sandbox: str
) -> None:
    text = view.html() if of == "view" else view.attention.html(layer=1, query="it")
    # The page around it has a kernel of nothing, and its policy is its own: nothing is asked of any server.
    page.set_content(FRAMED)
    page.emulate_media(color_scheme="dark")
    page.evaluate("([text, sandbox]) => put(text, sandbox)", [text, sandbox])
    frame = page.frame_locator("iframe")
    answers(frame)
    expect(frame.locator(".attnwidget")).to_have_attribute("data-theme", "dark")
    # As wide as the frame; what is higher scrolls inside, as it does in a window.
    wide, scrolls = frame.locator("html").evaluate("(root) => [root.scrollWidth, innerWidth]")
    assert wide <= scrolls
    if "downloads" in sandbox:
        with page.expect_download() as download:
            in_sight(frame.locator(".attnwidget"), ".aw-save-png").click()
        assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_no_message_is_larger_than_stated(page: Page) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    weights = rng.random((2, 6, 1024, 1024), np.float32)
    weights /= weights.sum(-1, keepdims=True)
    view = aw.view(aw.from_weights(weights, [f"w{i}" for i in range(1024)]), heads=list(range(6)))
    page.set_content(VSCODE.format(theme="vscode-light", background="#fff", policy="", output=""))
    kernel = mount(page, view)
    widget = Widget(page, page.locator(".attnwidget"))
    widget.settle(seconds=120)
    page.evaluate("window.update({ form: 'matrix', layer: 1 })")
    widget.settle(seconds=120)
    assert 1 << 20 < kernel.largest <= 2 * MESSAGE_BYTES
    expect(widget.root.locator(".aw-failure")).to_have_count(0)
