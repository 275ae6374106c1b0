"""Columns that several of a figure's tables have: the panel, and what several heads are that are one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.compute.heads_together import together_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Columns = dict[str, NDArray[Any]]

__all__ = ["TOGETHER", "in_panel", "named_together"]

TOGETHER = -1
"""In the place of a head's number where several are one; a rollout has it as well."""


def in_panel(name: str, columns: Columns) -> Columns:
    """Put the panel's name before the other columns."""
    return {"panel": _filled(name, columns), **columns}


def named_together(columns: Columns, together: Mapping[str, Any]) -> Columns:
    """Add what the heads are that are one, in the words of the figure; of several layers there is no single one.

    Args:
        columns: Of the heads as one, by column.
        together: ``TogetherHeads`` in the schema.
    """
    layers = sorted(set(together.get("layers", ())))
    name = together_name(together["how"], sorted(set(together["heads"])), layers)
    of_layers = {"layer": np.full(len(columns["layer"]), TOGETHER)} if layers else {}
    return {**columns, **of_layers, "heads": _filled(name, columns)}


def _filled(text: str, columns: Columns) -> NDArray[Any]:
    return np.full(len(next(iter(columns.values()))), text, dtype=object)
