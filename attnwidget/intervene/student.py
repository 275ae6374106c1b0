"""Student's t: how many standard errors lie within a 95 % confidence interval."""

from __future__ import annotations

import functools
import math

__all__ = ["two_sided_95"]

_NORMAL = 1.959963984540054
_MANY = 200  # from here on an expansion in 1 / freedom has all digits that matter


@functools.lru_cache(maxsize=512)
def two_sided_95(freedom: float) -> float:
    """Return ``t`` with ``P(|T| ≤ t) = 0.95`` of so many degrees of freedom, a whole number."""
    number = int(freedom)
    if number >= _MANY:
        z = _NORMAL
        first = (z**3 + z) / 4
        second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
        return z + first / number + second / number**2
    low, high = _NORMAL, 13.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _within(middle, number) >= 0.95 else (middle, high)
    return high


def _within(t: float, number: int) -> float:
    """Return ``P(|T| ≤ t)`` (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(number))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = number % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for step in range(number // 2):
        total += term
        up = 2 * (step + 1)
        term *= cosine**2 * (up / (up + 1) if odd else (up - 1) / up)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
