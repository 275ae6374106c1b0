"""Reads what a page without a kernel holds."""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

from attnwidget.protocol import codec
from attnwidget.serve.static_files import static_text

if TYPE_CHECKING:
    import numpy as np


def unframed(element: str) -> str:
    """Return the page inside the frame of a frozen output, which a script of ours stands beside."""
    script = re.escape(static_text("frames.js"))
    found = re.fullmatch(
        rf'<iframe [^<>]* srcdoc="([^"<>]*)"></iframe><script>{script}</script>', element
    )
    assert found, element[:300]
    return html.unescape(found[1])


def snapshot_of(page: str) -> dict[str, Any]:
    """Return the snapshot inside a page."""
    found = re.search(r'<script type="text/plain" id="snapshot">([A-Za-z0-9+/=]*)</script>', page)
    assert found
    return json.loads(zlib.decompress(base64.b64decode(found[1])))


def array_of(stored: dict[str, Any]) -> np.ndarray:
    """Return the numbers of a stored block."""
    block = stored["block"]
    return codec.decode(block, zlib.decompress(base64.b64decode(block["data"])))
