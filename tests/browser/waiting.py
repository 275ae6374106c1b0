"""Waiting for the state that a test means. A fixed time says nothing on a machine that is busy with other things."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

Found = TypeVar("Found")

#: Seconds that anything may take before a test gives up: it bounds waiting, and costs nothing where all is well.
PATIENCE = 60


def until(
    page: Page, look: Callable[[], Found], *, seconds: float = PATIENCE, pause: float = 0.05
) -> Found:
    """Look again and again until what is found is true, or the time is up; return what was found last."""
    give_up = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < give_up:
        # Playwright passes on what the page reports only while it waits for the page.
        page.wait_for_timeout(1000 * pause)
    return found
