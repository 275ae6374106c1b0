"""`Padding`: which positions of each row of a batch are no padding, so that edits count as records do, without it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.stream_names import is_cross, sees_or_hears
from attnwidget.capture.architecture.submodels import named_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

__all__ = ["ALL_REAL", "Padding", "RealPositions", "cached_positions"]


@dataclass(frozen=True, slots=True)
class RealPositions:
    """Positions of one row of a batch that are no padding, as the model counts them; ``None`` where all are.

    Attributes:
        queries: Those of the axis of queries.
        keys: Those of the axis of keys.
    """

    queries: tuple[int, ...] | None = None
    keys: tuple[int, ...] | None = None


ALL_REAL = RealPositions()


class Padding:
    """The padding of one pass, as its attention masks say it.

    Args:
        model: The model.
        args: What it is given by place.
        kwargs: What it is given by name.
    """

    def __init__(
        self, model: nn.Module, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> None:
        given = named_arguments(model, args, dict(kwargs or {}))
        self._two_sided = bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))
        masks = {name: given.get(name) for name in ("attention_mask", "decoder_attention_mask")}
        # Rows of those that hide something; the others are as if there were none.
        self._masks: dict[str, list[tuple[int, ...] | None]] = {}
        self._widths: dict[str, int] = {}
        for name, mask in masks.items():
            if isinstance(mask, torch.Tensor) and mask.ndim == 2 and not mask.is_nested:
                seen = mask.detach().bool().cpu()
                if not bool(seen.all()):
                    self._masks[name] = [_places(row) for row in seen]
                    self._widths[name] = seen.shape[1]

    def of(
        self, path: str, module: nn.Module, rows: int, *, queries: int, keys: int
    ) -> tuple[RealPositions, ...]:
        """Return the real positions of each row of a call of a module; nothing where there is no padding.

        Args:
            path: Path of the module.
            module: The module.
            rows: How many rows the call has.
            queries: How many positions the axis of queries has, up to the last of the call.
            keys: How many that of keys has.

        Raises:
            ValueError: If there is padding, and the rows of the call are not those of the batch.
        """
        if not self._masks or sees_or_hears(path):
            return ()
        cross = is_cross(path, module)
        decodes = cross or "decoder" in path
        own = "decoder_attention_mask" if self._two_sided and decodes else "attention_mask"
        first = self._of_axis(own, rows, queries)
        second = self._of_axis("attention_mask", rows, keys) if cross else first
        if not cross and queries != keys:
            second = self._of_axis(own, rows, keys)
        if first is None and second is None:
            return ()
        none = [None] * rows
        return tuple(
            RealPositions(*both) for both in zip(first or none, second or none, strict=True)
        )

    def _of_axis(self, name: str, rows: int, count: int) -> list[tuple[int, ...] | None] | None:
        if self._widths.get(name) != count:
            return None
        masks = self._masks[name]
        if len(masks) == rows:
            return masks
        if len(set(masks)) == 1:
            return masks[:1] * rows
        msg = f"its {rows} rows are not the {len(masks)} of the batch, whose padding differs: run each row on its own"
        raise ValueError(msg)


def _places(row: torch.Tensor) -> tuple[int, ...] | None:
    return None if bool(row.all()) else tuple(row.nonzero()[:, 0].tolist())


def cached_positions(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> int | None:
    """Return how many positions a model has read before this pass, ``None`` where what it is given does not say so."""
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        return None
    past = named_arguments(model, tuple(args), dict(kwargs)).get("past_key_values")
    if past is None:
        return 0
    count = getattr(past, "get_seq_length", None)
    if callable(count):
        return int(count())
    return None
