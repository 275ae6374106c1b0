"""The built front end, read from the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["STATIC", "static_text"]

STATIC = Path(__file__).parent / "static"


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
