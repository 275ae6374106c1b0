"""Which modules are attention, which only look like it, and the blocks around them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import nn
from transformers import PreTrainedModel

from attnwidget.capture.architecture.stream_names import (
    is_named_attention,
    is_of_transformers,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType

__all__ = [
    "blocks_around",
    "code_mentions",
    "computes_attention",
    "possible_attention_modules",
    "scopes_around",
    "why_without_weights",
]

_MARKS = frozenset(
    {
        "softmax",
        "Softmax",
        "scaled_dot_product_attention",
        "multi_head_attention_forward",
        "flex_attention",
    }
)

_ASKS = frozenset({"ALL_ATTENTION_FUNCTIONS", "get_interface"})


def possible_attention_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Find every module in which attention may be computed, by the name of its class or by names in its code."""
    known: dict[type, bool] = {}
    found = {}
    for path, module in model.named_modules():
        kind = type(module)
        if kind not in known:
            known[kind] = is_named_attention(kind) or code_mentions(kind, _MARKS)
        if known[kind]:
            found[path] = module
    return found


def blocks_around(model: nn.Module, paths: Iterable[str]) -> dict[str, nn.Module]:
    """Find the blocks around attention modules, up to two around each: windows are cut there."""
    found: dict[str, nn.Module] = {}
    for path in paths:
        parts = path.split(".")
        around = [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
        blocks = [(parent, model.get_submodule(parent)) for parent in around]
        blocks = [
            (parent, module)
            for parent, module in blocks
            if not isinstance(module, (nn.ModuleList, nn.Sequential, nn.ModuleDict))
        ]
        found.update(blocks[:2])
    return found


def scopes_around(model: nn.Module, paths: Iterable[str]) -> dict[str, str]:
    """Return, for each attention module, the path of the block that calls it: what is given to it tells queries from keys.

    Not in transformers' own code and PyTorch's layers, whose names say what they do.
    """
    found: dict[str, str] = {}
    for path in paths:
        scope = _block_of(model, path)
        kind = type(model.get_submodule(scope))
        if not is_of_transformers(kind) and not kind.__module__.startswith("torch.nn."):
            found[path] = scope
    return found


def _block_of(model: nn.Module, path: str) -> str:
    """Return the path of the innermost block around a module that is neither a list nor called attention itself."""
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        parent = model.get_submodule(".".join(parts[:count]))
        listed = isinstance(parent, (nn.ModuleList, nn.Sequential, nn.ModuleDict))
        if not listed and not is_named_attention(type(parent)):
            return ".".join(parts[:count])
    return ""


def computes_attention(kind: type) -> bool:
    """Tell whether a class's own code takes a softmax, or asks for transformers' attention functions."""
    return code_mentions(kind, _MARKS | _ASKS)


def code_mentions(kind: type, names: frozenset[str]) -> bool:
    """Tell whether a class's own code uses any of ``names``."""
    for base in kind.__mro__:
        if base in {nn.Module, PreTrainedModel}:
            return False
        if base.__module__.startswith("torch.nn.modules"):
            attending = base in {nn.MultiheadAttention, nn.TransformerEncoderLayer}
            return attending and not names.isdisjoint(_MARKS)
        for member in vars(base).values():
            code = getattr(getattr(member, "__wrapped__", member), "__code__", None)
            if code is not None and _code_mentions(code, names):
                return True
    return False


def _code_mentions(code: CodeType, names: frozenset[str]) -> bool:
    return not names.isdisjoint(code.co_names) or any(
        _code_mentions(inner, names) for inner in code.co_consts if hasattr(inner, "co_names")
    )


# By the name of the class; each reason continues a sentence that begins with the module.
_REASONS = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"Linear(Self)?Attention(?!Projection)|Lightning|Delta|^Rwkv", "is linear attention, which has no weights"),
        (r"Deformable", "takes its softmax over points that it samples between the pixels, not over keys"),
        (r"^Yoso", "weighs values by how likely query and key fall into the same bucket, not by a softmax"),
        (r"^Mra", "approximates its softmax in a CUDA kernel of its own, which shows no weights"),
        (r"^EvollaSequenceAligner", "attends only when a protein, its structure or its alignment is given"),
    )
)  # fmt: skip


def why_without_weights(module: nn.Module) -> str | None:
    """Say why a module that ran has no weights, if its class is known to have none."""
    name = type(module).__name__
    return next((reason for pattern, reason in _REASONS if pattern.search(name)), None)
