"""`Sources`: from which of the tensors that a block was given does a tensor come?

What a block is given are its sources. What is computed from a tensor position by position (projections, norms, residuals,
rotations, slices) has its sources; what attention puts together is a source of its own. So queries and keys of
self-attention share a source, also where they are normalised or projected apart, and those of cross-attention do not.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.tensor_tools import tensors_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

__all__ = ["Origin", "Sources"]

_PRODUCTS = frozenset({"bmm", "matmul", "mm", "baddbmm"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where query and key of one attention call come from.

    Attributes:
        scope: Which run of which block it was called in.
        query: The sources of its queries, the states themselves first, before what was added to them or scaled them.
        key: Those of its keys.
    """

    scope: int
    query: tuple[int, ...]
    key: tuple[int, ...]

    @property
    def cross(self) -> bool | None:
        """Whether the keys come from another tensor than the queries, or ``None`` if that cannot be told."""
        if not self.query or not self.key:
            return None
        if self.query[0] not in self.key and self.key[0] not in self.query:
            return True
        # What was attended to before is part of a decoder's queries, though not of what it looks at.
        return False if set(self.query) == set(self.key) else None


@dataclass(slots=True)
class _Scope:
    """One run of a block: the sources of each tensor in it, by the address of its memory."""

    path: str
    number: int
    known: dict[int, tuple[int, ...]] = field(default_factory=dict)


class Sources:
    """Follows the sources of tensors through the operations of the blocks that are running."""

    def __init__(self) -> None:
        self._scopes: list[_Scope] = []
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        """Whether a block is running."""
        return bool(self._scopes)

    def enter(self, path: str, given: Iterable[Any]) -> None:
        """Begin with a block: what it is given are the sources."""
        self._scopes.append(_Scope(path, next(self._numbers)))
        self.give(given)

    def leave(self, path: str, output: Any) -> None:
        """End a block: to the block around it, what it returns are sources."""
        while self._scopes and self._scopes.pop().path != path:
            pass
        if self._scopes:
            for tensor in tensors_in(output):
                self._set(tensor, (next(self._numbers),))

    def clear(self) -> None:
        """Forget everything."""
        self._scopes.clear()

    def give(self, given: Iterable[Any]) -> None:
        """Make sources of those tensors that are given and not known."""
        if not self._scopes:
            return
        tensors = [tensor for tensor in tensors_in(list(given)) if tensor.dtype != torch.bool]
        # Beside states, vectors of one axis less are conditions for all positions (a time step).
        most = max((tensor.ndim for tensor in tensors if tensor.is_floating_point()), default=0)
        for tensor in tensors:
            if tensor.is_floating_point() and tensor.ndim < min(most, 3):
                continue
            if not self.of(tensor):
                self._set(tensor, (next(self._numbers),))

    def of(self, tensor: Tensor) -> tuple[int, ...]:
        """Return the sources of a tensor, the first the one that it is about."""
        address = _address(tensor)
        if not self._scopes or address is None:
            return ()
        return self._scopes[-1].known.get(address, ())

    def origin(self, path: str, query: Tensor, key: Tensor) -> Origin | None:
        """Return where query and key of a call come from, if the block at ``path`` is the one that is running."""
        if not self._scopes or self._scopes[-1].path != path:
            return None
        return Origin(self._scopes[-1].number, self.of(query), self.of(key))

    def follow(self, name: str, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """Note the sources of an operation's result."""
        own: dict[int, None] = {}
        holders = 0
        if not (name.endswith("_like") or name.startswith("new_")):
            for tensor in tensors_in([*args, *kwargs.values()]):
                if tensor.dtype != torch.bool:
                    sources = self.of(tensor)
                    holders += bool(sources)
                    own |= dict.fromkeys(sources)
        attends = (name in _PRODUCTS and holders > 1) or "scaled_dot_product" in name
        found = (next(self._numbers),) if attends else tuple(own)
        for tensor in tensors_in(result):
            self._set(tensor, () if tensor.dtype == torch.bool else found)

    def _set(self, tensor: Tensor, sources: tuple[int, ...]) -> None:
        address = _address(tensor)
        if address is None:
            return
        known = self._scopes[-1].known
        if sources:
            known[address] = sources
        else:
            known.pop(address, None)


def _address(tensor: Tensor) -> int | None:
    """Return the address of a tensor's memory, which its views share, if it has any."""
    if tensor.is_nested or tensor.layout != torch.strided:
        return None
    try:
        return tensor.untyped_storage().data_ptr() or None
    except (RuntimeError, NotImplementedError):  # no memory of its own
        return None
