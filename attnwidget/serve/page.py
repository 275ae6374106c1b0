"""One self-contained HTML page: the bundle and a snapshot."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import warnings
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from attnwidget.protocol.codec import inline
from attnwidget.protocol.text import sendable, well_formed
from attnwidget.record.byte_sizes import shown_bytes
from attnwidget.serve.snapshot import (
    LARGEST_PAGE,
    choose_blocks,
    page_characters,
    selected_head,
    shrink_thumbnails,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.serve.source import Source

__all__ = ["FROZEN_BYTES", "frame", "page", "page_within_budget"]

# What a saved page holds unless told otherwise; about what a mail attachment may weigh.
PAGE_BYTES = 5_000_000
# What freezing adds to a notebook: below 1 MB with what the notebook says around it.
FROZEN_BYTES = 950_000
# Of what the bundle leaves of a budget, the thumbnails may take this share.
THUMBNAIL_SHARE = 1 / 3

# Runs inline, as everything of the page does.
_SCRIPT = """
const place = document.getElementById("attnwidget");
const unpack = async (id) => {
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
};
const fail = (error) => {
  place.textContent = `This saved copy could not be drawn: ${error.message}`;
  throw error;
};
try {
  const snapshot = JSON.parse(await unpack("snapshot"));
  // Run inline, and not imported from a blob's address, which some hosts do not allow (VS Code with its strict policy).
  const script = document.createElement("script");
  script.type = "module";
  script.textContent = await unpack("bundle");
  addEventListener("attnwidget", ({ detail }) => {
    try {
      detail.mountSnapshot(place, snapshot);
    } catch (error) {
      fail(error);
    }
  }, { once: true });
  document.head.append(script);
} catch (error) {
  fail(error);
}
"""
# What the browser allows the page: its two scripts, which it knows by their digests, styles, and pictures that it makes
# itself. Nothing is ever fetched, whatever a token or a script says.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:;"
    " base-uri 'none'; form-action 'none'"
)
# What a frame lets the page inside do. Without `allow-same-origin` it has an origin of its own, which nothing else has;
# figures are saved by downloads.
_SANDBOX = "allow-scripts allow-downloads"
_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<div id="attnwidget"><noscript>{title}: this page draws with JavaScript, which is switched off here.</noscript></div>
<script type="text/plain" id="snapshot">{snapshot}</script>
<script type="text/plain" id="bundle">{bundle}</script>
<script type="module">{script}</script>
</body>
</html>
"""

# In a frame from which the page around can be seen, it is as that page is (js/src/shell/framed-copy.ts).
_STANDALONE = """:root { color-scheme: light dark; }
body { margin: 16px; background: #ffffff; }
@media (prefers-color-scheme: dark) { body { background: #111418; } }
:root[data-attnwidget-dark="false"] body { background: #ffffff; }
:root[data-attnwidget-dark="true"] body { background: #111418; }"""
# Inside another page that says whether it is dark (js/src/shell/framed-copy.ts), its background shows through.
_FRAMED = """:root { color-scheme: light dark; }
body { margin: 0; background: #ffffff; }
@media (prefers-color-scheme: dark) { body { background: #111418; } }
:root[data-attnwidget-dark] body { background: transparent; }"""


def page(snapshot: Mapping[str, Any], bundle: str, *, title: str, framed: bool = False) -> str:
    """Return a self-contained HTML page that draws ``snapshot`` with the front end's own bundle.

    Snapshot and bundle stand in it compressed, in base64: no token can say anything that a browser would read as markup.

    Args:
        snapshot: See ``Snapshot`` in the schema.
        bundle: The text of ``static/widget.js``.
        title: The page's title, plain text.
        framed: Whether it is to stand in another page, by `frame`.
    """
    text = json.dumps(sendable(snapshot), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return _TEMPLATE.format(
        policy=_POLICY.format(scripts=f"{_digest(_SCRIPT)} {_digest(bundle)}"),
        script=_SCRIPT,
        title=html.escape(well_formed(title)),
        style=_FRAMED if framed else _STANDALONE,
        snapshot=_packed(text),
        bundle=_packed_bundle(bundle),
    )


def frame(document: str, script: str, *, title: str, height: float) -> str:
    """Return a framed `page` as HTML that stands anywhere in another page.

    The page inside has no origin: it can reach nothing of the page around it, its storage or its server, whatever a
    changed copy says. So a script beside the frame listens for how high the page inside is, and tells it the theme.

    Args:
        document: What `page` returned.
        script: The text of ``static/frames.js``.
        title: What a screen reader calls it, plain text.
        height: CSS pixels, until the page inside has said its own; for ever where a host does not run the script.
    """
    return (
        f'<iframe class="attnwidget-frozen" sandbox="{_SANDBOX}" title="{html.escape(well_formed(title))}" '
        f'style="display:block;width:100%;height:{round(height)}px;border:0" '
        f'srcdoc="{html.escape(document)}"></iframe><script>{script}</script>'
    )


def page_within_budget(
    source: Source,
    snapshot: Mapping[str, Any],
    overview: bytes,
    bundle: str,
    *,
    title: str,
    budget: int | None = None,
    framed: bool = False,
) -> str:
    """Return the page of a snapshot with as many heads as fit.

    Args:
        source: What is shown, for the blocks.
        snapshot: State, meta and screen; thumbnails and blocks are put in here.
        overview: The thumbnails.
        bundle: The text of ``static/widget.js``.
        title: The page's title.
        budget: Bytes of the page. None takes ``PAGE_BYTES``, or more where the selected head needs them.
        framed: See `page`.

    Raises:
        ValueError: If not even a page without any head fits.

    Warns:
        UserWarning: If not even the weights of the selected head are in it.
    """
    state = snapshot["state"]
    bare = len(page({}, bundle, title=title, framed=framed))
    limit = PAGE_BYTES if budget is None else budget
    room = (limit - bare) * THUMBNAIL_SHARE
    meta, thumbnails = shrink_thumbnails(snapshot["meta"], overview, room, source)
    stored = inline({"dtype": "uint8", "shape": [len(thumbnails)]}, thumbnails)["data"]
    base = {**snapshot, "meta": meta, "overview": stored, "blocks": []}
    fixed = len(page(base, bundle, title=title, framed=framed).encode())
    if fixed > limit:
        message = (
            f"budget={budget:,} bytes is less than the page takes without any head: pass budget={shown_bytes(fixed)!r} or"
            " more; each head comes on top."
        )
        raise ValueError(message)
    selected = None
    if budget is None and source.has_weights:
        selected = selected_head(source, state, LARGEST_PAGE - fixed)
        limit = max(
            limit, min(LARGEST_PAGE, round(fixed + page_characters(selected or [])) + 1_000)
        )
    chosen = choose_blocks(source, state, meta, limit - fixed, selected=selected)
    while True:
        text = page({**base, "blocks": chosen.blocks}, bundle, title=title, framed=framed)
        if len(text.encode()) <= limit or not chosen.heads:
            break
        chosen.heads.popitem()
    first = (state["stream"], state["layer"], state["heads"][0])
    if not source.has_weights:
        return text
    if not any(stored["request"]["what"] == "weights" for stored in chosen.heads.get(first, [])):
        message = (
            f"The copy of {shown_bytes(limit)} does not hold the weights of layer {first[1]} · head {first[2]}, which is"
            " selected: pass a larger budget, save a .svg of what is shown, or the record with attention.save(path)."
        )
        warnings.warn(message, stacklevel=4)
    return text


@lru_cache(maxsize=4)
def _digest(script: str) -> str:
    """Return a script as a policy names it."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _packed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


@lru_cache(maxsize=2)
def _packed_bundle(bundle: str) -> str:
    return _packed(bundle)
