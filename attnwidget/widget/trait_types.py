"""Trait types that bring a value into the form in which the selection keeps it."""

from __future__ import annotations

import json
from typing import Any

import traitlets

from attnwidget.compute.checks import listed, shown
from attnwidget.edits.edits import Edits
from attnwidget.serve.selection import SelectionError, check_choice
from attnwidget.serve.selection_parts import CHOICES, DEFAULTS, OR_NONE, has_form, normalised

__all__ = ["Choice", "Intervention", "MeasuredIn", "Normalised", "edits_of", "parts_of"]


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


class Intervention(traitlets.TraitType[Any, Any]):
    """What is changed while the model runs: an edit."""

    def __init__(self) -> None:
        """Start with no edit."""
        super().__init__(Edits())

    def validate(self, obj: Any, value: Any) -> Edits:  # noqa: ARG002 - traitlets' own signature
        """Return the edit, none of None and of an empty list, or raise `SelectionError` saying what is accepted."""
        if isinstance(value, Edits):
            return value
        if value is None or (isinstance(value, (list, tuple)) and not value):
            return Edits()
        message = (
            "interventions must be an edit, such as attnwidget.ablate(heads=[(3, 3)]), several added with +, or None for "
            f"none, got {shown(value)}."
        )
        raise SelectionError(message)


class MeasuredIn(traitlets.TraitType[Any, Any]):
    """What effects are measured in: nothing, a token or label, or two of them."""

    def __init__(self) -> None:
        """Start with what the unedited model would choose."""
        super().__init__(None, allow_none=True)

    def validate(self, obj: Any, value: Any) -> Any:  # noqa: ARG002 - traitlets' own signature
        """Return the text, or two of them as a list, or raise `SelectionError` saying what is accepted."""
        several = listed(value)
        texts = [value] if several is None else several
        if all(isinstance(one, str) and one for one in texts) and len(texts) == (
            1 if several is None else 2
        ):
            return value if several is None else texts
        message = (
            "metric must be a token or a label, such as metric='purred', a pair of them for the difference of their "
            f"logits, or None for what the model would choose, got {shown(value)}. Any other is measured by "
            "attnwidget.what_if(..., metric=...)."
        )
        raise SelectionError(message)


def parts_of(edits: Edits, _owner: object = None) -> list[dict[str, Any]]:
    """Return the parts of an edit as they travel; see ``Interventions`` in the schema."""
    return [part.to_data() for part in edits.parts]


def edits_of(parts: Any, _owner: object = None) -> Edits:
    """Return the edit that parts which came make.

    Raises:
        ValueError: If they make none.
    """
    return Edits.from_json(json.dumps({"edits": parts}))
