"""Take the picture of the README: ``python tests/browser/readme_picture.py``.

The first block of code of the README is run as a cell in a real JupyterLab, and the cell and its output are written into
``notebooks/images/views.png``. The code is written into the file as well: `tests/contract/test_docs.py` compares it with
the README's, so that the picture is always one of the code above it.
"""

from __future__ import annotations

import io
import logging
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PIL import Image, PngImagePlugin
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from browser import chromium as chromiums  # noqa: E402
from browser.lab import BROWSER_ARGUMENTS, Lab  # noqa: E402
from browser.server import serve  # noqa: E402

TARGET = ROOT / "notebooks/images/views.png"
WINDOW = (1600, 1300)
SCALE = 1.25
COLOURS = 256
# What JupyterLab puts around the cell that is active.
WITHOUT = """.jp-Collapser, .jp-cell-toolbar { visibility: hidden }
.jp-Notebook .jp-Cell, .jp-Notebook.jp-mod-scrollPastEnd { border-color: transparent !important; box-shadow: none !important }"""

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

log = logging.getLogger("picture")


class _Sharp:
    """A browser whose pages have more pixels than CSS pixels."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def new_context(self, **options: Any) -> BrowserContext:
        """Open a context, as `Browser.new_context` does."""
        return self._browser.new_context(device_scale_factor=SCALE, **options)


def first_block() -> str:
    """Return the first block of Python of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1].strip("\n")


def take(code: str) -> bytes:
    """Run the code as a cell and return a picture of the cell and what it shows."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=chromiums.find(), args=list(BROWSER_ARGUMENTS)
        )
        lab = Lab(cast("Browser", _Sharp(browser)), server)
        lab.set_viewport(*WINDOW)
        lab.page.add_style_tag(content=WITHOUT)
        notebook = lab.notebook([code])
        notebook.run_all()
        widget = notebook.widget(0)
        widget.leave()
        widget.settle()
        picture = notebook.cells.nth(0).screenshot()
        browser.close()
    return picture


def main() -> None:
    """Take the picture and write it in few enough colours to be small."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    code = first_block()
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt("code", code)
    with Image.open(io.BytesIO(take(code))) as picture:
        small = picture.convert("RGB").quantize(
            COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
    small.save(TARGET, optimize=True, pnginfo=notes)
    log.info("%s: %s bytes", TARGET.name, f"{TARGET.stat().st_size:,}")


if __name__ == "__main__":
    main()
