"""Sizes that have to fit each other, where shrinking each option on its own does not keep them so.

Laid over the shrunk options of a type, also where the type is a part of another one.
"""

from __future__ import annotations

from typing import Any

SIZES: dict[str, dict[str, Any]] = {}
# The class to measure, where the first one that can be made is only a part.
CLASSES: dict[str, str] = {"nougat": "VisionEncoderDecoderModel"}


def resized(options: dict[str, Any], model_type: str) -> dict[str, Any]:
    """Lay the sizes of ``model_type`` over its shrunk options."""
    return _laid_over(options, SIZES.get(model_type, {}))


def _laid_over(options: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    both = dict(options)
    for name, value in given.items():
        below = both.get(name)
        both[name] = (
            _laid_over(below, value)
            if isinstance(value, dict) and isinstance(below, dict)
            else value
        )
    return both
