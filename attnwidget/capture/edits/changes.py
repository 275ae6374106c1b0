"""What is done to the heads of a layer link by link, or row by row: `Link`, `Taken` and `Changes`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Changes", "Link", "Taken"]


@dataclass(frozen=True, slots=True)
class Link:
    """Links that some heads of a layer do without.

    Attributes:
        heads: The heads; ``None`` for all.
        queries: Positions of the queries; ``None`` for all.
        keys: Positions of the keys; ``None`` for all.
        renormalise: Whether the weights that are left add up to what all of them did.
    """

    heads: tuple[int, ...] | None
    queries: tuple[int, ...] | None
    keys: tuple[int, ...] | None
    renormalise: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What one head takes from another record.

    Attributes:
        head: The head.
        what: ``"output"``, ``"pattern"`` or ``"value"``.
        numbers: float32 ``[position, value_dim]``, or ``[query, key]`` of a pattern.
        positions: Where: those of values are keys; ``None`` for all of the record.
    """

    head: int
    what: Literal["output", "pattern", "value"]
    numbers: Tensor
    positions: tuple[int, ...] | None


@dataclass(slots=True)
class Changes:
    """What is done to the heads of a layer link by link, or row by row.

    Attributes:
        links: Links that its heads do without.
        taken: What its heads take from another record.
        directions: Directions that the scores of some heads are computed without, float32 ``[count, head_dim]``, unit
            vectors at right angles.
    """

    links: list[Link] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    directions: dict[int, Tensor] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is done."""
        return bool(self.links or self.taken or self.directions)
