"""What a single row costs: the numbers that operations write are counted, with no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attnwidget import Layer
from attnwidget.compute.masks import Band

if TYPE_CHECKING:
    from collections.abc import Callable

HEADS, GROUPS, QUERIES, KEYS, DIM, VALUE_DIM = 6, 3, 320, 340, 16, 12


class Written(TorchDispatchMode):
    """Counts the numbers that operations write into memory of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count what an operation returns unless it is a view or one of its arguments."""
        del types
        given = {value.data_ptr() for value in args if isinstance(value, torch.Tensor)}
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and not func.is_view and found.data_ptr() not in given:
            self.numbers += found.numel()
        return found


def layer_of(band: Band | None, dtype: torch.dtype = torch.bfloat16) -> Layer:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    return Layer(
        stream="decoder",
        layer=0,
        module_path="layers.0",
        num_heads=HEADS,
        query=draw(HEADS, QUERIES, DIM),
        key=draw(GROUPS, KEYS, DIM),
        value=draw(GROUPS, KEYS, VALUE_DIM),
        scaling=0.25,
        band=band,
    )


def cost(read: Callable[[], object]) -> tuple[int, int]:
    """Return the numbers written and the multiplications and additions of products."""
    with Written() as written:
        read()
    with FlopCounterMode(display=False) as counted:
        read()
    return written.numbers, counted.get_total_flops()


CAUSAL = Band(causal=True, offset=KEYS - QUERIES)
SEEN = {"causal": (CAUSAL, 9 + KEYS - QUERIES + 1), "full": (None, KEYS)}


@pytest.mark.parametrize("name", SEEN)
def test_the_output_of_one_row_costs_the_keys_that_it_sees(name: str) -> None:
    band, seen = SEEN[name]
    layer = layer_of(band)
    numbers, flops = cost(lambda: layer.output(head=4, query=9))
    # A product with each key that is seen and a sum of their values; the vectors of these once as float32.
    assert flops == 2 * seen * (DIM + VALUE_DIM)
    assert numbers <= seen * (DIM + 2 * VALUE_DIM + 12) + 8 * (DIM + VALUE_DIM)
    whole = cost(lambda: layer.output(head=4))
    assert whole[1] > 100 * flops


@pytest.mark.parametrize("name", SEEN)
def test_the_weights_of_one_row_cost_the_keys_that_it_sees(name: str) -> None:
    band, seen = SEEN[name]
    layer = layer_of(band)
    numbers, flops = cost(lambda: layer.weights(head=4, query=9))
    assert flops == 2 * seen * DIM
    assert numbers <= seen * (DIM + 12) + 8 * DIM + KEYS


def test_a_measure_of_one_row_reads_the_values_of_its_head_alone() -> None:
    layer = layer_of(None)
    more = cost(lambda: layer.measure("value", head=4, query=9))[0]
    more -= cost(lambda: layer.weights(head=4, query=9))[0]
    # Of the one head: its values as float32, their lengths, and the products.
    assert more <= KEYS * (2 * VALUE_DIM + 8)


@pytest.mark.parametrize(
    "band", [CAUSAL, None, Band(causal=True, window=7), Band(causal=False, window=5)]
)
def test_rows_alone_are_those_of_the_whole(band: Band | None) -> None:
    layer = layer_of(band, torch.float32)
    for head, rows in ((4, [9]), ([0, 5], [3, 318]), (None, [0])):
        dense = torch.from_numpy(layer.weights(head, rows)).double()
        values = torch.from_numpy(layer.value_vectors(head)).double()
        expected = (dense @ values).numpy()
        np.testing.assert_allclose(layer.output(head, rows), expected, atol=2e-6)
        whole = layer.weights(head)
        np.testing.assert_allclose(
            dense.numpy(), whole[..., rows, :] if whole.ndim > 2 else whole[rows], atol=1e-6
        )


def test_rows_that_see_nothing_beside_rows_that_see_something() -> None:
    # Keys stand far behind the first queries' windows: query 0 sees none, the last ones do.
    layer = layer_of(Band(causal=True, offset=-100, window=5), torch.float32)
    weights = layer.weights(head=2, queries=[0, 300])
    assert not weights[0].any()
    assert weights[1].sum() == pytest.approx(1.0)
    assert np.flatnonzero(weights[1]).tolist() == list(range(196, 201))
    assert not layer.output(head=2, query=0).any()


@pytest.mark.parametrize("measure", ["value", "norm"])
def test_lengths_of_some_heads_are_those_of_all(measure: str) -> None:
    layer = layer_of(None, torch.float32)
    norms = torch.rand(HEADS, KEYS, generator=torch.Generator().manual_seed(1))
    object.__setattr__(layer, "value_norms", norms)
    whole = layer.measure(measure, queries=[9])
    some = layer.measure(measure, [5, 0, 1, 5], [9])
    np.testing.assert_allclose(some, whole[[5, 0, 1, 5]], rtol=1e-5)
