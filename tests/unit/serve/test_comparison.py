"""Two records in one widget: common axes, what is answered, what is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from contract.test_protocol import validate
from support.copies import snapshot_of

import attnwidget as aw
from attnwidget.protocol import codec
from attnwidget.protocol.positions import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from attnwidget.widget.comparison import ComparisonWidget

TEXTS = ("the cat sat on the mat", "the old dog sat on the mat .")


@pytest.fixture(scope="module")
def comparison() -> aw.Comparison:
    model, tokenizer = aw.pocket()
    return aw.compare(*(aw.capture(model, text, tokenizer) for text in TEXTS))


@pytest.fixture
def view(comparison: aw.Comparison) -> ComparisonWidget:
    return comparison.view()


def asked(view: ComparisonWidget, **request: Any) -> np.ndarray:
    where = {"stream": "decoder", "layer": 1, "head": 2}
    validate("Request", {**where, **request})
    reply, buffers = view.blocks({"requests": [{**where, **request}]}, [])
    validate("Reply", reply["replies"][0])
    assert reply["replies"][0]["ok"], reply
    return codec.decode(reply["replies"][0]["block"], buffers[0])


def test_it_opens_on_the_head_that_changed_most(comparison: aw.Comparison) -> None:
    view = cast("ComparisonWidget", aw.view(comparison))
    rows = comparison.changed(1)
    first = rows.to_dict("records")[0] if hasattr(rows, "to_dict") else rows[0]
    assert (view.layer, view.heads) == (first["layer"], [first["head"]])
    assert (view.score, view.arrange) == ("divergence", "rank")
    assert repr(view) == repr(comparison).replace("Comparison(", "ComparisonWidget(")
    assert comparison.view(layer=0).layer == 0


def test_meta_and_snapshot_fit_the_schema(view: ComparisonWidget) -> None:
    validate("Meta", view.meta)
    validate("Snapshot", view.snapshot())
    assert view.meta["comparison"] == {"names": list(TEXTS)}
    axis = [(place["label"], place.get("only")) for place in unpack(view.meta["positions"][0])]
    assert axis == [
        ("<bos>", None),
        ("the", None),
        ("cat", "a"),
        ("old", "b"),
        ("dog", "b"),
        ("sat", None),
        ("on", None),
        ("the", None),
        ("mat", None),
        (".", "b"),
    ]


def test_either_side_answers_on_the_common_axes(
    comparison: aw.Comparison, view: ComparisonWidget
) -> None:
    n = len(view.meta["positions"][0]["labels"])
    a, b = (asked(view, what="weights", side=side, queries=[0, n])[0] for side in "ab")
    difference = comparison.difference(1, 2)
    known = ~np.isnan(difference)
    np.testing.assert_allclose((b - a)[known], difference[known], atol=1e-6)
    pairs = comparison.streams["decoder"].queries
    missing = [place for place, pair in enumerate(pairs) if pair.a is None]
    assert not a[missing].any()
    assert not a[:, missing].any()
    own = [pair.a for pair in pairs if pair.a is not None]
    there = [place for place, pair in enumerate(pairs) if pair.a is not None]
    expected = comparison.a["decoder"][1].weights(2, own, own)
    np.testing.assert_allclose(a[np.ix_(there, there)], expected, rtol=0, atol=1e-6)
    band = asked(view, what="weights", side="b", queries=[2, 5])
    np.testing.assert_allclose(band[0], b[2:5], rtol=0, atol=1e-6)


@pytest.mark.parametrize("measure", ["value", "norm"])
def test_measures_of_either_side(
    comparison: aw.Comparison, view: ComparisonWidget, measure: str
) -> None:
    n = len(view.meta["positions"][0]["labels"])
    lengths = asked(view, what="lengths", side="b", measure=measure)
    weights = asked(view, what="weights", side="b", queries=[0, n])[0]
    pairs = comparison.streams["decoder"].queries
    there = [place for place, pair in enumerate(pairs) if pair.b is not None]
    expected = comparison.b["decoder"][1].measure(measure, 2)
    np.testing.assert_allclose((weights * lengths)[np.ix_(there, there)], expected, rtol=1e-5)
    assert not (weights * lengths)[:, [place for place in range(n) if place not in there]].any()


def test_pictures_hold_the_largest_changes(
    comparison: aw.Comparison, view: ComparisonWidget
) -> None:
    n = len(view.meta["positions"][0]["labels"])
    pictures = asked(view, what="overview", head=0, measure="weights", size=n)
    dense = np.nan_to_num(np.abs(comparison.difference(1)))
    np.testing.assert_allclose(pictures, dense, atol=4e-6)  # blocks of some keys round otherwise
    small = asked(view, what="overview", head=0, measure="weights", size=2)
    assert small.shape == (4, 2, 2)
    np.testing.assert_allclose(small.max((1, 2)), dense.max((1, 2)), atol=4e-6)
    tile = asked(view, what="tile", side="a", level=0, tile=[0, 0])
    rows = asked(view, what="weights", side="a", queries=[0, n])[0]
    np.testing.assert_allclose(tile, rows, atol=4e-6)
    coarse = asked(view, what="tile", side="b", level=2, tile=[0, 0])
    rows = asked(view, what="weights", side="b", queries=[0, n])[0]
    expected = [[rows[i : i + 4, j : j + 4].max() for j in range(0, n, 4)] for i in range(0, n, 4)]
    np.testing.assert_array_equal(coarse, codec.shade(np.array(expected)))
    top = np.array(view.meta["streams"][0]["top"]).reshape(-1, 3)[4 + 2]
    query, key = int(top[0]), int(top[1])
    assert top[2] == pytest.approx(dense[2][:, 1:].max(), abs=1e-6)
    assert dense[2][query, key] == pytest.approx(top[2], abs=1e-6)


def test_a_rollout_of_either_side(comparison: aw.Comparison, view: ComparisonWidget) -> None:
    n = len(view.meta["positions"][0]["labels"])
    found = asked(view, what="rollout", head=0, side="a", queries=[0, n])[0]
    pairs = comparison.streams["decoder"].queries
    there = [place for place, pair in enumerate(pairs) if pair.a is not None]
    np.testing.assert_allclose(found[np.ix_(there, there)], comparison.a.rollout()[1], rtol=1e-5)


def test_divergences_are_the_score_of_heads(
    comparison: aw.Comparison, view: ComparisonWidget
) -> None:
    reply, buffers = view.blocks({"requests": [{"what": "head_scores", "stream": "decoder"}]}, [])
    block = codec.decode(reply["replies"][0]["block"], buffers[0])
    expected = np.concatenate(comparison.streams["decoder"].divergence)
    np.testing.assert_allclose(block[0, :, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("view", "neuron", "call view(view.comparison.a)"),
        ("positions", "words", "call compare(a.words(), b.words())"),
        ("compare", [(0, 1)], "a comparison shows one head of both records"),
        ("score", "induction", "score must be one of divergence, or None"),
    ],
)
def test_what_two_records_have_not_is_refused(
    view: ComparisonWidget, trait: str, value: object, words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        setattr(view, trait, value)
    with pytest.raises(AttributeError, match=re.escape("view.comparison.a and view.comparison.b")):
        _ = view.attention


def test_names_tell_the_records_apart(comparison: aw.Comparison) -> None:
    a, b = comparison.a, comparison.b
    model, tokenizer = aw.pocket()
    other = aw.capture(model, "the cat sat on the rug", tokenizer)
    assert aw.compare(a, other).names == ("… the mat", "… the rug")
    assert aw.compare(a, a).names == ("first", "second")
    assert aw.compare(a, b, names=("base", "tuned")).names == ("base", "tuned")
    for names in (("base",), "ab"):
        with pytest.raises(ValueError, match="names must be two"):
            aw.compare(a, b, names=cast("Any", names))


def test_two_heads_of_one_record_are_another_call(comparison: aw.Comparison) -> None:
    layer: Any = comparison.a["decoder"][1]
    call = 'view(attention, view="compare", compare=[(3, 5), (4, 1)])'
    with pytest.raises(TypeError, match=re.escape(call)):
        aw.compare(layer, layer)


def test_a_page_holds_both_sides(view: ComparisonWidget, tmp_path: Path) -> None:
    view.query = [1, 5]
    path = view.save(tmp_path / "page.html")
    snapshot = snapshot_of(path.read_text(encoding="utf-8"))
    validate("Snapshot", snapshot)
    weights = [one["request"] for one in snapshot["blocks"] if one["request"]["what"] == "weights"]
    assert len(weights) == 2 * 16
    assert {request["side"] for request in weights} == {"a", "b"}
    assert any(one["request"]["what"] == "head_scores" for one in snapshot["blocks"])


def test_a_figure_shows_both_records_and_their_difference(
    view: ComparisonWidget, tmp_path: Path
) -> None:
    pytest.importorskip("py_mini_racer", reason="the figures extra is not installed")
    text = view.save(tmp_path / "figure.svg", width=1200).read_text(encoding="utf-8")
    for words in ("B − A", "B &gt; A", "changed", "only that record has them"):
        assert words in text
