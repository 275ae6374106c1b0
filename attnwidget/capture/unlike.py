"""Modules that are called attention and have no weights over keys, and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["why_not"]

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


def why_not(module: nn.Module) -> str | None:
    """Say why a module that ran has no weights, if that is in its nature."""
    name = type(module).__name__
    return next((reason for pattern, reason in _REASONS if pattern.search(name)), None)
