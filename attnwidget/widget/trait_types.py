"""Trait types that bring a value into the form in which the selection keeps it."""

from __future__ import annotations

from typing import Any

import traitlets

from attnwidget.serve.selection import CHOICES, DEFAULTS, check_choice, normalised

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
            default: What it is until it is set; None is accepted where it is the default.
        """
        super().__init__(default, allow_none=default is None)
        self._name = name

    def validate(self, obj: Any, value: Any) -> Any:  # noqa: ARG002 - traitlets' own signature
        """Return the value in its one form; what has none is left for the check."""
        return normalised(self._name, value)
