"""One rule of pooling: what torch's adaptive pooling makes of the whole, for arrays of numpy and of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_max_pool2d

from attnwidget.compute.pooling import adaptive_bins, max_pool, max_pool_cells, max_pool_rows


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 48, 48), (2, 70, 50), (1, 301, 9)])
@pytest.mark.parametrize("size", [1, 8, 32, 48])
def test_bins_are_those_of_torch(shape: tuple[int, int, int], size: int) -> None:
    images = torch.rand(shape)
    cells = min(size, shape[1]), min(size, shape[2])
    expected = adaptive_max_pool2d(images, cells)
    assert torch.equal(max_pool(images, size), expected)
    np.testing.assert_array_equal(max_pool(images.numpy(), size), expected)


@pytest.mark.parametrize("side", [1, 4, 64])
def test_cells_are_even_and_the_last_ones_smaller(side: int) -> None:
    matrix = torch.rand(30, 17)
    expected = [
        [matrix[row : row + side, column : column + side].max() for column in range(0, 17, side)]
        for row in range(0, 30, side)
    ]
    assert torch.equal(max_pool_cells(matrix, side), torch.tensor(expected))
    np.testing.assert_array_equal(max_pool_cells(matrix.numpy(), side), np.array(expected))
    np.testing.assert_array_equal(
        max_pool_rows(matrix.numpy(), side).max(1), np.array(expected).max(1)
    )


def test_what_is_not_a_number_stays_so() -> None:
    matrix = np.full((9, 9), 0.5, np.float32)
    matrix[4, 4] = np.nan
    for made in (max_pool(matrix, 3), max_pool(torch.from_numpy(matrix), 3).numpy()):
        assert np.isnan(made[1, 1])
        assert np.isnan(made).sum() == 1


def test_bins_of_a_divisor_are_whole_bins() -> None:
    for length in (48, 50, 301):
        fine, coarse = adaptive_bins(length, 48), adaptive_bins(length, 24)
        joined = [range(fine[place].start, fine[place + 1].stop) for place in range(0, 48, 2)]
        assert joined == coarse
