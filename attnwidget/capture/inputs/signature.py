"""What a model's forward takes by name, and which of it may be a list."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn

__all__ = ["decoding_models", "forward_parameters", "is_decoder_given", "reads_lists"]

_LISTS = re.compile(r"\b(?:list|tuple|sequence|iterable|dict|mapping)\b", re.IGNORECASE)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def forward_parameters(model: nn.Module) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a model's forward; of the model inside where that names none and passes everything on."""
    inner: nn.Module | None = model
    while inner is not None:
        found = inspect.signature(inner.forward).parameters
        named = {name: one for name, one in found.items() if one.kind in _NAMED}
        if named or not found:
            return named
        inner = next(inner.children(), None)
    return {}


def decoding_models(model: nn.Module) -> list[nn.Module]:
    """Return the encoder-decoders that a model's ``decoder_input_ids`` reach, itself first; none where it takes none."""
    if "decoder_input_ids" not in forward_parameters(model):
        return []
    return [
        module
        for module in model.modules()
        if getattr(getattr(module, "config", None), "is_encoder_decoder", False)
        and "decoder_input_ids" in forward_parameters(module)
    ]


def is_decoder_given(names: Iterable[str]) -> bool:
    """Tell whether what a decoder reads is among inputs of these names; labels are shifted to it."""
    return any(name == "labels" or name.startswith("decoder_input") for name in names)


def reads_lists(parameter: inspect.Parameter | None) -> bool:
    """Tell whether a parameter is annotated as a list or the like, if beside tensors."""
    if parameter is None or parameter.annotation is inspect.Parameter.empty:
        return False
    annotation: Any = parameter.annotation
    return (
        _LISTS.search(annotation if isinstance(annotation, str) else repr(annotation)) is not None
    )
