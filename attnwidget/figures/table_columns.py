"""Columns that several of a figure's tables have: the panel, and what several heads are that are one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.compute.heads_together import together_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Columns = dict[str, NDArray[Any]]

__all__ = ["TOGETHER", "in_panel", "with_heads"]

TOGETHER = -1
"""In the place of a head's number where several are one; a rollout has it as well."""


def in_panel(name: str, columns: Columns) -> Columns:
    """Put the panel's name before the other columns."""
    return {"panel": _filled(name, columns), **columns}


def with_heads(columns: Columns, how: str, heads: Sequence[int]) -> Columns:
    """Add what the heads are that are one, in the words of the figure."""
    return {**columns, "heads": _filled(together_name(how, heads), columns)}


def _filled(text: str, columns: Columns) -> NDArray[Any]:
    return np.full(len(next(iter(columns.values()))), text, dtype=object)
