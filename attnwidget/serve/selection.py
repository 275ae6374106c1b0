"""The shared selection checked against what is shown, without traitlets' machinery."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import traitlets

from attnwidget.compute import checks
from attnwidget.compute.checks import is_word, shown
from attnwidget.compute.heads_together import WAYS_TOGETHER
from attnwidget.protocol.constants import EFFECT, FORMS, RANKING
from attnwidget.record.aside import FIRST_AND_SPECIAL, check_aside
from attnwidget.record.position_lookup import replace_text, resolve
from attnwidget.record.stream import number_ranges
from attnwidget.record.vocabulary import either, from_the_end, one_layer
from attnwidget.serve.selection_parts import (
    CHOICES,
    DEFAULTS,
    FIRST,
    LAYERS,
    STATE,
    as_list,
    as_pins,
    as_ranking,
    as_share,
    is_place,
    is_ranking,
    needs_the_model,
    normalised,
)
from attnwidget.serve.shown_groups import ENDS, check_end, check_grouping, usual_grouping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnwidget.record.positions import Positions
    from attnwidget.serve.source import Source
    from attnwidget.serve.streams import ShownLayer, ShownStream

__all__ = [
    "OTHER_NAMES",
    "SHORTHANDS",
    "SelectionError",
    "check",
    "fitting_pins",
    "nearest_layer",
    "resolve_selection",
    "usual_names",
]

# What a page still counts exactly.
_MOST_LINKS = 2**53 - 1
# What people call them as well.
OTHER_NAMES = {"layer": "layers", "heads": "head"}
# Options that stand for a value of a part of the selection.
SHORTHANDS = ("without_sink",)


class SelectionError(ValueError, traitlets.TraitError):
    """A value that is no part of what is shown.

    It is both, because traitlets takes a change of several traits back only for an error of its own.
    """


def resolve_selection(source: Source, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole selection (see ``State`` in the schema) that a caller's part of it makes.

    Args:
        source: What is shown.
        given: The caller's part, as the widget's traits take it.

    Raises:
        TypeError: If there is no such part of a selection.
        SelectionError: If a value is no part of what is shown.
    """
    given = usual_names(given)
    unknown = sorted(set(given) - set(STATE))
    if unknown:
        message = needs_the_model(unknown[0]) or (
            f"Unknown option {unknown[0]!r}; accepted are {', '.join(STATE)}."
        )
        raise TypeError(message)
    asked = {**source.start(given), **given}
    state = dict(DEFAULTS)
    for name in sorted(STATE, key=_turn):
        if name in asked:
            state[name] = check(source, name, normalised(name, asked[name]), state)
        elif name == "layer":
            state[name] = next(iter(source.streams[state["stream"]])).layer
        elif name == "grouping":
            state[name] = usual_grouping(source, state["stream"])
    return state


def _turn(name: str) -> int:
    """Say when a part is checked: before others that are made of it, so that the caller's own name is the one refused."""
    # A layer that the caller did not name is the first of those together.
    if name in {"view", "stream", "together_layers"}:
        return 0
    # A score may be the ranking, which has to be known first.
    return 2 if name in {"score", "other_score"} else 1


def usual_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a selection by the names that it has here, where a caller used their singular or plural.

    Raises:
        TypeError: If a caller used both.
        SelectionError: If several layers are given where one is shown.
    """
    named = dict(given)
    for name, other in OTHER_NAMES.items():
        if other in named:
            value = either(**{name: named.get(name), other: named.pop(other)})
            named = {**named, name: value} if value is not None else named
    named = _without_sink(named)
    # As for a figure, None is what was left out.
    named = {name: one for name, one in named.items() if one is not None or name not in FIRST}
    if "layer" in named:
        try:
            named["layer"] = one_layer(named["layer"], "the views show")
        except ValueError as error:
            message = f"{error} The rows of the model view are show_layers={shown(named['layer'])}."
            raise SelectionError(message) from error
    elif isinstance(several := as_list(named.get("together_layers")), list) and several:
        # They are drawn while the selected layer is one of them.
        named = {**named, "layer": several[0], "together_layers": several}
    return named


def _without_sink(named: dict[str, Any]) -> dict[str, Any]:
    """Return a selection in which ``without_sink=True`` is what it stands for, ``aside="first and special"``.

    Raises:
        SelectionError: If it is no flag, or something else is set aside besides.
    """
    if "without_sink" not in named:
        return named
    rest = {name: one for name, one in named.items() if name != "without_sink"}
    if not check_flag("without_sink", named["without_sink"]):
        return rest
    if rest.setdefault("aside", FIRST_AND_SPECIAL) != FIRST_AND_SPECIAL:
        message = f"without_sink=True is aside={FIRST_AND_SPECIAL!r}, got aside={shown(rest['aside'])} besides: pass one of them."
        raise SelectionError(message)
    return rest


def check(source: Source, name: str, value: Any, state: Mapping[str, Any]) -> Any:
    """Return a part of the selection as it is kept.

    Args:
        source: What is shown.
        name: Which part.
        value: Its value, `normalised`.
        state: The other parts that the check needs: ``stream``, ``layer``, ``ranking`` and ``grouping``.

    Raises:
        SelectionError: If the value is no part of what is shown.
    """
    refusal = source.refusal(name, value)
    if refusal is not None:
        raise SelectionError(refusal)
    if name in CHOICES and name != "form":
        return check_choice(name, value)
    if name in {"score", "other_score"}:
        return check_score(source, name, value, ranked=state["ranking"] is not None)
    of_source: dict[str, Callable[[], Any]] = {
        "form": lambda: check_form(source, value),
        "stream": lambda: named(source, value).name,
        "step": lambda: check_step(source.num_steps, value),
        "threshold": lambda: check_threshold(source, value),
        "top_k": lambda: check_top_k(value),
        "mass": lambda: check_share(name, value),
        "together": lambda: check_together(value),
    }
    if name in of_source:
        return of_source[name]()
    return _check_of_stream(source, named(source, state["stream"]), name, value, state)


def _check_of_stream(
    source: Source, stream: ShownStream, name: str, value: Any, state: Mapping[str, Any]
) -> Any:
    """Return a part of the selection that depends on the stream, as it is kept."""
    if name in {"query", "key"}:
        positions = stream.query_positions if name == "query" else stream.key_positions
        return check_pins(name, positions, value)
    if name == "heads":
        return check_heads(stream[check_layer(stream, state["layer"])], value)
    if name == "ranking":
        return check_ranking(source, stream, value)
    if name == "aside":
        return check_positions_aside(stream, value)
    if name == "grouping" or name in ENDS:
        return check_groups(source, stream, name, value, state["grouping"])
    if name in LAYERS:
        return check_shown_layers(stream, value, name)
    of_stream: dict[str, Callable[[ShownStream, object], Any]] = {
        "layer": check_layer, "compare": check_pairs,
    }  # fmt: skip
    return of_stream[name](stream, value)


def named(source: Source, name: Any) -> ShownStream:
    """Return a stream of what is shown, else raise `SelectionError` saying which there are."""
    streams = source.streams
    if not is_word(name, streams):
        message = f"stream must be one of {', '.join(map(repr, streams))}, got {shown(name)}."
        raise SelectionError(message)
    return streams[name]


def check_choice(name: str, value: object) -> str:
    """Return ``value`` if it is one of a trait's choices, else raise `SelectionError`."""
    accepted = CHOICES[name]
    said = checks.options(accepted)
    return checks.check_choice(name, value, accepted, error=SelectionError, said=said)


def check_flag(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False, else raise `SelectionError`."""
    return checks.check_flag(name, value, error=SelectionError)


def check_form(source: Source, value: object) -> str:
    """Return ``value`` if it is a form that something of the source can be drawn in, else raise `SelectionError`."""
    form = check_choice("form", value)
    streams = source.streams.values()
    missing = {
        "image": ("no picture and no sound", any(stream.lies_in_media for stream in streams)),
        "text": ("no text", any(stream.has_text for stream in streams)),
        **dict.fromkeys(
            ("groups", "profile"), ("no grouping of its positions", _is_grouped(source))
        ),
        "geometry": ("no layer with queries and keys of its own", _has_vectors(source)),
        "trace": ("no model", source.traceable),
    }
    if form in missing and not missing[form][1]:
        others = [repr(name) for name in FORMS if missing.get(name, ("", True))[1]]
        accepted = f"{', '.join(others[:-1])} or {others[-1]}"
        message = f"form must be {accepted}, got {form!r}: {missing[form][0]} is in this record."
        if form == "trace":
            message = (
                f"form must be {accepted}, got 'trace', which is of a model and not of a record: call view(model, 'some text', "
                "tokenizer=tokenizer, form='trace'), or trace(model, 'some text', tokenizer).figure()."
            )
        raise SelectionError(message)
    return form


def _has_vectors(source: Source) -> bool:
    """Tell whether any layer has queries and keys, of one record: of two there is no plane that both share."""
    streams = source.streams.values()
    return not source.sides and any(
        getattr(layer, "has_vectors", False) for stream in streams for layer in stream
    )


def _is_grouped(source: Source) -> bool:
    groups = source.groups
    return groups is not None and any(map(groups.of, source.streams))


def check_score(source: Source, name: str, value: object, *, ranked: bool) -> str | None:
    """Return ``value`` if it is None or a score of the source's heads, else raise `SelectionError`.

    Args:
        source: What is shown.
        name: Name of the trait.
        value: The score.
        ranked: Whether there are links that heads are ranked by.
    """
    if value is None or (isinstance(value, str) and value in source.score_names):
        return value
    if isinstance(value, str) and value == EFFECT and source.effects is not None:
        return EFFECT
    accepted = f"{name} must be one of {', '.join(source.score_names)}, or None"
    if isinstance(value, str) and value == RANKING:
        if ranked:
            return RANKING
        message = (
            f"{accepted}; 'ranking' needs links to rank by: call view.rank(query='it', key='cat')."
        )
    elif isinstance(value, str) and value == EFFECT:
        message = f"{accepted}; 'effect' needs the effects of the heads: call view.find_effects()."
    else:
        message = f"{accepted}, got {shown(value)}."
    raise SelectionError(message)


_SHARES = {
    "mass": "mass must be a share from 0 to 1, such as mass=0.8, or None where top_k says which links",
}


def check_threshold(source: Source, value: Any) -> float | None:
    """Return ``value`` if it is None or a score that heads may reach, else raise `SelectionError`.

    Args:
        source: What is shown; where effects of its heads are known, a threshold may be in their units.
        value: The least score.
    """
    least = as_share(value)
    if least is None:
        return None
    effects = source.effects is not None
    if type(least) is float and least >= 0 and (least <= 1 or (effects and isfinite(least))):
        return least
    accepted = (
        "of at least 0, in the units of the effects that are known" if effects else "from 0 to 1"
    )
    message = f"threshold must be a number {accepted}, or None for all heads, got {shown(value)}."
    raise SelectionError(message)


def check_share(name: str, value: Any) -> float | None:
    """Return ``value`` if it is None or a number from 0 to 1, else raise `SelectionError`."""
    share = as_share(value)
    if share is None or (type(share) is float and 0 <= share <= 1):
        return share
    message = f"{_SHARES[name]}, got {shown(value)}."
    raise SelectionError(message)


def check_top_k(value: Any) -> int | None:
    """Return ``value`` if it is None or a positive integer, else raise `SelectionError`."""
    if value is None or (type(value) is int and 1 <= value <= _MOST_LINKS):
        return value
    message = f"top_k must be an integer from 1 to {_MOST_LINKS}, such as top_k=3, or None for all links, got {shown(value)}."
    raise SelectionError(message)


def check_positions_aside(stream: ShownStream, value: Any) -> str | list[int] | None:
    """Return ``value`` as it is kept if it names keys of the stream, else raise `SelectionError`."""
    try:
        return check_aside(value, stream.key_positions)
    except ValueError as error:
        raise SelectionError(*error.args) from error


def check_together(value: object) -> str | None:
    """Return ``value`` if it is None or a way to take heads together, else raise `SelectionError`."""
    if value is None or is_word(value, WAYS_TOGETHER):
        return None if value is None else str(value)
    accepted = ", ".join(map(repr, WAYS_TOGETHER))
    message = (
        f"together must be one of {accepted}, or None for each head by itself, got {shown(value)}."
    )
    raise SelectionError(message)


def check_ranking(source: Source, stream: ShownStream, value: object) -> dict[str, Any] | None:
    """Return ``value`` if it is None or names links of the stream, else raise `SelectionError`."""
    if value is None:
        return None
    known = {"queries", "keys"}, {"pattern", "number"}, {"grouping", "from", "to"}
    value = as_ranking(value)
    if not isinstance(value, dict) or set(value) not in known or not is_ranking(value):
        message = (
            f"ranking must be {{'queries': [6], 'keys': [2]}}, {{'grouping': 'segment', 'from': 'A', 'to': 'B'}} or None, got {shown(value)}: call "
            "view.rank(query='it', key='cat')."
        )
        raise SelectionError(message)
    sides = {"queries": ("query", stream.query_positions), "keys": ("key", stream.key_positions)}
    try:
        source.heads.links(stream, value)
        return {
            name: list(resolve(sides[name][0], one, sides[name][1]))
            if name in sides and one is not None
            else one
            for name, one in value.items()
        }
    except ValueError as error:
        raise SelectionError(*error.args) from error


def check_groups(
    source: Source, stream: ShownStream, name: str, value: object, grouping: str | None
) -> str | None:
    """Return a grouping, or a group at one end, if the stream has it, else raise `SelectionError`."""
    try:
        if name == "grouping":
            return check_grouping(source, stream.name, value)
        return check_end(source, stream.name, grouping, name, value)
    except ValueError as error:
        raise SelectionError(*error.args) from error


def check_layer(stream: ShownStream, value: object) -> int:
    """Return ``value`` if it is a layer of the stream, negative from its end, else raise `SelectionError`."""
    numbers = [layer.layer for layer in stream]
    number = from_the_end(value, numbers)
    # True is an int to Python, and equal to 1.
    if type(number) is int and number in numbers:
        return number
    message = f"layer must be one of {number_ranges(numbers)} in stream {stream.name!r}, got {shown(value)}."
    raise SelectionError(message)


def check_heads(layer: ShownLayer, value: object) -> list[int]:
    """Return ``value`` counted from 0 and without repeats if every entry is a head, else raise `SelectionError`."""
    accepted = f"heads must be integers in 0..{layer.num_heads - 1}"
    if not isinstance(value, list):
        message = f"{accepted}, got {shown(value)}: pass a list, such as heads=[0]."
        raise SelectionError(message)
    if not value:
        message = f"{accepted}, got []: pass at least one, such as heads=[0]."
        raise SelectionError(message)
    count = layer.num_heads
    wrong = [head for head in value if type(head) is not int or not -count <= head < count]
    if wrong:
        message = f"{accepted}, got {shown(wrong)}."
        raise SelectionError(message)
    return list(dict.fromkeys(head % count for head in value))


def check_shown_layers(
    stream: ShownStream, value: object, name: str = "show_layers"
) -> list[int] | None:
    """Return ``value`` in order and without repeats if it is None or layers of the stream, else raise `SelectionError`."""
    if value is None:
        return None
    accepted = f"{name} must be layers of stream {stream.name!r}"
    none = "all of them" if name == "show_layers" else "the selected layer alone"
    if not isinstance(value, list) or not value:
        message = f"{accepted}, such as range(0, 4), or None for {none}, got {shown(value)}."
        raise SelectionError(message)
    numbers = [layer.layer for layer in stream]
    found = [from_the_end(layer, numbers) for layer in value]
    wrong = [layer for layer in found if type(layer) is not int or layer not in numbers]
    if wrong:
        message = f"{accepted}, which are {number_ranges(numbers)}, got {shown(wrong)}."
        raise SelectionError(message)
    return sorted(set(found))


def check_pins(name: str, positions: Positions, value: object) -> int | list[int] | None:
    """Return the positions that ``value`` names: None, a position, a token's text, or several of either.

    Raises:
        SelectionError: If it names none of the positions, or a text stands in several places.
    """
    value = as_pins(value)
    given = value if isinstance(value, list) else [] if value is None else [value]
    accepted = f"{name} must be an integer in 0..{len(positions) - 1}, a list of them, or None for no pin, got {shown(value)}"
    if not all(map(is_place, given)):
        message = f"{accepted}."
        raise SelectionError(message)
    try:
        pins = replace_text(name, given, positions)
    except ValueError as error:
        texts = all(isinstance(pin, str) for pin in given)
        raise SelectionError(str(error) if texts else f"{accepted}: {error}") from error
    count = len(positions)
    # True is an int to Python, but no position.
    if not all(type(pin) is int and -count <= pin < count for pin in pins):
        message = f"{accepted}."
        raise SelectionError(message)
    kept = list(dict.fromkeys(pin % count for pin in pins))
    return kept if len(kept) > 1 else kept[0] if kept else None


def fitting_pins(value: int | list[int] | None, count: int) -> int | list[int] | None:
    """Return what of the pins is a position of an axis of ``count``."""
    pins = value if isinstance(value, list) else [] if value is None else [value]
    kept = [pin for pin in pins if pin < count]
    return kept if len(kept) > 1 else kept[0] if kept else None


def check_step(count: int, value: object) -> int | None:
    """Return ``value`` if it is None or one of ``count`` steps of a generation, else raise `SelectionError`."""
    if value is None or (type(value) is int and 0 <= value < count):
        return value
    if not count:
        message = f"step is for records of a generation, got {shown(value)}: record one with recording(model, tokenizer)."
        raise SelectionError(message)
    message = (
        f"step must be an integer in 0..{count - 1}, or None for all of them, got {shown(value)}."
    )
    raise SelectionError(message)


def check_pairs(stream: ShownStream, value: object) -> list[list[int]]:
    """Return ``value`` without repeats if every entry is a [layer, head] of the stream, else raise `SelectionError`."""
    checked: list[list[int]] = []
    for pair in value if isinstance(value, list) else [value]:
        if not (isinstance(pair, list) and len(pair) == 2):
            message = f"compare must be a list of (layer, head) pairs, got {shown(value)}: such as compare=[(0, 1), (2, 3)]."
            raise SelectionError(message)
        layer = check_layer(stream, pair[0])
        ref = [layer, *check_heads(stream[layer], [pair[1]])]
        if ref not in checked:
            checked.append(ref)
    return checked


def nearest_layer(stream: ShownStream, layer: int) -> int:
    """Return the layer of ``stream`` whose number is nearest to ``layer``."""
    return min((each.layer for each in stream), key=lambda number: abs(number - layer))
