"""`Adapter`: the interface of an adapter, and `SparseRows`, rows of an attention that each have their own keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.taps.events import ModuleTrace


__all__ = [
    "BESIDE",
    "Adapter",
    "CannotDensifyError",
    "DenseWeights",
    "SparseAttention",
    "SparseRows",
    "read_size",
    "split_heads",
]


# Of modules that return what another beside them projects.
BESIDE = ("../output.dense", "../output")


class CannotDensifyError(ValueError):
    """A call that an adapter cannot lay out over query × key; the message says why, in words that follow the name of a module."""


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Some rows, with a slot for each number that went into their softmax.

    Attributes:
        queries: Which rows, ``[row]``.
        keys: Which key each slot is for, ``[head or 1, row, slot]``; -1 where there is none, twice where one is repeated.
        logits: What went into the softmax, ``[head, row, slot]``.
        weights: What the values were multiplied with, ``[head, row, slot]``.
        added: What the model added to the scaled product, ``[head or 1, row, slot]``, if the adapter knows.
    """

    queries: Tensor
    keys: Tensor
    logits: Tensor
    weights: Tensor
    added: Tensor | None = None


@dataclass(frozen=True, slots=True)
class SparseAttention:
    """One attention call in one row of the batch, as an adapter read it.

    Attributes:
        query: ``[head, query, head_dim]``.
        key: ``[head, key, head_dim]``.
        value: ``[head, key, value_dim]``.
        scaling: Factor on ``query . key``.
        row_groups: The rows.
        extra_queries: How many of the queries, the last ones, are none of the sequence.
        extra_keys: How many of the keys, the last ones, are none of the sequence.
        num_padding: How many positions of padding the module put before the sequence.
        second_half: Where values are of two kinds, one after the other: of which queries the module goes on with the
            second half of their outputs, boolean ``[query]``; of the others it is the first.
        besides: What the module adds to the weighted sums of values, ``[head, query, value_dim]``.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    scaling: float
    row_groups: tuple[SparseRows, ...]
    extra_queries: int = 0
    extra_keys: int = 0
    num_padding: int = 0
    second_half: Tensor | None = None
    besides: Tensor | None = None


@dataclass(frozen=True, slots=True)
class DenseWeights:
    """One attention call whose weights no query and key make.

    Attributes:
        weights: ``[head, query, key]``.
        value: ``[head, key, value_dim]``.
        reason: Why there are no vectors.
        besides: What the module adds to the weighted sums of values, ``[head, query, value_dim]``.
    """

    weights: Tensor
    value: Tensor
    reason: str
    besides: Tensor | None = None


class Adapter(Protocol):
    """Knows how one kind of module lays out its attention. Has no state."""

    @property
    def children(self) -> tuple[str, ...]:
        """Names of the children whose outputs it reads."""

    @property
    def projections(self) -> tuple[str, ...]:
        """Where the linear map may be that is given the outputs of all heads; after ``../`` beside the module."""

    def read(
        self, module: nn.Module, trace: ModuleTrace, row: int
    ) -> SparseAttention | DenseWeights:
        """Read one row of the batch off the trace of the module's run."""


def split_heads(tensor: Tensor, num_heads: int, row: int) -> Tensor:
    """Split ``[batch, position, head * dim]`` into heads, ``[head, position, dim]`` of one row of the batch."""
    one = tensor[min(row, len(tensor) - 1)].detach()
    return one.reshape(len(one), num_heads, -1).transpose(0, 1)


def read_size(module: nn.Module, name: str) -> int:
    """Read an integer attribute of a module."""
    size: Any = getattr(module, name)
    return int(size)
