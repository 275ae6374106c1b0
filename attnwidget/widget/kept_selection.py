"""`KeptSelection`: what a reader had selected in a view, for the one that the same cell makes when it is run again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnwidget.protocol.constants import RANKING
from attnwidget.serve.python_call import PLACE
from attnwidget.serve.selection import SelectionError, check
from attnwidget.serve.selection_parts import DEFAULTS, STATE, normalised
from attnwidget.serve.shown_groups import ENDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnwidget.record.positions import Positions
    from attnwidget.serve.source import Source
    from attnwidget.serve.streams import ShownStream

__all__ = ["KeptSelection"]

# What is of the positions of the stream on show.
_OF_STREAM = ("aside", "grouping", *ENDS)
# What only fits the same layers and heads.
_OF_SHAPE = (*PLACE, "compare", "show_layers", "together_layers")


@dataclass(frozen=True, slots=True)
class KeptSelection:
    """What a reader changed in a view; holds nothing of its record.

    Attributes:
        kind: Name of the view's class; anywidget makes a class of its own of each.
        state: The changed parts of the selection.
        shape: Number and heads of each layer of the selected stream.
        labels: Of the pinned queries and keys, and the keys set aside one by one, what they are called.
    """

    kind: str
    state: Mapping[str, Any]
    shape: tuple[tuple[int, int], ...]
    labels: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, view: Any) -> KeptSelection | None:
        """Return what the reader changed in a view, None if that is nothing."""
        changed = set(view.changed_by_reader)
        # One place: whoever changed one of these was looking at all of them.
        if changed & set(PLACE):
            changed |= set(PLACE)
        if any(getattr(view, name) is not None for name in changed & set(ENDS)):
            # The groups at the ends are of the grouping on show, which may be the usual one that nobody set.
            changed.add("grouping")
        if changed & set(_OF_STREAM) and len(view.source.streams) > 1:
            changed.add("stream")
        # Links are positions of the text before, or a pattern that its record holds.
        changed -= {"ranking"}
        state = {name: getattr(view, name) for name in STATE if name in changed}
        state = {name: one for name, one in state.items() if one != RANKING}
        if not state:
            return None
        stream = view.source.streams[view.stream]
        axes = {"query": stream.query_positions, "key": stream.key_positions}
        if isinstance(state.get("aside"), list):
            axes["aside"] = stream.key_positions
        labels = {
            name: tuple(axis[pin].label for pin in _listed(state.get(name)))
            for name, axis in axes.items()
        }
        return cls(type(view).__name__, state, _shape(stream), labels)

    def fitting(self, view: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part that fits another view, of what its caller did not give.

        Args:
            view: The view; its source is there already.
            given: What the caller gave, by the usual names.
        """
        source: Source = view.source
        if type(view).__name__ != self.kind:
            return {}
        name = self.state.get("stream", next(iter(source.streams)))
        stream = source.streams.get(name)
        fits = stream is not None and _shape(stream) == self.shape and not set(PLACE) & set(given)
        found: dict[str, Any] = {}
        # What other parts have to fit; a value that is none of the source's is refused later, as the caller's.
        state = {**DEFAULTS, "stream": next(iter(source.streams))}
        for part in ("stream", "grouping"):
            if part in given:
                with suppress(SelectionError):
                    state[part] = check(source, part, given[part], state)
        for part in STATE:
            if part not in self.state or part in given or (part in _OF_SHAPE and not fits):
                continue
            value = self.state[part]
            if part in self.labels and stream is not None:
                axis = stream.query_positions if part == "query" else stream.key_positions
                value = normalised(part, _found_again(value, self.labels[part], axis))
            # Where nobody says which, the view may open on any stream.
            known = "stream" in found or "stream" in given or part not in _OF_STREAM
            streams = [state["stream"]] if known else list(source.streams)
            with suppress(SelectionError):
                checked = [check(source, part, value, {**state, "stream": at}) for at in streams]
                found[part] = state[part] = checked[0]
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
