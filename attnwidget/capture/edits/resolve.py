"""Which heads of which calls an edit means in a model: names checked, places found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.edits.refusals import why_not_editable
from attnwidget.capture.edits.replacement import Replacement
from attnwidget.edits.head_outputs import HeadOutputs
from attnwidget.record.vocabulary import from_the_end

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.edits.places import Place, Places
    from attnwidget.edits.ablation import Ablation
    from attnwidget.edits.edits import Edits

__all__ = ["EditedLayer", "NotEditableError", "names_known", "resolve"]


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
        applied: Whether it was.
        gates: In place of an edit, ``[head]`` numbers ``g``, of which gradients are wanted: each of these heads puts out
            ``g o + (1 - g) o'``, with ``o'`` what would be put in its place.
    """

    stream: str
    layer: int
    place: Place
    module: nn.Module
    heads: dict[int, Replacement] = field(default_factory=dict)
    applied: bool = False
    gates: Tensor | None = None

    def __str__(self) -> str:
        heads = ", ".join(f"{self.layer}.{head}" for head in self.heads)
        return f"{heads} of {self.stream!r}"


def names_known(edits: Edits, places: Places) -> bool:
    """Tell whether each stream and layer of an edit is among these places, so that no run is needed to find them."""
    return all(
        (stream is not None or len({name for name, _ in places}) == 1)
        and all(
            any(layer == from_the_end(number, _numbers(places, stream)) for _, layer in places)
            for number, _ in part.heads
        )
        for part in edits.parts_inside
        for stream in [part.stream]
    )


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
    said: dict[tuple[str, int, int], Ablation] = {}
    for part in edits.parts_inside:
        stream = _stream(part, places, sure=sure)
        numbers = _numbers(places, stream)
        for pair in part.heads:
            number = from_the_end(pair[0], numbers)
            if number not in numbers:
                msg = f"no layer {pair[0]} in stream {stream!r}; its layers are {numbers}{_more(sure=sure)}: ablate(heads=[({numbers[0]}, {pair[1]})])."
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
            head = _head(pair, place, stream, number)
            other = said.setdefault((stream, number, head), part)
            if (other.how, other.source) != (part.how, part.source):
                msg = f"head {number}.{head} of stream {stream!r} is edited in two ways, {other!r} and {part!r}: keep one."
                raise ValueError(msg)
            layer.heads[head] = _replacement(part, pair, place)
    return list(found.values())


def _more(*, sure: bool) -> str:
    return (
        "" if sure else ", as far as known before it ran once in attnwidget.capture(model, inputs)"
    )


def _stream(part: Ablation, places: Places, *, sure: bool) -> str:
    names = list(dict.fromkeys(name for name, _ in places))
    if part.stream in names:
        return str(part.stream)
    if part.stream is not None or not names:
        such = f": ablate(heads={list(part.heads)}, stream={names[0]!r})" if names else ""
        msg = f"no stream {part.stream!r}; there are {names}{_more(sure=sure)}{such}."
        if not sure and not names:
            msg = (
                "which module computes which layer of this model shows when it runs: call attnwidget.capture(model, inputs) "
                "once before."
            )
        raise ValueError(msg)
    if len(names) > 1:
        msg = f"there are several streams, {names}{_more(sure=sure)}: say which, such as ablate(heads={list(part.heads)}, stream={names[0]!r})."
        raise ValueError(msg)
    return names[0]


def _head(pair: tuple[int, int], place: Place, stream: str, number: int) -> int:
    head, count = pair[1], place.num_heads
    if count is None:
        if head < 0:
            msg = f"how many heads layer {number} of stream {stream!r} has shows when it runs: count head {head} from 0."
            raise ValueError(msg)
        return head
    if not -count <= head < count:
        msg = f"no head {head} in layer {number} of stream {stream!r}; its heads are 0 .. {count - 1}: ablate(heads=[({number}, {count - 1})])."
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
