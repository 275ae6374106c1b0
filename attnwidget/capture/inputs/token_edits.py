"""Tokens of the input replaced or masked before the model runs: positions and tokens looked up, ids changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.inputs.checks import check_vocabulary
from attnwidget.capture.positions.labels import token_labels, token_positions
from attnwidget.capture.positions.vocabulary import known_id, piece_ids, unknown_id
from attnwidget.compute.checks import shown
from attnwidget.record.position_lookup import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from attnwidget.capture.hints import Hints
    from attnwidget.edits.tokens import TokenEdit
    from attnwidget.record.positions import Position

__all__ = ["with_tokens_edited"]


def with_tokens_edited(
    model: nn.Module,
    arguments: Mapping[str, Any],
    hints: Hints,
    tokenizer: Any,
    *,
    row: int,
    edits: Sequence[TokenEdit],
) -> tuple[dict[str, Any], Hints]:
    """Return what the model is given, and what is known of its tokens, with some tokens edited; nothing given is changed.

    Args:
        model: The model.
        arguments: What it is given by name.
        hints: What is known of its tokens.
        tokenizer: Its tokenizer or processor, or ``None``.
        row: Row of the batch that is recorded, whose tokens these are.
        edits: What is put where.

    Raises:
        ValueError: If there are no token ids, no such position, or no such token.
    """
    if not edits:
        return dict(arguments), hints
    ids = arguments.get("input_ids")
    if not isinstance(ids, torch.Tensor) or ids.ndim != 2:
        msg = (
            f"{edits[0]!r} changes the token ids that a model is given, and {type(model).__name__} is given none: pass text, "
            "such as capture(model, 'a text', tokenizer, interventions=...)."
        )
        raise ValueError(msg)
    words = getattr(tokenizer, "tokenizer", tokenizer)
    mask = arguments.get("attention_mask")
    own = ids[row]
    real = torch.arange(len(own))
    if isinstance(mask, torch.Tensor) and mask.shape == ids.shape:
        real = mask[row].bool().cpu().nonzero()[:, 0]
    positions = token_positions(own.cpu()[real].tolist(), words)
    put: dict[int, tuple[int, TokenEdit]] = {}
    for edit in edits:
        at = _place(edit, positions)
        number = _mask_id(words, edit) if edit.token is None else _id(words, edit, positions[at])
        other = put.setdefault(at, (number, edit))
        if other[0] != number:
            msg = f"position {at} is edited in two ways, {other[1]!r} and {edit!r}: keep one."
            raise ValueError(msg)
    changed = ids.clone()
    for at, (number, _) in put.items():
        changed[row, real[at]] = number
    check_vocabulary(model, "input_ids", changed)
    said = tuple(map(repr, edits))
    text = _text(
        hints.text, own.cpu().tolist(), {int(real[at]): one for at, (one, _) in put.items()}, words
    )
    return {**arguments, "input_ids": changed}, replace(
        hints, text=text, edits=(*hints.edits, *said)
    )


def _place(edit: TokenEdit, positions: Sequence[Position]) -> int:
    found = resolve("position", edit.position, tuple(positions))
    if len(found) != 1:
        call = repr(replace(edit, position=found[0]))
        msg = f"{edit!r} names {len(found)} tokens, those at {list(found)}: edit them one by one, {call} + ..."
        raise ValueError(msg)
    return found[0]


def _id(words: Any, edit: TokenEdit, there: Position) -> int:
    """Return the id of the token that is put in the place of another: spelled as that is, with or without a space before."""
    token = str(edit.token)
    if words is None:
        msg = f"{edit!r} needs a tokenizer to look {token!r} up: pass tokenizer=..."
        raise ValueError(msg)
    unknown = unknown_id(words)
    known = known_id(words, token)
    spaced = (there.text or "")[:1].isspace() and not token[:1].isspace()
    spelled = f" {token}" if spaced else token
    pieces = piece_ids(words, spelled)
    if len(pieces) == 1 and pieces[0] != unknown:
        return int(pieces[0])
    if known is not None:
        return known  # as the vocabulary has it, such as "##ing"
    if len(pieces) > 1 and unknown not in pieces:
        said = f"is {len(pieces)} tokens, {token_labels(pieces, words)}"
    else:
        said = "is no token"
    msg = (
        f"{edit!r} puts one token in the place of one, and {token!r} {said} of this tokenizer: name one, or capture the "
        "text so changed and compare both, attnwidget.compare(attention, changed)."
    )
    raise ValueError(msg)


def _mask_id(words: Any, edit: TokenEdit) -> int:
    number = getattr(words, "mask_token_id", None)
    if isinstance(number, int):
        return number
    who = (
        "without a tokenizer there is no mask token"
        if words is None
        else "this tokenizer has no mask token"
    )
    msg = (
        f"{edit!r}: {who}. What hides a token from attention in a model without one is attnwidget.cut(key="
        f"{edit.position!r}); what puts another in its place is attnwidget.replace({edit.position!r}, {shown('...')})."
    )
    raise ValueError(msg)


def _text(text: str | None, ids: Sequence[int], put: Mapping[int, int], words: Any) -> str | None:
    """Return the source text with the tokens replaced; ``None`` where the tokenizer does not say where tokens stand in it."""
    if text is None or not getattr(words, "is_fast", False):
        return None
    encoding = words(text, return_offsets_mapping=True)
    if list(encoding["input_ids"]) != list(ids):
        return None
    spans = encoding["offset_mapping"]
    for at, number in sorted(put.items(), reverse=True):
        start, stop = spans[at]
        token = token_labels([number], words)[0].strip()
        start += len(text[start:stop]) - len(text[start:stop].lstrip())
        text = text[:start] + token + text[stop:]
    return text
