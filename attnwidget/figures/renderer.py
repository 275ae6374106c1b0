"""Figures without a browser: the front end's own drawing code, run in an embedded V8."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from attnwidget.protocol.codec import inline
from attnwidget.serve.static_files import static_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.protocol.codec import Block

__all__ = ["INSTALL", "available", "to_svg"]

INSTALL = 'pip install "attnwidget[figures]"'
# Each round brings what the round before found missing; a view that asks for more than this is broken.
MOST_ROUNDS = 8


class Answer(Protocol):
    """Answers a request for a block, or raises with the reason why it cannot."""

    def __call__(self, request: Mapping[str, Any], /) -> tuple[Block, bytes]:
        """Return the block's header and bytes."""
        ...


def available() -> bool:
    """Whether the embedded engine is installed."""
    try:
        import py_mini_racer  # noqa: F401, PLC0415 - optional extra, and 30 MB
    except ImportError:
        return False
    return True


def to_svg(
    snapshot: Mapping[str, Any], answer: Answer, figure: Mapping[str, Any] | None = None
) -> str:
    """Return the picture of a snapshot as a standalone SVG document.

    Args:
        snapshot: State, meta, overview and screen; its blocks may be empty.
        answer: Called for every block that the picture needs.
        figure: What is not as on the screen (see ``Figure`` in the schema).

    Raises:
        ImportError: If the ``figures`` extra is not installed.
        ValueError: If a block that the picture needs cannot be had.
    """
    try:
        from py_mini_racer import MiniRacer  # noqa: PLC0415 - optional extra
    except ImportError as error:
        message = f"Figures without a browser need the embedded V8: {INSTALL}."
        raise ImportError(message) from error
    with MiniRacer() as engine:
        engine.eval(static_text("figure.js"))
        blocks = list(snapshot["blocks"])
        for _ in range(MOST_ROUNDS):
            job = {"snapshot": {**snapshot, "blocks": blocks}, "figure": figure or {}}
            drawn = json.loads(engine.call("attnwidgetFigure.render", json.dumps(job)))
            if not drawn["missing"]:
                return str(drawn["svg"])
            blocks += [
                {"request": request, "block": inline(*answer(request))}
                for request in drawn["missing"]
            ]
    message = f"The figure still lacked {drawn['missing']} after {MOST_ROUNDS} rounds."
    raise RuntimeError(message)
