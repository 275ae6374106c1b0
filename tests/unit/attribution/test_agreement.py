"""Rank correlation and what an `Agreement` says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from attnwidget.attribution.agreement import Agreement, AgreementRow, rank_correlation
from attnwidget.attribution.measures_of_heads import described
from attnwidget.attribution.methods import METHODS


@pytest.mark.parametrize("seed", range(4))
def test_rank_correlation_is_spearmans(seed: int) -> None:
    stats: Any = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(seed)
    first, second = generator.integers(0, 6, 20), generator.normal(size=20)
    expected = stats.spearmanr(first, second).statistic
    assert rank_correlation(first.astype(float), second) == pytest.approx(expected)


def test_equal_numbers_share_their_ranks() -> None:
    # Ranks 1, 2.5, 2.5, 4 and 4, 3, 1.5, 1.5.
    assert rank_correlation([1, 2, 2, 5], [9, 7, 3, 3]) == pytest.approx(-3.75 / 4.5)
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


def agreement(*, signed: bool) -> Agreement:
    numbers = [(3.0, -4.0), (1.0, 2.0), (-0.5, 1.0)]
    rows = tuple(AgreementRow("self", 0, at, f"0.{at}", *one) for at, one in enumerate(numbers))
    return Agreement("gradient", "m", "heads", rows, 8, signed)


def test_signs_count_where_the_method_has_them() -> None:
    assert agreement(signed=True).rank_correlation == pytest.approx(-0.5)
    assert agreement(signed=False).rank_correlation == pytest.approx(1)
    assert agreement(signed=False).first
    assert "3 of 8 heads run without: rank correlation -0.50 with signs" in repr(
        agreement(signed=True)
    )


def test_which_matters_most_and_which_is_ranked_first() -> None:
    numbers = [(1.0, -4.0), (-3.0, 2.0), (3.0, 2.5)]
    rows = tuple(AgreementRow("self", 0, at, f"0.{at}", *one) for at, one in enumerate(numbers))
    found = Agreement("gradient", "m", "heads", rows, 3, signed=True)
    assert found.matters_most is rows[0]
    assert not found.first
    # Of two with the largest number, whatever its sign, the one that matters more.
    assert found.ranked_first is rows[2]


def test_the_page_is_told_of_which_stream_a_head_is_where_there_are_several() -> None:
    streams = ("encoder", "cross")
    rows = tuple(
        AgreementRow(name, 1, at, f"1.{at}", 0.5, 2.0 + at) for at, name in enumerate(streams)
    )
    told = described(Agreement("relevance", "m", "heads", rows, 6, signed=False))
    # All numbers of one side are the same.
    assert told == {
        "correlation": None,
        "heads": 2,
        "of": 6,
        "first": True,
        "most": "1.1 of cross",
        "largest": "1.1 of cross",
    }


def test_every_method_has_formula_source_and_cost() -> None:
    for name, method in METHODS.items():
        assert name == method.name
        assert method.formula
        assert method.source
        assert "pass" in method.cost
        assert method.question.endswith("?")
        assert set(method.gives) <= {"heads", "tokens", "links"}
