"""Configurations that are made of configurations: their options as nested dicts, and back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import transformers

if TYPE_CHECKING:
    from collections.abc import Callable


def default_of(cls: Any, asked: dict[str, Any]) -> Any:
    """Make a configuration of the usual size, but for what is asked."""
    with contextlib.suppress(Exception):  # some have no defaults
        return cls(**parts_made(cls(), asked))
    return cls(**asked)


def parts_made(default: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Make the parts that are to be of another type than the usual one: as options they would be taken for that one's."""
    made = dict(options)
    for name, value in options.items():
        part = vars(default).get(name)
        if isinstance(part, transformers.PretrainedConfig) and isinstance(value, dict):
            inner = parts_made(part, value)
            kind = inner.get("model_type", part.model_type)
            other = kind != part.model_type
            whole = any(isinstance(item, transformers.PretrainedConfig) for item in inner.values())
            inner.pop("model_type", None)
            made[name] = (
                transformers.CONFIG_MAPPING[kind](**inner)
                if other or whole
                else {"model_type": kind, **inner}
            )
    return made


def merged_with(into: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Put what a recipe asks for into options; a dict is merged into the part of that name."""
    merged = dict(into)
    for name, value in asked.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        kind = merged[name].get("model_type") if both else None
        same = kind is not None and value.get("model_type", kind) == kind
        merged[name] = merged_with(merged[name], value) if same else value
    return merged


def everywhere(
    options: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Apply a change to options and to those of every part."""
    return change(
        {
            name: everywhere(value, change)
            if isinstance(value, dict) and "model_type" in value
            else value
            for name, value in options.items()
        }
    )


def set_each(config: Any, options: dict[str, Any]) -> None:
    """Set options one by one, where the configuration would refuse them together."""
    for name, value in options.items():
        with contextlib.suppress(Exception):  # what cannot be set stays
            part = getattr(config, name, None)
            if isinstance(part, transformers.PretrainedConfig):
                set_each(part, value)
            else:
                setattr(config, name, value)
