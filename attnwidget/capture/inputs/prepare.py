"""User input (text, pair, chat, arrays, ids, images, audio) to keyword arguments of the model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.stream_names import main_input_name
from attnwidget.capture.hints import Hints
from attnwidget.capture.inputs.arrays import ACCEPTED_INPUTS, as_tensor, as_tensors, to_model
from attnwidget.capture.inputs.batch_axis import UNBATCHED_AXES, add_batch_axis
from attnwidget.capture.inputs.chat import is_chat
from attnwidget.capture.inputs.checks import check_inputs
from attnwidget.capture.inputs.decoder import with_decoder_inputs
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
from attnwidget.capture.positions.chat_roles import chat_roles, token_lengths
from attnwidget.compute.checks import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

__all__ = ["PreparedInputs", "prepare"]


@dataclass(frozen=True, slots=True)
class PreparedInputs:
    """Inputs ready for the model.

    Attributes:
        inputs: Keyword arguments of its forward, on its device.
        tokenizer: The tokenizer that was found, or ``None``.
        batch: Row to record, or ``None`` for the only one.
        hints: What is known about the tokens beyond their ids.
        otherwise: What to give the model if it fails on ``inputs``, which have nothing to decode.
        args: Arguments of its forward that are given by their place.
        guessed: Whether they are for a model of unknown names, which was given them by their place in its signature.
    """

    inputs: dict[str, Any]
    tokenizer: Any
    batch: int | None
    hints: Hints
    otherwise: dict[str, Any] | None = None
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
    passed_on: Iterable[str] = (),
) -> PreparedInputs:
    """Turn ``inputs`` into keyword arguments for ``model``.

    Args:
        model: The model.
        inputs: See `attnwidget.capture`.
        tokenizer: The tokenizer, looked up when text is given without one.
        target: What the decoder of an encoder-decoder model reads.
        batch: Row to record when there are several.
        template: Options of the chat template.
        passed_on: Names of what the model is given besides, as it is.

    Returns:
        The inputs with a batch axis, on the model's device, floating-point ones in its dtype.

    Raises:
        ValueError: If they are empty, ambiguous or do not fit together.
        TypeError: If they are nothing that can be understood.
    """
    if isinstance(inputs, Mapping) and not all(isinstance(name, str) for name in inputs):
        msg = f"inputs must be {ACCEPTED_INPUTS}, by the names that the model's forward has for them, got {shown(dict(inputs))}."
        raise TypeError(msg)
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
    ready = to_model(model, add_batch_axis(model, as_tensors(model, named)))
    check_inputs(model, ready, batch)
    ready, otherwise = with_decoder_inputs(
        model, ready, tokenizer, target, sound=sounds is not None, passed_on=passed_on
    )
    return PreparedInputs(ready, tokenizer, batch, hints, otherwise)


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
    check_inputs(model, ready, call.batch)
    args = () if call.by_place is None else (ready.pop(call.by_place),)
    guessed = not isinstance(inputs, Mapping)
    return PreparedInputs(ready, call.tokenizer, call.batch, call.hints, args=args, guessed=guessed)


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
