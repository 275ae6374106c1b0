"""`ShownDirections`: directions of a head's queries and keys as rows of the neuron view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.attribution.found_directions import Directions
from attnwidget.compute.checks import listed, shown
from attnwidget.serve.source import RecordSource

if TYPE_CHECKING:
    from attnwidget.serve.source import Source

__all__ = ["ShownDirections"]


class ShownDirections:
    """A view whose neuron view has a row for each direction that was found of the head on show."""

    source: Source
    meta: Any
    _directions: tuple[Directions, ...] = ()

    @property
    def directions(self) -> tuple[Directions, ...]:
        """Directions of heads, as `attnwidget.directions` finds them.

        For the head on show the neuron view has a row for each, with what it adds to ``q·k`` of the link that is explained:
        ``(q·u)(k·u)``. Set it to one result, several (of different heads, or of different patterns), or ``()`` for none.
        Saved pages, frozen copies and figures of the view keep the rows.

        Raises:
            TypeError: If it is set to anything else.
            ValueError: If the view shows no single record, or its record has no such head with as many dimensions.

        Example:
            >>> view.directions = aw.directions(model, texts, tokenizer, layer=0, head=2)  # doctest: +SKIP
        """
        return self._directions

    @directions.setter
    def directions(self, value: Any) -> None:
        given = [value] if isinstance(value, Directions) else listed(value)
        if given is None or not all(isinstance(one, Directions) for one in given):
            message = (
                f"directions must be what attnwidget.directions(model, texts, tokenizer, layer=0, head=2) returns, several of "
                f"these, or () for none, got {shown(value)}."
            )
            raise TypeError(message)
        for one in given:
            why = self._why_no_row(one)
            if why is not None:
                message = f"{one!r} cannot be shown: {why}."
                raise ValueError(message)
        self._directions = tuple(given)
        rest = {name: told for name, told in self.meta.items() if name != "directions"}
        self.meta = {**rest, **self.told_directions()}

    def told_directions(self) -> dict[str, Any]:
        """Return the part of meta that says which directions there are; those of heads that the record lacks are left out."""
        if not self._directions:
            return {}
        fitting = [one for one in self._directions if self._why_no_row(one) is None]
        return {
            "directions": [
                {
                    "stream": one.stream,
                    "layer": one.layer,
                    "head": one.head,
                    "pattern": one.pattern,
                    "vectors": one.vectors.tolist(),
                }
                for one in fitting
            ]
        }

    def _why_no_row(self, one: Directions) -> str | None:
        """Say why the record on show has no such head, in words that follow a colon; None where it has."""
        if not isinstance(self.source, RecordSource) or self.source.sides:
            return "the view shows no single record"
        record = self.source.record
        layers = {layer.layer: layer for layer in record.streams.get(one.stream, ())}
        layer = layers.get(one.layer)
        if layer is None or one.head >= layer.num_heads:
            return f"the record has no head {one.layer}.{one.head} in a stream {one.stream!r}"
        if layer.head_dim != one.vectors.shape[1]:
            return (
                f"head {one.layer}.{one.head} of the record has queries of {layer.head_dim} numbers"
            )
        return None
