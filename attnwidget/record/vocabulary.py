"""One vocabulary: arguments with a second name (``layer``, ``layers``), numbers from the end, signatures that list options."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ForwardRef, TypeVar

from attnwidget.compute.checks import integer, listed, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Layers = int | Sequence[int] | None
    Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = [
    "either",
    "either_named",
    "from_the_end",
    "layers_and_heads",
    "lists_options",
    "one_head",
    "one_layer",
]


class _LeftOut:
    """The default of an option in a signature: what its default is, the option's description says."""

    def __repr__(self) -> str:
        return "..."


LEFT_OUT = _LeftOut()


def either(**given: Any) -> Any:
    """Return an argument that has several names, by whichever the caller used; None if it is left out.

    Raises:
        TypeError: If several of its names were used at once.
    """
    named = either_named(**given)
    return None if named is None else named[1]


def either_named(**given: Any) -> tuple[str, Any] | None:
    """Return an argument that has several names with the one that the caller used; None and errors are as for `either`."""
    named = {name: value for name, value in given.items() if value is not None}
    if len(named) > 1:
        both = ", ".join(f"{name}={shown(value)}" for name, value in named.items())
        message = f"{' and '.join(named)} are one argument, got both: {both}; pass {next(iter(named))} alone."
        raise TypeError(message)
    return next(iter(named.items()), None)


def layers_and_heads(layer: Any, layers: Any, head: Any, heads: Any) -> tuple[Any, Any]:
    """Return which layers and which heads a caller named, by whichever of their two names each.

    Raises:
        TypeError: If both names of one were used.
    """
    return either(layer=layer, layers=layers), either(head=head, heads=heads)


def one_layer(layer: Any, action: str) -> Any:
    """Return the layer of a call that is about one, given by itself or as the only one of a list.

    Args:
        layer: What the caller gave; what is no list is returned as it is.
        action: What is done with one layer, for the message.

    Raises:
        ValueError: If there are several, or none.
    """
    return _only("layer", layer, action)


def _only(what: str, value: Any, action: str) -> Any:
    given = listed(value)
    if given is None:
        return value
    several = [one if integer(one) is None else integer(one) for one in given]
    if len(several) == 1:
        return several[0]
    such = integer(several[0]) if several else 0
    message = f"{action} one {what}, got {shown(several)}: pass {what}={such or 0}, for instance."
    raise ValueError(message)


def one_head(head: Any, action: str) -> Any:
    """Return the head of a call that is about one, as `one_layer` does.

    Raises:
        ValueError: If there are several, or none.
    """
    return _only("head", head, action)


def from_the_end(number: Any, numbers: Sequence[int]) -> Any:
    """Return the layer that a negative number counts from the end; anything else is returned as it is.

    Args:
        number: What the caller gave.
        numbers: The layers there are, in order; a hybrid's have gaps.
    """
    wanted = integer(number)
    if wanted is None or wanted in numbers or not -len(numbers) <= wanted < 0:
        return number
    return numbers[wanted]


def lists_options(*options: type, further: str | None = None) -> Callable[[Function], Function]:
    """Let a function's signature list what its ``**options`` take.

    ``Unpack`` tells a type checker what there is; a notebook's Shift-Tab and completion read the signature that Python
    gives, where it is one word.

    Args:
        *options: ``TypedDict`` classes that name the options; what the function names itself is left out.
        further: Name of the keyword arguments that are passed on beyond these, where there are any.
    """

    def listed(function: Function) -> Function:
        whole = inspect.signature(function)
        own = [one for one in whole.parameters.values() if one.kind is not one.VAR_KEYWORD]
        known = {one.name for one in own}
        named: Mapping[str, Any] = {
            name: kind for each in options for name, kind in each.__annotations__.items()
        }
        more = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=LEFT_OUT, annotation=_words(kind)
            )
            for name, kind in named.items()
            if name not in known
        ]
        if further is not None:
            more.append(inspect.Parameter(further, inspect.Parameter.VAR_KEYWORD))
        function.__signature__ = whole.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return function

    return listed


def _words(kind: Any) -> Any:
    return kind.__forward_arg__ if isinstance(kind, ForwardRef) else kind
