"""A link cut without the taps: −∞ among what goes into the softmax of one module."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

__all__ = ["hidden_from_softmax"]


@contextmanager
def hidden_from_softmax(
    model: nn.Module, path: str, heads: int, head: int, link: tuple[int, int]
) -> Iterator[list[int]]:
    """Hide one key from one query of one head wherever the module takes a softmax of ``[..., query, key]``.

    Args:
        model: A model that attends by operations of its own (eager).
        path: Path of the module.
        heads: How many heads it has.
        head: The head.
        link: Query and key.

    Yields:
        Counts the softmaxes that were changed.
    """
    module, inside, changed = model.get_submodule(path), [False], list[int]()
    query, key = link

    def without(scores: Tensor) -> Tensor:
        if not inside[0] or scores.ndim < 3 or scores.shape[-2] <= query or scores.shape[-1] <= key:
            return scores
        rows = scores.shape[0] if scores.ndim == 4 else scores.shape[0] // heads
        edited = scores.clone()
        edited.view(rows, heads, *scores.shape[-2:])[:, head, query, key] = -torch.inf
        changed.append(1)
        return edited

    places: list[tuple[Any, str]] = [
        (torch.nn.functional, "softmax"),
        (torch, "softmax"),
        (torch.Tensor, "softmax"),
    ]
    originals = [getattr(owner, name) for owner, name in places]

    def wrapped(original: Any) -> Any:
        def softmax(scores: Tensor, *args: Any, **kwargs: Any) -> Any:
            edited = without(scores)
            inside[0], before = False, inside[0]  # one may be written by another
            try:
                return original(edited, *args, **kwargs)
            finally:
                inside[0] = before

        return softmax

    handles = [
        module.register_forward_pre_hook(lambda *_: inside.__setitem__(slice(None), [True])),
        module.register_forward_hook(lambda *_: inside.__setitem__(slice(None), [False])),
    ]
    for (owner, name), original in zip(places, originals, strict=True):
        setattr(owner, name, wrapped(original))
    try:
        yield changed
    finally:
        for (owner, name), original in zip(places, originals, strict=True):
            setattr(owner, name, original)
        for handle in handles:
            handle.remove()
