"""What attention in blocks multiplies its values with, found without knowing how it cuts them up.

Whatever a module does between its weights and its values, its output is linear in the values. So the module runs again on
the same inputs with values that are 1 at one position each and 0 elsewhere: what comes out are the columns of its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Probed:
    """How to ask one kind of module.

    Attributes:
        values: Its projections of values.
        after: Its projections of the output.
        heads: Its attribute that counts the heads.
        axis: Which axis of what it projects counts the positions.
        outputs: How many of its outputs, behind each other, are attention.
        beside: What else takes the values and adds to the output.
    """

    values: tuple[str, ...]
    after: tuple[str, ...] = ()
    heads: str = "num_heads"
    axis: int = 1
    outputs: int = 1
    beside: tuple[str, ...] = ()


PROBED = {
    "LongformerSelfAttention": Probed(("value", "value_global"), axis=0),
    "LEDEncoderSelfAttention": Probed(("value", "value_global"), axis=0),
    "BigBirdBlockSparseAttention": Probed(("value",), heads="num_attention_heads"),
    "BigBirdPegasusBlockSparseAttention": Probed(("value",), heads="num_attention_heads"),
    "LongT5LocalAttention": Probed(("v",), ("o",), heads="n_heads"),
    "LongT5TransientGlobalAttention": Probed(("v",), ("o",), heads="n_heads"),
    "NystromformerSelfAttention": Probed(("value",), heads="num_attention_heads", beside=("conv",)),
    "LocalSelfAttention": Probed(("value",), heads="num_attention_heads"),
    "LSHSelfAttention": Probed(("value",), heads="num_attention_heads"),
    "PegasusXGlobalLocalAttention": Probed(("v_proj",), ("out_proj",), outputs=2),
}


@dataclass(frozen=True)
class Found:
    """What came out.

    Attributes:
        weights: ``[row, head, query, key]``.
        extra_queries: Queries after those of the sequence.
        extra_keys: Keys after those of the sequence.
        before: Positions before those of the sequence.
    """

    weights: torch.Tensor
    extra_queries: int
    extra_keys: int
    before: int


class _Values:
    """Stands in for a projection of values."""

    def __init__(self, width: int, heads: int, axis: int) -> None:
        self.width, self.heads, self.axis = width // heads, heads, axis
        self.start = 0
        self.counts: list[int] = []

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        count, before = states.shape[self.axis], sum(self.counts)
        self.counts.append(count)
        shape = (*states.shape[:-1], self.heads, self.width)
        ones = torch.zeros(shape, dtype=states.dtype)
        for column in range(self.width):
            position = self.start + column - before
            if 0 <= position < count:
                ones.select(self.axis, position)[..., column] = 1
        return ones.flatten(-2)


def probe(module: Any, args: Any, kwargs: Any, random: torch.Tensor) -> Found | None:
    """Ask a module for its weights, if it is one to be asked; ``random`` is the state in which it ran."""
    asked = next((PROBED[k.__name__] for k in type(module).__mro__ if k.__name__ in PROBED), None)
    if asked is None:
        return None
    heads = getattr(module, asked.heads)
    projections = [getattr(module, name) for name in asked.values]
    stand_ins = [_Values(part.out_features, heads, asked.axis) for part in projections]
    after = [getattr(module, name) for name in asked.after]
    beside = [getattr(module, name) for name in asked.beside if hasattr(module, name)]
    state = np.random.get_state()  # noqa: NPY002  BigBird draws its blocks from it
    columns: list[torch.Tensor] = []
    try:
        for part, values in zip(projections, stand_ins, strict=True):
            part.forward = values
        for part in after:
            part.forward = lambda states: states
        for part in beside:
            part.forward = torch.zeros_like
        start, total = 0, 1
        while start < total:
            for values in stand_ins:
                values.start, values.counts = start, []
            with torch.no_grad(), torch.random.fork_rng():
                torch.set_rng_state(random)
                output = module.forward(*args, **kwargs)
            counts = stand_ins[0].counts
            total = sum(counts)
            parts = [output] if isinstance(output, torch.Tensor) else list(output)[: asked.outputs]
            out = torch.cat(parts, dim=1)
            columns.append(out.view(*out.shape[:2], heads, -1).permute(0, 2, 1, 3))
            start += stand_ins[0].width
    finally:
        for part in (*projections, *after, *beside):
            del part.forward
        np.random.set_state(state)  # noqa: NPY002
    weights = torch.cat(columns, dim=-1)[..., :total].detach().float()
    own = parts[0].shape[1]
    states = next(value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor))
    return Found(weights, weights.shape[2] - own, total - counts[0], _before(states, module))


def _before(states: torch.Tensor, module: Any) -> int:
    """Empty positions put before the sequence (PEGASUS-X shifts every other layer's blocks by half of one)."""
    half = getattr(module, "block_size", 0) // 2
    shifted = "PegasusX" in type(module).__name__ and half and not states[:, :half].any()
    return half if shifted else 0


__all__ = ["PROBED", "Found", "probe"]
