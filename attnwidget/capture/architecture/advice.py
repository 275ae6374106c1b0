"""What can be done about a model that cannot be recorded: calls that this very model can take."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from torch import nn
from transformers import PreTrainedModel

from attnwidget.capture.architecture.stream_names import is_of_transformers

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["can_be_eager", "check_model", "how_to_hand_weights_over"]


def how_to_hand_weights_over(model: nn.Module, whole: nn.Module, paths: Sequence[str]) -> str:
    """Say how the weights of attention that was not recognised can be shown.

    Args:
        model: The model that the caller named.
        whole: The module in which the paths count.
        paths: Paths of the modules.
    """
    owner = _owner(whole, paths[0]) if paths else None
    if owner is not None and _returns_weights(owner):
        load = "load it with attn_implementation='eager' and " if can_be_eager(owner) else ""
        return (
            f"Its weights can be shown: {load}call attnwidget.from_weights("
            f"{_call(model, whole, owner)}(**inputs, output_attentions=True).attentions, tokens)."
        )
    kinds = dict.fromkeys(type(whole.get_submodule(path)).__name__ for path in paths)
    where = f"in the forward of {' and '.join(kinds)}" if kinds else "where it makes them"
    return (
        f"Its weights can be shown: keep them {where}, kept.append(weights.detach()) with [batch, head, query, key] for each "
        "layer, run the model, and call attnwidget.from_weights(kept, tokens)."
    )


def can_be_eager(model: nn.Module) -> bool:
    """Tell whether a model has another attention than its own eager one at work, and would take that."""
    if not isinstance(model, PreTrainedModel):
        return False
    if getattr(model.config, "_attn_implementation", None) == "eager":
        return False
    return is_of_transformers(type(model)) or any(
        getattr(model, f"_supports_{name}", False)
        for name in ("sdpa", "flash_attn", "flex_attn", "attention_backend")
    )


def check_model(model: Any) -> None:
    """Refuse what is no torch module, a pipeline for example.

    Raises:
        TypeError: With the modules that it holds.
    """
    if isinstance(model, nn.Module):
        return
    held = [name for name, value in _attributes(model).items() if isinstance(value, nn.Module)]
    if isinstance(model, str):
        msg = f"model must be a torch module, got str; pass AutoModel.from_pretrained({model!r})."
    elif isinstance(model, type):
        msg = (
            f"model must be a torch module, got the class {model.__name__}; pass an instance of it."
        )
    elif isinstance(getattr(model, "model", None), nn.Module):
        words = next((n for n in _WORDS if getattr(model, n, None) is not None), None)
        call = f": capture(pipe.model, inputs, pipe.{words})" if words else ""
        msg = f"model must be a torch module, got {type(model).__name__}; pass its .model{call}."
    elif held:
        names = " or ".join(f".{name}" for name in held)
        msg = f"model must be a torch module, got {type(model).__name__}; pass its {names}."
    else:
        msg = (
            f"model must be a torch module, got {type(model).__name__}; pass a torch.nn.Module, such as AutoModel's "
            "result."
        )
    raise TypeError(msg)


# What a pipeline calls the one that makes inputs, the most able first.
_WORDS = ("processor", "tokenizer", "image_processor", "feature_extractor")


def _attributes(value: Any) -> dict[str, Any]:
    return vars(value) if hasattr(value, "__dict__") else {}


def _owner(whole: nn.Module, path: str) -> PreTrainedModel | None:
    """Return the outermost pretrained model around a module."""
    parts = path.split(".") if path else []
    around = (whole.get_submodule(".".join(parts[:count])) for count in range(len(parts) + 1))
    return next((module for module in around if isinstance(module, PreTrainedModel)), None)


def _returns_weights(model: PreTrainedModel) -> bool:
    """Tell whether a pretrained model returns its weights when it is asked to."""
    named = "output_attentions" in inspect.signature(model.forward).parameters
    return named or is_of_transformers(type(model))


def _call(model: nn.Module, whole: nn.Module, owner: nn.Module) -> str:
    """Spell the model that returns weights, as the caller can reach it."""
    if owner is model and owner is not whole:
        return "model[0].auto_model"  # of a sentence encoder, which calls it itself
    if owner is whole or hasattr(whole, "get_base_model"):  # an adapter passes arguments on
        return "model"
    path = next(path for path, module in whole.named_modules() if module is owner)
    return f"model.{path}"
