"""`EncoderOutputs`: which run of an encoder a forward pass decodes, told by the tensor that it is given."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from attnwidget.capture.tensor_tools import tensors_in

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.generation.numbered_passes import NumberedPass

__all__ = ["EncoderOutputs"]


class EncoderOutputs:
    """What the models inside a model returned, for as long as the caller holds it."""

    def __init__(self) -> None:
        """Start before the first."""
        self._found: list[tuple[weakref.ref[Tensor], NumberedPass]] = []

    def add(self, output: Any, part: NumberedPass) -> None:
        """Note that an output came of a part of a pass; what holds an encoder returns what the encoder did."""
        self._found = [(tensor, each) for tensor, each in self._found if tensor() is not None]
        known = {id(reference()) for reference, _ in self._found}
        self._found += [
            (weakref.ref(tensor), part) for tensor in tensors_in(output) if id(tensor) not in known
        ]

    def behind(self, given: Any) -> NumberedPass | None:
        """Return the part of a pass that ``given`` came of, or ``None`` if it is not known."""
        wanted = {id(tensor) for tensor in tensors_in(given)}
        for reference, part in reversed(self._found):
            tensor = reference()
            if tensor is not None and id(tensor) in wanted:
                return part
        return None
