"""A band says what a dense mask would, and its span leaves out nothing that can be seen."""

from __future__ import annotations

import pytest
import torch
from support.records import seen

from attnwidget.compute.masks import Band

BANDS = [
    Band(causal=True),
    Band(causal=True, offset=2),
    Band(causal=True, offset=-3),
    Band(causal=True, offset=2, window=3),
    Band(causal=False),
    Band(causal=False, window=1),
    Band(causal=False, offset=2, window=2),
]


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_visible_is_the_definition(band: Band) -> None:
    expected = [[seen(band, query, key) for key in range(7)] for query in range(5)]
    assert band.visible(torch.arange(5), torch.arange(7)).tolist() == expected


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_visible_of_chosen_positions_is_that_part(band: Band) -> None:
    queries, keys = torch.tensor([4, 0, 3]), torch.tensor([6, 2])
    whole = band.visible(torch.arange(5), torch.arange(7))
    assert torch.equal(band.visible(queries, keys), whole[queries][:, keys])


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_span_is_the_smallest_range_with_all_visible_keys(band: Band) -> None:
    for first in range(5):
        for last in range(first, 5):
            keys = [
                key
                for key in range(7)
                if any(seen(band, query, key) for query in range(first, last + 1))
            ]
            span = band.span(first, last, 7)
            assert list(span) == (list(range(keys[0], keys[-1] + 1)) if keys else [])


def test_one_query_with_a_cache_sees_every_key() -> None:
    assert Band(causal=True, offset=6).visible(torch.arange(1), torch.arange(7)).all()
