"""Layers that are numbered inside a name, ``encoder_layer_0``, ``block1``: their paths as a `ModuleList` would have them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["numbered_paths"]

_DIGITS = re.compile(r"\d+")
# Beside another number only what is called a layer counts layers: ``encoder1.layers.0`` is one of two encoders.
_LAYER = re.compile(r"((layer|block|stage|level|group)s?|^h|^l|^b)_?$", re.IGNORECASE)
_WHOLE = re.compile(
    r"(encoder|decoder|tower|branch|model|net|stream|text|image|vision|visual|audio|speech)s?_?$",
    re.IGNORECASE,
)

_Place = tuple[tuple[str, ...], str, str]


def numbered_paths(paths: Collection[str], beside: Collection[str] = ()) -> dict[str, str]:
    """Set the numbers inside of names apart: ``layers.encoder_layer_0.attn`` as ``layers.encoder_layer.0.attn``.

    A number inside of a name counts layers only if another path differs in nothing but that number. The name of the
    attention module itself counts layers only where nothing around it does: ``blocks.0.attn1`` and ``attn2`` are two
    kinds of attention.

    Args:
        paths: Paths of the attention modules of one kind of stream.
        beside: Paths of those of other kinds in the same model, whose layers are counted together with these.

    Returns:
        The path to go by, for each of ``paths``.
    """
    own, every = _counted_places(paths), _counted_places({*paths, *beside})
    return {path: _numbered(path.split("."), own, every) for path in paths}


def _counted_places(paths: Collection[str]) -> set[_Place]:
    """Find names of which there are several that differ in one number only, and hold the same."""
    numbers: dict[tuple[_Place, str], set[str]] = {}
    for path in paths:
        parts = path.split(".")
        for index, part in enumerate(parts):
            rest = ".".join("*" if one.isdigit() else one for one in parts[index + 1 :])
            for place, number in _places(parts, index, part):
                numbers.setdefault((place, rest), set()).add(number)
    return {place for (place, _), found in numbers.items() if len(found) > 1}


def _places(parts: Sequence[str], index: int, part: str) -> list[tuple[_Place, str]]:
    if part.isdigit():
        return []
    return [
        ((tuple(parts[:index]), part[: found.start()], part[found.end() :]), found.group())
        for found in _DIGITS.finditer(part)
    ]


def _numbered(parts: list[str], own: set[_Place], every: set[_Place]) -> str:
    result: list[str] = []
    counted = False
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        nested = counted or any(one.isdigit() for one in parts)
        for place, number in _places(parts, index, part):
            _, before, after = place
            if place not in (own if last else every) or (last and nested):
                continue
            if not (_LAYER.search(before) if nested else not _WHOLE.search(before)):
                continue
            result += filter(None, (before.strip("_"), number, after.strip("_")))
            counted = True
            break
        else:
            result.append(part)
    return ".".join(result)
