"""The record: `Attention` holds `Stream`s, a `Stream` holds `Layer`s, a `Layer` does the maths on demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.masks import Band
    from attnwidget.positions import Positions

__all__ = ["Attention", "Layer", "Stream"]


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Layer:
    stream: str
    layer: int
    module_path: str
    num_heads: int
    query: Tensor | None = None
    key: Tensor | None = None
    value: Tensor | None = None
    scaling: float | None = None
    band: Band | None = None
    bias: Tensor | None = None
    softcap: float | None = None
    sinks: Tensor | None = None
    recorded: Tensor | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stream:
    name: str
    layers: tuple[Layer, ...]
    query_positions: Positions
    key_positions: Positions


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Attention:
    model_name: str
    streams: Mapping[str, Stream]
    text: str | None = None
