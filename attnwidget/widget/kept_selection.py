"""`KeptSelection`: what a reader had selected in a view, for the one that the same cell makes when it is run again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnwidget.protocol.constants import RANKING
from attnwidget.serve.selection import DEFAULTS, STATE, SelectionError, check

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from attnwidget.record.positions import Positions
    from attnwidget.serve.source import Source
    from attnwidget.serve.streams import ShownStream

__all__ = ["KeptSelection"]

# One place: whoever changed one of these was looking at all of them.
_PLACE = ("stream", "layer", "heads", "query", "key")
# What only fits the same layers and heads.
_OF_SHAPE = (*_PLACE, "compare", "show_layers", "together_layers")


@dataclass(frozen=True, slots=True)
class KeptSelection:
    """What a reader changed in a view; holds nothing of its record.

    Attributes:
        kind: Name of the view's class; anywidget makes a class of its own of each.
        state: The changed parts of the selection.
        shape: Number and heads of each layer of the selected stream.
        labels: Of the pinned queries and keys what they are called.
    """

    kind: str
    state: Mapping[str, Any]
    shape: tuple[tuple[int, int], ...]
    labels: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, view: Any) -> KeptSelection | None:
        """Return what the reader changed in a view, None if that is nothing."""
        changed = set(view.changed_by_reader)
        if changed & set(_PLACE):
            changed |= set(_PLACE)
        # Links are positions of the text before, or a pattern that its record holds.
        changed -= {"ranking"}
        state = {name: getattr(view, name) for name in STATE if name in changed}
        state = {name: one for name, one in state.items() if one != RANKING}
        if not state:
            return None
        stream = view.source.streams[view.stream]
        axes = {"query": stream.query_positions, "key": stream.key_positions}
        labels = {
            name: tuple(axis[pin].label for pin in _listed(state.get(name)))
            for name, axis in axes.items()
        }
        return cls(type(view).__name__, state, _shape(stream), labels)

    def fitting(self, view: Any, given: Collection[str]) -> dict[str, Any]:
        """Return the part that fits another view, of what its caller did not give.

        Args:
            view: The view; its source is there already.
            given: What the caller gave.
        """
        source: Source = view.source
        if type(view).__name__ != self.kind:
            return {}
        name = self.state.get("stream", next(iter(source.streams)))
        stream = source.streams.get(name)
        fits = stream is not None and _shape(stream) == self.shape and not set(_PLACE) & set(given)
        found: dict[str, Any] = {}
        state = {**DEFAULTS, "stream": next(iter(source.streams))}
        for part in STATE:
            if part not in self.state or part in given or (part in _OF_SHAPE and not fits):
                continue
            value = self.state[part]
            if part in self.labels and stream is not None:
                axis = stream.query_positions if part == "query" else stream.key_positions
                value = _found_again(value, self.labels[part], axis)
            try:
                found[part] = state[part] = check(source, part, value, state)
            except SelectionError:
                continue
        return found


def _listed(pins: Any) -> list[int]:
    return pins if isinstance(pins, list) else [] if pins is None else [pins]


def _shape(stream: ShownStream) -> tuple[tuple[int, int], ...]:
    return tuple((layer.layer, layer.num_heads) for layer in stream)


def _found_again(pins: Any, labels: Sequence[str], axis: Positions) -> Any:
    """Return pins where the same token stands at the same place, or stands once; None where one of them does neither."""
    found = []
    for pin, label in zip(_listed(pins), labels, strict=True):
        if pin < len(axis) and axis[pin].label == label:
            found.append(pin)
            continue
        places = [place for place, position in enumerate(axis) if position.label == label]
        if len(places) != 1:
            return None
        found += places
    return found if len(found) > 1 else found[0] if found else None
