"""Which attention modules cannot be edited head by head, and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attnwidget.capture.sparse.registry import adapter_of

if TYPE_CHECKING:
    from torch import nn

__all__ = ["why_no_links", "why_not_editable", "why_not_recomputed"]

# By the name of the class; each reason continues a sentence that begins with the module.
_REASONS = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"^DiffLlama", "takes the difference of two attentions: a head is more than one weighted sum of values"),
        (r"^Informer", "attends with some of its queries and gives the others the mean of the values: a head is more than a sum"),
        (r"^Vits", "adds a weighted sum of relative positions to that of the values: a head is more than one of them"),
        (r"^GroupViTAssign", "divides its weights by their sum over the groups: a head is more than its weighted sum"),
    )
)  # fmt: skip


def why_not_editable(module: nn.Module) -> str | None:
    """Say why no head of a module can be edited, in words that follow its name; ``None`` where nothing is known against it."""
    names = [kind.__name__ for kind in type(module).__mro__]
    return next((reason for pattern, reason in _REASONS if any(map(pattern.search, names))), None)


def why_no_links(module: nn.Module) -> str | None:
    """Say why no link of a module can be changed, in words that follow its name; ``None`` where nothing is known against it."""
    if adapter_of(module) is None:
        return None
    return "attends in a sparse layout, whose rows are put together from pieces and cannot be computed again one by one"


def why_not_recomputed(model: nn.Module) -> str | None:
    """Say why gradients of an edited model would be wrong; ``None`` where they are not."""
    for module in model.modules():
        if getattr(module, "gradient_checkpointing", False) is True and module.training:
            return (
                "is trained with gradient checkpointing, which runs its layers again, unedited, while gradients are computed: "
                "call model.gradient_checkpointing_disable() first."
            )
    return None
