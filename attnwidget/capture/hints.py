"""`Hints`: what the caller knows about tokens beyond their ids (text, segments, chat roles, images)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.record.positions import Positions

__all__ = ["Hints"]


@dataclass(frozen=True, slots=True)
class Hints:
    """What the caller knows about the tokens beyond their ids.

    Attributes:
        text: The source text.
        segments: 0 or 1 per token for the first or second text of a pair.
        roles: Chat role per token.
        images: The images themselves, of Pillow's, in the order of the inputs.
        labels: Labels that the caller gave for the positions, by stream; by the empty name for the one that they fit.
        edits: What was done to the tokens, each as the call that says so.
    """

    text: str | None = None
    segments: tuple[int | None, ...] | None = None
    roles: tuple[str | None, ...] | None = None
    images: tuple[Any, ...] = ()
    labels: Mapping[str, Positions] | None = None
    edits: tuple[str, ...] = ()
