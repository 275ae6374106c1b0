"""Two surveys side by side: differences and standard errors against numpy over all inputs, ranks, the map, refusals."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.workers import TEXTS

import attnwidget as aw
from attnwidget.analysis.head_scores import score_stream
from attnwidget.analysis.score_definitions import SCORES

if TYPE_CHECKING:
    from pathlib import Path

    from attnwidget.surveys.comparing import SurveyComparison

NAMES = list(SCORES)
FIRST, SECOND = TEXTS[:4], TEXTS[4:7]


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


@pytest.fixture(scope="module")
def both(pocket: Any) -> Any:
    return [aw.survey(pocket[0], part, pocket[1], progress=False) for part in (FIRST, SECOND)]


@pytest.fixture(scope="module")
def compared(both: Any) -> SurveyComparison:
    found: SurveyComparison = aw.compare(*both, names=("stories", "lists"))
    return found


def each(pocket: Any, texts: list[str]) -> Any:
    found = [score_stream(aw.capture(pocket[0], one, pocket[1])["decoder"]).layers for one in texts]
    return np.stack([np.concatenate([layer.values for layer in layers]) for layers in found])


def test_differences_and_errors_are_those_over_all_inputs(
    pocket: Any, compared: SurveyComparison
) -> None:
    first, second = each(pocket, FIRST), each(pocket, SECOND)
    rows = compared.differences()
    assert len({(row["layer"], row["head"], row["score"]) for row in rows}) == len(rows) > 100
    for row in rows:
        at = row["layer"] * 4 + row["head"], NAMES.index(row["score"])
        one, two = (all_of[:, at[0], at[1]] for all_of in (first, second))
        one, two = one[~np.isnan(one)], two[~np.isnan(two)]
        assert (row["first_inputs"], row["second_inputs"]) == (len(one), len(two))
        assert row["difference"] == pytest.approx(two.mean() - one.mean(), abs=1e-9)
        assert row["difference"] == pytest.approx(row["second"] - row["first"], abs=1e-12)
        if min(len(one), len(two)) < 2:
            assert row["error"] is row["z"] is None
            continue
        error = math.sqrt(one.var(ddof=1) / len(one) + two.var(ddof=1) / len(two))
        assert row["error"] == pytest.approx(error, abs=1e-9)
        if row["z"] is not None:
            assert row["z"] == pytest.approx(row["difference"] / row["error"])
    some = compared.differences("previous", layer=-1, head=[0, -1])
    assert [(row["layer"], row["head"]) for row in some] == [(3, 0), (3, 3)]
    sunk = compared.differences("previous", without_sink=True)
    assert sunk != compared.differences("previous")


def test_heads_are_ranked_by_their_difference_in_errors(compared: SurveyComparison) -> None:
    rows = compared.changed(top=None)
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    sizes = [abs(row["z"]) for row in rows if row["z"] is not None]
    assert sizes == sorted(sizes, reverse=True)
    assert [row["z"] is None for row in rows] == sorted(row["z"] is None for row in rows)
    assert (
        compared.changed(3, "previous")
        == [
            {**row, "rank": rank}
            for rank, row in enumerate((one for one in rows if one["score"] == "previous"), start=1)
        ][:3]
    )


def test_a_notebook_shows_the_largest_changes(compared: SurveyComparison, both: Any) -> None:
    first, names, *lines = repr(compared).splitlines()
    assert first == (
        "SurveyComparison(GPT2LMHeadModel, decoder: 16 heads, stories: 4 inputs, lists: 3 inputs)"
    )
    assert names.split() == [
        "head",
        "score",
        "mean",
        "of",
        "stories",
        "mean",
        "of",
        "lists",
        "difference",
        "error",
        "z",
    ]
    page = compared._repr_html_()
    assert '<div style="overflow-x:auto"><table>' in page
    for line, row in zip(lines, compared.changed(5), strict=True):
        place, score, *_, difference, _, z = line.split()
        assert (place, score) == (f"{row['layer']}.{row['head']}", row["score"])
        assert difference == f"{row['difference']:+.3f}".replace("-", "−")
        assert z == f"{row['z']:+.1f}".replace("-", "−")
        assert f"<td>{place}</td><td>{score}</td>" in page
    assert "mean of &lt;b&gt;" in aw.compare(*both, names=("<b>", "c"))._repr_html_()


def test_a_survey_differs_from_itself_in_nothing(both: Any) -> None:
    same = aw.compare(both[0], both[0])
    assert {row["difference"] for row in same.differences()} == {0.0}
    assert {row["z"] for row in same.differences()} <= {0.0, None}
    assert 'fill-opacity="0.000"' in same.map("previous").svg


def test_the_map_has_every_head_and_outlines_what_is_beyond_two_errors(
    compared: SurveyComparison, tmp_path: Path
) -> None:
    drawn = compared.map("previous")
    rows = compared.differences("previous")
    found = re.findall(r'fill="(#\w+)" fill-opacity="([\d.]+)" stroke="#\w+" stroke-width="([\d.]+)"[^>]*><title>(.*?)<', drawn.svg)  # fmt: skip
    assert len(found) == len(rows) == 16
    most = max(abs(row["difference"]) for row in rows)
    for row, (colour, strength, line, said) in zip(rows, found, strict=True):
        assert said.startswith(
            f"layer {row['layer']} head {row['head']}: {row['difference']:+.3f} ± "
        )
        assert float(strength) == pytest.approx(abs(row["difference"]) / most, abs=1e-3)
        assert (colour == "#d9731f") == (row["difference"] > 0)
        assert (line == "1.6") == (abs(row["difference"]) > 2 * row["error"])
    assert "previous: lists less stories" in drawn.svg
    # On a page it is in the page's colour of text, which is legible on its ground.
    assert drawn.svg.replace("#69737e", "currentColor") in drawn._repr_html_()
    for said in ("lower in lists", "higher", "more than 2 standard errors"):
        assert f">{said}</text>" in drawn.svg
    path = drawn.save(tmp_path / "map.svg")
    assert path.read_text() == drawn.svg
    with pytest.raises(ValueError, match=r"written as SVG: save\('map.svg'\), got 'map.png'"):
        drawn.save(tmp_path / "map.png")


def test_what_cannot_be_compared_is_told(
    pocket: Any, both: Any, compared: SurveyComparison
) -> None:
    with pytest.raises(TypeError, match="a survey is compared with another survey, got Attention"):
        aw.compare(both[0], aw.capture(pocket[0], "the cat", pocket[1]))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="records, got Survey"):
        aw.compare(aw.capture(pocket[0], "the cat", pocket[1]), both[0])  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"two at a time, got 3: call compare\(first, second\)"):
        aw.compare(both[0], both[1], both[0])  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="names must be two texts"):
        aw.compare(*both, names=("a",))
    with pytest.raises(ValueError, match="scores must be among"):
        compared.differences("nope")
    with pytest.raises(ValueError, match=r"score must be one of .* got None"):
        compared.map(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="layer must be one of"):
        compared.differences(layer=9)
    with pytest.raises(KeyError, match="encoder"):
        compared.differences(stream="encoder")
    from attnwidget.surveys.survey import Survey

    empty = Survey("GPT2LMHeadModel", {}, 0)
    with pytest.raises(ValueError, match=r"no layer of as many heads in common: .* and no stream"):
        both[0].compare(empty)
