"""Key positions that are set aside, by a word or by what they are."""

from __future__ import annotations

import re

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.record.aside import aside_keys, check_aside

TOKENS = ["[CLS]", "un", "do", "[SEP]"]


@pytest.fixture(scope="module")
def attention() -> aw.Attention:
    weights = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 3, 4)).astype(np.float32)
    return aw.from_weights(weights, TOKENS)


@pytest.mark.parametrize(
    ("given", "kept", "keys"),
    [
        (None, None, ()),
        ([], None, ()),
        ("first", "first", (0,)),
        ("special", "special", (0, 3)),
        ("first and special", "first and special", (0, 3)),
        (2, [2], (2,)),
        ([3, 1, 3], [1, 3], (1, 3)),
        (range(1, 3), [1, 2], (1, 2)),
        (["do", -1], [2, 3], (2, 3)),
    ],
)
def test_what_is_set_aside(
    attention: aw.Attention, given: object, kept: object, keys: tuple[int, ...]
) -> None:
    positions = attention["self"].key_positions
    found = check_aside(given, positions)
    assert found == kept
    assert aside_keys(found, positions) == keys


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("last", "aside must be 'first', 'special', 'first and special', key positions such as"),
        (True, "or None for nothing, got True"),
        ([7], "7"),
        (["the"], "aside='the' is no token of this input"),
    ],
)
def test_what_names_nothing_is_refused(attention: aw.Attention, given: object, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        check_aside(given, attention["self"].key_positions)


def test_scores_set_aside_what_is_asked_for(attention: aw.Attention) -> None:
    def scores(**given: object) -> list[float | None]:
        rows = attention.head_scores("broad", **given)
        records = rows.to_dict("records") if hasattr(rows, "to_dict") else rows
        return [row["without_sink"] for row in records]

    assert scores(aside="first and special") == scores() == scores(aside=[0, 3])
    assert scores(aside="first") == scores(sink=[0]) != scores()
    with pytest.raises(TypeError, match="sink and aside are one argument"):
        scores(sink=[0], aside="first")


def test_the_view_sets_it_for_shades_and_scores_alike(attention: aw.Attention) -> None:
    view = aw.view(attention, without_sink=True)
    assert view.aside == "first and special"
    assert view.without_sink
    view.without_sink = False
    assert view.aside is None
    view.aside = ["un"]
    assert view.aside == [1]
    assert not view.without_sink
    with pytest.raises(ValueError, match="without_sink=True is aside='first and special'"):
        aw.view(attention, without_sink=True, aside="first")


def test_numbers_of_a_view_are_those_of_python(attention: aw.Attention) -> None:
    figure = attention.figure("scatter", score="broad", other_score="self", aside=[1])
    table = figure.data
    records = table.to_dict("records") if hasattr(table, "to_dict") else table
    rows = attention.head_scores("broad", aside=[1])
    expected = rows.to_dict("records") if hasattr(rows, "to_dict") else rows
    assert [row["broad"] for row in records] == pytest.approx(
        [row["without_sink"] for row in expected], rel=1e-6
    )
    assert "“un” set aside" in figure.svg


def test_what_is_wrong_is_named_as_the_caller_named_it() -> None:
    made = aw.from_weights([np.eye(3)[None]], tokens=list("abc"))
    for called in ("aside", "sink"):
        with pytest.raises(ValueError, match=f"^{called}="):
            made.head_scores(**{called: "no such token"})
