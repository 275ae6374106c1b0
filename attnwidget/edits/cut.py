"""`Cut`: links from queries to keys that heads are to do without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import shown
from attnwidget.edits.places import (
    Named,
    head_pairs,
    layer_numbers,
    named_positions,
    stream_name,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Cut"]


@dataclass(frozen=True, slots=True)
class Cut:
    """Links that heads are to do without.

    Attributes:
        query: Positions of the queries, by number or text; ``None`` for all.
        key: Positions of the keys, likewise.
        heads: Pairs of a layer and a head; ``None`` for all heads of ``layers``.
        layers: Numbers of layers; ``None`` for all.
        stream: Name of their stream; ``None`` for the only one there is.
        renormalise: Whether the weights that are left are made to add up to what all of them did.
    """

    query: Named
    key: Named
    heads: tuple[tuple[int, int], ...] | None = None
    layers: tuple[int, ...] | None = None
    stream: str | None = None
    renormalise: bool = True

    @classmethod
    def of(
        cls, query: Any, key: Any, *, heads: Any, layers: Any, stream: Any, renormalise: Any
    ) -> Cut:
        """Check what a caller gave, and make a value of it; `cut` describes the arguments.

        Raises:
            TypeError: If ``renormalise`` is neither true nor false.
            ValueError: If another is not what it must be.
        """
        if query is None and key is None:
            message = "cut needs a query, a key, or both, such as cut(query='it', key='cat'): to knock out a whole head, call ablate."
            raise ValueError(message)
        if heads is not None and layers is not None:
            message = f"heads name their layers, got heads={shown(heads)} and layers={shown(layers)}: leave one out."
            raise ValueError(message)
        if not isinstance(renormalise, bool):
            message = f"renormalise must be True or False, got {shown(renormalise)}."
            raise TypeError(message)
        return cls(
            named_positions("query", query),
            named_positions("key", key),
            None if heads is None else head_pairs(heads),
            layer_numbers(layers),
            stream_name(stream),
            renormalise,
        )

    def __bool__(self) -> bool:
        """Whether any head is meant."""
        return self.heads is None or bool(self.heads)

    def __repr__(self) -> str:
        """Write the call that makes it."""
        given = {"query": written(self.query), "key": written(self.key)}
        given["heads"] = None if self.heads is None else list(self.heads)
        given["layers"] = None if self.layers is None else list(self.layers)
        given["stream"] = self.stream
        parts = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return f"cut({', '.join([*parts, *([] if self.renormalise else ['renormalise=False'])])})"

    def with_positions(self, resolved: Callable[[str, Named], tuple[int, ...] | None]) -> Cut:
        """Return this with its positions as numbers.

        Args:
            resolved: Returns the numbers of what ``query`` or ``key`` name.
        """
        return replace(self, query=resolved("query", self.query), key=resolved("key", self.key))

    def to_data(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        heads = None if self.heads is None else [list(pair) for pair in self.heads]
        return {
            "cut": {"query": written(self.query), "key": written(self.key)},
            "heads": heads,
            "layers": None if self.layers is None else list(self.layers),
            "stream": self.stream,
            "renormalise": self.renormalise,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Cut:
        """Return what `to_data` made of one.

        Raises:
            ValueError: If it is not such.
        """
        expected = {"cut", "heads", "layers", "stream", "renormalise"}
        link = data["cut"]
        if set(data) != expected or not isinstance(link, dict) or set(link) != {"query", "key"}:
            message = f"a cut has the entries {sorted(expected)}, and a query and a key in the first, got {shown(dict(data))}."
            raise ValueError(message)
        return cls.of(
            link["query"],
            link["key"],
            heads=data["heads"],
            layers=data["layers"],
            stream=data["stream"],
            renormalise=data["renormalise"],
        )
