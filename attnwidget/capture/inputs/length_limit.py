"""Refuse inputs longer, or sounds shorter, than the model reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_length", "length_error", "short_error"]

# What torch says where convolutions leave nothing, or a single frame, of a sound.
_TOO_SHORT = (
    "Kernel size can't be greater than actual input size",
    "Expected more than 1 value per channel",
)


def check_length(model: nn.Module, inputs: Mapping[str, Any], most: int | None) -> None:
    """Refuse more tokens than a sentence encoder reads: it would cut them off, and the record would show them."""
    ids = inputs.get("input_ids")
    if most is not None and isinstance(ids, torch.Tensor) and ids.ndim and ids.shape[-1] > most:
        msg = (
            f"inputs has {ids.shape[-1]} tokens, {type(model).__name__} cuts its texts off after {most}: shorten it, or "
            "give the model inside, model[0].auto_model."
        )
        raise ValueError(msg)


def length_error(model: nn.Module, inputs: Mapping[str, Any]) -> ValueError | None:
    """Return the error to raise when a forward pass failed because there are more tokens than learned positions."""
    most = _learned_positions(model)
    for name, called in (("input_ids", "inputs"), ("decoder_input_ids", "target")):
        ids = inputs.get(name)
        if isinstance(ids, torch.Tensor) and ids.ndim and most is not None and ids.shape[-1] > most:
            return ValueError(
                f"{called} has {ids.shape[-1]} tokens, {type(model).__name__} takes at most {most}: shorten it, such as "
                f"with tokenizer(text, truncation=True, max_length={most})."
            )
    return None


def short_error(model: nn.Module, inputs: Mapping[str, Any], error: Exception) -> ValueError | None:
    """Return the error to raise when a forward pass failed because a sound is shorter than the model's convolutions."""
    sound = inputs.get("input_values")
    if not isinstance(sound, torch.Tensor) or not any(said in str(error) for said in _TOO_SHORT):
        return None
    return ValueError(
        f"a sound of {sound.shape[-1]} samples is too short for {type(model).__name__}: give a longer one, or pad it, such "
        "as with numpy.pad(sound, (0, 8000))."
    )


def _learned_positions(model: nn.Module) -> int | None:
    """Return how many positions a table of position embeddings leaves for tokens, or ``None`` without a table."""
    most = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    for path, module in model.named_modules():
        name = path.rpartition(".")[2]
        if isinstance(module, nn.Embedding) and ("position" in name or name == "wpe"):
            # RoBERTa and its relatives count from the row after the padding's.
            lost = 0 if module.padding_idx is None else module.padding_idx + 1
            return most - lost if isinstance(most, int) else None
    return None
