"""Inputs of models that are not transformers': a text, ids or a picture becomes the first argument of their forward."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from attnwidget.capture.architecture.stream_names import is_of_transformers, main_input_name
from attnwidget.capture.hints import Hints
from attnwidget.capture.inputs.arrays import ACCEPTED_INPUTS, as_tensor, as_tensors
from attnwidget.capture.inputs.batch_axis import add_batch_axis
from attnwidget.capture.inputs.chat import is_chat
from attnwidget.capture.inputs.processors import needs_processor, run_processor
from attnwidget.capture.inputs.text import (
    find_tokenizer,
    is_text,
    pick_text,
    sequence_ids,
    tokenize,
)
from attnwidget.compute.checks import shown

if TYPE_CHECKING:
    from torch import nn

__all__ = ["OwnCall", "call_error", "check_call", "has_own_names", "prepare_own"]

# What tokenizers make beside the ids; a model that does not name one does not read it.
_BESIDE_IDS = frozenset(
    {"attention_mask", "token_type_ids", "special_tokens_mask", "offset_mapping", "length"}
)
_PICTURE = re.compile(r"image|img|pixel|picture")
_TEXT = re.compile(r"text|token|ids?$|idx")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


@dataclass(frozen=True, slots=True)
class OwnCall:
    """How a model with arguments of its own names is called.

    Attributes:
        named: Arguments by name; the first one may be there by its name although it has to be given by its place.
        by_place: Name in ``named`` of the one that is given by its place, or ``None``.
        tokenizer: The tokenizer that was found, or ``None``.
        batch: Row to record, or ``None`` for the only one.
        hints: What is known of the tokens beyond their ids.
    """

    named: dict[str, Any]
    by_place: str | None
    tokenizer: Any
    batch: int | None
    hints: Hints


def has_own_names(model: nn.Module) -> bool:
    """Tell whether a model is none of transformers' and names its main argument as it likes."""
    if is_of_transformers(type(model)):
        return False
    parameters = inspect.signature(model.forward).parameters
    if {"input_ids", main_input_name(model)} & parameters.keys():
        return False
    first = next(iter(parameters.values()), None)
    if first is None or first.kind is inspect.Parameter.VAR_KEYWORD:
        return False
    # What passes everything on, to a model of transformers', takes what that names.
    passes_on = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    if isinstance(model, PreTrainedModel):
        return not passes_on
    holds = any(isinstance(module, PreTrainedModel) for module in model.modules())
    return first.kind is not inspect.Parameter.VAR_POSITIONAL or not (passes_on and holds)


def prepare_own(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any,
    *,
    batch: int | None,
    options: Mapping[str, Any],
) -> OwnCall:
    """Find out what to call a model with; arguments and errors are those of `attnwidget.capture.inputs.prepare.prepare`."""
    parameters = inspect.signature(model.forward).parameters
    first = next(iter(parameters.values()))
    hints = Hints()
    if isinstance(inputs, Mapping) and is_chat(inputs):
        inputs = [inputs]
    if needs_processor(inputs) and not (
        isinstance(inputs, Mapping) and inputs.keys() & parameters.keys()
    ):
        inputs, tokenizer, hints = run_processor(model, inputs, tokenizer, options)
    if isinstance(inputs, list) and inputs and all(isinstance(item, str) for item in inputs):
        inputs, batch = pick_text(inputs, batch), None
    if is_text(inputs):
        tokenizer = tokenizer or find_tokenizer(model)
        named, hints = tokenize(inputs, tokenizer, options)
    elif isinstance(inputs, Mapping):
        if not inputs:
            msg = f"inputs is empty; give {ACCEPTED_INPUTS}."
            raise ValueError(msg)
        named, hints = inputs, replace(hints, segments=sequence_ids(inputs, batch))
    else:
        values = _array(inputs)
        name = _argument_for(parameters, picture=values.is_floating_point())
        named = {name: values}
    text = "input_ids" in named or "sequences" in named
    named = _renamed(named, parameters, _argument_for(parameters, picture=not text))
    made = as_tensors(model, named)
    tensors = [value for value in made.values() if isinstance(value, torch.Tensor)]
    one_text = bool(tensors) and tensors[0].ndim == 1
    arrays = add_batch_axis(model, made)
    for name, value in arrays.items():
        # Ids of one text, and of its target; beside other inputs, numbers in one axis are counts or sizes.
        ids = isinstance(value, torch.Tensor) and not value.is_floating_point()
        if one_text and ids and value.ndim == 1:
            arrays[name] = value[None]
    by_place = first.name if first.kind in _POSITIONAL and first.name in arrays else None
    return OwnCall(arrays, by_place, tokenizer, batch, hints)


def _argument_for(parameters: Mapping[str, inspect.Parameter], *, picture: bool) -> str:
    """Return the argument for a picture, or for text and ids: the first, unless all may be left out.

    Then the place says nothing, as for a model that reads a picture, a text or both, and the name does.
    """
    names = list(parameters)
    if parameters[names[0]].default is inspect.Parameter.empty:
        return names[0]
    return next((name for name in names if (_PICTURE if picture else _TEXT).search(name)), names[0])


def _array(inputs: Any) -> Any:
    if inputs is None or isinstance(inputs, (bytes, str, set)):
        msg = f"inputs must be {ACCEPTED_INPUTS}, got {type(inputs).__name__}."
        raise TypeError(msg)
    values = as_tensor("inputs", inputs)
    if not values.numel():
        msg = f"inputs is empty; give {ACCEPTED_INPUTS}."
        raise ValueError(msg)
    return values


def _renamed(
    named: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter], first: str
) -> dict[str, Any]:
    """Give what a tokenizer or a processor made the name that the model has for it, and leave out what it has none for."""
    given = dict(named)
    if "sequences" in given and "sequences" not in parameters:
        given = {"input_ids": given["sequences"]}  # what generate returns
    main = next((name for name in ("input_ids", "pixel_values") if name in given), None)
    if main is None or first in given or main in parameters:
        return given
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    return {first: given.pop(main)} | {
        name: value
        for name, value in given.items()
        if name in parameters or name not in _BESIDE_IDS or takes_any
    }


def check_call(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse a call that does not fit the signature of the model's forward.

    Raises:
        ValueError: If an argument is missing, or one is given that it does not take.
    """
    signature = inspect.signature(model.forward)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        wanted = [
            name
            for name, one in signature.parameters.items()
            if one.kind not in kinds and one.default is one.empty
        ]
        call = ", ".join(f"{name!r}: ..." for name in wanted or list(signature.parameters)[:1])
        msg = (
            f"{type(model).__name__}.forward takes ({', '.join(map(str, signature.parameters.values()))}), and with these "
            f"inputs is {error}; give them by its names: capture(model, {{{call}}})."
        )
        raise ValueError(msg) from None


def call_error(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], error: Exception
) -> ValueError:
    """Return the error to raise when a model failed on what it was given: that, and what its forward takes."""
    given = [("its first argument", value) for value in args] + list(kwargs.items())
    each = ", ".join(f"{name}: {_in_words(value)}" for name, value in given)
    names = list(inspect.signature(model.forward).parameters)
    # A row of a data set, whose text stands under a name of its own.
    texts = [name for name, value in kwargs.items() if isinstance(value, str) and name not in names]
    by_itself = (
        f"; text is given by itself, capture(model, text, tokenizer), or as a column of rows, survey(model, rows, tokenizer, "
        f"column={texts[0]!r})"
        if texts
        else ""
    )
    return ValueError(
        f"inputs: {type(model).__name__}.forward({', '.join(names)}) was given {each} and raised {type(error).__name__}: "
        f"{error}; give what it reads, by its names: capture(model, {{{names[0]!r}: ...}}){by_itself}."
    )


def _in_words(value: Any) -> str:
    if isinstance(value, torch.Tensor) and not value.is_nested:
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return shown(value)
