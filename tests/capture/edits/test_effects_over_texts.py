"""What each head is worth over several texts: the mean of what it is worth on each, its spread, interval and sign."""

from __future__ import annotations

import math
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import attnwidget as aw
from attnwidget.intervene.student import two_sided_95

TEXTS = [
    f"the {animal} sat on the {place} because it"
    for animal, place in (("cat", "mat"), ("dog", "mat"), ("bird", "mat"), ("cat", "bed"))
]


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


@pytest.mark.parametrize("options", [{}, {"how": "mean", "source": ["the dog sat on the mat ."]}])
def test_the_numbers_are_those_of_the_texts_one_by_one(pocket: Any, options: Any) -> None:
    over = aw.effects(*_given(pocket), metric="purred", progress=False, **options)
    each = [aw.effects(pocket[0], text, pocket[1], metric="purred", **options) for text in TEXTS]
    found = np.stack([one["decoder"] for one in each])
    stream = over.streams["decoder"]
    np.testing.assert_allclose(over["decoder"], found.mean(0), atol=1e-5)
    np.testing.assert_allclose(stream.sd, found.std(0, ddof=1), atol=1e-5)
    half = stats.t.ppf(0.975, len(TEXTS) - 1) * stats.sem(found)
    np.testing.assert_allclose(stream.interval[0], found.mean(0) - half, atol=1e-4)
    np.testing.assert_allclose(stream.interval[1], found.mean(0) + half, atol=1e-4)
    clear = (np.abs(found) > 1e-4).all(0)
    same = (np.sign(found) == np.sign(found.mean(0))).mean(0)
    assert clear.sum() > 8
    assert (stream.same_sign[clear] == same[clear]).all()
    assert (same[clear] < 1).sum() > 0  # signs differ somewhere
    estimates = np.mean([one.streams["decoder"].estimate for one in each], axis=0)
    np.testing.assert_allclose(stream.estimate, estimates, atol=1e-4)
    assert over.value == pytest.approx(np.mean([one.value for one in each]), abs=1e-5)
    assert (over.count, over.skipped, over.interrupted) == (4, (), False)
    assert over.ways == {"grown": 64}
    assert over.metric == "log p(“purred”)"


def _given(pocket: Any) -> tuple[Any, list[str], Any]:
    return pocket[0], TEXTS, pocket[1]


def test_the_table_has_a_row_for_each_head_the_largest_mean_first(pocket: Any) -> None:
    over = aw.effects(*_given(pocket), metric="purred", progress=False)
    frame = over.to_dataframe()
    assert list(frame) == [
        "stream", "layer", "head", "effect", "estimate", "exact", "sd", "low", "high", "same_sign", "texts",
    ]  # fmt: skip
    assert len(frame) == 16
    assert (frame["low"] <= frame["effect"]).all()
    assert (frame["effect"] <= frame["high"]).all()
    assert (frame["texts"] == 4).all()
    assert frame["exact"].all()
    assert list(frame["effect"].abs()) == sorted(frame["effect"].abs(), reverse=True)
    first = frame.iloc[0]
    assert repr(over).startswith(
        f"EffectsOverTexts(log p(“purred”) {over.value:.4g}, 4 texts, 16 heads, zero: "
        f"{first['layer']}.{first['head']} {first['effect']:+.3g} [{first['low']:+.3g}, "
    )
    again = pickle.loads(pickle.dumps(over))  # noqa: S301  its own
    assert repr(again) == repr(over)
    assert again.ways == over.ways


def test_means_of_the_very_texts_stand_beside_zero(pocket: Any) -> None:
    options: dict[str, Any] = {"metric": "purred", "progress": False, "layers": [3]}
    over = aw.effects(*_given(pocket), source=TEXTS, **options)
    zero = aw.effects(*_given(pocket), **options)
    mean = aw.effects(*_given(pocket), how="mean", source=TEXTS, **options)
    np.testing.assert_allclose(over["decoder"], zero["decoder"], atol=1e-5)
    np.testing.assert_allclose(over.streams["decoder"].by_mean, mean["decoder"], atol=1e-5)
    low, high = over.streams["decoder"].set_to_mean.interval
    np.testing.assert_allclose((low, high), mean.streams["decoder"].interval, atol=1e-5)
    frame = over.to_dataframe()
    assert list(frame)[-2:] == ["by_mean", "differs"]
    larger = np.where(abs(frame["effect"]) > abs(frame["by_mean"]), "effect", "by_mean")
    for line, name in zip(frame.to_dict("records"), larger, strict=True):
        ratio = line["effect"] / line["by_mean"]
        apart = not 1 / 3 <= ratio <= 3
        ends = {
            "effect": (line["low"], line["high"]),
            "by_mean": (low[0, line["head"]], high[0, line["head"]]),
        }[name]
        assert line["differs"] == (apart and not ends[0] <= 0 <= ends[1])
    assert "by_mean" not in zero.to_dataframe()
    again = pickle.loads(pickle.dumps(over))  # noqa: S301  its own
    assert repr(again) == repr(over)


def test_each_text_may_have_its_own_likeliest_choice(pocket: Any) -> None:
    over = aw.effects(*_given(pocket), progress=False)
    names = {aw.effects(pocket[0], text, pocket[1]).metric for text in TEXTS}
    assert len(names) > 1
    assert over.metric == "log p of each text's likeliest choice"


def test_one_text_has_no_spread_and_a_batch_is_one_input(pocket: Any) -> None:
    model, texts, tokenizer = _given(pocket)
    one = aw.effects(model, texts[:1], tokenizer, progress=False)
    alone = aw.effects(model, texts[0], tokenizer)
    assert isinstance(alone, aw.Effects)
    assert isinstance(one, aw.EffectsOverTexts)
    np.testing.assert_array_equal(one["decoder"], alone["decoder"])
    assert np.isnan(one.streams["decoder"].sd).all()
    assert np.isnan(one.streams["decoder"].interval).all()
    picked = aw.effects(model, texts, tokenizer, batch=1)
    assert isinstance(picked, aw.Effects)
    second = aw.effects(model, texts[1], tokenizer)
    np.testing.assert_array_equal(picked["decoder"], second["decoder"])


def test_a_text_that_cannot_be_run_is_left_out_and_said(pocket: Any) -> None:
    model, texts, tokenizer = _given(pocket)
    with pytest.warns(
        UserWarning, match=r"1 of 3 texts could not be run; the first, text 1: .*empty"
    ):
        over = aw.effects(
            model, [texts[0], "", texts[1]], tokenizer, metric="purred", progress=False
        )
    both = aw.effects(model, texts[:2], tokenizer, metric="purred", progress=False)
    assert [index for index, _ in over.skipped] == [1]
    assert over.count == 2
    np.testing.assert_array_equal(over["decoder"], both["decoder"])
    with pytest.raises(ValueError, match="no tokens for metric='zyzzyva'"):
        aw.effects(model, texts, tokenizer, metric="zyzzyva", progress=False)


def test_ended_early_the_finished_texts_are_there(pocket: Any) -> None:
    model, texts, tokenizer = _given(pocket)
    lasting = 0  # calls of the metric that two texts and a bit take

    def count(output: Any) -> torch.Tensor:
        nonlocal lasting
        lasting += 1
        return torch.as_tensor(output.logits[0, -1, 7])

    two = aw.effects(model, texts[:2], tokenizer, metric=count, progress=False)
    left = lasting + 20

    def stop(output: Any) -> torch.Tensor:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt
        return torch.as_tensor(output.logits[0, -1, 7])

    over = aw.effects(model, texts, tokenizer, metric=stop, progress=False)
    assert over.interrupted
    assert over.count == 2
    assert ", 2 texts, interrupted," in repr(over)
    np.testing.assert_array_equal(over["decoder"], two["decoder"])
    left = 20
    with pytest.raises(KeyboardInterrupt):
        aw.effects(model, texts, tokenizer, metric=stop, progress=False)


def test_nothing_of_a_text_is_kept(pocket: Any) -> None:
    model, texts, tokenizer = _given(pocket)
    held: list[weakref.ref[torch.Tensor]] = []
    most = []

    def metric(output: Any) -> torch.Tensor:
        held.append(weakref.ref(output.logits))
        most.append(sum(each() is not None for each in held))
        return torch.as_tensor(output.logits[0, -1, 7])

    counts = []
    for number in (1, 4):
        held.clear()
        most.clear()
        aw.effects(model, texts[:1] * number, tokenizer, metric=metric, progress=False)
        counts.append(max(most))
    # The outputs of one text, besides those that the text before it let go of last.
    assert counts[1] <= counts[0] + 2


def test_the_interval_is_students() -> None:
    for freedom in (1, 2, 3, 10, 75, 199, 200, 5000):
        assert two_sided_95(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-6)
    assert math.isfinite(two_sided_95(10**9))


def test_one_text_has_no_interval() -> None:
    model, tokenizer = aw.pocket()
    alone = aw.effects(
        model, ["the cat sat on the mat because it"], tokenizer, metric="purred", progress=False
    )
    assert ", 1 text, 16 heads" in repr(alone)
    assert "nan" not in repr(alone)
    assert "[" not in repr(alone)
