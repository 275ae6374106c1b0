"""Check keyword arguments that go to `capture` or to the model."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from torch import nn
from transformers import PreTrainedModel
from transformers.utils.generic import TransformersKwargs

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CHAT_OPTIONS", "OPTIONS", "accepted_names", "check_options"]

# What `capture` takes by name, besides what it passes on to the model.
OPTIONS = (
    "target",
    "tokens",
    "batch",
    "streams",
    "layers",
    "positions",
    "store",
    "exact",
    "device",
)

# Options that `apply_chat_template` of any tokenizer and processor takes, besides what its template reads.
CHAT_OPTIONS = frozenset(
    {"add_generation_prompt", "chat_template", "continue_final_message", "documents", "tools"}
)


def check_options(model: Any, given: Iterable[str], accepted: Iterable[str] = ()) -> None:
    """Refuse names that would be ignored: most models' forward takes any name and says nothing.

    Args:
        model: The model; what its forward names is accepted. Where that takes any name, to pass it on, also what the
            modules inside name.
        given: The names to check.
        accepted: Names accepted besides, and offered in the message.

    Raises:
        TypeError: If a name is none of these.
    """
    offered = (*accepted, *OPTIONS)
    unknown = [name for name in given if name not in offered]
    if not unknown:
        return
    heard = accepted_names(model)
    for name in unknown:
        if name in heard:
            continue
        if name in CHAT_OPTIONS:
            message = (
                f"{name} is an option of chat templates, and inputs are no chat: call capture(model, "
                f"[{{'role': 'user', 'content': '…'}}], tokenizer, {name}=…)."
            )
            raise TypeError(message)
        if name in {"head", "heads"}:
            message = (
                f"a recording holds every head of a layer, got {name}=: choose afterwards, view(attention, {name}=…)"
                f" or layer.weights({name}=…)."
            )
            raise TypeError(message)
        close = get_close_matches(name, ("inputs", "tokenizer", *offered, *sorted(heard)), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"accepted are {', '.join(offered)}"
        if not close:
            hint += f", and what {type(model).__name__}.forward names."
        message = f"Unknown option {name!r}: {hint}"
        raise TypeError(message)


def accepted_names(model: Any) -> set[str]:
    """Names that the model's forward, or anything it may pass them on to, has a parameter for."""
    if not isinstance(model, nn.Module):
        return set()
    own = inspect.signature(model.forward).parameters
    names = _keyword_names(own)
    if any(one.kind is one.VAR_KEYWORD for one in own.values()):
        for kind in {type(module): module for module in model.modules()}.values():
            names |= _keyword_names(inspect.signature(kind.forward).parameters)
            if isinstance(kind, PreTrainedModel):
                names |= set(TransformersKwargs.__annotations__)
    return names - {"self", "input", "inputs", "args"}


def _keyword_names(parameters: Any) -> set[str]:
    return {
        name
        for name, one in parameters.items()
        if one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}
    }
