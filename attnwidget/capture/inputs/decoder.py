"""What the decoder of an encoder-decoder model reads: a target, what the model writes itself, or its start token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.submodels import batch_size
from attnwidget.capture.inputs.arrays import as_tensor, device_of
from attnwidget.capture.inputs.checks import check_vocabulary
from attnwidget.capture.inputs.signature import (
    decoding_models,
    forward_parameters,
    is_decoder_given,
)
from attnwidget.capture.inputs.text import find_tokenizer
from attnwidget.capture.inputs.written_ids import written_ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

__all__ = ["with_decoder_inputs"]


def with_decoder_inputs(
    model: Any,
    inputs: dict[str, Any],
    tokenizer: Any,
    target: Any,
    *,
    sound: bool = False,
    passed_on: Iterable[str] = (),
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Give a model whose forward takes ``decoder_input_ids`` something to decode; leave the inputs of others alone.

    Args:
        model: The model.
        inputs: Its other inputs.
        tokenizer: Its tokenizer, for a target that is text.
        target: What the decoder reads, or ``None``.
        sound: Whether a sound was given, and no features of it.
        passed_on: Names of what the model is given besides.

    Returns:
        The inputs, and those to give if the model fails on these: of a text some models decode what it is itself, others
        need their start token.

    Raises:
        ValueError: If a target is given to a model without such a decoder, beside decoder inputs, or is empty.
    """
    decoding = decoding_models(model)
    if not decoding:
        if target is not None:
            raise ValueError(_without_decoder(model))
        return inputs, None
    if is_decoder_given((*inputs, *passed_on)):
        if target is not None:
            msg = "both target and decoder inputs given; give one of them."
            raise ValueError(msg)
        return inputs, None
    rows, device = batch_size(inputs) or 1, device_of(model)
    start = _start_token([model, *decoding])
    generates = hasattr(model, "can_generate") and model.can_generate()
    if target is not None:
        read = _target_ids(model, target, tokenizer)
        if len(read) not in {1, rows}:
            msg = f"target has {len(read)} rows, inputs has {rows}; give one for all of them or one for each."
            raise ValueError(msg)
        if start is not None:
            read = torch.cat([torch.full((len(read), 1), start), read], dim=1)
        ids: Tensor | None = read.to(device).expand(rows, -1)
    else:
        writes = generates and ("input_ids" in inputs or sound)
        ids = written_ids(model, inputs, rows) if writes else None
    if ids is None and start is not None and not (generates and "input_ids" in inputs):
        ids = torch.tensor([[start]], device=device).expand(rows, 1)
    # Without any, the model decides: some begin by themselves, of others `failure` says what is missing.
    given = inputs if ids is None else {**inputs, "decoder_input_ids": ids}
    by_itself = target is None and "input_ids" in inputs and not generates
    return (inputs, given) if by_itself and ids is not None else (given, None)


def _without_decoder(model: Any) -> str:
    name = type(model).__name__
    if not getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return (
            f"target is for encoder-decoder models; {name} reads one sequence, give it all of it."
        )
    decoder = [each for each in forward_parameters(model) if each.startswith("decoder_input")]
    fix = f"give {', '.join(decoder)} among the inputs" if decoder else "leave it out"
    return f"target is for models that take decoder_input_ids; {name}.forward has none, {fix}."


def _target_ids(model: Any, target: Any, tokenizer: Any) -> Tensor:
    if isinstance(target, str):
        if not target:
            msg = "target is an empty string; give at least one character of text, or leave it out."
            raise ValueError(msg)
        tokenizer = tokenizer or find_tokenizer(model)
        words = getattr(tokenizer, "tokenizer", tokenizer)
        given = words(text_target=target, return_tensors="pt")["input_ids"]
    else:
        given = as_tensor("target", target)
    if not isinstance(given, torch.Tensor):
        msg = f"target must be text or token ids, got {type(given).__name__}."
        raise TypeError(msg)
    if given.ndim > 2 or not given.numel() or given.is_floating_point():
        shown = f"{given.dtype} {list(given.shape)}"
        msg = f"target must be text or token ids, at least one, got {shown}."
        raise ValueError(msg)
    ids = given.reshape(1, -1) if given.ndim < 2 else given
    check_vocabulary(model, "target", ids)
    return ids.cpu()


def _start_token(models: list[Any]) -> int | None:
    for model in models:
        for name in ("decoder_start_token_id", "bos_token_id", "pad_token_id"):
            for config in (getattr(model, "generation_config", None), model.config):
                token = getattr(config, name, None)
                if isinstance(token, list):
                    token = token[0]
                if token is not None:
                    return int(token)
    return None
