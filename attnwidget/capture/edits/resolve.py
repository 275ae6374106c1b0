"""Which heads of which calls an edit means in a model: names checked, places found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.edits.changes import Changes, Link, Taken
from attnwidget.capture.edits.refusals import why_no_links, why_not_editable
from attnwidget.capture.edits.replacement import Replacement
from attnwidget.edits.ablation import Ablation
from attnwidget.edits.cut import Cut
from attnwidget.edits.head_outputs import HeadOutputs
from attnwidget.edits.patch import Patch
from attnwidget.edits.removed_directions import RemovedDirections
from attnwidget.record.position_lookup import resolve as resolve_positions
from attnwidget.record.record import the_stream
from attnwidget.record.vocabulary import from_the_end

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.edits.places import Place, Places
    from attnwidget.edits.edits import Edits, Inside
    from attnwidget.edits.places import Named
    from attnwidget.record.record import Record

__all__ = [
    "EditedLayer",
    "NotEditableError",
    "names_known",
    "positions_known",
    "resolve",
    "with_positions",
]


class NotEditableError(ValueError):
    """Heads that are there, and cannot be edited."""


@dataclass(slots=True)
class EditedLayer:
    """One layer some of whose heads are edited.

    Attributes:
        stream: Name of its stream.
        layer: Its number.
        place: Where it is computed.
        module: Its module.
        heads: What is put in the place of the output of each.
        changes: What is done to its heads link by link, or row by row.
        applied: Whether it was.
        gates: In place of an edit, ``[head]`` numbers ``g``, of which gradients are wanted: each of these heads puts out
            ``g o + (1 - g) o'``, with ``o'`` what would be put in its place.
        below: Whether it has gates and attends below autograd, where they are left out.
    """

    stream: str
    layer: int
    place: Place
    module: nn.Module
    heads: dict[int, Replacement] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    applied: bool = False
    gates: Tensor | None = None
    below: bool = False

    def __str__(self) -> str:
        named = {*self.heads, *self.changes.directions}
        named |= {one.head for one in self.changes.taken}
        named |= {head for link in self.changes.links for head in link.heads or ()}
        every = any(link.heads is None for link in self.changes.links)
        heads = ", ".join(f"{self.layer}.{head}" for head in sorted(named))
        return f"{f'all heads of layer {self.layer}' if every else f'heads {heads}'} of {self.stream!r}"


def names_known(edits: Edits, places: Places) -> bool:
    """Tell whether each stream and layer of an edit is among these places, so that no run is needed to find them."""
    return all(
        (part.stream is not None or len({name for name, _ in places}) == 1)
        and all(
            any(layer == from_the_end(number, _numbers(places, part.stream)) for _, layer in places)
            for number in _named_layers(part, [])
        )
        for part in edits.parts_inside
    )


def positions_known(edits: Edits) -> bool:
    """Tell whether all positions of an edit are numbers counted from the first, so that no input is needed to find them."""
    cuts = [part for part in edits.parts if isinstance(part, Cut)]
    named = [place for cut in cuts for axis in (cut.query, cut.key) for place in axis or ()]
    return not any(isinstance(place, str) or place < 0 for place in named)


def with_positions(edits: Edits, record: Record) -> Edits:
    """Return an edit with the positions that it names by text, or from the end, as numbers.

    Args:
        edits: The edit.
        record: A record of the input, without the edit.

    Raises:
        ValueError: If it has no such stream, token or position.
    """
    if all(not isinstance(part, Cut) for part in edits.parts):
        return edits
    return type(edits)(
        tuple(
            _with_positions(part, record) if isinstance(part, Cut) else part for part in edits.parts
        )
    )


def _with_positions(cut: Cut, record: Record) -> Cut:
    try:
        stream = the_stream(record, cut.stream)
    except KeyError as error:
        raise ValueError(str(error.args[0])) from None

    def numbers(name: str, named: Named) -> tuple[int, ...] | None:
        axis = stream.query_positions if name == "query" else stream.key_positions
        if named is None:
            return None
        return tuple(place for one in named for place in resolve_positions(name, one, axis))

    return cut.with_positions(numbers)


def _named_layers(part: Inside, numbers: list[int]) -> list[int]:
    """Return the layers that a part of an edit names, as it names them; all of ``numbers`` where it names none."""
    if isinstance(part, Cut) and part.heads is None:
        return list(numbers if part.layers is None else part.layers)
    return list(dict.fromkeys(layer for layer, _ in part.heads or ()))


def _numbers(places: Places, stream: str | None) -> list[int]:
    return sorted(layer for name, layer in places if stream in {None, name})


def resolve(edits: Edits, model: nn.Module, places: Places, *, sure: bool) -> list[EditedLayer]:
    """Find what an edit means in a model.

    Args:
        edits: The edit, its sources read.
        model: The model.
        places: Where its layers are.
        sure: Whether a recording said so; else there may be more.

    Raises:
        ValueError: If there is no such stream, layer or head, or if it cannot be edited.
    """
    found: dict[tuple[str, int], EditedLayer] = {}
    said: dict[tuple[str, int, int], Inside] = {}
    for part in edits.parts_inside:
        stream = _stream(part, places, sure=sure)
        numbers = _numbers(places, stream)
        for given in _named_layers(part, numbers):
            number = from_the_end(given, numbers)
            if number not in numbers:
                msg = f"no layer {given} in stream {stream!r}; its layers are {numbers}{_more(sure=sure)}: {_example(part, numbers[0])}."
                raise ValueError(msg)
            place = places[stream, number]
            layer = found.setdefault(
                (stream, number),
                EditedLayer(stream, number, place, model.get_submodule(place.path)),
            )
            why = why_not_editable(layer.module)
            if why is not None:
                msg = f"no head of layer {number} of stream {stream!r} can be edited: {place.path} {why}."
                raise NotEditableError(msg)
            _add(layer, part, given, said)
    return list(found.values())


def _add(
    layer: EditedLayer, part: Inside, given: int, said: dict[tuple[str, int, int], Inside]
) -> None:
    """Add what a part of an edit does to a layer, which the part calls ``given``."""
    place, stream, number = layer.place, layer.stream, layer.layer
    pairs = [pair for pair in part.heads or () if pair[0] == given]
    heads = {pair: _head(part, pair, place, stream, number) for pair in pairs}
    if isinstance(part, Cut):
        _check_whole(place, "cut")
        _check_links(layer, "cut")
        numbers = (_counted("query", part.query), _counted("key", part.key))
        chosen = None if part.heads is None else tuple(heads.values())
        layer.changes.links.append(Link(chosen, *numbers, renormalise=part.renormalise))
        return
    for pair, head in heads.items():
        other = said.setdefault((stream, number, head), part)
        if _put(other) != _put(part):
            msg = f"head {number}.{head} of stream {stream!r} is edited in two ways, {other!r} and {part!r}: keep one."
            raise ValueError(msg)
        if isinstance(part, Patch):
            _check_whole(place, "patch")
            if part.what != "output":
                _check_links(layer, f"patch(what={part.what!r})")
            if other is not part:
                continue
            numbers_of = torch.from_numpy(part.of_head(pair).copy())
            layer.changes.taken.append(Taken(head, part.what, numbers_of, part.positions))
        elif isinstance(part, RemovedDirections):
            _check_whole(place, "remove_directions")
            layer.changes.directions[head] = torch.from_numpy(part.array())
        else:
            layer.heads[head] = _replacement(part, pair, place)


def _put(part: Inside) -> tuple[Any, ...]:
    """Return what a part of an edit puts in the place of an output, whichever heads it names."""
    return (part.how, part.source) if isinstance(part, Ablation) else (part,)


def _check_whole(place: Place, name: str) -> None:
    if place.windowed:
        msg = f"{place.path} attends within windows, whose positions are no positions of an input: {name} cannot be applied there."
        raise NotEditableError(msg)


def _check_links(layer: EditedLayer, name: str) -> None:
    why = why_no_links(layer.module)
    if why is not None:
        msg = (
            f"{layer.place.path} {why}: {name} cannot be applied there; ablate(heads=...) and patch(record, heads=..., "
            "what='output') can."
        )
        raise NotEditableError(msg)


def _counted(name: str, positions: Named) -> tuple[int, ...] | None:
    """Return positions that are numbers counted from the first.

    Raises:
        ValueError: If one is named by its text, or counted from the end.
    """
    if positions is None:
        return None
    counted: list[int] = []
    for place in positions:
        if isinstance(place, str) or place < 0:
            msg = (
                f"{name}={place!r} has to be looked up in an input, which is not known here: pass its number, such as {name}=3, "
                "or call attnwidget.what_if(model, inputs, tokenizer, edit)."
            )
            raise ValueError(msg)
        counted.append(place)
    return tuple(counted)


def _more(*, sure: bool) -> str:
    return (
        "" if sure else ", as far as known before it ran once in attnwidget.capture(model, inputs)"
    )


def _stream(part: Inside, places: Places, *, sure: bool) -> str:
    names = list(dict.fromkeys(name for name, _ in places))
    if part.stream in names:
        return str(part.stream)
    if part.stream is not None or not names:
        such = f": {_in_stream(part, names[0])}" if names else ""
        msg = f"no stream {part.stream!r}; there are {names}{_more(sure=sure)}{such}."
        if not sure and not names:
            msg = (
                "which module computes which layer of this model shows when it runs: call attnwidget.capture(model, inputs) "
                "once before."
            )
        raise ValueError(msg)
    if len(names) > 1:
        msg = f"there are several streams, {names}{_more(sure=sure)}: say which, such as {_in_stream(part, names[0])}."
        raise ValueError(msg)
    return names[0]


def _in_stream(part: Inside, stream: str) -> str:
    """Return the call that names a stream."""
    return repr(replace(part, stream=stream))


def _example(part: Inside, layer: int, head: int | None = None) -> str:
    """Return the call for a layer that is there."""
    if isinstance(part, Cut) and part.heads is None:
        return repr(replace(part, layers=(layer,)))
    pair = (layer, (part.heads or ((0, 0),))[0][1] if head is None else head)
    if isinstance(part, Patch):
        return f"patch(record, heads=[{pair}])"
    if isinstance(part, RemovedDirections):
        return f"remove_directions(directions, heads=[{pair}])"
    return (
        repr(replace(part, heads=(pair,))) if isinstance(part, Cut) else f"ablate(heads=[{pair}])"
    )


def _head(part: Inside, pair: tuple[int, int], place: Place, stream: str, number: int) -> int:
    head, count = pair[1], place.num_heads
    if count is None:
        if head < 0:
            msg = f"how many heads layer {number} of stream {stream!r} has shows when it runs: count head {head} from 0."
            raise ValueError(msg)
        return head
    if not -count <= head < count:
        msg = f"no head {head} in layer {number} of stream {stream!r}; its heads are 0 .. {count - 1}: {_example(part, number, count - 1)}."
        raise ValueError(msg)
    return head % count


def _replacement(part: Ablation, pair: tuple[int, int], place: Place) -> Replacement:
    if part.how == "zero":
        return Replacement()
    if not isinstance(part.source, HeadOutputs):
        msg = "the texts of an edit are run before it is applied"
        raise TypeError(msg)
    if place.windowed:
        msg = (
            f"{place.path} attends within windows, whose positions are no positions of an input: how={part.how!r} cannot be "
            "applied there; use how='zero'."
        )
        raise NotEditableError(msg)
    at, over_all = (torch.from_numpy(array) for array in part.source.of(pair))
    return Replacement(at, over_all if part.how == "mean" else None)
