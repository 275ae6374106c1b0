"""Surveys by several processes: the same as by one, also when one of them is killed."""

from __future__ import annotations

import json
import pickle
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import ray_scripts, workers, zoo
from support.ray_scripts import TEST_SECONDS, needs_ray, one_thread
from support.workers import MANY, TEXTS
from surveys.test_survey import same
from surveys.test_survey_contexts import contexts_only
from surveys.test_survey_resumed import equal

import attnwidget as aw
from attnwidget.surveys.reader import Reader
from attnwidget.surveys.survey import Survey
from attnwidget.surveys.workers import pack, unpack

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["one_thread"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder with the surveys that workers made, and what was said."""
    folder = tmp_path_factory.mktemp("workers")
    ray_scripts.run(workers, folder)
    return folder, json.loads((folder / "said.json").read_text())


@pytest.fixture(scope="module")
def one_process() -> Survey:
    model, tokenizer = aw.pocket()
    with pytest.warns(UserWarning, match="1 of 81 inputs could not be recorded"):
        return aw.survey(model, MANY, tokenizer, progress=False)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(TEST_SECONDS)
def test_four_workers_of_which_one_is_killed_find_what_one_process_finds(
    made: tuple[Path, Any], one_process: Survey
) -> None:
    folder, _ = made
    processes = {int(path.name.partition("-")[2]) for path in folder.glob("made-*")}
    # It had the model and had read some; another took its place.
    assert {int((folder / "killed").read_text())} < processes
    found = Survey.load(folder / "killed.safetensors")
    assert repr(found) == repr(one_process)
    assert [index for index, _ in found.skipped] == [8]
    same(found, one_process)
    assert list(found.head_labels()["label"]) == list(one_process.head_labels()["label"])


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(TEST_SECONDS)
def test_workers_find_the_same_contexts(made: tuple[Path, Any], tmp_path: Path) -> None:
    model, tokenizer = aw.pocket()
    with pytest.warns(UserWarning, match="1 of 81 inputs could not be recorded"):
        found = aw.survey(model, MANY, tokenizer, progress=False, contexts=4)
    loaded = Survey.load(made[0] / "contexts.safetensors")
    assert contexts_only(loaded, tmp_path) == contexts_only(found, tmp_path)
    assert dict(loaded.texts) == dict(found.texts)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(TEST_SECONDS)
def test_a_dataset_is_read_in_its_order(made: tuple[Path, Any], one_process: Survey) -> None:
    folder, said = made
    found = Survey.load(folder / "dataset.safetensors")
    assert repr(found) == repr(one_process)
    same(found, one_process)
    same(Survey.load(folder / "alone.safetensors"), one_process)
    linked = [
        Survey.load(folder / f"linked-{name}.safetensors").streams["decoder"].links
        for name in ("alone", "workers")
    ]
    assert linked[0] is not None
    assert linked[1] is not None
    assert linked[0].counts.any()
    np.testing.assert_array_equal(linked[0].counts, linked[1].counts)
    assert said["two columns"] == (
        "ValueError: the rows of texts have the columns ['text', 'label']: say which of them is the input, such as "
        "texts.select_columns(['text'])."
    )


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(TEST_SECONDS)
def test_an_interrupt_keeps_what_was_done_in_order(made: tuple[Path, Any]) -> None:
    model, tokenizer = aw.pocket()
    found = Survey.load(made[0] / "interrupted.safetensors")
    assert found.interrupted
    assert 9 < found.read < len(MANY)
    with pytest.warns(UserWarning, match="could not be recorded"):
        same(found, aw.survey(model, MANY[: found.read], tokenizer, progress=False))


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(TEST_SECONDS)
def test_what_is_wrong_in_a_worker_is_said_here(made: tuple[Path, Any]) -> None:
    _, said = made
    assert said["hopeless"].startswith("ValueError: ")
    assert "takes at most 512" in said["hopeless"]
    assert said["wrong"].startswith("TypeError: tokenizer must be a tokenizer, got a name")
    assert said["still running"] is False


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(TEST_SECONDS)
@pytest.mark.parametrize("name", ["list", "rows"])
def test_the_same_call_goes_on_where_it_ended(
    made: tuple[Path, Any], one_process: Survey, name: str
) -> None:
    folder, said = made
    # Three parts of four: at most so many are lost.
    assert said[f"begun {name}"] == 12
    assert "a survey with other model: model was" in said[f"other {name}"]
    equal(Survey.load(folder / f"resumed-{name}.safetensors"), one_process)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(TEST_SECONDS)
def test_one_odd_input_costs_one_input_and_the_end_of_inputs_none(made: tuple[Path, Any]) -> None:
    _, said = made
    (lock, nothing) = said["odd"]
    assert lock[0] == 5
    assert "TypeError: it cannot be sent to workers" in lock[1]
    assert nothing[0] == 6
    assert "TypeError: inputs must be text" in nothing[1]
    assert said["ended"] == ["gone", 20]


def test_workers_and_options_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = aw.pocket()
    wrong: Any
    for wrong in (0, -1, 1.5, "two", True):
        with pytest.raises(ValueError, match="workers must be an integer, 1 or more, got"):
            aw.survey(model, TEXTS, tokenizer, workers=wrong)
    with pytest.raises(TypeError, match="worker_options are for workers: say how many"):
        aw.survey(model, TEXTS, tokenizer, worker_options={"num_cpus": 2})
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'not installed: pip install "attnwidget\[ray\]"'):
        aw.survey(model, TEXTS, tokenizer, workers=2)


def test_a_model_that_cannot_be_sent_is_to_be_loaded_by_a_function() -> None:
    model, tokenizer = aw.pocket()
    message = r"a GPT2LMHeadModel cannot be sent to workers \(.*\): pass a function that loads it"
    with pytest.raises(TypeError, match=message):
        pack(Reader(model.to("meta"), tokenizer, 5, "weights", {}), pickle.Pickler)
    model, _ = aw.pocket()
    model.lock = threading.Lock()
    with pytest.raises(TypeError, match=message):
        pack(Reader(model, tokenizer, 5, "weights", {}), pickle.Pickler)


def test_a_function_that_makes_the_model_will_do_in_one_process_too() -> None:
    model, tokenizer = aw.pocket()
    expected = aw.survey(model, TEXTS, tokenizer, progress=False)
    same(aw.survey(aw.pocket, TEXTS, progress=False), expected)
    same(aw.survey(lambda: model, TEXTS, tokenizer, progress=False), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_is_unpacked_around_the_same_numbers(dtype: torch.dtype) -> None:
    model = zoo.build("llama", "sdpa", dtype)
    model.lm_head.weight = model.model.embed_tokens.weight
    packed = pack(Reader(model, None, 5, "weights", {}), pickle.Pickler)
    assert len(packed.buffers) == len(list(model.parameters()))
    copy = unpack(packed).model
    with torch.no_grad():
        assert torch.equal(model(zoo.ids(7)).logits, copy(zoo.ids(7)).logits)
    assert copy.lm_head.weight is copy.model.embed_tokens.weight
    places = {numbers.ctypes.data for numbers in packed.buffers}
    assert {parameter.data_ptr() for parameter in copy.parameters()} == places
