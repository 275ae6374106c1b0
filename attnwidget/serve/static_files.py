"""The built front end, read from the package."""

from __future__ import annotations

import hashlib
import zlib
from functools import lru_cache
from pathlib import Path

__all__ = ["STATIC", "front_end", "static_text"]

STATIC = Path(__file__).parents[1] / "static"


def static_text(name: str) -> str:
    """Return the text of a built file.

    Raises:
        FileNotFoundError: If the front end has not been built, as in a checkout that was never installed.
    """
    path = STATIC / name
    if not path.is_file():
        message = f"The front end has not been built ({name} is missing): run `pip install -e .` in the checkout."
        raise FileNotFoundError(message)
    return path.read_text(encoding="utf-8")


def front_end() -> dict[str, str | bytes]:
    """Return the traits that bring the front end to a page: the module anywidget loads, and the bundle it unpacks."""
    digest, packed = _packed(static_text("widget.js"))
    return {"_esm": f'const BUNDLE = "{digest}";\n{static_text("loader.js")}', "_bundle": packed}


@lru_cache(maxsize=2)
def _packed(bundle: str) -> tuple[str, bytes]:
    data = bundle.encode()
    return hashlib.sha256(data).hexdigest()[:16], zlib.compress(data, 9)
