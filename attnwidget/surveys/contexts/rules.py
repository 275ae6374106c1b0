"""What is ranked for each score, and the numbers that bound what is kept."""

from __future__ import annotations

from attnwidget.analysis.score_definitions import SCORES

__all__ = ["DIGITS", "LINK", "NEAR", "NEAR_KEY", "RULES", "THRESHOLD", "rule_text"]

LINK = "link"
"""The rule that asks about no score: the strongest link of each query that is not to the first position, the query itself
or a special token."""

RULES = (LINK, *SCORES)
"""What contexts are kept for: the strongest links, then each score."""

DIGITS = 5
"""Decimals that values are rounded to before they are compared: the last bit of a sum, which depends on threads and
batches, must not decide which of two equal contexts is kept."""

NEAR = 10
"""Tokens that are kept on each side of the query of a context."""

NEAR_KEY = 2
"""Tokens that are kept on each side of its key, where that lies farther away."""

THRESHOLD = 0.3
"""A link is counted as one that fires from this weight on."""

_FAR = ("local", "broad")


def rule_text(score: str | None) -> str:
    """Return what contexts of a score are ranked by, in words."""
    if score in {None, LINK}:
        return (
            "queries (no special tokens) by the weight of their strongest link that is not to the first position, the "
            "query itself or a special token"
        )
    if score in _FAR:
        return (
            f"queries by their own value of the score {score!r} times n / (n + 1), n the keys they see; the key shown is "
            "the strongest"
        )
    return (
        f"queries by their own value of the score {score!r}, their weight on all keys that it is about; the key shown is "
        "the strongest of these"
    )
