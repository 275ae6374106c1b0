"""A link hidden without any of our taps: −∞ among the scores of one softmax of a module.

Which softmax of the module, and which of its axes are heads and queries, is searched for by their sizes.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

__all__ = ["Softmaxes", "Spot", "spots", "watched"]


@dataclass(frozen=True)
class Spot:
    """Where one head of the scores of one softmax is.

    Attributes:
        number: Which softmax of the module, counted over all of its runs in a pass.
        dim: The axis of the keys.
        query: The axis of the queries.
        heads: The axis of the heads, counted without those two; of two axes that are the heads together, the first.
        form: Whether that axis is the heads alone, the rows of the batch with the heads of each, the heads with the rows
            of each, the groups of heads with another axis for the heads of each; or whether there is none.
        first: Position of the first of its queries and keys: a module may attend within one part after the other.
    """

    number: int
    dim: int
    query: int
    heads: int = 0
    form: str = "none"
    first: int = 0

    def hide(self, scores: Tensor, head: int, heads: int, link: tuple[int, int]) -> Tensor:
        """Return scores with −∞ where one head's query meets the key."""
        query, key = (place - self.first for place in link)
        edited = scores.clone(memory_format=torch.contiguous_format)
        view = edited.movedim((self.query, self.dim), (-2, -1))
        if self.form == "none":
            view[..., query, key] = -torch.inf
            return edited
        view = view.movedim(self.heads, 0)
        if self.form == "alone":
            view[head][..., query, key] = -torch.inf
        elif self.form == "groups":
            group, own = divmod(head, heads // view.shape[0])
            view.movedim(self.heads + 1, 1)[group, own][..., query, key] = -torch.inf
        elif self.form == "rows first":
            view[head::heads, ..., query, key] = -torch.inf
        else:
            rows = view.shape[0] // heads
            view[head * rows : (head + 1) * rows, ..., query, key] = -torch.inf
        return edited


@dataclass
class Softmaxes:
    """The softmaxes that a module took while it was watched.

    Attributes:
        seen: The shape of what each was given, and along which axis.
    """

    seen: list[tuple[torch.Size, int]] = field(default_factory=list)


def spots(found: Softmaxes, heads: int, link: tuple[int, int]) -> Iterator[Spot]:
    """Yield where the scores of a head may be that a link is one of, the likeliest first.

    Args:
        found: The softmaxes of the module.
        heads: How many heads it has.
        link: Query and key.
    """
    first = 0
    for number, (shape, dim) in enumerate(found.seen):
        for start in dict.fromkeys((0, first)):
            query, key = (place - start for place in link)
            if min(query, key) >= 0:
                for spot in _spots_of(number, shape, dim, heads, (query + 1, key + 1)):
                    yield replace(spot, first=start)
        first += shape[dim]


def _spots_of(
    number: int, shape: torch.Size, dim: int, heads: int, least: tuple[int, int]
) -> Iterator[Spot]:
    """Yield those of one softmax, which has so many queries and keys at least."""
    queries, keys = least
    if shape[dim] >= keys:
        axes = [axis for axis in range(len(shape)) if axis != dim]
        for query in sorted(axes, key=lambda axis: (shape[axis] != queries, -axis)):
            if shape[query] < queries:
                continue
            others = [shape[axis] for axis in axes if axis != query]
            for place, size in reversed(list(enumerate(others))):
                if size == heads:
                    yield Spot(number, dim, query, place, "alone")
                elif size % heads == 0 and size:
                    yield Spot(number, dim, query, place, "rows first")
                    yield Spot(number, dim, query, place, "heads first")
                elif place + 1 < len(others) and size * others[place + 1] == heads:
                    yield Spot(number, dim, query, place, "groups")
            if heads == 1:
                yield Spot(number, dim, query)


@contextmanager
def watched(
    model: nn.Module, path: str, change: Callable[[int, Tensor], Tensor] | None = None
) -> Iterator[Softmaxes]:
    """Watch the softmaxes that a module takes, and change what they are given.

    Args:
        model: The model.
        path: Path of the module.
        change: What is to be given to a softmax of this number, in place of what it was given.
    """
    found, depth = Softmaxes(), [0]
    module = model.get_submodule(path)

    def wrapped(original: Any) -> Any:
        def softmax(scores: Tensor, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
            if depth[0] <= 0 or not isinstance(dim, int) or scores.ndim < 2:
                return original(scores, dim, *args, **kwargs)
            number = len(found.seen)
            found.seen.append((scores.shape, dim % scores.ndim))
            given = scores if change is None else change(number, scores)
            kept, depth[0] = depth[0], 0  # one of these functions may be written by another
            try:
                return original(given, dim, *args, **kwargs)
            finally:
                depth[0] = kept

        return softmax

    replaced = {
        (owner, name): wrapped(getattr(owner, name))
        for owner, name in ((functional, "softmax"), (torch, "softmax"), (torch.Tensor, "softmax"))
    }
    replaced[functional, "scaled_dot_product_attention"] = _scaled_dot_product_attention
    # Of the scores whose softmax comes next: a sink beside a softmax is written so.
    sums = torch.logsumexp

    def logsumexp(scores: Tensor, *args: Any, **kwargs: Any) -> Any:
        inside = depth[0] > 0 and change is not None and scores.ndim > 1
        given = change(len(found.seen), scores) if inside and change is not None else scores
        return sums(given, *args, **kwargs)

    replaced[torch, "logsumexp"] = logsumexp
    originals = {place: getattr(*place) for place in replaced}

    def step(by: int) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            depth[0] += by

        return hook

    handles = [
        module.register_forward_pre_hook(step(1)),
        module.register_forward_hook(step(-1)),
    ]
    for (owner, name), put in replaced.items():
        setattr(owner, name, put)
    try:
        yield found
    finally:
        for (owner, name), original in originals.items():
            setattr(owner, name, original)
        for handle in handles:
            handle.remove()


def _scaled_dot_product_attention(  # noqa: PLR0917  PyTorch's own arguments
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: FBT001, FBT002
) -> Tensor:
    """Attend with a softmax that is seen, as PyTorch's documentation writes it."""
    del dropout_p  # nothing is measured in training mode
    if enable_gqa:
        key, value = (
            each.repeat_interleave(query.shape[-3] // each.shape[-3], -3) for each in (key, value)
        )
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~seen, -torch.inf)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return functional.softmax(scores, dim=-1).nan_to_num() @ value
