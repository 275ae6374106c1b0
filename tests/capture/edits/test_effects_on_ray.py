"""Effects over texts by several processes: the same as by one; parts of the texts add up to all."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import effects_workers, ray_scripts
from support.effects_workers import GIVEN, TEXTS, call
from support.ray_scripts import TEST_SECONDS, needs_ray, one_thread

import attnwidget as aw
from attnwidget.intervene.effects_reader import EffectsReader, PartialEffects
from attnwidget.surveys.workers import pack, unpack

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["one_thread"]

pytestmark = pytest.mark.usefixtures("one_thread")


def _same(found: aw.EffectsOverTexts, expected: aw.EffectsOverTexts) -> None:
    one, other = found.streams["decoder"], expected.streams["decoder"]
    for name in ("effect", "by_mean", "estimate", "sd", "same_sign"):
        ours, theirs = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=0, err_msg=name)
    assert (found.count, found.skipped) == (expected.count, expected.skipped)
    assert found.ways == expected.ways
    assert found.value == pytest.approx(expected.value, abs=1e-6)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(TEST_SECONDS)
def test_two_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    path = tmp_path / "found.pickle"
    ray_scripts.run(effects_workers, path)
    made = pickle.loads(path.read_bytes())  # noqa: S301  its own
    with pytest.warns(
        UserWarning, match="1 of 5 texts could not be run; the first, text 2: "
    ) as said:
        expected = call(*_pocket(), GIVEN)
    assert made["said"] == [str(said[0].message)]
    _same(made["list"], expected)
    assert float(np.abs(expected["decoder"]).max()) > 0.1
    _same(made["dataset"], call(*_pocket(), TEXTS))
    with pytest.raises(ValueError, match="empty") as error:
        call(*_pocket(), ["", *TEXTS])
    assert made["first"] == str(error.value)


def _pocket() -> tuple[Any]:
    """A function that makes the model will do in one process, too."""
    return (aw.pocket,)


def test_parts_of_the_texts_add_up() -> None:
    model, tokenizer = aw.pocket()
    options: dict[str, Any] = {"layers": [3]}
    reader = EffectsReader(model, tokenizer, "purred", "zero", None, -1, 12, options)
    each = [reader.read(text) for text in GIVEN]
    whole = PartialEffects()
    for one in each:
        whole = whole.then(one)
    halves = PartialEffects().then(each[0]).then(each[1])
    halves = halves.then(PartialEffects().then(each[2]).then(each[3]).then(each[4]))
    assert [index for index, _ in halves.skipped] == [2]
    assert halves.error is None
    _same(halves.table("zero", interrupted=False), whole.table("zero", interrupted=False))
    other = EffectsReader(model, tokenizer, "purred", "zero", None, -1, 12, {"layers": [2]})
    odd = other.read(TEXTS[0])
    assert not whole.fits(odd)
    more = whole.then(odd.then(other.read(TEXTS[1])))
    assert [index for index, _ in more.skipped] == [2, 5, 6]
    assert (
        "it has other layers and heads, {2: 4}, than those before it, {3: 4}" in more.skipped[1][1]
    )
    assert more.count == 4


def test_a_reader_is_sent_with_its_model_and_reads_there_what_it_reads_here() -> None:
    model, tokenizer = aw.pocket()
    record = aw.capture(model, TEXTS[0], tokenizer)
    reader = EffectsReader(model, tokenizer, "purred", "zero", [record], -1, 12, {"layers": [3]})
    here = reader.read(TEXTS[1])
    assert here.count == 1
    sent = unpack(pack(reader, pickle.Pickler)).with_model()
    assert sent.model is not model
    there = pickle.loads(pickle.dumps(sent.read(TEXTS[1])))  # noqa: S301  its own
    _same(there.table("zero", interrupted=False), here.table("zero", interrupted=False))


def test_workers_are_for_several_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = aw.pocket()
    with pytest.raises(TypeError, match="workers share several texts among them, got 'the cat'"):
        aw.effects(model, "the cat", tokenizer, workers=2)
    with pytest.raises(
        TypeError, match=r"worker_options are for workers: .* effects\(model, texts"
    ):
        aw.effects(model, TEXTS, tokenizer, worker_options={"num_cpus": 2})
    with pytest.raises(ValueError, match="workers must be an integer, 1 or more, got 0"):
        aw.effects(model, TEXTS, tokenizer, workers=0)
    # Refused before the model runs.
    with pytest.raises(ValueError, match="needs texts, records of capture or a survey"):
        aw.effects(None, TEXTS, tokenizer, how="mean")  # type: ignore[call-overload]
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'not installed: pip install "attnwidget\[ray\]"'):
        aw.effects(model, TEXTS, tokenizer, workers=2)
