"""A widget as one file: the bundle, a snapshot, and nothing from the network."""

from __future__ import annotations

import html
import json
import logging
import warnings
from typing import TYPE_CHECKING, Any

from attnwidget.blocks import answer, requests_for_head
from attnwidget.protocol.codec import inline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from attnwidget.attention import Attention

__all__ = ["blocks_that_fit", "page"]

logger = logging.getLogger(__name__)

# What a saved page may hold besides the bundle; about what a mail attachment may weigh.
PAGE_BYTES = 4_000_000
# What it may hold when the selected head alone is larger: about 1,500 tokens, and what a browser opens in seconds.
LARGEST_PAGE = 32_000_000

_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 16px; background: #ffffff; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111418; }} }}
</style>
</head>
<body>
<div id="attnwidget"></div>
<script type="application/json" id="snapshot">{snapshot}</script>
<script type="text/plain" id="bundle">{bundle}</script>
<script type="module">
const text = (id) => document.getElementById(id).textContent;
const url = URL.createObjectURL(new Blob([JSON.parse(text("bundle"))], {{ type: "text/javascript" }}));
try {{
  const {{ mountSnapshot }} = await import(url);
  mountSnapshot(document.getElementById("attnwidget"), JSON.parse(text("snapshot")));
}} finally {{
  URL.revokeObjectURL(url);
}}
</script>
</body>
</html>
"""


def _script_safe(value: object) -> str:
    """JSON that cannot end the script element it stands in, whatever a token says."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace(
        "<", "\\u003c"
    )


def page(snapshot: Mapping[str, Any], bundle: str, *, title: str) -> str:
    """Return a self-contained HTML page that draws ``snapshot`` with the front end's own bundle.

    Args:
        snapshot: See ``Snapshot`` in the schema.
        bundle: The text of ``static/widget.js``.
        title: The page's title, plain text.
    """
    return _TEMPLATE.format(
        title=html.escape(title), snapshot=_script_safe(snapshot), bundle=_script_safe(bundle)
    )


def blocks_that_fit(
    attention: Attention, state: Mapping[str, Any], budget: int = PAGE_BYTES
) -> list[dict[str, Any]]:
    """Return the blocks of a snapshot, the ones nearest to the selection, up to ``budget`` characters of base64.

    The first selected head comes whole, up to ``LARGEST_PAGE``, whatever the budget: a page without it shows nothing.

    Warns:
        UserWarning: If not even that head fits.
    """
    blocks: list[dict[str, Any]] = []
    first = (state["stream"], state["layer"], state["heads"][0])
    used = 0
    for request in _by_nearness(attention, state):
        try:
            block, data = answer(attention, request)
        except ValueError:
            # Numbers that are not numbers: the page says in place that they are not in it.
            logger.debug("Left out of the page: %s.", request, exc_info=True)
            continue
        used += len(data) * 4 // 3
        selected = (request["stream"], request["layer"], request["head"]) == first
        if used > (LARGEST_PAGE if selected else budget):
            if selected:
                message = (
                    f"The page holds the thumbnails but not all of layer {first[1]} · head {first[2]}: it is too "
                    "large for one file. Save a .svg of what is shown, or the record with attention.save(path)."
                )
                warnings.warn(message, stacklevel=4)
            break
        blocks.append({"request": request, "block": inline(block, data)})
    return blocks


def _by_nearness(attention: Attention, state: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield requests for all heads: the selected ones first, then their layer, then the layers around it."""
    at = state["layer"]
    pinned = {tuple(pair) for pair in state["compare"]} | {(at, head) for head in state["heads"]}
    chosen = attention[state["stream"]]
    layers = sorted(chosen, key=lambda layer: abs(layer.layer - at))
    near = [(layer, head) for layer in layers for head in range(layer.num_heads)]
    first = (at, state["heads"][0])
    near.sort(
        key=lambda pair: (
            (pair[0].layer, pair[1]) != first,
            (pair[0].layer, pair[1]) not in pinned,
        )
    )
    others = [stream for stream in attention.streams.values() if stream is not chosen]
    far = [
        (layer, head) for stream in others for layer in stream for head in range(layer.num_heads)
    ]
    for layer, head in near + far:
        yield from requests_for_head(layer, head)
