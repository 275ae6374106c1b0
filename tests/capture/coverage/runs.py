"""Runs a model on its inputs again and again, alike: what came out, as a list of tensors."""

from __future__ import annotations

import copy
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from capture.coverage.ways import SEED

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Output", "run_again", "same_bits", "tensors_of"]

Output = list[torch.Tensor]


def run_again(model: Any, inputs: dict[str, Any], *, weights: bool = True) -> Output:
    """Run a model with the random numbers of every other run, and list the tensors of its output, those of its cache too.

    Args:
        model: The model.
        inputs: What it is called with.
        weights: Whether the weights that it returns are among them.
    """
    torch.manual_seed(SEED)
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002  what some models draw masks with
    with torch.no_grad():
        output = model(**copy.deepcopy(inputs))
        if not weights and isinstance(output, dict):
            output = {name: value for name, value in output.items() if "attentions" not in name}
        return [each.nan_to_num() for each in tensors_of(output)]


def same_bits(one: Output, other: Output) -> bool:
    """Tell whether two outputs are the same tensors."""
    return len(one) == len(other) and all(map(torch.equal, one, other))


def tensors_of(output: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of an output, those of caches in it too."""
    if isinstance(output, torch.Tensor):
        if not output.is_nested:
            yield output
    elif isinstance(output, dict):
        for value in output.values():
            yield from tensors_of(value)
    elif isinstance(output, (list, tuple)):
        for value in output:
            yield from tensors_of(value)
    elif hasattr(output, "layers") or type(output).__name__.endswith("Layer"):
        yield from tensors_of(list(vars(output).values()))
