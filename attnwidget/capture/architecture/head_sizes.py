"""Number of heads and head_dim read off a module that has not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NUM_HEADS_NAMES", "head_sizes"]

NUM_HEADS_NAMES = (
    "num_heads",
    "num_attention_heads",
    "n_heads",
    "nhead",
    "n_head",
    "heads",
    "num_attn_heads",
)
_SHARED = ("num_key_value_heads", "num_kv_heads", "n_kv_heads")
_SIZES = (
    "qk_head_dim",
    "head_dim",
    "head_size",
    "attention_head_size",
    "d_head",
    "key_value_proj_dim",
    "d_kv",
)
_QUERIES = ("q_proj", "query", "q_lin", "q")
_KEYS = ("k_proj", "key", "k_lin", "k")


def head_sizes(module: nn.Module, config: Any) -> tuple[int | None, int | None, int | None]:
    """Say how many query heads and key heads an attention module has, and how long a query is.

    Args:
        module: The module.
        config: Configuration of the model around it, for what the module does not say.

    Returns:
        Each number, or ``None`` where it cannot be told.
    """
    own = getattr(module, "config", None)
    head_dim = _first(module, _SIZES)
    width = _width(module, _QUERIES)
    heads = _first(module, NUM_HEADS_NAMES) or _first(
        own, NUM_HEADS_NAMES
    )  # a projection may make gates as well
    if heads is None and head_dim and width and width % head_dim == 0:
        heads = width // head_dim
    heads = heads or _first(config, NUM_HEADS_NAMES)
    if head_dim is None and heads and width and width % heads == 0:
        head_dim = width // heads
    return heads, _shared(module, own, heads, head_dim), head_dim


def _shared(module: nn.Module, own: Any, heads: int | None, head_dim: int | None) -> int | None:
    groups = _first(module, ("num_key_value_groups", "n_rep"))
    if heads is None:
        return None
    if groups:
        return heads // groups
    width = _width(module, _KEYS)
    if width and head_dim and width % head_dim == 0 and heads % (width // head_dim) == 0:
        return width // head_dim
    return _first(module, _SHARED) or _first(own, _SHARED) or heads


def _first(owner: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = getattr(owner, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _width(module: nn.Module, names: tuple[str, ...]) -> int | None:
    for name in names:
        size = getattr(getattr(module, name, None), "out_features", None)
        if isinstance(size, int):
            return size
    return None
