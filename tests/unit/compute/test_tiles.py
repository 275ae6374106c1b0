"""A head's map: every tile is what pooling the whole head gives."""

import numpy as np
import pytest
import torch

from attnwidget.attention import Attention
from attnwidget.compute.masks import Band
from attnwidget.protocol.codec import decode, shade
from attnwidget.protocol.constants import TILE_SIZE as TILE
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.serve.blocks import answer


def record(n_query: int = 300, n_key: int = 341) -> Attention:
    generator = torch.Generator().manual_seed(3)
    layer = Layer(
        stream="decoder",
        layer=2,
        module_path="model.layers.2",
        num_heads=6,
        query=torch.randn(6, n_query, 5, generator=generator),
        key=torch.randn(2, n_key, 5, generator=generator),
        value=torch.randn(2, n_key, 4, generator=generator),
        scaling=0.7,
        band=Band(causal=True, offset=n_key - n_query),
    )
    queries = tuple(Position(f"q{n}") for n in range(n_query))
    keys = tuple(Position(f"k{n}") for n in range(n_key))
    return Attention("Model", {"decoder": Stream("decoder", (layer,), queries, keys)})


def asked(attention: Attention, **request: object) -> np.ndarray:
    where = {"stream": "decoder", "layer": 2, "head": 4}
    return decode(*answer(attention, {**where, **request}))


def pooled(whole: np.ndarray, level: int, row: int, column: int) -> np.ndarray:
    side = TILE << level
    part = whole[row * side : (row + 1) * side, column * side : (column + 1) * side]
    cell = 1 << level
    return np.array(
        [
            [part[r : r + cell, c : c + cell].max() for c in range(0, part.shape[1], cell)]
            for r in range(0, part.shape[0], cell)
        ]
    )


@pytest.mark.parametrize("place", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_tiles_of_single_weights_are_exact(place: tuple[int, int]) -> None:
    attention = record()
    whole = attention["decoder"][2].weights(4)
    tile = asked(attention, what="tile", level=0, tile=list(place))
    assert tile.dtype == np.float32
    np.testing.assert_allclose(tile, pooled(whole, 0, *place), atol=1e-6)


@pytest.mark.parametrize("level", [1, 2, 5])
def test_a_tile_holds_the_largest_of_each_cell(level: int) -> None:
    attention = record()
    whole = attention["decoder"][2].weights(4)
    tile = asked(attention, what="tile", level=level, tile=[0, 0])
    expected = shade(pooled(whole, level, 0, 0))
    assert tile.dtype == np.uint8
    assert np.abs(tile.astype(int) - expected).max() <= 1  # a shade that lies between two


def test_a_column_is_what_every_query_gives_a_key() -> None:
    attention = record()
    column = asked(attention, what="column", keys=[7, 9])
    np.testing.assert_allclose(column, attention["decoder"][2].weights(4)[:, 7:9], atol=1e-6)


def test_a_tile_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no tile 2 at level 0: 341 positions make 2"):
        asked(record(), what="tile", level=0, tile=[0, 2])
