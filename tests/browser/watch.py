"""What a clean page does not do: report errors, or reach for anything but this machine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from browser.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Page,
        Request,
        WebError,
    )

BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A proxy nobody listens on; Chromium never sends what is for this machine to a proxy.
    "--proxy-server=http://127.0.0.1:9",
)

# What JupyterLab itself complains about, none of it ours.
NOISE = (
    # Asked of every server; ours has no language servers and no terminals.
    "/lsp/status",
    "/api/terminals",
    # JupyterLab asks for a notebook's pictures beside the page first, then where they are.
    "/images/",
)

# JupyterLab's widget manager asks a notebook for its kernel while that notebook is being closed.
_CLOSED = "Cannot read properties of null (reading 'kernel')"
_MANAGER = "/@jupyter-widgets/jupyterlab-manager/"


class Watch:
    """Keeps count of everything a clean page would not do, for all pages of a browser context."""

    def __init__(self, context: BrowserContext) -> None:
        """Start watching, and give what these pages are waited for the time that a busy machine takes."""
        context.set_default_timeout(1000 * PATIENCE)
        #: Console errors, uncaught exceptions and requests that leave this machine.
        self.problems: list[str] = []
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)

    def assert_clean(self) -> None:
        """Fail when a page reported an error or asked for anything off this machine."""
        problems, self.problems[:] = list(self.problems), []
        assert not problems, "the page was not clean:\n" + "\n".join(problems)

    def _on_console(self, message: ConsoleMessage) -> None:
        place = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and not any(noise in place for noise in NOISE):
            self.problems.append(f"console: {place}")

    def _on_error(self, caught: WebError) -> None:
        text = caught.error.stack or caught.error.message
        frames = [line for line in text.splitlines() if line.lstrip().startswith("at ")]
        if _CLOSED in text and frames and all(_MANAGER in frame for frame in frames):
            return
        self.problems.append(f"uncaught: {text}")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1":
            self.problems.append(f"request to {request.url}")


@contextlib.contextmanager
def watched(browser: Browser, *, known: Sequence[str] = (), **options: Any) -> Iterator[Page]:
    """A page in a browser context of its own; fails at the end of the block unless it was clean.

    Problems with one of the ``known`` texts in them are the host's own.
    """
    context = browser.new_context(**options)
    watch = Watch(context)
    yield context.new_page()
    watch.problems[:] = [one for one in watch.problems if not any(text in one for text in known)]
    watch.assert_clean()
    context.close()
