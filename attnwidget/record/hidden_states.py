"""`HiddenStates`: what the residual stream of a run was after each layer, beside the model that made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["HiddenStates", "is_kept_option"]


def is_kept_option(hidden_states: object) -> bool:
    """Tell whether an argument ``hidden_states`` is that of `capture`: no tensor, which a model's own of this name is."""
    return isinstance(hidden_states, (bool, np.bool_, int, float, str))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HiddenStates:
    """The residual stream after each layer of a run; keeps the model, whose last steps read it.

    Attributes:
        states: What it was after each layer, in their order, ``[batch, position, hidden]`` in the model's dtype, before
            the final norm.
        lens: Makes the `attnwidget.LogitLens` of these: takes how many choices are kept.
    """

    states: tuple[Tensor, ...]
    lens: Callable[[int], Any]

    def __repr__(self) -> str:
        """Write how many there are, and their shape."""
        return f"HiddenStates({len(self.states)} layers, {list(self.states[-1].shape)})"
