"""`Windows`: attention within windows of an image or blocks of a text, laid out over the whole input.

A window attends only to itself, so over all windows, concatenated, the weights are block-diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.record.positions import Position

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.record.positions import Positions


__all__ = [
    "Windows",
    "batch_slice",
    "expand_rows",
    "join_failure",
    "join_windows",
    "locate_windows",
    "reorder",
]

_LARGEST = 1 << 26  # entries of a matrix of blocks


@dataclass(frozen=True, slots=True)
class Windows:
    """How many windows one input was cut into, and their sizes.

    Attributes:
        count: Number of windows.
        queries: Queries in each.
        keys: Keys in each.
        num_placed: How many positions, the first ones, are in the order of the whole; 0 if their place is not known.
        extra: What the others are called: positions that made an image larger, say, or global tokens.
    """

    count: int
    queries: int
    keys: int
    num_placed: int = 0
    extra: str = "edge"

    def positions(self, size: int) -> Positions:
        """Name ``size`` positions of each window by window and index, since their place in the whole is not known."""
        return tuple(
            Position(label=f"w{piece} {index}", kind="latent")
            for piece in range(self.count)
            for index in range(size)
        )


def expand_rows(arguments: AttentionArguments) -> AttentionArguments:
    """Expand queries, keys and values to the same number of rows: some may have one row for all."""
    vectors = (arguments.query, arguments.key, arguments.value)
    rows = max(map(len, vectors))
    if all(len(tensor) == rows for tensor in vectors):
        return arguments
    query, key, value = (tensor.expand(rows, -1, -1, -1) for tensor in vectors)
    return replace(arguments, query=query, key=key, value=value)


def batch_slice(arguments: AttentionArguments, start: int, count: int) -> AttentionArguments:
    """Keep ``count`` rows of a call's batch."""
    rows = len(arguments.query)

    def part(tensor: Any) -> Any:
        whole = isinstance(tensor, torch.Tensor) and tensor.ndim == 4 and len(tensor) == rows
        return tensor[start : start + count] if whole else tensor

    bias = arguments.options.get("position_bias")
    options = (
        arguments.options if bias is None else {**arguments.options, "position_bias": part(bias)}
    )
    return replace(
        arguments,
        query=part(arguments.query),
        key=part(arguments.key),
        value=part(arguments.value),
        attention_mask=part(arguments.attention_mask),
        options=options,
        own_weights=part(arguments.own_weights),
        output=None if arguments.output is None else arguments.output.moved(part),
    )


def join_failure(arguments: AttentionArguments) -> str | None:
    """Say why a call whose batch is the windows of one input cannot be joined, if it cannot."""
    count, _, queries, _ = arguments.query.shape
    keys = arguments.key.shape[2]
    where = f"attends within {count} pieces of its input"
    mask, bias = arguments.attention_mask, arguments.options.get("position_bias")
    if mask is not None and (not isinstance(mask, torch.Tensor) or mask.ndim != 4):
        return f"{where} with a mask that is no tensor of four axes"
    heads = max([1, *(tensor.shape[1] for tensor in (mask, bias) if tensor is not None)])
    heads = heads if arguments.weights is None else arguments.weights.shape[1]
    if heads * count**2 * queries * keys > _LARGEST:
        return f"{where}, too many to be laid out in one matrix ({count * queries} positions)"
    return None


def join_windows(arguments: AttentionArguments) -> tuple[AttentionArguments, Windows]:
    """Join a call whose batch is the windows of one input.

    Args:
        arguments: The call, ``[window, head, position, dim]``; its weights, if any, ``[window, head, query, key]``.

    Returns:
        The call with a batch of one and all windows concatenated, and their layout.
    """
    count, _, queries, _ = arguments.query.shape
    windows = Windows(count, queries, arguments.key.shape[2])
    options = dict(arguments.options)
    bias = options.get("position_bias")
    if bias is not None:
        options["position_bias"] = _block_diagonal(bias, windows, 0.0)
    weights, own = arguments.weights, arguments.own_weights
    joined = replace(
        arguments,
        query=_concatenated(arguments.query),
        key=_concatenated(arguments.key),
        value=_concatenated(arguments.value),
        attention_mask=_mask(arguments, windows),
        options=options,
        weights=None if weights is None else _block_diagonal(weights, windows, 0.0),
        own_weights=None if own is None else _block_diagonal(own, windows, 0.0),
        output=None if arguments.output is None else arguments.output.moved(_concatenated),
    )
    return joined, windows


def reorder(
    arguments: AttentionArguments, windows: Windows, order: Tensor, placed: int
) -> tuple[AttentionArguments, Windows]:
    """Bring the positions of a joined call into another order, queries and keys alike.

    Args:
        arguments: The joined call.
        windows: Its windows.
        order: Index of the position to come first, second …
        placed: How many of them are positions of the whole.
    """

    def moved(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[:, :, order][..., order]

    options = dict(arguments.options)
    if options.get("position_bias") is not None:
        options["position_bias"] = moved(options["position_bias"])
    again = replace(
        arguments,
        query=arguments.query[:, :, order],
        key=arguments.key[:, :, order],
        value=arguments.value[:, :, order],
        attention_mask=moved(arguments.attention_mask),
        options=options,
        weights=moved(arguments.weights),
        own_weights=moved(arguments.own_weights),
        output=None
        if arguments.output is None
        else arguments.output.moved(lambda rows: rows[:, :, order.to(rows.device)]),
    )
    return again, replace(windows, num_placed=placed)


def _mask(arguments: AttentionArguments, windows: Windows) -> Tensor:
    mask = arguments.attention_mask
    if mask is None:
        shape = (1, 1, windows.queries, windows.keys)
        mask = torch.ones(shape, dtype=torch.bool, device=arguments.query.device)
        fused = not arguments.implementation.endswith("eager")
        if fused and arguments.is_causal and windows.queries > 1:
            last = windows.keys - windows.queries if "flash" in arguments.implementation else 0
            mask = mask.tril(last)
    outside = False if mask.dtype == torch.bool else -torch.inf
    return _block_diagonal(mask, windows, outside)


def _concatenated(tensor: Tensor) -> Tensor:
    """``[window, head, position, dim]`` to ``[1, head, all positions, dim]``."""
    return tensor.transpose(0, 1).flatten(1, 2)[None]


def _block_diagonal(tensor: Tensor, windows: Windows, outside: float) -> Tensor:
    """``[window or 1, head or 1, query or 1, key or 1]`` to ``[1, head or 1, all queries, all keys]``."""
    count, queries, keys = windows.count, windows.queries, windows.keys
    tensor = tensor.detach().expand(count, -1, queries, keys)
    heads = tensor.shape[1]
    whole = tensor.new_full((heads, count, queries, count, keys), outside)
    every = torch.arange(count, device=tensor.device)
    whole[:, every, :, every] = tensor
    return whole.view(1, heads, count * queries, count * keys)


_APART = 1e-5  # relative to the largest number: a norm may round differently over other shapes


def locate_windows(
    windows: Tensor, around: Iterable[tuple[nn.Module, Tensor]], row: int
) -> tuple[Tensor, int] | None:
    """Find the positions of windows in the input of one of the blocks around them.

    Args:
        windows: The windows of one row of the batch, ``[window, ..., dim]``.
        around: The blocks, and what each of them was given.
        row: Row of the batch.

    Returns:
        The order of `_match_rows`, and how many of the positions are those of the whole; ``None`` if it cannot be told.
    """
    with torch.no_grad():
        for block, given in around:
            for whole in _window_sources(block, given, row):
                order = _match_rows(windows, whole)
                if order is not None:
                    return order, len(whole)
    return None


def _window_sources(block: nn.Module, given: Tensor, row: int) -> Iterable[Tensor]:
    """Yield what windows may have been cut from, ``[position, dim]``: a block's input, plain and through each of its norms."""
    if given.ndim < 3 or row >= len(given):
        return
    whole = given[row].detach().flatten(0, -2)
    yield whole
    for child in block.children():
        weight = getattr(child, "weight", None)
        fits = weight is not None and weight.shape == whole.shape[-1:]
        if fits and "norm" in type(child).__name__.lower():
            yield child.forward(whole)


def _match_rows(windows: Tensor, whole: Tensor) -> Tensor | None:
    """Find the rows of ``windows`` among those of ``whole``.

    Args:
        windows: ``[window, ..., dim]``.
        whole: ``[position, dim]``.

    Returns:
        An order of the rows of ``windows`` in which they are those of ``whole``, one after the other; rows that are none
        of them, as at the edge of an image that had to be made larger, come last. ``None`` if some position is missing,
        or if rows are equal and no usual way of cutting windows explains them.
    """
    rows = windows.detach().flatten(0, -2).double()
    whole = whole.double()
    if rows.shape[-1] != whole.shape[-1] or len(rows) < len(whole):
        return None
    # One number for each row, by which to sort and search; the rows found are then compared in full.
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(whole.shape[-1], generator=generator, dtype=torch.float64)
    direction = direction.to(whole.device)
    sorted_rows, order = (rows @ direction).sort()
    wanted = whole @ direction
    after = torch.searchsorted(sorted_rows, wanted).clamp(max=len(rows) - 1)
    before = (after - 1).clamp(min=0)
    nearer = (sorted_rows[before] - wanted).abs() < (sorted_rows[after] - wanted).abs()
    found = order[torch.where(nearer, before, after)]
    apart = (rows[found] - whole).abs().amax()
    if not bool(apart <= _APART * (1 + whole.abs().amax())):
        return None
    if int(torch.bincount(found).amax()) > 1:
        # Patches of one colour are equal in the first layer: then the way of cutting has to tell them apart.
        cut = _match_square_windows(rows, whole, len(windows))
        if cut is None:
            return None
        found = cut
    left = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    left[found] = False
    return torch.cat([found, left.nonzero()[:, 0]])


def _match_square_windows(rows: Tensor, whole: Tensor, count: int) -> Tensor | None:
    """Try square windows, shifted by half of their size or not, over every shape the whole may have.

    Args:
        rows: Rows of all windows, ``[row, dim]``.
        whole: Rows of the whole, ``[position, dim]``.
        count: Number of windows.

    Returns:
        For each position of the whole the row that is it, or ``None``.
    """
    side = isqrt(len(rows) // count)
    if side * side * count != len(rows):
        return None
    limit = _APART * (1 + whole.abs().amax())
    for height in range(1, len(whole) + 1):
        width, rest = divmod(len(whole), height)
        down, across = -(-height // side), -(-width // side)
        if rest or down * across != count:
            continue
        places = torch.full((down * side, across * side), -1, device=rows.device)
        places[:height, :width] = torch.arange(len(whole), device=rows.device).view(height, width)
        for shift in (0, side // 2):
            moved = places.roll((-shift, -shift), (0, 1)).view(down, side, across, side)
            order = moved.transpose(1, 2).flatten()
            real = order >= 0
            if bool(((rows[real] - whole[order[real]]).abs() <= limit).all()):
                found = torch.empty(len(whole), dtype=torch.long, device=rows.device)
                found[order[real]] = real.nonzero()[:, 0]
                return found
    return None
