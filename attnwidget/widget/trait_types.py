"""Trait types that take what people write and say what they accept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import traitlets

from attnwidget.compute.indexing import integer

__all__ = ["Anything", "HeadList", "HeadPairs", "Number", "Pins"]


class Anything(traitlets.TraitType[Any, Any]):
    """Any value, None among them: what is accepted, a check of the widget says."""

    allow_none = True

    def validate(self, obj: Any, value: Any) -> Any:  # noqa: ARG002 - traitlets' own signature
        """Return the value as it is."""
        return value


class Number(traitlets.TraitType[Any, Any]):
    """A layer or a step: any integer type, or None where allowed."""

    def validate(self, obj: Any, value: Any) -> Any:  # noqa: ARG002 - traitlets' own signature
        """Return the value as int; what is no integer is left for the check that knows the range."""
        number = integer(value)
        return value if number is None else number


class HeadList(traitlets.TraitType[Any, Any]):
    """Heads of a layer: one integer, or any iterable of them (list, range, array)."""

    def validate(self, obj: Any, value: Any) -> Any:  # noqa: ARG002 - traitlets' own signature
        """Return a list of int; what is none is left for the check that knows how many heads there are."""
        if integer(value) is not None:
            value = [value]
        if isinstance(value, str) or not isinstance(value, Iterable):
            return value
        return [head if (number := integer(head)) is None else number for head in value]


class Pins(traitlets.TraitType[Any, Any]):
    """Positions of an axis: an integer, a token's text, any iterable of them (list, range, array), or None for none."""

    def validate(self, obj: Any, value: Any) -> Any:
        """Return an int, a list of two or more, or None; text and what is none are left for the check that knows the axis."""
        if value is None or isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
            return Number().validate(obj, value)
        pins = list(dict.fromkeys(HeadList().validate(obj, value)))
        return pins if len(pins) > 1 else pins[0] if pins else None


class HeadPairs(traitlets.TraitType[Any, Any]):
    """Pairs of layer and head: any iterable of pairs."""

    def validate(self, obj: Any, value: Any) -> Any:
        """Return a list of two-element lists; what is none is left for the check."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            return value
        heads = HeadList()
        return [heads.validate(obj, pair) for pair in value]
