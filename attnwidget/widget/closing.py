"""Closing a widget that the page may not have begun to show."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from comm import get_comm_manager
from ipywidgets.widgets.widget import (  # type: ignore[import-untyped,unused-ignore]
    _instances as open_widgets,
)

from attnwidget.widget.still import executed, kernel

if TYPE_CHECKING:
    import ipywidgets  # type: ignore[import-untyped,unused-ignore]

__all__ = ["closed_later"]

# Seconds in which a page has made something of a widget, also where it is told of many at once.
GRACE = 10.0


def closed_later(widget: ipywidgets.Widget, opened: float, *, heard: bool) -> bool:
    """Disconnect a widget, and tell the page when that makes sense to it.

    A page that hears of the end of a widget while it is still loading it reports errors: anywidget that it failed,
    ipywidgets that there is no such model.

    Args:
        widget: What to close.
        opened: When it was opened, by `time.monotonic`.
        heard: Whether the page has answered for it since.

    Returns:
        Whether it was done: not where the page may be told at once.
    """
    connection: Any = widget.comm
    running = kernel()
    wait = opened + GRACE - time.monotonic()
    if connection is None or running is None or heard or wait <= 0 or executed():
        return False
    open_widgets.pop(widget.model_id, None)
    get_comm_manager().unregister_comm(connection)
    widget.comm = None
    loop = running.io_loop
    # From any thread: Python calls this when nothing holds a view any more.
    loop.add_callback(loop.call_later, wait, partial(connection.close, deleting=True))
    return True
