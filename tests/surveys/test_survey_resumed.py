"""Surveys that are written while they run: killed and begun again, they end as if nobody had ended them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import killed_survey
from support.workers import TEXTS

import attnwidget as aw
from attnwidget.files import tensor_files
from attnwidget.surveys import checkpoint, run, storage
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


@pytest.fixture(scope="module")
def whole(pocket: Any) -> Survey:
    return aw.survey(pocket[0], TEXTS, pocket[1], progress=False)


def equal(first: Survey, second: Survey) -> None:
    """Assert that surveys are the same to 1e-12."""
    for name in storage.FIELDS:
        if name != "streams":
            assert getattr(first, name) == getattr(second, name), name
    assert list(first.streams) == list(second.streams)
    for name, found in first.streams.items():
        for part, fields in (
            ("moments", ("count", "mean", "squares", "rows")),
            ("typical", ("rank", "value", "index")),
        ):
            for field in fields:
                one, other = (
                    getattr(getattr(each, part), field) for each in (found, second.streams[name])
                )
                np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def stopping(count: int, error: BaseException) -> Iterator[str]:
    """Yield some texts, then raise."""
    yield from TEXTS[:count]
    raise error


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.timeout(600)
def test_twenty_kills_at_random_moments_lose_little_and_change_nothing(tmp_path: Path) -> None:
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, killed_survey.__file__, str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    said = json.loads((tmp_path / "said.json").read_text())
    assert [each["killed"] for each in said] == [True] * killed_survey.KILLS + [False]
    for each in said:
        # The last input that was begun had not been read.
        assert each["begun"] - 1 - each["read"] <= killed_survey.EVERY, said
    assert said[-1]["read"] == killed_survey.COUNT
    found = Survey.load(tmp_path / "killed.safetensors")
    assert [index for index, _ in found.skipped] == [40, 41]
    equal(found, Survey.load(tmp_path / "whole.safetensors"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "killed.safetensors", "said.json", "whole.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("the drive is gone")])
@pytest.mark.parametrize("count", [1, 4, 8])
def test_the_same_call_goes_on_where_it_ended(
    pocket: Any, whole: Survey, tmp_path: Path, error: BaseException, count: int
) -> None:
    path = tmp_path / "s.safetensors"

    def call(texts: Any) -> Survey:
        return aw.survey(pocket[0], texts, pocket[1], progress=False, save=str(path), every=100)

    if isinstance(error, KeyboardInterrupt):
        assert call(stopping(count, error)).interrupted
    else:
        with pytest.raises(OSError, match="the drive is gone") as raised:
            call(stopping(count, error))
        assert raised.value.survey.read == count  # type: ignore[attr-defined]
    part = Survey.load(path)
    assert (part.read, part.interrupted) == (count, True)
    equal(call(iter(TEXTS)), whole)
    equal(Survey.load(path), whole)
    assert Survey.load(path).interrupted is False


def test_a_survey_that_has_ended_is_not_run_again_but_goes_on_with_more_inputs(
    pocket: Any, whole: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.safetensors"
    aw.survey(pocket[0], TEXTS[:6], pocket[1], progress=False, save=path)
    run_forward = run.Reader.read
    calls: list[Any] = []

    def counted(reader: Any, one: Any) -> Any:
        calls.append(one)
        return run_forward(reader, one)

    monkeypatch.setattr(run.Reader, "read", counted)
    again = aw.survey(pocket[0], TEXTS[:6], pocket[1], progress=False, save=path)
    assert (again.count, again.interrupted, calls) == (6, False, [])
    equal(aw.survey(pocket[0], TEXTS, pocket[1], progress=False, save=path), whole)
    assert calls == TEXTS[6:]


def test_the_file_is_written_as_often_as_asked(
    pocket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, seen = storage.write, []

    def noted(path: Any, fields: Any, progress: Any = None) -> None:
        seen.append((progress["read"], fields["interrupted"]))
        write(path, fields, progress)

    monkeypatch.setattr(storage, "write", noted)

    def survey(name: str, **options: Any) -> list[tuple[int, bool]]:
        seen.clear()
        aw.survey(pocket[0], TEXTS, pocket[1], progress=False, save=tmp_path / name, **options)
        return list(seen)

    assert survey("a", every=3) == [(3, True), (6, True), (8, False)]
    assert survey("b") == [(8, False)]
    monkeypatch.setattr(checkpoint, "_SECONDS", 0)
    assert [read for read, _ in survey("c")] == [1, 2, 3, 4, 5, 6, 7, 8, 8]


def test_as_long_as_nothing_is_scored_nothing_is_written(pocket: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    with pytest.raises(TypeError, match="NoneType"):
        aw.survey(pocket[0], [None] * 20, pocket[1], progress=False, save=path, every=1)
    assert not path.exists()
    with pytest.warns(UserWarning, match="3 of 4 inputs"):
        found = aw.survey(
            pocket[0], [None, None, None, TEXTS[0]], pocket[1], progress=False, save=path, every=1
        )
    assert found.count == 1


def test_a_full_disk_on_the_way_is_said_and_the_survey_goes_on(
    pocket: Any, whole: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = storage.write, []

    def full(path: Any, fields: Any, progress: Any = None) -> None:
        calls.append(progress["read"])
        if progress["read"] in {2, 4} | last:
            raise OSError(28, "no space left on the device", str(path))
        write(path, fields, progress)

    last: set[int] = set()
    monkeypatch.setattr(storage, "write", full)
    path = tmp_path / "s.safetensors"
    with pytest.warns(UserWarning, match="goes on unsaved: .*no space left") as said:
        found = aw.survey(pocket[0], TEXTS, pocket[1], progress=False, save=path, every=2)
    assert (len(said), calls) == (1, [2, 4, 6, 8, 8])
    equal(found, whole)
    equal(Survey.load(path), whole)
    last |= {8}
    with (
        pytest.warns(UserWarning, match=r"unsaved|could not be saved"),
        pytest.raises(OSError, match="no space left") as raised,
    ):
        aw.survey(pocket[0], TEXTS, pocket[1], progress=False, save=tmp_path / "t")
    equal(raised.value.survey, whole)  # type: ignore[attr-defined]


def _others(pocket: Any) -> dict[str, Callable[[Any], Survey]]:
    model, tokenizer = pocket
    other_numbers, _ = aw.pocket()
    with torch.no_grad():
        other_numbers.transformer.h[2].mlp.c_fc.weight.mul_(1.01)
    other_size, _ = aw.pocket()
    other_size.config.n_head = 2
    _, other_words = aw.pocket()
    other_words.add_tokens(["cat!"])

    def survey(*args: Any, **options: Any) -> Callable[[Any], Survey]:
        return lambda path: aw.survey(*args, **{"progress": False, "save": path} | options)

    return {
        "other model: model was": survey(other_numbers, TEXTS, tokenizer),
        "other model: model": survey(other_size, TEXTS, tokenizer),
        "other model: tokenizer was": survey(model, TEXTS, other_words),
        "other model: tokenizer": survey(model, TEXTS),
        "measure was 'weights', now it is 'norm'": survey(model, TEXTS, tokenizer, measure="norm"),
        "examples was 5, now it is 3": survey(model, TEXTS, tokenizer, examples=3),
        "layers was not given, now it is list": survey(model, TEXTS, tokenizer, layers=[0, 1]),
        "the first 4 of texts are not those": survey(model, TEXTS[1:], tokenizer),
        "first 4 of texts are not": survey(model, [*TEXTS[:3], "the cat", *TEXTS[4:]], tokenizer),
        "it has read 4, and texts holds 3": survey(model, TEXTS[:3], tokenizer),
    }  # fmt: skip


def test_what_is_another_survey_is_refused_and_the_file_stays(pocket: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    model, tokenizer = pocket
    aw.survey(model, stopping(4, KeyboardInterrupt()), tokenizer, progress=False, save=path)
    before = path.read_bytes()
    for message, survey in _others(pocket).items():
        with pytest.raises(ValueError, match=re.escape(message)):
            survey(path)
        assert path.read_bytes() == before
    # Where a model runs, and how, is no other model.
    model.config._name_or_path = "elsewhere"
    found = aw.survey(lambda: pocket, TEXTS, progress=False, save=path)
    assert found.count == len(TEXTS)


def test_files_that_are_no_running_survey_are_left_alone(
    pocket: Any, whole: Survey, tmp_path: Path
) -> None:
    path = tmp_path / "s.safetensors"
    whole.save(path)
    for content, message in (
        (path.read_bytes(), "a survey that Survey.save wrote"),
        (b"my only copy", "no safetensors file"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            aw.survey(pocket[0], TEXTS, pocket[1], progress=False, save=path)
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"save": 5}, TypeError, "save must be a path, such as 'survey.safetensors', got 5"),
        ({"every": 5}, TypeError, r"every=5 says how often .* pass save="),
        ({"save": "s", "every": 0}, ValueError, "every must be an integer, 1 or more"),
        ({"save": "s", "every": True}, ValueError, "every must be an integer, 1 or more"),
        ({"save": "s", "every": "10"}, ValueError, "got '10'"),
        ({"save": "missing/s"}, FileNotFoundError, "there is no folder missing"),
        ({"save": "."}, IsADirectoryError, "this is a folder"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_first_input(
    pocket: Any, options: Any, error: type[Exception], message: str
) -> None:
    def texts() -> Iterator[str]:
        pytest.fail("an input was read")
        yield ""

    with pytest.raises(error, match=message):
        aw.survey(pocket[0], texts(), pocket[1], progress=False, **options)


def test_inputs_of_all_kinds_are_told_apart(pocket: Any, tmp_path: Path) -> None:
    model, tokenizer = pocket

    def inputs(last: int) -> list[Any]:
        """Return inputs of several kinds, the third other than that of another ``last``."""
        return [
            {"input_ids": torch.tensor([[3, 4, 5]])},
            tokenizer("the cat sat", return_tensors="pt"),
            torch.tensor([[5, 6, last]]),
            "\ud800 lone",
            object(),
        ]

    path = tmp_path / "s.safetensors"
    with pytest.warns(UserWarning, match="could not be recorded"):
        found = aw.survey(model, inputs(7), tokenizer, progress=False, save=path)
    assert found.read == 5
    with pytest.warns(UserWarning, match="could not be recorded"):
        assert aw.survey(model, inputs(7), tokenizer, progress=False, save=path).read == 5
    with pytest.raises(ValueError, match="are not those that it has read"):
        aw.survey(model, inputs(8), tokenizer, progress=False, save=path)


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_older_formats_are_read(
    whole: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    path = tmp_path / "s.safetensors"
    monkeypatch.setattr(storage, "_KIND", replace(storage._KIND, version=version))
    if version == 1:  # which had no digests
        write = tensor_files.write
        monkeypatch.setattr(
            tensor_files, "write", lambda *args, digests: write(*args, digests=not digests)
        )
    whole.save(path)
    monkeypatch.undo()
    assert (b"digests" in path.read_bytes()) is (version == 2)
    equal(Survey.load(path), whole)


def test_a_file_that_tells_of_another_number_of_inputs_is_damaged(
    whole: Survey, tmp_path: Path
) -> None:
    path = tmp_path / "s.safetensors"
    progress = {"read": 9, "inputs": "", "made_by": {}, "settings": {}, "not_numbers": []}
    fields = {name: getattr(whole, name) for name in storage.FIELDS}
    storage.write(path, fields, progress)
    with pytest.raises(ValueError, match=r"damaged: .*it tells of 9 inputs and holds 8"):
        Survey.load(path)
