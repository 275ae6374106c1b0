"""The three libraries that BertViz loads from a CDN, served from npm's copies of them."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Route

# What BertViz asks for -> the npm package that holds it, and where. npm has no jQuery 2.0.0; 2.1.0
# answers the handful of calls BertViz makes in the same way.
LIBRARIES = {
    "require.min.js": ("requirejs@2.3.6", "requirejs/require.js"),
    "d3.min.js": ("d3@5.7.0", "d3/dist/d3.min.js"),
    "jquery.min.js": ("jquery@2.1.0", "jquery/dist/jquery.min.js"),
}


@contextlib.contextmanager
def libraries() -> Iterator[dict[str, str]]:
    """Install the packages into a temporary folder; yield file name -> source text.

    Raises:
        RuntimeError: npm could not install them.
    """
    with tempfile.TemporaryDirectory() as folder:
        packages = [package for package, _ in LIBRARIES.values()]
        command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", folder]
        command += packages
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            message = f"npm could not install {packages}:\n{done.stdout[-2000:]}"
            raise RuntimeError(message)
        modules = Path(folder, "node_modules")
        yield {name: (modules / path).read_text("utf-8") for name, (_, path) in LIBRARIES.items()}


def serve(context: BrowserContext, sources: dict[str, str]) -> None:
    """Answer requests for these libraries, on whatever host, from memory."""
    for name, source in sources.items():
        context.route(f"**/{name}", partial(answer, source))


def answer(source: str, route: Route) -> None:
    """Answer one request with a script."""
    route.fulfill(body=source, content_type="text/javascript")
