"""Attention within pieces of an input (windows of an image, blocks of a text) as attention over the whole of it.

A piece attends only to itself, so over all pieces put end to end the attention is a matrix of blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.positions import Position

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.interface import Arguments
    from attnwidget.positions import Positions

__all__ = ["Pieces", "alike", "cut", "join", "join_trouble", "ordered"]

_LARGEST = 1 << 26  # entries of a matrix of blocks


@dataclass(frozen=True, slots=True)
class Pieces:
    """How many pieces one input was cut into, and their sizes.

    Attributes:
        count: Number of pieces.
        queries: Queries in each.
        keys: Keys in each.
        placed: How many of the positions stand in the order of the whole, first of all; 0 if their place is not known.
        extra: What the others are called: positions that made an image larger, say, or tokens that everybody sees.
    """

    count: int
    queries: int
    keys: int
    placed: int = 0
    extra: str = "edge"

    def positions(self, size: int) -> Positions:
        """Name ``size`` positions of each piece: piece by piece, since where they lie in the whole is not known."""
        return tuple(
            Position(label=f"w{piece} {index}", kind="latent")
            for piece in range(self.count)
            for index in range(size)
        )


def alike(arguments: Arguments) -> Arguments:
    """Give queries, keys and values as many rows as the longest of them: one row may be meant for all the others'."""
    vectors = (arguments.query, arguments.key, arguments.value)
    rows = max(map(len, vectors))
    if all(len(tensor) == rows for tensor in vectors):
        return arguments
    query, key, value = (tensor.expand(rows, -1, -1, -1) for tensor in vectors)
    return replace(arguments, query=query, key=key, value=value)


def cut(arguments: Arguments, start: int, count: int) -> Arguments:
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
    )


def join_trouble(arguments: Arguments) -> str | None:
    """Say why a call whose batch is the pieces of one input cannot be made into one, if so."""
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


def join(arguments: Arguments) -> tuple[Arguments, Pieces]:
    """Make one call of a call whose batch is the pieces of one input.

    Args:
        arguments: The call, ``[piece, head, position, dim]``; its weights, if any, ``[piece, head, query, key]``.

    Returns:
        The call with a batch of one and all pieces behind each other, and what the pieces are.
    """
    count, _, queries, _ = arguments.query.shape
    pieces = Pieces(count, queries, arguments.key.shape[2])
    options = dict(arguments.options)
    bias = options.get("position_bias")
    if bias is not None:
        options["position_bias"] = _blocks(bias, pieces, 0.0)
    weights = arguments.weights
    joined = replace(
        arguments,
        query=_behind(arguments.query),
        key=_behind(arguments.key),
        value=_behind(arguments.value),
        attention_mask=_mask(arguments, pieces),
        options=options,
        weights=None if weights is None else _blocks(weights, pieces, 0.0),
    )
    return joined, pieces


def ordered(
    arguments: Arguments, pieces: Pieces, order: Tensor, placed: int
) -> tuple[Arguments, Pieces]:
    """Bring the positions of a joined call into another order, queries and keys alike.

    Args:
        arguments: The joined call.
        pieces: What the pieces are.
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
    )
    return again, replace(pieces, placed=placed)


def _mask(arguments: Arguments, pieces: Pieces) -> Tensor:
    mask = arguments.attention_mask
    if mask is None:
        shape = (1, 1, pieces.queries, pieces.keys)
        mask = torch.ones(shape, dtype=torch.bool, device=arguments.query.device)
        fused = not arguments.implementation.endswith("eager")
        if fused and arguments.is_causal and pieces.queries > 1:
            last = pieces.keys - pieces.queries if "flash" in arguments.implementation else 0
            mask = mask.tril(last)
    outside = False if mask.dtype == torch.bool else -torch.inf
    return _blocks(mask, pieces, outside)


def _behind(tensor: Tensor) -> Tensor:
    """``[piece, head, position, dim]`` to ``[1, head, all positions, dim]``."""
    return tensor.transpose(0, 1).flatten(1, 2)[None]


def _blocks(tensor: Tensor, pieces: Pieces, outside: float) -> Tensor:
    """``[piece or 1, head or 1, query or 1, key or 1]`` to ``[1, head or 1, all queries, all keys]``."""
    count, queries, keys = pieces.count, pieces.queries, pieces.keys
    tensor = tensor.detach().expand(count, -1, queries, keys)
    heads = tensor.shape[1]
    whole = tensor.new_full((heads, count, queries, count, keys), outside)
    every = torch.arange(count, device=tensor.device)
    whole[:, every, :, every] = tensor
    return whole.view(1, heads, count * queries, count * keys)
