"""Which links a trace has: those of a dense reference, in layers drawn at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from attnwidget.attribution import trace_links
from attnwidget.attribution.trace_links import (
    TraceLink,
    connected,
    largest_first,
    links_back,
    starts_of,
    strong,
)
from attnwidget.compute.masks import Band
from attnwidget.compute.resumable import finish
from attnwidget.record.layer import Layer

HEADS, POSITIONS, DIM = 4, 7, 5


def layer_of(number: int, *, groups: int = 2, starts: tuple[int, ...] | None = None) -> Layer:
    """Make a causal layer with gradients, at some queries alone where ``starts`` says so."""
    generator = torch.Generator().manual_seed(number)

    def drawn(heads: int) -> torch.Tensor:
        return torch.randn(heads, POSITIONS, DIM, generator=generator)

    gradient = drawn(HEADS)
    if starts is not None:
        away = [place for place in range(POSITIONS) if place not in starts]
        gradient[:, away] = 0
    return Layer(
        stream="self",
        layer=number,
        module_path=f"layers.{number}",
        num_heads=HEADS,
        query=drawn(HEADS),
        key=drawn(groups),
        value=drawn(groups),
        scaling=1.3,
        band=Band(0, 0),
        output_gradient=gradient,
    )


def products(layer: Layer) -> np.ndarray:
    """Return ``w · ∂m/∂w``, float64 ``[head, query, key]``, from the definition."""
    assert layer.value is not None
    assert layer.output_gradient is not None
    value = layer.value.repeat_interleave(HEADS // len(layer.value), 0).double()
    gradient = torch.einsum("hqd,hkd->hqk", layer.output_gradient.double(), value)
    found: np.ndarray = layer.weights().astype(np.float64) * gradient.numpy()
    return found


def reference(layers: list[Layer], starts: set[int], threshold: float) -> set[tuple[int, ...]]:
    """Return the links by going through all there are, once for each layer."""
    largest = max(float(np.abs(products(layer)).max()) for layer in layers)
    reached, kept = set(starts), set()
    for layer in sorted(layers, key=lambda layer: -layer.layer):
        sizes = np.abs(products(layer))
        here = {
            (layer.layer, head, query, key)
            for head, query, key in np.argwhere(sizes >= threshold * largest).tolist()
            if query in reached
        }
        kept |= here
        reached |= {key for *_, key in here}
    return kept


def link(layer: int, query: int, key: int, estimate: float = 1.0, head: int = 0) -> TraceLink:
    return TraceLink(layer, head, query, key, 0.5, estimate)


@pytest.mark.parametrize("threshold", [0.02, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("block", [1, 9, 1 << 22])
def test_the_links_are_those_of_a_dense_reference(
    threshold: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_links, "_BLOCK", block)
    layers = [layer_of(number) for number in (0, 2, 3)] + [layer_of(5, groups=4, starts=(6,))]
    found = finish(links_back(layers, starts_of(layers[-1]), threshold))
    places = [(one.layer, one.head, one.query, one.key) for one in found]
    assert set(places) == reference(layers, {6}, threshold)
    assert len(places) == len(set(places))
    every = {layer.layer: products(layer) for layer in layers}
    for one in found:
        expected = -every[one.layer][one.head, one.query, one.key]
        assert one.estimate == pytest.approx(expected, rel=1e-4, abs=1e-6)
    sizes = [one.size for one in found]
    assert sizes == sorted(sizes, reverse=True)


def test_a_lower_threshold_reaches_positions_that_a_higher_one_does_not() -> None:
    layers = [layer_of(0), layer_of(1, starts=(6,))]
    few, many = (finish(links_back(layers, (6,), threshold)) for threshold in (0.6, 0.02))
    assert {one.query for one in few} < {one.query for one in many}


def test_where_the_metric_is_read_is_where_the_last_layer_has_a_gradient() -> None:
    assert starts_of(layer_of(3, starts=(2, 6))) == (2, 6)
    assert starts_of(layer_of(3)) == tuple(range(POSITIONS))


def test_nothing_depends_on_links_without_gradients() -> None:
    assert finish(links_back([layer_of(0, starts=())], (6,), 0.1)) == []


def test_a_layer_without_gradients_is_refused_with_the_call_that_keeps_them() -> None:
    bare = replace(layer_of(0), output_gradient=None)
    with pytest.raises(ValueError, match=r"layer 0 .* has no gradients: .*capture\(.*metric="):
        finish(links_back([bare], (6,), 0.1))


def test_a_link_counts_while_another_leads_to_it() -> None:
    through = [link(3, 8, 2), link(1, 2, 1), link(0, 1, 1)]
    loose = [link(2, 5, 4), link(3, 2, 0)]
    assert connected([*loose, *through], [8]) == through
    # In one layer a key is read before any link of it is made.
    assert connected([link(3, 8, 2), link(3, 2, 0)], [8]) == [link(3, 8, 2)]
    assert connected(through[1:], [8]) == []


def test_what_was_cut_counts_by_its_change() -> None:
    cut = replace(link(0, 1, 0, -0.1), change=-5.0)
    weak = replace(link(0, 2, 0, 3.0), change=0.01)
    none = replace(link(0, 3, 0, 2.0), change=0.0)
    guess = link(1, 3, 1, 0.6)
    assert largest_first([weak, guess, none, cut]) == [cut, guess, weak, none]
    assert strong([weak, guess, cut], 0.1) == [guess, cut]
    assert strong([none], 0.1) == []
    assert cut.distance == 1
    assert link(0, 2, 6).distance == -4
