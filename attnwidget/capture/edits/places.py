"""`Place`: which call of which module is a layer of a stream, known from a recording or before the model runs."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnwidget.capture.architecture.head_sizes import head_sizes
from attnwidget.capture.architecture.static_layout import static_layers
from attnwidget.capture.architecture.submodels import enclosing, find_submodels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["Place", "Places", "known_places", "recorded_places", "remember_places"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one layer of a stream is computed.

    Attributes:
        path: Path of its module.
        call: Which of the attention calls that the module makes in one pass, or ``None``: all of them.
        calls: How many of those are layers.
        num_heads: Number of its heads, where that is known.
        windowed: Whether it attends within windows, where that is known.
    """

    path: str
    call: int | None = None
    calls: int = 1
    num_heads: int | None = None
    windowed: bool = False


# Stream and layer to where they are computed.
Places = dict[tuple[str, int], Place]

# Of the last recording of each model; no model is kept for it.
_recorded: weakref.WeakKeyDictionary[nn.Module, Places] = weakref.WeakKeyDictionary()


def remember_places(model: nn.Module, places: Mapping[tuple[str, int], Place]) -> None:
    """Note where a recording of a model found its layers."""
    _recorded[model] = dict(places)


def recorded_places(model: nn.Module) -> Places | None:
    """Return where the last recording of a model found its layers; ``None`` if there was none, or a module is gone."""
    found = _recorded.get(model)
    if found is None:
        return None
    there = {path for path, _ in model.named_modules()}
    return dict(found) if all(place.path in there for place in found.values()) else None


def known_places(model: nn.Module) -> tuple[Places, bool]:
    """Return where the layers of a model are, and whether a recording said so; else only those that are sure before it runs."""
    found = recorded_places(model)
    if found is not None:
        return found, True
    submodels = find_submodels(model)
    places: Places = {}
    twice = set()
    for path, layer in static_layers(model).items():
        if layer.stream is None or layer.number is None:
            continue
        config = getattr(next(enclosing(submodels, path)).module, "config", None)
        heads, _, _ = head_sizes(model.get_submodule(path), config)
        name = layer.stream, layer.number
        twice |= {name} & places.keys()
        places[name] = Place(path, num_heads=heads, windowed=layer.windowed)
    return {name: place for name, place in places.items() if name not in twice}, False
