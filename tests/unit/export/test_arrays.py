"""The record's numbers in numpy, xarray and pandas."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from contract.record import record

import attnwidget as aw


@pytest.fixture
def attention() -> aw.Attention:
    """Stream "decoder": layers 0 and 2, 4 heads, 5 × 7. Stream "probe": one layer, weights alone."""
    return record()


def test_numpy_is_layer_head_query_key(attention: aw.Attention) -> None:
    array = attention.numpy("decoder")
    assert array.dtype == np.float32
    assert array.shape == (2, 4, 5, 7)
    for place, layer in enumerate(attention["decoder"]):
        np.testing.assert_array_equal(array[place], layer.weights())
    some = attention.numpy("decoder", what="scores", layers=2, heads=[3, 1])
    np.testing.assert_array_equal(some, attention["decoder"][2].scores([3, 1])[None])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ValueError, "there are several streams, ['decoder', 'probe']"),
        ({"stream": "encoder"}, KeyError, "no stream 'encoder'"),
        ({"stream": "decoder", "layers": 1}, IndexError, "layer must be one of [0, 2]"),
        ({"stream": "decoder", "heads": 4}, ValueError, "heads must be integers in 0..3, got [4]"),
        ({"stream": "decoder", "what": "bias"}, ValueError, "what must be 'weights' or 'scores'"),
        ({"stream": "probe", "what": "scores"}, ValueError, "made from weights alone"),
        ({"stream": "decoder", "limit": "1 kB"}, ValueError, "2 × 4 × 5 × 7 would take 2 kB, more than limit='1 kB'"),
        ({"stream": "decoder", "limit": "little"}, ValueError, "limit must be a number of bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused(
    attention: aw.Attention, options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        attention.numpy(**options)


def test_the_limit_that_a_refusal_names_is_enough(attention: aw.Attention) -> None:
    with pytest.raises(ValueError, match="pass limit") as caught:
        attention.to_dataframe(top=None, limit=100)
    needed = re.search(r"pass limit='([^']+)'", str(caught.value))
    assert needed
    assert len(attention.to_dataframe(top=None, limit=needed[1])) > 0


def test_layers_of_different_sizes_are_no_one_array() -> None:
    sizes = [np.full((heads, 3, 3), 1 / 3, np.float32) for heads in (2, 4, 2)]
    attention = aw.from_weights(sizes)
    with pytest.raises(ValueError, match=re.escape("have [2, 4] heads: choose layers=[0, 2]")):
        attention.numpy()
    assert attention.numpy(layers=[0, 2]).shape == (2, 2, 3, 3)
    assert attention.numpy(heads=[0, 1]).shape == (3, 2, 3, 3)
    assert len(attention.to_dataframe(top=None)) == 8 * 9


def test_xarray_names_its_axes(attention: aw.Attention) -> None:
    array = attention.to_xarray("decoder", layers=2)
    assert array.dims == ("layer", "head", "query", "key")
    assert array.dtype == np.float32
    assert array.name == "weights"
    layer = attention["decoder"][2]
    np.testing.assert_array_equal(array.sel(layer=2, head=3).values, layer.weights(3))
    labels = [position.label for position in attention["decoder"].key_positions]
    assert array.key_label.values.tolist() == labels
    assert array.query_label.shape == (5,)
    assert array.attrs["stream"] == "decoder"
    assert array.attrs["model"] == attention.model_name


def test_a_table_has_one_row_for_each_link(attention: aw.Attention) -> None:
    table = attention.to_dataframe(top=None)
    assert list(table) == [
        "stream", "layer", "head", "query", "key", "query_label", "key_label", "weight",
    ]  # fmt: skip
    assert table.weight.dtype == np.float32
    for name, stream in attention.streams.items():
        for layer in stream:
            found = table[(table.stream == name) & (table.layer == layer.layer)]
            weights = layer.weights()
            assert len(found) == np.count_nonzero(weights)
            np.testing.assert_array_equal(
                found.weight, weights[found["head"], found["query"], found["key"]]
            )
            assert [stream.key_positions[key].label for key in found.key] == list(found.key_label)


def test_top_keeps_each_querys_strongest_first(attention: aw.Attention) -> None:
    table = attention.to_dataframe("decoder", top=3, layers=2, heads=1)
    weights = attention["decoder"][2].weights(1)
    for query, rows in table.groupby("query"):
        expected = np.argsort(-weights[query], kind="stable")[:3]
        expected = expected[weights[query, expected] > 0]
        assert rows.key.tolist() == expected.tolist()
    everything = attention.to_dataframe("decoder", top=100, layers=2, heads=1)
    assert len(everything) == np.count_nonzero(weights)


@pytest.mark.parametrize("top", [0, -1, True, 2.5, "all"])
def test_top_is_a_positive_number(attention: aw.Attention, top: object) -> None:
    with pytest.raises(ValueError, match="top must be a positive integer, or None"):
        attention.to_dataframe(top=top)


@pytest.mark.parametrize(
    ("library", "method"),
    [("pandas", "to_dataframe"), ("xarray", "to_xarray"), ("matplotlib", "plot")],
)
def test_without_the_library_an_error_says_how_to_get_it(
    attention: aw.Attention, monkeypatch: pytest.MonkeyPatch, library: str, method: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    options = {"layer": 0} if method == "plot" else {}
    with pytest.raises(ImportError, match=f"needs {library}, .*: pip install {library}"):
        getattr(attention, method)(stream="decoder", **options)


def test_numbers_need_no_library_at_all(
    attention: aw.Attention, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("pandas", "xarray", "matplotlib"):
        monkeypatch.setitem(sys.modules, library, None)
    assert attention.numpy("probe").ndim == 4
