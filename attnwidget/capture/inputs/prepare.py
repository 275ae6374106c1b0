"""User input (text, pair, chat, arrays, ids, images, audio) to keyword arguments of the model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.stream_names import main_input_name
from attnwidget.capture.architecture.submodels import batch_size
from attnwidget.capture.hints import Hints
from attnwidget.capture.inputs.arrays import (
    ACCEPTED_INPUTS,
    UNBATCHED_AXES,
    add_batch_axis,
    as_tensor,
    device_of,
    to_model,
)
from attnwidget.capture.inputs.chat import is_chat
from attnwidget.capture.inputs.own_models import has_own_names, prepare_own
from attnwidget.capture.inputs.processors import needs_processor, run_processor
from attnwidget.capture.inputs.sounds import find_sounds, run_extractor
from attnwidget.capture.inputs.text import (
    find_tokenizer,
    is_text,
    pick_text,
    sequence_ids,
    tokenize,
)
from attnwidget.capture.inputs.written_ids import written_ids
from attnwidget.capture.positions.chat_roles import chat_roles, token_lengths

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["PreparedInputs", "prepare"]


@dataclass(frozen=True, slots=True)
class PreparedInputs:
    """Inputs ready for the model.

    Attributes:
        inputs: Keyword arguments of its forward, on its device.
        tokenizer: The tokenizer that was found, or ``None``.
        batch: Row to record, or ``None`` for the only one.
        hints: What is known about the tokens beyond their ids.
        args: Arguments of its forward that are given by their place.
        guessed: Whether they are for a model of unknown names, which was given them by their place in its signature.
    """

    inputs: dict[str, Any]
    tokenizer: Any
    batch: int | None
    hints: Hints
    args: tuple[Any, ...] = ()
    guessed: bool = False


def prepare(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    *,
    target: Any,
    batch: int | None,
    template: Mapping[str, Any] | None = None,
) -> PreparedInputs:
    """Turn ``inputs`` into keyword arguments for ``model``.

    Args:
        model: The model.
        inputs: See `attnwidget.capture`.
        tokenizer: The tokenizer, looked up when text is given without one.
        target: What the decoder of an encoder-decoder model reads.
        batch: Row to record when there are several.
        template: Options of the chat template.

    Returns:
        The inputs with a batch axis, on the model's device, floating-point ones in its dtype.

    Raises:
        ValueError: If they are empty, ambiguous or do not fit together.
        TypeError: If they are nothing that can be understood.
    """
    if has_own_names(model):
        return _prepare_own(
            model, inputs, tokenizer, target=target, batch=batch, template=template or {}
        )
    hints = Hints()
    options = template or {}
    if isinstance(inputs, Mapping) and is_chat(inputs):
        inputs = [inputs]
    sounds = find_sounds(model, inputs, tokenizer)
    if sounds is not None:
        named, tokenizer, hints = run_extractor(model, sounds, tokenizer)
        inputs = named
    elif needs_processor(inputs):
        named, tokenizer, hints = run_processor(model, inputs, tokenizer, options)
        inputs = named
    else:
        _check_modality(model, inputs)
    if isinstance(inputs, list) and inputs and all(isinstance(item, str) for item in inputs):
        inputs, batch = pick_text(inputs, batch), None
    if is_text(inputs):
        tokenizer = tokenizer or find_tokenizer(model)
        named, hints = tokenize(inputs, tokenizer, options)
    else:
        named = _named(model, inputs)
        hints = replace(hints, segments=sequence_ids(inputs, batch))
        if hints.roles is None:
            hints = replace(hints, roles=_templated(named, tokenizer, batch))
    arrays = {name: as_tensor(name, value) for name, value in named.items()}
    ready = to_model(model, add_batch_axis(arrays))
    _check(model, ready, batch)
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        ready = _with_decoder(model, ready, tokenizer, target, sound=sounds is not None)
    elif target is not None:
        msg = f"target is for encoder-decoder models; {type(model).__name__} reads one sequence, give it all of it."
        raise ValueError(msg)
    return PreparedInputs(ready, tokenizer, batch, hints)


def _templated(
    inputs: Mapping[str, Any], tokenizer: Any, batch: int | None
) -> tuple[str | None, ...] | None:
    """Find the messages in what a chat template made, by the lengths of its tokens, too; without them ids must do."""
    words = getattr(tokenizer, "tokenizer", tokenizer)
    lengths, ids = token_lengths(inputs, batch), inputs.get("input_ids")
    if words is None or lengths is None or ids is None:
        return None
    row = torch.as_tensor(ids).reshape(-1, len(lengths))[batch or 0]
    return chat_roles(row.tolist(), words, lengths)


def _prepare_own(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any,
    *,
    target: Any,
    batch: int | None,
    template: Mapping[str, Any],
) -> PreparedInputs:
    """Do the same for a model that is not transformers' and names its arguments as it likes."""
    if target is not None:
        msg = (
            f"target is for encoder-decoder models of transformers; {type(model).__name__}.forward names its arguments "
            f"({', '.join(inspect.signature(model.forward).parameters)}): give all of them by name, capture(model, {{...}})."
        )
        raise ValueError(msg)
    call = prepare_own(model, inputs, tokenizer, batch=batch, options=template)
    ready = to_model(model, call.named)
    _check(model, ready, call.batch)
    args = () if call.by_place is None else (ready.pop(call.by_place),)
    guessed = not isinstance(inputs, Mapping)
    return PreparedInputs(ready, call.tokenizer, call.batch, call.hints, args, guessed)


def _check_modality(model: nn.Module, inputs: Any) -> None:
    """Refuse text, ids and raw images for a model that reads only images or audio: a processor has to come before it."""
    main = main_input_name(model)
    if main not in UNBATCHED_AXES or "input_ids" in inspect.signature(model.forward).parameters:
        return
    entry = inputs
    while isinstance(entry, (list, tuple)) and len(entry):
        entry = entry[0]
    if isinstance(inputs, Mapping) or isinstance(entry, float):
        return
    kind = str(getattr(entry, "dtype", "")).removeprefix("torch.")
    if kind.startswith(("float", "bfloat")):
        return
    msg = (
        f"{type(model).__name__} reads {main}, got {type(entry).__name__}{kind and f' of {kind}'}; give what its"
        " processor makes of it: capture(model, processor(..., return_tensors='pt'))."
    )
    raise ValueError(msg)


def _named(model: nn.Module, inputs: Any) -> Mapping[str, Any]:
    """Name the inputs by what they look like."""
    if isinstance(inputs, Mapping):
        if "sequences" in inputs:
            inputs = {"input_ids": inputs["sequences"]}  # what generate returns
        if not inputs:
            msg = f"inputs is empty; give {ACCEPTED_INPUTS}."
            raise ValueError(msg)
        named: Mapping[str, Any] = inputs
        return named
    if inputs is None or isinstance(inputs, (bytes, str, set)):
        msg = f"inputs must be {ACCEPTED_INPUTS}, got {type(inputs).__name__}."
        raise TypeError(msg)
    values = as_tensor("inputs", inputs)
    if not values.numel():
        msg = f"inputs is empty; give {ACCEPTED_INPUTS}."
        raise ValueError(msg)
    name = main_input_name(model)
    if not values.is_floating_point():
        name = "input_ids"
    elif name == "input_ids":
        msg = (
            f"inputs are numbers of type {values.dtype}, but {type(model).__name__} reads token ids; "
            "give integers, or name them: {'inputs_embeds': ...}."
        )
        raise ValueError(msg)
    return {name: values}


def _check(model: nn.Module, inputs: dict[str, Any], batch: int | None) -> None:
    """Refuse what the model would fail on with a message about indices."""
    rows = batch_size(inputs)
    if rows is not None and rows > 1 and batch is None:
        msg = f"inputs has a batch of {rows}; say which row to record with batch=0 .. batch={rows - 1}."
        raise ValueError(msg)
    if rows is not None and batch is not None and not 0 <= batch < rows:
        msg = f"batch must be in 0..{rows - 1}, got {batch}."
        raise ValueError(msg)
    for side in ("", "decoder_"):
        ids = inputs.get(f"{side}input_ids")
        if not isinstance(ids, torch.Tensor):
            continue
        if ids.numel() == 0:
            msg = f"{side}input_ids is empty; give at least one token id."
            raise ValueError(msg)
        if ids.is_floating_point() or ids.ndim != 2:
            msg = f"{side}input_ids must be integers [batch, position], got {ids.dtype} {list(ids.shape)}."
            raise ValueError(msg)
        _check_vocabulary(model, f"{side}input_ids", ids)
        for other in (f"{side}attention_mask", f"{side}token_type_ids", f"{side}position_ids"):
            mask = inputs.get(other)
            if (
                isinstance(mask, torch.Tensor)
                and mask.ndim == 2
                and mask.shape[-1] != ids.shape[-1]
            ):
                msg = (
                    f"{other} has {mask.shape[-1]} positions but {side}input_ids has {ids.shape[-1]}; "
                    "they must come from the same call of the tokenizer."
                )
                raise ValueError(msg)


def _check_vocabulary(model: Any, name: str, ids: Tensor) -> None:
    try:
        size = int(model.get_input_embeddings().weight.shape[0])
    except (AttributeError, NotImplementedError):
        return
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= size:
        wrong = low if low < 0 else high
        msg = (
            f"{name} must be in 0..{size - 1}, got {wrong}; is the tokenizer the one of this model?"
        )
        raise ValueError(msg)


def _with_decoder(
    model: Any, inputs: dict[str, Any], tokenizer: Any, target: Any, *, sound: bool
) -> dict[str, Any]:
    """Give an encoder-decoder model something to decode; ``sound`` says that a sound was given, and no features of it."""
    if inputs.keys() & {"decoder_input_ids", "decoder_inputs_embeds", "labels"}:
        if target is not None:
            msg = "both target and decoder inputs given; give one of them."
            raise ValueError(msg)
        return inputs
    rows, device = batch_size(inputs) or 1, device_of(model)
    start = _start_token(model)
    writes = target is None and ("input_ids" in inputs or sound)
    ids = written_ids(model, inputs, rows) if writes else None
    if ids is None and target is None:
        ids = torch.tensor([[start]], device=device).expand(rows, 1)
    elif ids is None:
        ids = _target_ids(model, target, tokenizer)
        if len(ids) not in {1, rows}:
            msg = f"target has {len(ids)} rows, inputs has {rows}; give one for all of them or one for each."
            raise ValueError(msg)
        ids = torch.cat([torch.full((len(ids), 1), start), ids], dim=1).to(device).expand(rows, -1)
    return {**inputs, "decoder_input_ids": ids}


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
    _check_vocabulary(model, "target", ids)
    return ids.cpu()


def _start_token(model: Any) -> int:
    for name in ("decoder_start_token_id", "bos_token_id", "pad_token_id"):
        for config in (getattr(model, "generation_config", None), model.config):
            token = getattr(config, name, None)
            if isinstance(token, list):
                token = token[0]
            if token is not None:
                return int(token)
    msg = f"{type(model).__name__} does not know its decoder's start token; give decoder_input_ids."
    raise ValueError(msg)
