"""Follow a query–key product from operation to operation up to its softmax."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["FOLLOWED", "Node", "Product", "SoftmaxOutput", "follow"]


@dataclass(frozen=True, slots=True)
class Product:
    """Numbers that are ``scaling * left @ right``, soft-capped or not, perhaps with something added.

    Attributes:
        left: ``[..., row, dim]``.
        right: ``[..., dim, column]``.
        scaling: Factor so far.
        factor: Further factor that differs between heads or rows but not between columns, or ``None``.
        inner: Scaling inside of the tanh, where there was one.
        added: Whether something was added or hidden.
        failure: What was done to them that a record cannot express.
    """

    left: Tensor
    right: Tensor
    scaling: float = 1.0
    factor: Tensor | None = None
    inner: float | None = None
    added: bool = False
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class SoftmaxOutput:
    """Numbers that came out of a softmax.

    Attributes:
        logits: What went into it.
        dim: Its axis.
        product: What the logits are, where it could be followed.
    """

    logits: Tensor
    dim: int
    product: Product | None


Node = Product | SoftmaxOutput

# The same numbers in another form, or with some of them dropped at random.
_SAME = frozenset({
    "view", "_unsafe_view", "reshape", "permute", "transpose", "unsqueeze", "squeeze", "expand", "clone",
    "contiguous", "_to_copy", "to", "alias", "detach", "slice", "select", "t", "lift_fresh", "flatten",
    "unflatten", "movedim", "expand_as", "view_as", "type_as", "copy", "_reshape_alias", "native_dropout",
    "dropout", "feature_dropout", "diagonal", "constant_pad_nd", "pad", "narrow", "swapaxes",
})  # fmt: skip
# Some of the numbers replaced.
_HIDING = frozenset({
    "masked_fill", "where", "maximum", "minimum", "clamp", "clamp_min", "clamp_max", "nan_to_num", "tril",
    "triu", "fill", "index_put", "scatter", "index_fill", "masked_scatter", "threshold",
})  # fmt: skip

_SINK = "takes its softmax over more than these keys (an attention sink, or keys of another kind)"


def follow(name: str, args: Sequence[Any], find: Callable[[Any], Node | None]) -> Node | None:
    """Say what the result of an operation is.

    Args:
        name: Name of the operation, without the underscore of in-place ones.
        args: Its positional arguments.
        find: Looks up what is known of an argument.

    Returns:
        What is known of the result; nothing if none of the arguments was known, or if the operation is another.
    """
    if name in _SAME:
        node = find(args[0])
        return node if node is not None or name != "copy" else find(args[1])
    if name in _HIDING:
        given = (find(value) for value in args)
        node = next((node for node in given if node is not None), None)
        return replace(node, added=True) if isinstance(node, Product) else node
    if name in _ARITHMETIC and len(args) > 1:
        left, right = find(args[0]), find(args[1])
        if left is None and right is None:
            return None
        return _ARITHMETIC[name](left, right, args)
    if name == "cat":
        node = find(args[0][0])
        return replace(node, failure=_SINK) if isinstance(node, Product) else None
    if name == "tanh":
        node = find(args[0])
        return _capped(node) if isinstance(node, Product) else None
    return None


def _capped(node: Product) -> Product:
    if node.inner is not None or node.factor is not None:
        return replace(
            node, failure="bends its scores by a tanh more than once, or each head by another one"
        )
    # What was added before is a bias all the same: the difference that it makes to the bent product.
    return replace(node, inner=node.scaling, scaling=1.0)


def _multiplied(left: Node | None, right: Node | None, args: Sequence[Any]) -> Node:
    node, other = (left, args[1]) if left is not None else (right, args[0])
    if left is not None and right is not None:
        if isinstance(left, SoftmaxOutput) or isinstance(right, SoftmaxOutput):
            return left if isinstance(left, SoftmaxOutput) else right
        return replace(left, failure="multiplies its scores with each other")
    return _scaled(node, other, invert=False)


def _divided(left: Node | None, _right: Node | None, args: Sequence[Any]) -> Node | None:
    # Something divided by scores is no longer scores; weights divided by their sum are still weights.
    return None if left is None else _scaled(left, args[1], invert=True)


def _scaled(node: Any, other: Any, *, invert: bool) -> Node:
    known: Node = node
    if isinstance(known, SoftmaxOutput):
        return known
    if not isinstance(other, torch.Tensor) or other.numel() == 1:
        number = float(other)
        return replace(
            known,
            scaling=known.scaling / number
            if invert and number
            else known.scaling * (math.inf if invert else number),
        )
    if other.shape[-1] == 1:
        factor = other.detach().reciprocal() if invert else other.detach()
        if known.inner is None:
            return replace(known, factor=factor if known.factor is None else known.factor * factor)
    elif not invert and bool(((other == 0) | (other == 1)).all()):
        return replace(known, added=True)  # a mask that zeroes, before another one hides
    return replace(known, failure="multiplies its scores with numbers that differ from key to key")


def _added(left: Node | None, right: Node | None, args: Sequence[Any]) -> Node:
    for node in (left, right):
        if isinstance(node, SoftmaxOutput):
            return node
    # Of two products the one for every key is content with content, and of two such ones the plainer: the other one is
    # a bias that depends on the query (by row and column, say).
    products = [
        (-_size(value), node.added, index, node)
        for index, (node, value) in enumerate(zip((left, right), args, strict=False))
        if isinstance(node, Product)
    ]
    return replace(min(products)[-1], added=True)


def _size(value: Any) -> int:
    return value.numel() if isinstance(value, torch.Tensor) else 0


def _subtracted(left: Node | None, right: Node | None, args: Sequence[Any]) -> Node | None:
    if left is not None:
        return _added(left, None, args)
    if isinstance(right, Product):
        return replace(right, scaling=-right.scaling, added=True)
    return None


_ARITHMETIC: dict[str, Callable[[Node | None, Node | None, Sequence[Any]], Node | None]] = {
    "mul": _multiplied,
    "multiply": _multiplied,
    "div": _divided,
    "true_divide": _divided,
    "add": _added,
    "sub": _subtracted,
    "rsub": lambda left, right, args: _subtracted(right, left, args),
}
FOLLOWED = _SAME | _HIDING | _ARITHMETIC.keys() | {"tanh", "cat"}
