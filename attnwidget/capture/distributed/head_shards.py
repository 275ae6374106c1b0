"""Join the heads of one layer that the processes of a tensor-parallel model hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from attnwidget.record.layer import Layer

    # Takes the name of one of a layer's tensors, returns that of every process, in the order of the processes.
    Gather = Callable[[str], Sequence[Tensor]]
    Keep = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]

__all__ = ["HEAD_TENSORS", "fill_value_norms", "join_heads"]

# Along their first axis, these hold a process's own heads.
HEAD_TENSORS = ("query", "key", "value", "sinks", "recorded", "value_norms")
_UNSEEN = "no process knows all of its output projection."


def join_heads(own: Layer, heads: Sequence[int], gather: Gather, keep: Keep) -> Layer:
    """Join a layer whose heads are spread over several processes, the first process's heads first.

    Args:
        own: What this process holds; the others hold the same tensors.
        heads: Number of query heads that each process holds.
        gather: Fetches one tensor from all of them.
        keep: Stores tensors where the record is kept.

    Returns:
        The whole layer.
    """
    tensors = {
        name: torch.cat(list(gather(name)))
        for name in ("query", "sinks", "recorded", "value_norms")
        if getattr(own, name) is not None
    }
    names = [name for name in ("key", "value") if getattr(own, name) is not None]
    parts = {name: list(gather(name)) for name in names}
    made: dict[str, Any] = keep(tensors | _grouped(parts, heads))
    if own.bias is not None:
        biases = list(gather("bias"))
        made["bias"] = biases[0] if len(biases) == 1 else torch.cat(biases)
    return replace(own, num_heads=sum(heads), **made)


def fill_value_norms(own: Layer, gather: Gather) -> Layer:
    """Complete a layer that every process holds in full, except for the norms behind a split output projection.

    Args:
        own: What this process holds; norms of values that it cannot know are NaN.
        gather: Fetches one tensor from all of them.
    """
    found, *others = gather("value_norms")
    for norms in others:
        found = torch.where(found.isnan(), norms, found)
    if found.isnan().any():
        return replace(own, value_norms=None, norm_reason=_UNSEEN)
    return replace(own, value_norms=found)


def _grouped(parts: dict[str, list[Tensor]], heads: Sequence[int]) -> dict[str, Tensor]:
    """Put key and value heads together so that query head ``h`` uses ``h // (num_heads // num_key_value_heads)``."""
    if not parts:
        return {}
    counts = [len(part) for part in next(iter(parts.values()))]
    runs = _runs(parts) if set(counts) == {1} else []
    if runs and len({sum(heads[place] for place in run) for run in runs}) == 1:
        # Fewer key heads than processes: neighbours hold the same one.
        return {name: torch.cat([part[run[0]] for run in runs]) for name, part in parts.items()}
    shares = {number // count for number, count in zip(heads, counts, strict=True)}
    if len(shares) > 1:
        # Groups of unlike size have no other common measure than one key head for each query head.
        parts = {
            name: [
                one.repeat_interleave(number // len(one), dim=0)
                for one, number in zip(part, heads, strict=True)
            ]
            for name, part in parts.items()
        }
    return {name: torch.cat(part) for name, part in parts.items()}


def _runs(parts: dict[str, list[Tensor]]) -> list[list[int]]:
    """Find neighbours that hold the same key and value heads."""
    runs = [[0]]
    for place in range(1, len(next(iter(parts.values())))):
        if all(torch.equal(part[place], part[place - 1]) for part in parts.values()):
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs
