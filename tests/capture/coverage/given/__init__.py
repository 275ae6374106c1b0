"""Inputs of the types that want more than their main input, by model type: what a processor would make.

Each is a function of an ``Inputs``, which draws numbers and tokens and knows the model's configuration. What the model
does not take by name is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capture.coverage.given import images, masks, mixed, sounds, texts, wholes

if TYPE_CHECKING:
    from collections.abc import Callable

GIVEN: dict[str, Callable[[Any], dict[str, Any]]] = {
    **texts.GIVEN,
    **images.GIVEN,
    **sounds.GIVEN,
    **mixed.GIVEN,
    **masks.GIVEN,
    **wholes.GIVEN,
}
