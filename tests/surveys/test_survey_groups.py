"""Shares of groups over many inputs: against a mean over all of them, parts that add up, files, resuming, workers."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.surveys.reader import PartialSurvey, Reader
from attnwidget.surveys.survey import Survey
from attnwidget.surveys.workers import pack, unpack

if TYPE_CHECKING:
    from pathlib import Path

# One sentence, two, three, and one again.
TEXTS = [
    "the cat sat .",
    "the cat sat . it was tired .",
    "the dog was tired . the cat sat . it was tired",
    "it was the dog",
]


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


@pytest.fixture(scope="module")
def whole(pocket: Any) -> Survey:
    return surveyed(pocket, TEXTS)


def surveyed(pocket: Any, texts: list[str], **options: Any) -> Survey:
    options.setdefault("groups", "sentence")
    return aw.survey(pocket[0], texts, pocket[1], progress=False, **options)


def numbers(survey: Survey) -> dict[tuple[Any, ...], tuple[float, float, int]]:
    names = ("stream", "layer", "head", "from", "to")
    return {
        tuple(row[name] for name in names): (row["share"], row["spread"], row["inputs"])
        for row in survey.group_shares()
    }


def same(first: Survey, second: Survey, *, rounding: float = 0.0) -> None:
    one, other = numbers(first), numbers(second)
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert value == pytest.approx(other[key], abs=rounding)


def test_shares_are_means_over_the_inputs_that_have_both_groups(pocket: Any, whole: Survey) -> None:
    each = [
        {
            (row["layer"], row["head"], row["from"], row["to"]): row["share"]
            for row in aw.capture(pocket[0], text, pocket[1]).group_shares("sentence")
        }
        for text in TEXTS
    ]
    found = list(whole.group_shares())
    columns = ["stream", "layer", "head", "from", "to", "share"]
    assert list(found[0])[:6] == columns
    assert {(row["layer"], row["head"], row["from"], row["to"]) for row in found} == set().union(
        *each
    )
    for row in found:
        key = row["layer"], row["head"], row["from"], row["to"]
        values = [one[key] for one in each if key in one]
        assert row["inputs"] == len(values)
        expected = np.mean(values), np.std(values)
        assert (row["share"], row["spread"]) == pytest.approx(expected, abs=1e-9)
    assert {row["inputs"] for row in found if "sentence 3" in (row["from"], row["to"])} == {1}
    assert len(whole.group_shares(layer=1, head=[0, -1])) == len(found) // 16 * 2


def test_parts_add_up_in_any_order(pocket: Any, whole: Survey) -> None:
    parts = [surveyed(pocket, TEXTS[:1]), surveyed(pocket, TEXTS[1:2]), surveyed(pocket, TEXTS[2:])]
    expected = numbers(whole)
    for order in itertools.permutations(parts):
        found = numbers(order[0].merge(*order[1:]))
        assert found.keys() == expected.keys()
        for key, value in found.items():
            assert value == pytest.approx(expected[key], abs=1e-9)


def test_a_file_has_them(pocket: Any, whole: Survey, tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    whole.save(path)
    same(Survey.load(path), whole)
    # A survey without any is as it was.
    plain = surveyed(pocket, TEXTS[:1], groups=None)
    plain.save(path)
    with pytest.raises(ValueError, match="groups were not asked for"):
        Survey.load(path).group_shares()


def test_a_file_of_another_shape_is_damaged(whole: Survey, tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    (name, found), groups = next(iter(whole.streams.items())), whole.streams["decoder"].groups
    assert groups is not None
    wrong = replace(found, groups=replace(groups, mean=groups.mean[:, :-1]))
    replace(whole, streams={name: wrong}).save(path)
    with pytest.raises(ValueError, match="mean of the groups of stream 'decoder' is float64"):
        Survey.load(path)


def test_a_survey_goes_on_with_the_same_groups_only(
    pocket: Any, whole: Survey, tmp_path: Path
) -> None:
    path = tmp_path / "s.safetensors"

    def broken() -> Any:
        yield from TEXTS[:2]
        message = "the corpus ends here"
        raise OSError(message)

    with pytest.raises(OSError, match="the corpus ends here"):
        surveyed(pocket, broken(), save=path, every=1)
    assert Survey.load(path).read == 2
    with pytest.raises(
        ValueError, match="other settings: groups was 'sentence', now it is 'special'"
    ):
        surveyed(pocket, TEXTS, save=path, groups="special")
    same(surveyed(pocket, TEXTS, save=path), whole)
    own = tmp_path / "own.safetensors"
    surveyed(pocket, TEXTS[:2], save=own, groups={"first": range(2)})
    with pytest.raises(ValueError, match="other settings: groups was"):
        surveyed(pocket, TEXTS, save=own, groups={"first": range(3)})


def test_your_own_groups_and_inputs_without_them(pocket: Any) -> None:
    def of_cats(position: Any) -> str | None:
        return "cat" if position.label == "cat" else None

    with pytest.warns(UserWarning, match="1 of 4 inputs could not be recorded.*puts no position"):
        found = surveyed(pocket, TEXTS, groups=of_cats)
    assert {row["inputs"] for row in found.group_shares()} == {3}
    texts = surveyed(pocket, TEXTS[:2], groups="role")
    assert texts.count == 2  # no chat: scored all the same
    with pytest.raises(ValueError, match="or no input had any"):
        texts.group_shares()
    with pytest.raises(ValueError, match="groups must be 'segment'"):
        surveyed(pocket, TEXTS, groups="sentences")


def test_other_groups_do_not_add_up(pocket: Any, whole: Survey) -> None:
    with pytest.raises(ValueError, match="by sentence and by special do not add up"):
        whole + surveyed(pocket, TEXTS[:1], groups="special")
    # An input that was not asked for groups has none.
    both = whole + surveyed(pocket, TEXTS[:1], groups=None)
    assert both.count == 5
    same(both, whole)


def test_too_many_groups_are_refused(pocket: Any) -> None:
    with pytest.raises(ValueError, match="there are 65 groups by own; a survey keeps at most 64"):
        surveyed(pocket, [" ".join(["cat"] * 90)], groups={f"g{at}": at for at in range(64)})


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray has no package for this Python"
)
def test_what_is_sent_to_workers_has_the_groups(pocket: Any) -> None:
    """A reader as Ray sends it, and the parts that come back, with a function that has no name."""
    model, tokenizer = pocket
    groups = lambda position: "the" if position.label == "the" else None  # noqa: E731
    reader = Reader(model, tokenizer, 5, "weights", {}, groups)
    pickler = importlib.import_module("ray.cloudpickle").CloudPickler
    sent: Reader = unpack(pack(reader, pickler))
    read = sent.nothing()
    for text in TEXTS[:3]:
        read = read.then(sent.read(text))
    assert isinstance(read, PartialSurvey)
    same(read.survey, surveyed(pocket, TEXTS[:3], groups=groups), rounding=1e-6)
