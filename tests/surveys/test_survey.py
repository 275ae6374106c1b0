"""Scores over many inputs: running sums against numpy over all of them, parts that add up, interrupts, files."""

from __future__ import annotations

import pickle
import random
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support.workers import TEXTS

import attnwidget as aw
from attnwidget.analysis.head_scores import score_stream
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.recordings import from_weights
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = list(SCORES)


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


@pytest.fixture(scope="module")
def whole(pocket: Any) -> Survey:
    return aw.survey(pocket[0], TEXTS, pocket[1], progress=False)


def each(pocket: Any) -> tuple[Any, Any]:
    """Return all scores of all texts, with and without the sink, ``[text, head, score]``."""
    found = [
        score_stream(aw.capture(pocket[0], text, pocket[1])["decoder"]).layers for text in TEXTS
    ]
    return tuple(
        np.stack([np.concatenate([getattr(layer, name) for layer in layers]) for layers in found])
        for name in ("values", "without")
    )


def test_mean_and_spread_are_those_over_all_inputs(pocket: Any, whole: Survey) -> None:
    values, without = each(pocket)
    assert repr(whole) == "Survey(GPT2LMHeadModel, decoder: 16 heads, 8 inputs)"
    rows = {(row["layer"], row["head"], row["score"]): row for row in whole.head_scores()}
    for head in range(16):
        for place, name in enumerate(NAMES):
            seen = values[:, head, place][~np.isnan(values[:, head, place])]
            if not len(seen):
                assert (head // 4, head % 4, name) not in rows
                continue
            row = rows[head // 4, head % 4, name]
            assert row["inputs"] == len(seen)
            assert row["mean"] == pytest.approx(seen.mean(), abs=1e-9)
            assert row["spread"] == pytest.approx(seen.std(), abs=1e-9)
            other = without[:, head, place][~np.isnan(without[:, head, place])]
            if len(other):
                assert row["without_sink"] == pytest.approx(other.mean(), abs=1e-9)
                assert row["without_sink_spread"] == pytest.approx(other.std(), abs=1e-9)
            else:
                assert row["without_sink"] is None
    assert whole.head_scores("next", stream="decoder") == []


def same(first: Survey, second: Survey) -> None:
    assert (first.count, first.skipped, dict(first.texts)) == (
        second.count,
        second.skipped,
        dict(second.texts),
    )
    for name, found in first.streams.items():
        other = second.streams[name]
        for field in ("count", "mean", "squares", "rows"):
            np.testing.assert_allclose(
                getattr(found.moments, field), getattr(other.moments, field), atol=1e-6
            )
        for field in ("rank", "value", "index"):
            np.testing.assert_array_equal(
                getattr(found.typical, field), getattr(other.typical, field)
            )


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_two_parts_merged_are_the_whole(pocket: Any, whole: Survey, cut: int) -> None:
    parts = [
        aw.survey(pocket[0], part, pocket[1], progress=False) for part in (TEXTS[:cut], TEXTS[cut:])
    ]
    same(parts[0] + parts[1], whole)
    same(parts[0].merge(parts[1]), whole)


def test_parts_come_back_from_a_file(whole: Survey, tmp_path: Path) -> None:
    whole.save(tmp_path / "s.safetensors")
    loaded = Survey.load(tmp_path / "s.safetensors")
    with pytest.raises(ValueError, match=r"a survey is read by Survey\.load"):
        aw.load(tmp_path / "s.safetensors")
    same(loaded, whole)
    assert repr(loaded) == repr(whole)
    same(pickle.loads(pickle.dumps(whole)), whole)  # noqa: S301  (its own)
    assert loaded.head_labels() == whole.head_labels()
    same(loaded + whole, whole + loaded)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Survey.load(tmp_path / "t.safetensors")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        whole.save(tmp_path / "missing" / "s.safetensors")
    (tmp_path / "t.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="is no safetensors file"):
        Survey.load(tmp_path / "t.safetensors")
    record = from_weights(torch.full((1, 1, 2, 2), 0.5))
    record.save(tmp_path / "t.safetensors")
    with pytest.raises(ValueError, match="holds no survey"):
        Survey.load(tmp_path / "t.safetensors")


def test_every_changed_bit_of_a_file_is_noticed(whole: Survey, tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    whole.save(path)
    good = path.read_bytes()
    for bit in random.Random(1).sample(range(8 * len(good)), 200):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            Survey.load(path)


def test_typical_inputs_are_those_where_the_head_does_it(pocket: Any, whole: Survey) -> None:
    rows = whole.examples(2, 1, "induction")
    assert rows[0]["text"] == TEXTS[3]
    assert rows[0]["index"] == 3
    values, _ = each(pocket)
    assert rows[0]["value"] == pytest.approx(values[3, 2 * 4 + 1, NAMES.index("induction")])
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert len({row["index"] for row in rows}) == len(rows) <= 5
    (label,) = (row for row in whole.head_labels() if (row["layer"], row["head"]) == (0, 2))
    assert (label["score"], label["label"]) == ("previous", "previous")
    with pytest.raises(ValueError, match=r"layer 1 head 0 has no label: pass score=, one of"):
        whole.examples(1, 0)
    assert whole.examples(0, 2) == whole.examples(0, 2, "previous")
    # A text of three tokens is no example of anything.
    everything = whole.streams["decoder"].typical.index[:, NAMES.index("duplicate")]
    assert TEXTS.index("the dog ran") not in everything
    with pytest.raises(ValueError, match="there is no head 4 in layer 0"):
        whole.examples(0, 4)
    with pytest.raises(ValueError, match="scores must be among"):
        whole.examples(0, 2, "nope")


def test_as_many_examples_as_asked(pocket: Any) -> None:
    few = aw.survey(pocket[0], TEXTS, pocket[1], examples=1, progress=False)
    assert few.streams["decoder"].typical.index.shape == (16, len(NAMES), 1)
    none = aw.survey(pocket[0], TEXTS[:2], pocket[1], examples=0, progress=False)
    assert none.examples(0, 2, "previous") == []
    assert not none.texts
    with pytest.raises(ValueError, match="do not add up: examples_kept is 1 and 0"):
        few + none
    with pytest.raises(ValueError, match="examples must be an integer, 0 or more, got -1"):
        aw.survey(pocket[0], TEXTS, examples=-1)


def test_an_interrupt_keeps_what_was_done(pocket: Any) -> None:
    def texts() -> Iterator[str]:
        yield from TEXTS[:3]
        raise KeyboardInterrupt

    found = aw.survey(pocket[0], texts(), pocket[1], progress=False)
    assert found.interrupted
    assert repr(found).endswith("3 inputs, interrupted)")
    same(found, aw.survey(pocket[0], TEXTS[:3], pocket[1], progress=False))


def test_an_interrupt_inside_the_model_keeps_what_was_done(
    pocket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = aw.pocket()
    calls = []
    forward = type(model).forward

    def stopped(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(model), "forward", stopped)
    found = aw.survey(model, TEXTS, tokenizer, progress=False)
    monkeypatch.undo()
    assert (found.count, found.interrupted) == (2, True)
    rest = aw.survey(pocket[0], TEXTS[2:], pocket[1], progress=False)
    assert (found + rest).count == len(TEXTS)


def test_what_cannot_be_recorded_is_skipped_and_said(pocket: Any) -> None:
    texts = ["the cat sat", "dog " * 600, "the dog ran", ""]
    with pytest.warns(
        UserWarning, match=r"2 of 4 inputs could not be recorded; the first, input 1:"
    ):
        found = aw.survey(pocket[0], texts, pocket[1], progress=False)
    assert found.count == 2
    assert [index for index, _ in found.skipped] == [1, 3]
    assert repr(found).endswith("2 inputs, 2 skipped)")
    later = found + aw.survey(pocket[0], TEXTS, pocket[1], progress=False)
    assert 4 + TEXTS.index(TEXTS[3]) in later.streams["decoder"].typical.index
    with pytest.raises(ValueError, match="takes at most 512"):
        aw.survey(pocket[0], ["dog " * 600] * 20, pocket[1], progress=False)


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("one text", TypeError, r"texts must be several inputs, got one text: call survey\(model"),
        ([], ValueError, "texts holds no input"),
    ],
)
def test_what_is_no_corpus_is_refused(
    pocket: Any, texts: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        aw.survey(pocket[0], texts, pocket[1], progress=False)


def test_surveys_of_other_models_do_not_add_up(pocket: Any, whole: Survey) -> None:
    other = Survey("BertModel", {}, 0)
    with pytest.raises(ValueError, match="of different models do not add up"):
        whole + other
    weights = from_weights(torch.full((1, 2, 3, 3), 1 / 3))
    scores = [score_stream(weights["self"])]
    small = Survey.of("GPT2LMHeadModel", scores, None)
    renamed = Survey("GPT2LMHeadModel", {"decoder": small.streams["self"]}, 1)
    with pytest.raises(ValueError, match="the heads are not the same"):
        whole + renamed
    del pocket


def test_another_measure_can_be_surveyed(pocket: Any) -> None:
    found = aw.survey(pocket[0], TEXTS[:2], pocket[1], measure="norm", progress=False)
    expected = [
        [
            row["value"]
            for row in aw.capture(pocket[0], text, pocket[1]).head_scores("self", measure="norm")
        ]
        for text in TEXTS[:2]
    ]
    means = [row["mean"] for row in found.head_scores("self")]
    assert means == pytest.approx(np.mean(expected, 0), abs=1e-6)


PEAK = """
import resource, sys, random
import attnwidget as aw
model, tokenizer = aw.pocket()
words = [word for word in tokenizer.get_vocab() if word.isalpha()]
random.seed(0)
texts = (" ".join(random.choices(words, k=30)) for _ in range(int(sys.argv[1])))
aw.survey(model, texts, tokenizer, progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus() -> None:
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", PEAK, str(count)], check=True, capture_output=True, text=True
            ).stdout
        )
        for count in (20, 400)
    ]
    assert peaks[1] - peaks[0] < 30_000, peaks  # kilobytes
