"""More than two records in one widget: common axes, scores of heads, what is answered, drawn, kept and refused."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from contract.test_protocol import validate
from support.copies import snapshot_of
from support.records import random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.protocol import codec
from attnwidget.protocol.positions import unpack
from attnwidget.record.positions import positions_from_tokens
from attnwidget.record.stream import Stream
from attnwidget.serve.blocks import Rollouts
from attnwidget.serve.comparison import ComparisonSource

if TYPE_CHECKING:
    from pathlib import Path

    from attnwidget.widget.comparison import ComparisonWidget

TEXTS = ("the cat sat on the mat", "the old dog sat on the mat .", "the dog sat on the mat .")
NAMES = ("cat", "old dog", "dog")


@pytest.fixture(scope="module")
def series() -> aw.ComparisonSeries:
    model, tokenizer = aw.pocket()
    first, second, third = (aw.capture(model, text, tokenizer) for text in TEXTS)
    return aw.compare(first, second, third, names=NAMES)


@pytest.fixture
def view(series: aw.ComparisonSeries) -> ComparisonWidget:
    return cast("ComparisonWidget", series.view())


def asked(view: ComparisonWidget, **request: Any) -> np.ndarray:
    request = {"stream": "decoder", "layer": 1, "head": 2, **request}
    validate("Request", request)
    reply, buffers = view.blocks({"requests": [request]}, [])
    validate("Reply", reply["replies"][0])
    assert reply["replies"][0]["ok"], reply
    return codec.decode(reply["replies"][0]["block"], buffers[0])


def rows_of(table: Any) -> list[dict[str, Any]]:
    return table if isinstance(table, list) else cast("Any", table.to_dict("records"))


def largest_change(series: aw.ComparisonSeries, layer: int) -> np.ndarray:
    """How much more or less weight a record gives than the one before, the most of all steps."""
    steps = [series.difference(layer, between=(at, at + 1)) for at in range(2)]
    return np.maximum(*(np.nan_to_num(np.abs(step)) for step in steps))


def test_it_opens_on_the_head_that_changed_most_and_where(series: aw.ComparisonSeries) -> None:
    view = aw.view(series)
    best = rows_of(series.changed(1))[0]
    assert (view.layer, view.heads) == (best["layer"], [best["head"]])
    assert (view.score, view.arrange) == ("change", "rank")
    assert repr(view) == repr(series).replace("ComparisonSeries(", "ComparisonWidget(")
    change = largest_change(series, best["layer"])[best["head"]]
    assert change[view.query, view.key] == pytest.approx(change[:, 1:].max(), abs=1e-6)
    chosen = view.chosen
    assert chosen is not None
    assert f"by {best['change']:.3f} a step, and its largest step" in chosen["why"]
    assert chosen["weight"] == pytest.approx(change[view.query, view.key], abs=1e-6)


def test_meta_and_snapshot_fit_the_schema(view: ComparisonWidget) -> None:
    validate("Meta", view.meta)
    validate("Snapshot", view.snapshot())
    assert view.meta["comparison"] == {"names": list(NAMES)}
    axis = [(place["label"], place.get("among")) for place in unpack(view.meta["positions"][0])]
    assert axis == [
        ("<bos>", None),
        ("the", None),
        ("cat → dog", "ac"),
        ("old", "b"),
        ("dog", "b"),
        ("sat", None),
        ("on", None),
        ("the", None),
        ("mat", None),
        (".", "bc"),
    ]
    scores = [(score["name"], score["label"]) for score in view.meta["scores"]]
    assert scores == [
        ("change", "changed"),
        ("largest_step", "largest step"),
        ("first_to_last", "first to last"),
        ("step_1", "A → B"),
        ("step_2", "B → C"),
    ]


def test_every_side_answers_on_the_common_axes(
    series: aw.ComparisonSeries, view: ComparisonWidget
) -> None:
    axis = series.streams["decoder"].queries
    n = len(axis)
    for number, side in enumerate("abc"):
        found = asked(view, what="weights", side=side, queries=[0, n])[0]
        there = [place for place, each in enumerate(axis) if each.at[number] is not None]
        own = [at for each in axis if (at := each.at[number]) is not None]
        expected = series.records[number]["decoder"][1].weights(2, own, own)
        np.testing.assert_allclose(found[np.ix_(there, there)], expected, rtol=0, atol=1e-6)
        lacking = [place for place in range(n) if place not in there]
        assert not found[lacking].any()
        assert not found[:, lacking].any()


def test_pictures_hold_the_largest_change_of_any_step(
    series: aw.ComparisonSeries, view: ComparisonWidget
) -> None:
    n = len(view.meta["positions"][0]["labels"])
    pictures = asked(view, what="overview", head=0, measure="weights", size=n)
    dense = largest_change(series, 1)
    np.testing.assert_allclose(pictures, dense, atol=4e-6)
    source = ComparisonSource(series)
    found = source.block(("decoder", 1, 2), range(n), range(n))
    np.testing.assert_allclose(found, dense[2], atol=4e-6)


def test_scores_are_the_changes_and_each_step(
    series: aw.ComparisonSeries, view: ComparisonWidget
) -> None:
    reply, buffers = view.blocks({"requests": [{"what": "head_scores", "stream": "decoder"}]}, [])
    block = codec.decode(reply["replies"][0]["block"], buffers[0])
    assert block.shape == (2, 16, 5)
    rows = {(row["layer"], row["head"]): row for row in rows_of(series.changed(None))}
    table = [[rows[at][by] for by in ("change", "largest_step", "first_to_last")] for at in sorted(rows)]  # fmt: skip
    steps = np.concatenate(series.streams["decoder"].steps)
    for half in block:
        np.testing.assert_allclose(half[:, :3], table, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(half[:, 3:], steps, rtol=1e-6)


def test_shares_of_groups_are_those_of_a_record_and_of_last_minus_first(
    view: ComparisonWidget,
) -> None:
    (by, *_) = (each["name"] for each in view.meta["streams"][0]["groupings"])
    about = {"what": "group_shares", "head": 0, "grouping": by}
    first, last = (asked(view, side=side, **about) for side in "ac")
    np.testing.assert_allclose(asked(view, **about), last - first, atol=1e-6)


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("view", "neuron", "call view(view.comparison.records[0])"),
        ("positions", "words", "call compare(*(record.words() for record in records))"),
        ("compare", [(0, 1)], "a comparison shows one head of every record"),
        ("score", "divergence", "score must be one of change, largest_step, first_to_last, step_1"),
    ],
)
def test_what_a_series_has_not_is_refused(
    view: ComparisonWidget, trait: str, value: object, words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        setattr(view, trait, value)
    with pytest.raises(AttributeError, match=re.escape("view.comparison.records")):
        _ = view.attention


def test_a_side_that_is_not_there_is_refused(view: ComparisonWidget) -> None:
    request = {"what": "weights", "stream": "decoder", "layer": 1, "head": 2, "queries": [0, 2]}
    reply, _ = view.blocks({"requests": [{**request, "side": "d"}]}, [])
    assert "side must be 'a' or 'b' or 'c' of the records" in reply["replies"][0]["error"]


def test_words_of_records_are_a_series_as_well(series: aw.ComparisonSeries) -> None:
    first, second, third = (cast("aw.Attention", each).words() for each in series.records)
    assert len(aw.compare(first, second, third).changed(None)) == 16


def test_a_page_holds_every_side(view: ComparisonWidget, tmp_path: Path) -> None:
    view.query = [1, 5]
    snapshot = snapshot_of(view.save(tmp_path / "page.html").read_text(encoding="utf-8"))
    validate("Snapshot", snapshot)
    weights = [one["request"] for one in snapshot["blocks"] if one["request"]["what"] == "weights"]
    assert len(weights) == 3 * 16
    assert {request["side"] for request in weights} == {"a", "b", "c"}
    assert any(one["request"]["what"] == "head_scores" for one in snapshot["blocks"])


def test_a_figure_is_a_panel_for_each_record_and_its_call_makes_it_again(
    series: aw.ComparisonSeries, view: ComparisonWidget, tmp_path: Path
) -> None:
    pytest.importorskip("py_mini_racer", reason="the figures extra is not installed")
    figure = series.figure(layer=1, heads=[2])
    assert all(name in figure.svg for name in NAMES)
    assert "layer 1 · head 2 of every record, on one scale" in figure.svg
    assert "B − A" not in figure.svg
    # Where nothing is pinned each panel says how much the head changed.
    assert "change from A" in figure.svg
    assert f"{series.streams['decoder'].steps[1][2, 0]:.3f}" in figure.svg
    assert eval(figure.code(), {"comparison": series}).svg == figure.svg  # noqa: S307 - a call
    rows = rows_of(figure.data)
    assert {row["panel"] for row in rows} == {"A", "B", "C"}
    axis = series.streams["decoder"].queries
    for row in rows:
        number = "ABC".index(row["panel"])
        query, key = (axis[row[name]].at[number] for name in ("query", "key"))
        expected = series.records[number]["decoder"][1].weights(2)[query, key]
        assert row["weight"] == pytest.approx(expected, abs=1e-6)
    groups = rows_of(series.figure("compare", layer=1, heads=[2], form="groups").data)
    assert {row["panel"] for row in groups} == {"A", "B", "C"}
    shown = view.save(tmp_path / "view.svg", width=1400).read_text(encoding="utf-8")
    assert "changed" in shown
    assert all(name in shown for name in NAMES)


@pytest.mark.parametrize("texts", [("abxc", "abc"), ("abxc", "abc", "abd")])
def test_weights_that_are_no_numbers_at_a_place_that_one_record_lacks_are_no_change(
    texts: tuple[str, ...],
) -> None:
    records = []
    for text in texts:
        layer: Any = random_layer(queries=len(text), keys=len(text))
        if "x" in text:
            layer.query[:, text.index("x")] = math.nan
        positions = positions_from_tokens(list(text))
        stream = Stream(layer.stream, (layer,), positions, positions)
        records.append(Attention("Model", {layer.stream: stream}))
    source = ComparisonSource(aw.compare(*records))
    (layer,) = source.streams["self"]
    pictures, links = layer.overview(64, "weights", Rollouts())[:2]
    assert not np.isnan(pictures).any()
    assert not np.isnan(links).any()
