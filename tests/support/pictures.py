"""How alike two pictures are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.ndimage import uniform_filter

if TYPE_CHECKING:
    import numpy as np


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Mean structural similarity of two grey pictures (Wang et al. 2004), windows of 7 × 7."""
    one, other = one.mean(axis=2), other.mean(axis=2)
    mean = [uniform_filter(picture, 7) for picture in (one, other)]
    spread = [uniform_filter(p * p, 7) - m * m for p, m in zip((one, other), mean, strict=True)]
    both = uniform_filter(one * other, 7) - mean[0] * mean[1]
    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean[0] * mean[1] + first) * (2 * both + second)
    below = (mean[0] ** 2 + mean[1] ** 2 + first) * (spread[0] + spread[1] + second)
    return float((above / below).mean())
