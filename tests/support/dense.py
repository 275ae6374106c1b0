"""Head scores written out as plainly as can be, in float64, one query after the other."""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from attnwidget.record.positions import Position

Array = np.ndarray[Any, Any]
STOPS = ".!?…"


def masks(queries: Sequence[Position], keys: Sequence[Position]) -> dict[str, Callable[..., bool]]:
    """Return for each share score whether query ``q`` and key ``k`` (positions of one sequence) belong to it."""
    shift = len(keys) - len(queries)
    words: list[int] = []
    for key in keys:
        words.append(words[-1] if key.continues else (words[-1] + 1 if words else 0))

    def token(place: int) -> tuple[str | None, bool] | None:
        return None if keys[place].kind == "special" else (keys[place].text, keys[place].continues)

    def same(first: int, second: int) -> bool:
        return token(first) is not None and token(first) == token(second)

    def punctuation(key: int) -> bool:
        text = keys[key].text or ""
        plain = keys[key].kind != "special" and text.strip()
        return bool(plain) and all(unicodedata.category(c)[0] in "PS" for c in text.strip())

    def special(key: int) -> bool:
        return keys[key].kind == "special"

    return {
        "previous": lambda q, k: k == q + shift - 1,
        "next": lambda q, k: k == q + shift + 1,
        "self": lambda q, k: k == q + shift,
        "first": lambda _, k: k == 0,
        "special": lambda _, k: special(k),
        "punctuation": lambda _, k: punctuation(k),
        "sentence": lambda _, k: not special(k) and (keys[k].text or "x")[-1] in STOPS,
        "delimiter": lambda _, k: special(k) or punctuation(k),
        "duplicate": lambda q, k: k != q + shift and same(k, q + shift),
        "induction": lambda q, k: (
            k > 0 and k not in (q + shift, q + shift + 1) and same(k - 1, q + shift)
        ),
        "same_word": lambda q, k: k != q + shift and words[k] == words[q + shift],
    }


@functools.cache
def about(name: str, queries: tuple[Position, ...], keys: tuple[Position, ...]) -> list[list[int]]:
    """Return for each query the keys that a score is about."""
    wanted = masks(queries, keys)[name]
    return [[k for k in range(len(keys)) if wanted(q, k)] for q in range(len(queries))]


def score(
    name: str,
    weights: Array,
    seen: Array,
    positions: tuple[tuple[Position, ...], tuple[Position, ...]],
    without: Collection[int] = (),
) -> float | None:
    """Return one score of one head from its weights ``[query, key]``, or ``None``.

    Args:
        name: Name of the score.
        weights: float64 ``[query, key]``.
        seen: Which keys each query sees, boolean ``[query, key]``.
        positions: Query positions and key positions.
        without: Keys to set aside, each row being divided by what remains.
    """
    queries, keys = positions
    shift = len(keys) - len(queries)
    rows = []
    for q in range(len(queries)):
        visible = [k for k in range(len(keys)) if seen[q, k] and k not in without]
        if len(visible) < 2 or queries[q].text == "[PAD]":
            continue
        row = {k: float(weights[q, k]) for k in visible}
        total = sum(row.values())
        if without or name in {"local", "broad"}:
            if total <= 1e-6:
                continue
            row = {k: weight / total for k, weight in row.items()}
        if name == "broad":
            entropy = -sum(w * np.log(w) for w in row.values() if w > 0)
            rows.append(entropy / np.log(len(visible)))
        elif name == "local":
            far = max(abs(q + shift - k) for k in visible)
            rows.append(1 - sum(w * abs(q + shift - k) for k, w in row.items()) / far)
        else:
            wanted = [k for k in about(name, queries, keys)[q] if k in row]
            if wanted:
                rows.append(sum(row[k] for k in wanted))
    return float(np.mean(rows)) if rows else None
