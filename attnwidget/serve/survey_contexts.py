"""Contexts of one head of a survey as a block: text, for it is the tokens that are looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.compute.checks import is_word
from attnwidget.protocol.codec import encode
from attnwidget.surveys.contexts.rules import LINK
from attnwidget.surveys.survey import TEXT_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from attnwidget.protocol.codec import Block
    from attnwidget.surveys.contexts.tables import Context, ContextToken
    from attnwidget.surveys.survey import Survey

__all__ = ["contexts_block", "contexts_kept", "why_closed"]

# Contexts that are shown of a head, the best; `Survey.contexts` has all.
MOST = 50


def contexts_kept(survey: Survey) -> int:
    """Return how many contexts are kept of each head and score, 0 for none."""
    found = [one.contexts for one in survey.streams.values()]
    return max((one.keep for one in found if one is not None), default=0)


def contexts_block(survey: Survey, request: Mapping[str, Any]) -> tuple[Block, bytes]:
    """Return the contexts that a request names, JSON of which each UTF-16 code unit is a number, float32.

    Raises:
        ValueError: If the survey has none, or there is no such layer, head or score.
    """
    score = None if is_word(request["score"], (LINK,)) else request["score"]
    layer, head = request["of"]
    found = survey.contexts(layer, head, score, stream=request["stream"])
    rows = [_row(one, why_closed(survey.texts.get(one.input))) for one in found[:MOST]]
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    units = np.frombuffer(text.encode("utf-16-le"), "<u2")
    return encode(units.astype(np.float32))


def why_closed(text: str | None) -> str | None:
    """Return why an input cannot be recorded again, None where it can: the survey has all of its text."""
    if text is None:
        return "the survey has no text of this input"
    if len(text) >= TEXT_LENGTH:
        return f"the survey has only the first {TEXT_LENGTH:,} characters of this input"
    return None


def _row(one: Context, closed: str | None) -> dict[str, Any]:
    row = {
        "input": one.input,
        "value": one.value,
        "weight": round(one.weight, 4),
        "query": one.query,
        "key": one.key,
        "tokens": _tokens(one.tokens),
    }
    if one.query_tokens:
        row["queries"] = _tokens(one.query_tokens)
    if closed is not None:
        row["closed"] = closed
    return row


def _tokens(tokens: Iterable[ContextToken]) -> list[list[Any]]:
    """Return labels, with what is to be known of each in one number: 1 joined, 2 query, 4 key, 8 after a gap."""
    return [
        [one.label, one.joined + 2 * one.is_query + 4 * one.is_key + 8 * one.after_gap]
        for one in tokens
    ]
