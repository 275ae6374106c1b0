"""When an effect by zero and one by mean differ: a factor of 3, or the sign, unless both are no change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.intervene.effects_table import StreamEffects
from attnwidget.intervene.several_texts import StreamMoments
from attnwidget.intervene.zero_and_mean import differ, rounding, with_means


@pytest.mark.parametrize(
    ("zero", "mean", "apart"),
    [
        (0.41, 0.02, True),
        (0.02, 0.41, True),
        (-0.41, -0.02, True),
        (0.3, 0.11, False),
        (0.3, 0.09, True),
        (0.3, 0.0, True),
        (0.3, -0.3, True),
        (0.0, 0.0, False),
        (0.009, 0.0001, False),
        (0.3, np.nan, False),
        (np.nan, 0.3, False),
    ],
)
def test_differing(zero: float, mean: float, apart: Any) -> None:
    assert bool(differ(zero, mean, 0.01)) is apart


def test_what_is_no_change_is_noise_or_rounding() -> None:
    assert rounding(-0.7, 0.0) == 1e-5
    assert rounding(-300.0, 0.0) == pytest.approx(3e-3)
    assert rounding(-0.7, 0.2) == 0.2


def _text(zero: float, mean: float) -> StreamMoments:
    one = StreamEffects.of({2: 1})
    one.effect[0, 0], one.by_mean[0, 0] = zero, mean
    return StreamMoments.of(one)


def test_over_texts_the_larger_must_be_sure() -> None:
    steady = _text(0.41, 0.02).merge(_text(0.4, 0.01)).merge(_text(0.42, 0.03))
    wide = _text(2.0, 0.02).merge(_text(-1.0, 0.01)).merge(_text(0.2, 0.03))
    assert steady.differs(1e-5).tolist() == [[True]]
    assert wide.differs(1e-5).tolist() == [[False]]
    assert _text(0.41, 0.02).differs(1e-5).tolist() == [[True]]  # one text has no interval
    np.testing.assert_allclose(steady.by_mean, [[0.02]])


def test_only_what_is_zeroed_is_set_to_means() -> None:
    taken = aw.ablate([(0, 1)], "resample", ["the cat"])
    edit = aw.ablate([(3, 3)]) + taken + aw.cut(key=1)
    expected = aw.ablate([(3, 3)], "mean", ["the dog"]) + taken + aw.cut(key=1)
    assert with_means(edit, ["the dog"]) == expected
    with pytest.raises(ValueError, match="zeroes none: leave it out"):
        with_means(taken, ["the dog"])
    with pytest.raises(ValueError, match="needs texts"):
        with_means(edit, [])
