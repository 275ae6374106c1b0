"""Apps that put the text of a page into a frame: Streamlit and Gradio themselves, whose environment `make hosts` sets up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser.copies import assert_answers
from browser.server import free_port, running
from browser.waiting import until
from browser.watch import watched
from browser.widget import SCREENSHOTS, Widget, in_sight
from playwright.sync_api import expect

import attnwidget as aw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, FrameLocator, Page

PYTHON = Path(__file__).parents[2] / ".compat/hosts/bin/python"
if not PYTHON.exists():
    pytest.skip("no Streamlit and Gradio: run `make hosts`", allow_module_level=True)

TEXT = "The cat sat on the mat because it was tired"
PAGE = 'page = Path("page.html").read_text("utf-8")'
# The frame that takes its height from the page, and the one that Streamlit had before.
STREAMLIT = f"""
from pathlib import Path
import streamlit as st
import streamlit.components.v1 as components

{PAGE}
st.iframe(page)
components.html(page, height=900, scrolling=True)
"""
STREAMLIT_OPTIONS = (
    "--server.headless=true",
    "--server.address=127.0.0.1",
    "--server.fileWatcherType=none",
    "--browser.gatherUsageStats=false",
)
# With the least that the page needs, and with all that it can use.
GRADIO = f"""
import html, os, sys
from pathlib import Path
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr

{PAGE}
frame = '<iframe sandbox="{{}}" width="100%" height="900" srcdoc="{{}}"></iframe>'
with gr.Blocks() as app:
    for sandbox in ("allow-scripts", "allow-scripts allow-downloads allow-same-origin"):
        gr.HTML(frame.format(sandbox, html.escape(page)))
app.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
"""
# What Streamlit adds to a page to measure it, which the page's policy forbids: the page says itself how high it is.
REFUSED = "Executing inline script violates the following Content Security Policy"
DARK = {"streamlit": "?embed=true&embed_options=dark_theme", "gradio": "?__theme=dark"}
LIGHT = {"streamlit": "?embed=true&embed_options=light_theme", "gradio": "?__theme=light"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the text of a page: the apps know nothing else of the widget."""
    folder = tmp_path_factory.mktemp("apps")
    model, tokenizer = aw.pocket()
    view = aw.view(model, TEXT, tokenizer=tokenizer, layer=1, heads=[0], query="it")
    (folder / "page.html").write_text(view.html(), "utf-8")
    (folder / "streamlit_app.py").write_text(STREAMLIT, "utf-8")
    (folder / "gradio_app.py").write_text(GRADIO, "utf-8")
    return folder


@pytest.fixture(scope="module")
def streamlit(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port())}/"
    command = ("streamlit", "run", "streamlit_app.py", f"--server.port={port}", *STREAMLIT_OPTIONS)
    own = tmp_path_factory.mktemp("streamlit")
    with running(command, own, f"{url}_stcore/health", directory=folder, python=PYTHON):
        yield url


@pytest.fixture(scope="module")
def gradio(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port())}/"
    own = tmp_path_factory.mktemp("gradio")
    with running(("gradio_app", str(port)), own, url, directory=folder, python=PYTHON):
        yield url


@pytest.fixture(params=["streamlit", "gradio"])
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(request: pytest.FixtureRequest, host: str) -> str:
    return str(request.getfixturevalue(host))


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page that reaches this machine alone, and that reported nothing but what is known."""
    size = {"width": 1400, "height": 1000}
    with watched(chromium, viewport=size, known=[REFUSED]) as page:
        yield page


def copy(page: Page, number: int) -> FrameLocator:
    """One of the two frames of an app, once what is in it has drawn all it has."""
    frame = page.locator("iframe").nth(number)
    frame.scroll_into_view_if_needed()
    inside = page.frame_locator("iframe").nth(number)
    Widget(page, inside.locator(".attnwidget")).settle()
    return inside


@pytest.mark.parametrize("number", [0, 1])
def test_it_draws_and_answers(page: Page, host: str, url: str, number: int) -> None:
    page.goto(url)
    inside = copy(page, number)
    # As wide as the frame; what is higher scrolls inside.
    wide, scrolls = inside.locator("html").evaluate("(root) => [root.scrollWidth, innerWidth]")
    assert wide <= scrolls
    Widget(page, inside.locator(".attnwidget")).screenshot(f"apps-{host}-{number}")
    assert_answers(inside, page)


def test_a_figure_is_saved(page: Page, url: str) -> None:
    page.goto(url)
    root = copy(page, 1).locator(".attnwidget")
    with page.expect_download() as download:
        in_sight(root, ".aw-save-png").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("width", [1400, 700])
def test_streamlit_gives_a_frame_the_height_of_the_page(
    page: Page, streamlit: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(streamlit)
    inside = copy(page, 0)
    sizes: list[float] = []

    def fits() -> bool:
        sizes[:] = inside.locator("html").evaluate(
            "(root) => [innerHeight, root.getBoundingClientRect().height, root.scrollHeight]"
        )
        high, needed, scrolled = sizes
        return high > 300 and 0 <= high - needed < 1 and scrolled <= high

    assert until(page, fits), sizes


@pytest.mark.parametrize("prefers", ["light", "dark"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_as_light_or_dark_as_the_app(
    page: Page, host: str, url: str, theme: str, prefers: str
) -> None:
    page.emulate_media(color_scheme="dark" if prefers == "dark" else "light")
    page.goto(url + (DARK if theme == "dark" else LIGHT)[host])
    inside = copy(page, 1)
    expect(inside.locator(".attnwidget")).to_have_attribute("data-theme", theme)
    painted = "rgb(17, 20, 24)" if theme == "dark" else "rgb(255, 255, 255)"
    expect(inside.locator("body")).to_have_css("background-color", painted)
    # A frame that sees nothing of the app follows the browser.
    if host == "gradio":
        expect(copy(page, 0).locator(".attnwidget")).to_have_attribute("data-theme", prefers)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"apps-{host}-{theme}-{prefers}.png")


def test_it_follows_a_theme_that_is_chosen_in_streamlit(page: Page, streamlit: str) -> None:
    page.goto(streamlit)
    root = copy(page, 0).locator(".attnwidget")
    page.get_by_test_id("stMainMenu").get_by_role("button").click()
    for theme in ("dark", "light"):
        page.get_by_role("menuitemradio", name=theme.title()).click()
        expect(root).to_have_attribute("data-theme", theme)
