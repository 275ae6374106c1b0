"""Heads, layers and positions as callers name them in an edit, checked and made into tuples."""

from __future__ import annotations

from typing import Any, TypeAlias

from attnwidget.compute.checks import integer, listed, shown

__all__ = ["Named", "head_pairs", "layer_numbers", "named_positions", "stream_name", "written"]

# Positions by number or by the text of a token; None for all.
Named: TypeAlias = "tuple[int | str, ...] | None"


def head_pairs(heads: Any) -> tuple[tuple[int, int], ...]:
    """Return pairs of layer and head, each once.

    Raises:
        ValueError: If it is neither a pair nor a list of pairs.
    """
    given = listed(heads)
    if given is not None and len(given) == 2 and all(integer(one) is not None for one in given):
        given = [given]  # one pair
    found: dict[tuple[int, int], None] = {}
    for one in [heads] if given is None else given:
        pair = listed(one)
        numbers = None if pair is None else [integer(each) for each in pair]
        if numbers is None or len(numbers) != 2 or None in numbers:
            message = f"heads must be pairs of a layer and a head, such as heads=[(3, 1), (3, 3)], got {shown(one)}."
            raise ValueError(message)
        layer, head = numbers
        assert layer is not None  # noqa: S101  (looked at above)
        assert head is not None  # noqa: S101
        found[layer, head] = None
    return tuple(found)


def layer_numbers(layers: Any) -> tuple[int, ...] | None:
    """Return the numbers of layers, each once; ``None`` for all.

    Raises:
        ValueError: If they are no numbers, or none at all.
    """
    if layers is None:
        return None
    given = [layers] if integer(layers) is not None else listed(layers)
    numbers = None if given is None else [integer(one) for one in given]
    if not numbers or None in numbers:
        message = f"layers must be numbers of layers, such as layers=range(6, 12), got {shown(layers)}: leave it out for all."
        raise ValueError(message)
    return tuple(dict.fromkeys(one for one in numbers if one is not None))


def named_positions(name: str, positions: Any) -> Named:
    """Return positions by number or text, each once; ``None`` for all.

    Raises:
        ValueError: If one of them is neither, or there are none at all.
    """
    if positions is None:
        return None
    one = isinstance(positions, str) or integer(positions) is not None
    given = [positions] if one else listed(positions)
    found: list[int | str] = []
    for each in given or ():
        number = each if isinstance(each, str) and each else integer(each)
        if number is None:
            found = []
            break
        found.append(number)
    if not found:
        message = (
            f"{name} must be a position, a token's text, or several of these, such as {name}=3, {name}='cat' or "
            f"{name}=range(3, 9), got {shown(positions)}."
        )
        raise ValueError(message)
    return tuple(dict.fromkeys(found))


def stream_name(stream: Any) -> str | None:
    """Return the name of a stream, or ``None`` for the only one.

    Raises:
        ValueError: If it is neither.
    """
    if stream is None or isinstance(stream, str):
        return stream
    message = f"stream must be the name of a stream, such as 'decoder', got {shown(stream)}."
    raise ValueError(message)


def written(positions: Named) -> Any:
    """Return positions as a caller would write them: one alone without its list."""
    if positions is None or len(positions) > 1:
        return positions if positions is None else list(positions)
    return positions[0]
