"""`PositionAxis`: the positions of an axis from a submodel's inputs, padding marked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.positions.chat_roles import chat_roles
from attnwidget.capture.positions.grids import feature_map, find_frames, find_patches
from attnwidget.capture.positions.labels import (
    index_positions,
    patch_positions,
    token_positions,
    virtual_positions,
)
from attnwidget.capture.positions.placeholders import MODALITIES, placeholder_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from attnwidget.capture.architecture.own_inputs import OwnInputs
    from attnwidget.capture.architecture.submodels import Submodel
    from attnwidget.capture.hints import Hints
    from attnwidget.record.positions import Positions


__all__ = ["PositionAxis", "describe_axis", "real_positions", "sequence_length"]


@dataclass(frozen=True, slots=True)
class PositionAxis:
    """Positions of one axis before padding is dropped.

    Attributes:
        positions: All of them.
        real: Boolean ``[position]``, false for padding.
    """

    positions: Positions
    real: Tensor


def describe_axis(
    submodels: list[Submodel],
    counts: tuple[int, int],
    tokenizer: Any,
    hints: Hints,
    *,
    side: str,
    path: str = "",
    second: bool = False,
) -> PositionAxis:
    """Find out what the positions of an axis are.

    Args:
        submodels: The submodels around the attention module, innermost first.
        counts: Number of queries and of keys; more keys than queries came out of a cache.
        tokenizer: Labels tokens, or ``None``.
        hints: What the caller knows.
        side: Stream the axis belongs to; a decoder reads ``decoder_input_ids`` off the whole model.
        path: Path of the attention module.
        second: Whether the axis is that of a decoder beside an encoder, each of which reads a text.

    Returns:
        The positions and which of them are real. Positions nothing is known about are labelled by index.
    """
    num_queries, count = counts
    positions: Positions | None = None
    learned = max((_learned_prompt(submodel) for submodel in submodels), default=0)
    for submodel in submodels:
        ids = submodel.ids(side)
        if ids is None or not {len(ids), len(ids) + learned} & {count, num_queries}:
            ids = _generated_ids(submodel, count) if side == "decoder" else None
        if ids is not None:
            positions = _tokens(ids, submodel.segments(side), tokenizer, hints)
            positions = _mark_placeholders(ids, positions, getattr(submodel.module, "config", None))
            missing = count - len(positions)
            if missing > 0 and missing != learned:
                positions = _cached_positions(submodel.cached, missing, tokenizer) + positions
        else:
            positions = find_patches(submodel, count) or find_frames(submodel, count)
            # Object queries that attend to each other may be as many as cells by chance.
            if positions is None and (side == "encoder" or count != num_queries):
                positions = feature_map(submodel, count)
        if positions is None and submodel.own is not None:
            positions = _own_positions(
                submodel.own, counts, tokenizer, hints, side=side, path=path, second=second
            )
        if positions is not None:
            break
    positions = positions if positions is not None else index_positions(count)
    missing = count - len(positions)
    if missing > 0:
        before = virtual_positions if missing == learned else index_positions
        positions = before(missing) + positions
    return PositionAxis(positions, real_positions(submodels, "attention_mask", count, side=side))


def _generated_ids(submodel: Submodel, count: int) -> Tensor | None:
    """Return the ids that a generation is known to have read last: those of vectors that its model was given are not."""
    ids = submodel.generated
    if len(ids) != count:
        return None
    first = next((place for place, token in enumerate(ids) if token >= 0), count)
    known = torch.tensor(ids[first:], dtype=torch.long)
    return known if len(known) and bool((known >= 0).all()) else None


def _cached_positions(ids: Sequence[int], count: int, tokenizer: Any) -> Positions:
    """Label the last ``count`` positions of a cache, as far as their ids are known; one with a window holds no more."""
    if len(ids) < count:
        return index_positions(count)
    known = token_positions([max(token, 0) for token in ids], tokenizer)
    numbers = index_positions(len(ids))
    labelled = [
        number if token < 0 else position
        for token, position, number in zip(ids, known, numbers, strict=True)
    ]
    return tuple(labelled[len(ids) - count :])


def _own_positions(
    own: OwnInputs,
    counts: tuple[int, int],
    tokenizer: Any,
    hints: Hints,
    *,
    side: str,
    path: str,
    second: bool,
) -> Positions | None:
    """Read positions off what a model that is not transformers' was given; arguments are those of `describe_axis`."""
    num_queries, count = counts
    if side not in {"vision", "audio"}:
        ids = own.ids(dict.fromkeys((count, num_queries)), path, second=second)
        if ids is not None:
            return _tokens(ids, None, tokenizer, hints)
    grid = own.grid(count, path)
    if grid is None:
        return None
    names = ["[CLS]", *(f"[REG {index}]" for index in range(grid.leading - 1))]
    return patch_positions(grid.rows, grid.columns, names[: grid.leading])


def sequence_length(submodels: Iterable[Submodel], side: str) -> int | None:
    """Return how many positions the innermost submodel with ids or embeddings was given."""
    for submodel in submodels:
        ids = submodel.last(submodel.input_name("input_ids", side))
        if ids is not None:
            return len(ids)
        embeds = submodel.last(submodel.input_name("inputs_embeds", side))
        if embeds is not None:
            return int(embeds[1])
    return None


def _learned_prompt(submodel: Submodel) -> int:
    """Return how many learned vectors an adapter (prompt tuning) puts before the tokens."""
    config = getattr(submodel.module, "active_peft_config", None)
    if not getattr(config, "is_prompt_learning", False):
        return 0
    return int(getattr(config, "num_virtual_tokens", 0) or 0)


def real_positions(submodels: list[Submodel], name: str, count: int, *, side: str) -> Tensor:
    """Read which of ``count`` positions are no padding off the attention mask called ``name``."""
    for submodel in submodels:
        mask = submodel.last(submodel.input_name(name, side))
        if mask is not None and len(mask) == count:
            real: Tensor = mask.bool().cpu()
            return real
    return torch.ones(count, dtype=torch.bool)


def _tokens(ids: Tensor, types: Tensor | None, tokenizer: Any, hints: Hints) -> Positions:
    segments = (
        hints.segments if hints.segments is not None and len(hints.segments) == len(ids) else None
    )
    if types is not None and len(types) == len(ids) and len(set(types.tolist())) > 1:
        segments = tuple(types.tolist())
    roles = hints.roles if hints.roles is not None and len(hints.roles) == len(ids) else None
    if roles is None:
        roles = chat_roles(ids.tolist(), tokenizer)
    return token_positions(ids.tolist(), tokenizer, segments=segments, roles=roles)


def _mark_placeholders(ids: Tensor, positions: Positions, config: Any) -> Positions:
    """Mark the tokens in whose place the model puts patches of an image or frames of audio."""
    kinds = {token: MODALITIES[name] for token, name in placeholder_tokens(config).items()}
    return tuple(
        replace(position, kind=kinds[token][0], medium=kinds[token][1])
        if token in kinds
        else position
        for token, position in zip(ids.tolist(), positions, strict=True)
    )
