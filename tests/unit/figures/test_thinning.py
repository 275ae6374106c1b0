"""Which links a figure draws: the table, the picture and the rule agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.figures.thinning import strongest_links

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKENS = ["[CLS]", "the", "cat", "sat", "down", "[SEP]"]
PATH = "{http://www.w3.org/2000/svg}path"


@pytest.fixture(scope="module")
def attention() -> aw.Attention:
    weights = np.random.default_rng(3).dirichlet(np.ones(6), size=(1, 2, 6)).astype(np.float32)
    return aw.from_weights(weights, TOKENS)


def drawn(figure: Any) -> int:
    root = ET.fromstring(figure.svg)  # noqa: S314 - its own
    groups = [e for e in root.iter() if e.get("id") == "links"]
    return sum(1 for _ in groups[0].iter(PATH))


def test_of_equal_weights_the_earlier_keys_are_taken() -> None:
    weights = np.array([[0.25, 0.25, 0.25, 0.25], [0.1, 0.4, 0.1, 0.4]], np.float32)
    links = strongest_links(weights, top_k=2, mass=None)
    assert links.tolist() == [[True, True, False, False], [False, True, False, True]]
    links = strongest_links(weights, top_k=2, mass=None, aside=[1])
    assert links.tolist() == [[True, False, True, False], [True, False, False, True]]


@pytest.mark.parametrize("mass", [0.0, 0.3, 0.8, 1.0])
def test_a_share_of_the_weight_takes_the_fewest_that_make_it_up(mass: float) -> None:
    weights = np.random.default_rng(1).dirichlet(np.ones(9), size=5).astype(np.float32)
    for row, links in zip(weights, strongest_links(weights, top_k=1, mass=mass), strict=True):
        taken = row[links].astype(np.float64)
        whole = row.astype(np.float64).sum()
        assert taken.sum() >= mass * whole - 1e-12
        if mass:
            assert taken.sum() - taken.min() < mass * whole
        else:
            assert not links.any()


@pytest.mark.parametrize(
    ("options", "aside"),
    [
        ({}, ()),
        ({"top_k": 1}, ()),
        ({"mass": 0.8}, ()),
        ({"top_k": 2, "aside": "special"}, (0, 5)),
        ({"top_k": None, "aside": [2]}, (2,)),
    ],
)
def test_the_table_has_the_links_of_the_picture(
    attention: aw.Attention, options: dict[str, Any], aside: Sequence[int]
) -> None:
    figure = attention.figure("lines", heads=1, **options)
    weights = attention["self"][0].weights(1)
    rule = {"top_k": options.get("top_k", 3), "mass": options.get("mass")}
    expected = strongest_links(weights, **rule, aside=aside)
    assert drawn(figure) == len(figure.data) == int(expected.sum())


def test_a_pinned_link_is_never_thinned_away(attention: aw.Attention) -> None:
    weights = attention["self"][0].weights(0)
    weakest = int(weights[2].argmin())
    table = attention.figure("lines", heads=0, query=2, key=weakest, top_k=1).data
    rows = table.to_dict("records") if hasattr(table, "to_dict") else table
    assert {row["key"] for row in rows} == {int(weights[2].argmax()), weakest}
    # Every query's link to a pinned key is drawn.
    assert len(attention.figure("lines", heads=0, key=weakest, top_k=1).data) == 6
