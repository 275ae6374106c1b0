"""Makes a tiny model with random weights of any model type, by shrinking the defaults of its configuration."""

from __future__ import annotations

import contextlib
import copy
import inspect
import re
from typing import TYPE_CHECKING, Any

import torch
import transformers
from capture.coverage.parts import default_of
from capture.coverage.recipes import DEPTH, HEADS, HIDDEN, IMAGE, PATCH, RECIPES, ROWS, VOCABULARY
from capture.coverage.shrink import configurations
from capture.coverage.sizes import CLASSES, PARTS
from transformers.models.auto import configuration_auto, modeling_auto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

__all__ = [
    "DEPTH", "HEADS", "HIDDEN", "IMAGE", "LENGTH", "PATCH", "REAL", "ROWS", "VOCABULARY", "attempts", "model_types",
]  # fmt: skip
LARGEST = 30_000_000  # parameters
LENGTH, REAL = 12, 9  # positions of a text, and how many of them are real in the padded row


def model_types() -> list[str]:
    """List every model type that transformers knows."""
    return sorted(configuration_auto.CONFIG_MAPPING_NAMES)


def attempts(model_type: str) -> Iterator[nn.Module]:
    """Make tiny models of a type, in evaluation mode and with weights that attend to something, likeliest first.

    Raises:
        Exception: Whatever the first attempt raised, when none succeeded.
    """
    cls = transformers.CONFIG_MAPPING[model_type]
    first: Exception | None = None
    made = 0
    # Each variant is for what the one before may be too small for: hybrids attend in few of their layers only.
    for variant in ({}, {"depth": 8}, {"hidden": 64, "heads": 4}, {"hidden": 128, "heads": 2}):
        for config in configurations(model_type, variant):
            for kind in _kinds(cls, model_type):
                try:
                    if _size(kind, config) > LARGEST:
                        first = first or MemoryError(f"{kind.__name__} stays too large")
                        continue
                    torch.manual_seed(0)
                    model: nn.Module = kind(config)
                except Exception as error:  # noqa: BLE001  the next attempt may do
                    first = first or error
                    continue
                made += 1
                yield _wake(model).eval().get_submodule(PARTS.get(model_type, ""))
    if not made:
        raise first or LookupError(f"no model belongs to {model_type}")


def part_of(model_type: str) -> str | None:
    """Say which type has this one as a part, when it has no model of its own that can be called."""
    cls = transformers.CONFIG_MAPPING[model_type]
    if any(_callable(kind) for kind in _kinds(cls, model_type)):
        return None
    for other, name in sorted(configuration_auto.CONFIG_MAPPING_NAMES.items()):
        kind = getattr(transformers, name, None)
        if (
            kind is None
            or kind is cls
            or kind.__module__.split(".")[:3] != cls.__module__.split(".")[:3]
        ):
            continue
        if not any(_callable(each) for each in _kinds(kind, other)):
            continue
        with contextlib.suppress(Exception):  # one that has no defaults says nothing
            parts = vars(default_of(kind, copy.deepcopy(RECIPES.get(other, {})))).values()
            if any(isinstance(part, cls) for part in parts):
                return other
    return None


def _callable(kind: type) -> bool:
    """Whether a class has a forward pass: some are there for what else they do."""
    # The class itself is not asked: a stand-in for one that needs another library answers by raising.
    own = (each for each in kind.__mro__ if each is not torch.nn.Module)
    return any("forward" in vars(each) for each in own)


def _size(kind: Any, config: Any) -> int:
    """Number of parameters, found without making them."""
    try:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in kind(copy.deepcopy(config)).parameters())
    except Exception:  # noqa: BLE001  some cannot be made without memory
        return 0


def _kinds(cls: type, model_type: str) -> Iterator[type]:
    names = [
        mapping[model_type]
        for mapping in (
            modeling_auto.MODEL_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
        )
        if model_type in mapping
    ]
    first = CLASSES.get(model_type)
    for found in [*([first] if first else []), *names]:
        for name in found if isinstance(found, (list, tuple)) else (found,):
            kind = getattr(transformers, name, None)
            if kind is not None:
                yield kind
    # Towers of composite models have no entry of their own.
    module = inspect.getmodule(cls)
    source = getattr(module, "__name__", "").replace("configuration_", "modeling_")
    try:
        modeling = __import__(source, fromlist=["x"])
    except ImportError:
        return
    for kind in list(vars(modeling).values()):
        if (
            inspect.isclass(kind)
            and issubclass(kind, transformers.PreTrainedModel)
            and getattr(kind, "config_class", None) is cls
            and not kind.__name__.endswith("PreTrainedModel")
        ):
            yield kind


def _wake(model: nn.Module) -> nn.Module:
    """Draw weights so large that the heads attend to something."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # A snake's alpha is divided by.
            if not parameter.is_floating_point() or not parameter.numel() or name.endswith("alpha"):
                continue
            if parameter.ndim > 1:
                table = any("embed" in part for part in name.split(".")[-2:])
                spread = 1.0 if table else 1.2 * parameter[0].numel() ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            elif not re.search(
                "norm|ln_|scale|gamma|lambda|A_log|dt_|temperature", name, re.IGNORECASE
            ):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model
