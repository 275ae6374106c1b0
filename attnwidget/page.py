"""A widget as one file: the bundle, a snapshot, and nothing from the network."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["page"]

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
