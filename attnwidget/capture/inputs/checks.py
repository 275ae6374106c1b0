"""Refuse inputs that a model would fail on with a message about indices, and say why a forward pass failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnwidget.capture.architecture.submodels import batch_size
from attnwidget.capture.inputs.arrays import device_of
from attnwidget.capture.inputs.length_limit import length_error, short_error
from attnwidget.capture.inputs.signature import decoding_models, is_decoder_given
from attnwidget.compute.checks import check_tensor, integer, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["check_batch", "check_inputs", "check_vocabulary", "failure"]


def check_inputs(model: nn.Module, inputs: dict[str, Any], batch: int | None) -> None:
    """Check what can be told without running the model: rows, token ids, and that masks fit them."""
    rows = batch_size(inputs)
    if rows is not None and rows > 1 and batch is None:
        msg = f"inputs has a batch of {rows}; say which row to record with batch=0 .. batch={rows - 1}."
        raise ValueError(msg)
    if rows is not None and batch is not None and not 0 <= batch < rows:
        msg = f"batch must be in 0..{rows - 1}, got {shown(batch)}."
        raise ValueError(msg)
    for side in ("", "decoder_"):
        ids = inputs.get(f"{side}input_ids")
        if not isinstance(ids, torch.Tensor):
            continue
        if device_of(model).type != "meta":
            check_tensor(f"{side}input_ids", ids)
        if ids.numel() == 0:
            msg = f"{side}input_ids is empty; give at least one token id."
            raise ValueError(msg)
        if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool or ids.ndim < 2:
            msg = (
                f"{side}input_ids must be integers [batch, position], such as [[5, 6, 7]], got {ids.dtype} of shape "
                f"{list(ids.shape)}."
            )
            raise ValueError(msg)
        if ids.ndim > 2:
            continue  # codebooks or choices: where the positions are, and in which table they are looked up, the model knows
        check_vocabulary(model, f"{side}input_ids", ids)
        if inputs.get("past_key_values") is None:  # a mask has the positions of the cache as well
            _check_masks(inputs, side, ids)


def check_batch(batch: object) -> int | None:
    """Return which row is recorded, or ``None`` where the caller did not say.

    Raises:
        ValueError: If it is no integer. Whether there is such a row, the inputs say.
    """
    number = integer(batch)
    if batch is not None and number is None:
        msg = f"batch must be the number of one row, from 0, or None, got {shown(batch)}: pass batch=0."
        raise ValueError(msg)
    return number


def _check_masks(inputs: Mapping[str, Any], side: str, ids: Tensor) -> None:
    for other in (f"{side}attention_mask", f"{side}token_type_ids", f"{side}position_ids"):
        mask = inputs.get(other)
        if isinstance(mask, torch.Tensor) and mask.ndim == 2 and mask.shape[-1] != ids.shape[-1]:
            msg = (
                f"{other} has {mask.shape[-1]} positions but {side}input_ids has {ids.shape[-1]}; "
                "they must come from the same call of the tokenizer."
            )
            raise ValueError(msg)


def check_vocabulary(model: Any, name: str, ids: Tensor) -> None:
    """Refuse ids that are in no table of the model's embeddings, nor named by its configuration as places of images.

    An embedding that fails on a GPU takes the process along, so this is told before.
    """
    sizes = _vocabulary_sizes(model, decoder=not name.startswith("input"))
    if not sizes:
        return
    low, high = int(ids.min()), int(ids.max())
    if low >= 0 and high < max(sizes):
        return
    named = _named_tokens(getattr(model, "config", None))
    for wrong in (low, high):
        if (wrong < 0 or wrong >= max(sizes)) and wrong not in named:
            msg = f"{name} must be in 0..{max(sizes) - 1}, got {wrong}; is the tokenizer the one of this model?"
            raise ValueError(msg)


def _vocabulary_sizes(model: Any, *, decoder: bool) -> list[int]:
    """Return how many ids the tables have that a model, or its decoder, may look them up in."""
    owners = [model]
    if decoder:
        for each in decoding_models(model):
            get = getattr(each, "get_decoder", None)
            owners.append(get() if callable(get) else None)
    sizes = []
    for owner in owners:
        try:
            sizes.append(int(owner.get_input_embeddings().weight.shape[0]))
        except (AttributeError, NotImplementedError):
            continue
    return sizes


def _named_tokens(config: Any) -> set[int]:
    """Return the ids that a configuration and those of its parts name, which may be in no table: the model replaces them."""
    named: set[int] = set()
    for name, value in vars(config).items() if hasattr(config, "__dict__") else ():
        if isinstance(value, int) and "token" in name:
            named.add(value)
        elif hasattr(value, "to_dict"):
            named |= _named_tokens(value)
    return named


def failure(model: nn.Module, inputs: Mapping[str, Any], error: Exception) -> ValueError | None:
    """Return the error to raise when a forward pass failed, where the inputs say why; else ``None``."""
    wrong = short_error(model, inputs, error)
    if wrong is None and isinstance(error, (IndexError, RuntimeError)):
        wrong = length_error(
            model, inputs
        )  # a table of positions is looked up, or sliced and added
    if wrong is not None:
        return wrong
    kind, name = type(error).__name__, type(model).__name__
    if decoding_models(model) and not is_decoder_given(inputs):
        return ValueError(
            f"{name} was given nothing to decode, and does not begin by itself ({kind}: {error}); give decoder_input_ids."
        )
    for side in ("", "decoder_"):
        ids = inputs.get(f"{side}input_ids")
        if isinstance(ids, torch.Tensor) and ids.ndim > 2:
            return ValueError(
                f"{name} failed on {side}input_ids of {ids.dtype} {list(ids.shape)} ({kind}: {error}); most models take "
                "integers [batch, position]."
            )
    return None
