"""Trait types that take what people write and say what they accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import traitlets

from attnwidget.record.position_lookup import replace_text

if TYPE_CHECKING:
    from attnwidget.record.layer import Layer
    from attnwidget.record.positions import Positions
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream


__all__ = [
    "STATE",
    "SelectionError",
    "check_heads",
    "check_layer",
    "check_pairs",
    "check_pins",
    "check_shown_layers",
    "check_step",
    "fitting_pins",
    "nearest",
]

# The shared selection, one two-way trait each: `State` in the schema.
STATE = (
    "view",
    "stream",
    "layer",
    "heads",
    "query",
    "key",
    "measure",
    "positions",
    "form",
    "compare",
    "step",
    "theme",
    "score",
    "other_score",
    "without_sink",
    "arrange",
    "threshold",
    "below_threshold",
    "show_layers",
    "ranking",
)


class SelectionError(ValueError, traitlets.TraitError):
    """A value that is no part of the record.

    It is both, because traitlets takes a change of several traits back only for an error of its own.
    """


def check_layer(stream: Stream, value: object) -> int:
    """Return ``value`` if it is a layer of the stream, else raise `SelectionError` saying which there are."""
    numbers = [layer.layer for layer in stream]
    if isinstance(value, int) and value in numbers:
        return value
    message = f"layer must be one of {_ranges(numbers)} in stream {stream.name!r}, got {value!r}."
    raise SelectionError(message)


def check_heads(layer: Layer, value: object) -> list[int]:
    """Return ``value`` without repeats if every entry is a head of the layer, else raise `SelectionError`."""
    accepted = f"heads must be integers in 0..{layer.num_heads - 1}"
    if not isinstance(value, list):
        message = f"{accepted}, got {value!r}: pass a list, such as heads=[0]."
        raise SelectionError(message)
    if not value:
        message = f"{accepted}, got []: pass at least one, such as heads=[0]."
        raise SelectionError(message)
    wrong = [head for head in value if not isinstance(head, int) or not 0 <= head < layer.num_heads]
    if wrong:
        message = f"{accepted}, got {wrong}."
        raise SelectionError(message)
    return list(dict.fromkeys(value))


def check_shown_layers(stream: Stream, value: object) -> list[int] | None:
    """Return ``value`` in order and without repeats if it is None or layers of the stream, else raise `SelectionError`."""
    if value is None:
        return None
    accepted = f"show_layers must be layers of stream {stream.name!r}"
    if not isinstance(value, list) or not value:
        message = f"{accepted}, such as range(0, 4), or None for all of them, got {value!r}."
        raise SelectionError(message)
    numbers = [layer.layer for layer in stream]
    wrong = [layer for layer in value if layer not in numbers]
    if wrong:
        message = f"{accepted}, which are {_ranges(numbers)}, got {wrong}."
        raise SelectionError(message)
    return sorted(set(value))


def check_pins(name: str, positions: Positions, value: object) -> int | list[int] | None:
    """Return the positions that ``value`` names: None, a position, a token's text, or several of either.

    Raises:
        SelectionError: If it names none of the positions, or a text stands in several places.
    """
    given = value if isinstance(value, list) else [] if value is None else [value]
    accepted = f"{name} must be an integer in 0..{len(positions) - 1}, a list of them, or None for no pin, got {value!r}"
    try:
        pins = replace_text(name, given, positions)
    except ValueError as error:
        texts = all(isinstance(pin, str) for pin in given)
        raise SelectionError(str(error) if texts else f"{accepted}: {error}") from error
    # True is an int to Python, but no position.
    if not all(type(pin) is int and 0 <= pin < len(positions) for pin in pins):
        message = f"{accepted}."
        raise SelectionError(message)
    kept = list(dict.fromkeys(pins))
    return kept if len(kept) > 1 else kept[0] if kept else None


def fitting_pins(value: int | list[int] | None, count: int) -> int | list[int] | None:
    """Return what of the pins is a position of an axis of ``count``."""
    pins = value if isinstance(value, list) else [] if value is None else [value]
    kept = [pin for pin in pins if pin < count]
    return kept if len(kept) > 1 else kept[0] if kept else None


def check_step(count: int, value: object) -> int | None:
    """Return ``value`` if it is None or one of ``count`` steps of a generation, else raise `SelectionError`."""
    if value is None or (isinstance(value, int) and 0 <= value < count):
        return value
    if not count:
        message = f"step is for records of a generation, got {value!r}: record one with recording(model, tokenizer)."
        raise SelectionError(message)
    message = f"step must be an integer in 0..{count - 1}, or None for all of them, got {value!r}."
    raise SelectionError(message)


def check_pairs(stream: Stream, value: object) -> list[list[int]]:
    """Return ``value`` without repeats if every entry is a [layer, head] of the stream, else raise `SelectionError`."""
    checked: list[list[int]] = []
    for pair in value if isinstance(value, list) else [value]:
        if not (isinstance(pair, list) and len(pair) == 2):
            message = f"compare must be a list of (layer, head) pairs, got {value!r}: such as compare=[(0, 1), (2, 3)]."
            raise SelectionError(message)
        layer = check_layer(stream, pair[0])
        ref = [layer, *check_heads(stream[layer], [pair[1]])]
        if ref not in checked:
            checked.append(ref)
    return checked


def nearest(attention: Record, stream: str, layer: int) -> int:
    """Return the layer of ``stream`` whose number is nearest to ``layer``."""
    return min((each.layer for each in attention[stream]), key=lambda number: abs(number - layer))


def _ranges(numbers: list[int]) -> str:
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}..{numbers[-1]}"
    return ", ".join(str(number) for number in numbers)
