"""Registry from a result's type to the functions that make its widget, its figures and its hidden states.

Results lie below the packages that draw them: `Comparison.view` may not import the widget that it returns. The packages
that draw register themselves when they are imported, and `attnwidget` imports them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["make", "register"]

Drawing = Literal["widget", "figure", "hidden states"]

_MAKERS: dict[tuple[type, Drawing], Callable[..., Any]] = {}


def register(result: type, drawing: Drawing, maker: Callable[..., Any]) -> None:
    """Name the function that draws results of a type.

    Args:
        result: The type.
        drawing: What is made of it.
        maker: Takes the result and the caller's arguments.
    """
    _MAKERS[result, drawing] = maker


def make(result: object, drawing: Drawing, *args: Any, **options: Any) -> Any:
    """Return a drawing of a result, by the function that is registered for the nearest of its types.

    Raises:
        LookupError: If none is registered.
    """
    for kind in type(result).__mro__:
        if (kind, drawing) in _MAKERS:
            return _MAKERS[kind, drawing](result, *args, **options)
    message = f"nothing makes a {drawing} of {type(result).__name__}: import attnwidget."
    raise LookupError(message)
