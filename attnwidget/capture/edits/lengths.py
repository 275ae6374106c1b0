"""Refuse a patch from an input of another length before the model runs, where what it is given tells its length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.edits.links import other_length
from attnwidget.edits.patch import Patch
from attnwidget.record.record import the_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from attnwidget.edits.edits import Edits
    from attnwidget.record.record import Record

__all__ = ["check_given_lengths", "check_recorded_lengths"]

# The ids that each stream of a model with two sides reads, as its queries and as its keys.
_TWO_SIDED = {
    "encoder": ("input_ids", "input_ids"),
    "decoder": ("decoder_input_ids", "decoder_input_ids"),
    "cross": ("decoder_input_ids", "input_ids"),
}


def check_given_lengths(
    edits: Edits, model: nn.Module, given: Mapping[str, Any], row: int | None
) -> None:
    """Refuse a patch whose record has as many tokens as the input has not.

    Nothing is said where the positions are not the tokens that the model is given: of pictures, behind a cache.

    Args:
        edits: The edit.
        model: The model.
        given: What it is given by name.
        row: The row of the batch that is recorded.

    Raises:
        ValueError: If the lengths differ.
    """
    if given.get("past_key_values") is not None:
        return
    two_sided = bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))
    for part in _patches(edits):
        if not part.of_tokens:
            continue
        names = _TWO_SIDED.get(str(part.stream)) if two_sided else ("input_ids", "input_ids")
        if names is None:
            continue
        for name, there in zip(names, _lengths(part), strict=True):
            here = _counts(given, name, row or 0)
            if there is not None and here and there not in here:
                raise ValueError(other_length(there, min(here)))


def check_recorded_lengths(edits: Edits, record: Record) -> None:
    """Refuse a patch whose record has another length than this one, of the input without the edit.

    Raises:
        ValueError: If the lengths differ.
    """
    for part in _patches(edits):
        try:
            stream = the_stream(record, part.stream)
        except KeyError:
            continue  # said where the heads are looked up
        axes = stream.query_positions, stream.key_positions
        for axis, there in zip(axes, _lengths(part), strict=True):
            if stream.first_query is None and there is not None and there != len(axis):
                raise ValueError(other_length(there, len(axis)))


def _patches(edits: Edits) -> list[Patch]:
    return [part for part in edits.parts if isinstance(part, Patch) and part.numbers]


def _lengths(part: Patch) -> tuple[int | None, int | None]:
    """Return how many queries and how many keys a record had, those of which something is taken."""
    rows, columns = part.numbers[0][1]
    if part.what == "value":
        return None, rows
    return rows, columns if part.what == "pattern" else None


def _counts(given: Mapping[str, Any], name: str, row: int) -> set[int]:
    """Return how many positions the ids of a row are: with padding, and without, of which a record has one."""
    ids = given.get(name)
    if not isinstance(ids, torch.Tensor) or ids.ndim != 2:
        return set()
    mask = given.get(name.replace("input_ids", "attention_mask"))
    found = {ids.shape[1]}
    if isinstance(mask, torch.Tensor) and mask.shape == ids.shape:
        found.add(int(mask[row].bool().sum()))
    return found
