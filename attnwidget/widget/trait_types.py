"""Trait types that bring a value into the form in which the selection keeps it."""

from __future__ import annotations

from typing import Any

import traitlets

from attnwidget.compute.checks import shown
from attnwidget.serve.selection import SelectionError, check_choice
from attnwidget.serve.selection_parts import CHOICES, DEFAULTS, OR_NONE, has_form, normalised

__all__ = ["Choice", "Normalised"]


class Choice(traitlets.TraitType[Any, Any]):
    """One of a few words, the default among them."""

    def __init__(self, name: str) -> None:
        """Take the words from the selection's choices of this name."""
        super().__init__(DEFAULTS[name])
        self._name = name

    def validate(self, obj: Any, value: Any) -> str:  # noqa: ARG002 - traitlets' own signature
        """Return the word, or raise `SelectionError` saying which are accepted."""
        return check_choice(self._name, value)

    def info(self) -> str:
        """Return what is accepted."""
        return f"any of {list(CHOICES[self._name])}"


class Normalised(traitlets.TraitType[Any, Any]):
    """A part of the selection, brought into one form; which values exist, the check of the widget says."""

    def __init__(self, name: str, default: Any = None) -> None:
        """Take the form from the selection's part of this name.

        Args:
            name: Which part.
            default: What it is until it is set; None is accepted where it is the default, and of `OR_NONE`.
        """
        super().__init__(default, allow_none=name in OR_NONE or default is None)
        self._name = name

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the value in its one form, or raise `SelectionError` where it has none.

        Its type is checked here and not with the rest: of several traits that are set together, traitlets checks those
        that have changed, and to Python True is no change of 1.
        """
        formed = normalised(self._name, value)
        if not has_form(self._name, formed):
            # The check knows what is accepted of what is shown.
            obj.check_part(self._name, formed)
            message = f"{self._name} cannot be {shown(value)}."
            raise SelectionError(message)
        return formed
