"""Several heads in one pass: the same effects as one by one, in whatever way a model allows, and nothing left behind."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as hf
from support import others, zoo
from support.model_checks import hooks, tensors
from torch import nn

import attnwidget as aw
from attnwidget.capture.taps.listeners import listeners

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = "the cat sat on the mat because it"
Case = tuple[Any, dict[str, Any]]


def _known(name: str, implementation: str = "sdpa") -> Case:
    return zoo.build(name, implementation), zoo.inputs_of(name)


def _other(name: str) -> Case:
    return zoo.wake(others.MODELS[name]()), zoo.tokens()


def _albert() -> Case:
    sizes = {"vocab_size": zoo.VOCABULARY, "hidden_size": 24, "intermediate_size": 32}
    config = hf.AlbertConfig(
        **sizes, num_hidden_layers=2, num_attention_heads=3, embedding_size=8, pad_token_id=0
    )
    return zoo.wake(hf.AlbertForMaskedLM(config)), zoo.tokens()


class _Twice(nn.Module):
    """A projection and a second one, which is given the same and adds to it."""

    def __init__(self, first: nn.Linear) -> None:
        super().__init__()
        self.first, self.second = first, nn.Linear(first.in_features, first.out_features)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = self.first(given) + self.second(given)
        return summed


def _twice() -> Case:
    """Rows that grow at the first of two projections are right where nothing is edited, and nowhere else."""
    model, inputs = _known("llama")
    for layer in model.model.layers:
        layer.self_attn.o_proj = _Twice(layer.self_attn.o_proj)
    return zoo.wake(model), inputs


# A model, and the ways in which its heads are run.
CASES: dict[str, tuple[Callable[[], Case], set[str]]] = {
    "gpt2": (lambda: _known("gpt2"), {"grown"}),
    "llama": (lambda: _known("llama"), {"grown"}),
    "gpt-oss": (lambda: _known("gpt-oss", "eager"), {"grown"}),
    "bert": (lambda: _known("bert"), {"grown"}),
    "vit": (lambda: _known("vit"), {"grown"}),
    "mpt": (lambda: _other("mpt"), {"grown"}),
    "deberta": (lambda: _other("deberta"), {"grown"}),
    "bart": (lambda: _known("bart-2-4"), {"grown", "batched"}),
    "whisper": (lambda: _known("whisper"), {"grown", "batched"}),
    "bloom": (lambda: _other("bloom"), {"batched"}),
    "albert": (_albert, {"one by one"}),
    "xlnet": (lambda: _other("xlnet"), {"one by one"}),
    "twice": (_twice, {"batched"}),
}


def _far(first: aw.Effects, second: aw.Effects) -> float:
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)


@pytest.mark.parametrize("name", CASES)
def test_effects_of_several_heads_at_once_are_those_of_each_alone(name: str) -> None:
    build, ways = CASES[name]
    model, inputs = build()
    held = hooks(model)
    with torch.no_grad():
        clean = tensors(model(**inputs))
    found = aw.effects(model, inputs)
    alone = aw.effects(model, inputs, at_once=1)
    assert set(found.ways) == ways
    assert set(alone.ways) == {"one by one"}
    count = sum(sum(stream.num_heads) for stream in found.streams.values())
    assert sum(found.ways.values()) == sum(alone.ways.values()) == count
    assert max(float(np.abs(alone[stream]).max()) for stream in alone) > 1e-3
    assert _far(found, alone) <= 1e-5 * max(1.0, float(clean[0].abs().max()))
    assert hooks(model) == held
    assert listeners() == ()
    with torch.no_grad():
        assert all(map(torch.equal, clean, tensors(model(**inputs))))


@pytest.mark.parametrize("way", ["mean", "resample"])
def test_what_is_put_in_the_place_of_heads_may_be_of_other_inputs(way: Any) -> None:
    model, tokenizer = aw.pocket()
    options: dict[str, Any] = {"how": way, "source": ["the dog sat on the mat because it"]}
    found = aw.effects(model, TEXT, tokenizer, metric="purred", **options)
    alone = aw.effects(model, TEXT, tokenizer, metric="purred", at_once=1, **options)
    assert set(found.ways) == {"grown"}
    assert _far(found, alone) <= 1e-5
    assert float(np.abs(alone["decoder"]).max()) > 1


@pytest.mark.parametrize(
    "metric",
    [
        "purred .",
        ("purred .", "barked ."),
        ("purred", "barked"),
        lambda output: output.logits[0, -1, 7],
        lambda output: output.logits.var(),
    ],
)
def test_any_metric_is_read_off_a_row_as_off_a_pass_of_its_own(metric: Any) -> None:
    model, tokenizer = aw.pocket()
    found = aw.effects(model, TEXT, tokenizer, metric=metric)
    alone = aw.effects(model, TEXT, tokenizer, metric=metric, at_once=1)
    assert set(found.ways) == {"grown"}
    assert _far(found, alone) <= 2e-5
    for layer, head in ((3, 3), (0, 2)):
        edit = aw.ablate([(layer, head)])
        exact = aw.what_if(model, TEXT, tokenizer, edit, metric=metric).delta
        assert alone["decoder"][layer, head] == pytest.approx(exact, abs=1e-6)


def test_dropout_draws_other_numbers_for_several_rows_and_is_run_one_by_one() -> None:
    model, inputs = zoo.build("gpt2", "eager").train(), zoo.inputs_of("gpt2")
    found = aw.effects(model, inputs)
    assert set(found.ways) == {"one by one"}
    assert found.noise == 0
    alone = aw.what_if(model, inputs, None, aw.ablate([(0, 0)])).delta
    assert found["decoder"][0, 0] == alone != 0


def test_a_row_of_a_batch_is_run_one_by_one() -> None:
    model = zoo.build("gpt2", "sdpa")
    inputs = {"input_ids": zoo.ids(6, rows=2)}
    found = aw.effects(model, inputs, batch=1)
    alone = aw.effects(model, {"input_ids": inputs["input_ids"][1:]}, at_once=1)
    assert set(found.ways) == {"one by one"}
    assert _far(found, alone) <= 1e-5


def test_no_change_is_told_where_a_run_without_an_edit_shows_as_much() -> None:
    model, inputs = zoo.build("gpt2", "sdpa"), zoo.inputs_of("gpt2")
    noisy = iter(range(10_000))

    def metric(output: Any) -> torch.Tensor:
        return torch.as_tensor(output.logits[0, -1, 7] + 100 * (next(noisy) % 2))

    found = aw.effects(model, inputs, metric=metric)
    assert found.noise >= 99
    assert (found["decoder"] == 0).any()
    cut = model.transformer.h[0].attn.c_proj.weight
    with torch.no_grad():
        cut[:8] = 0
    quiet = aw.effects(model, inputs)
    assert quiet["decoder"][0, 0] == 0
    assert (quiet["decoder"][0, 1:] != 0).all()


@pytest.mark.parametrize("at_once", [1, 12])
def test_a_sweep_can_be_stopped_in_the_middle_of_a_pass(at_once: int) -> None:
    model, tokenizer = aw.pocket()
    inputs = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        clean = tensors(model(**inputs))
    whole = aw.effects(model, inputs, tokenizer, at_once=at_once)
    block, passes = model.transformer.h[2], []
    original = block.forward

    def stop(*args: Any, **kwargs: Any) -> Any:
        passes.append(1)
        if len(passes) == 9:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    block.forward = stop
    held = hooks(model)
    try:
        found = aw.effects(model, inputs, tokenizer, at_once=at_once)
    finally:
        del block.forward
    done = np.isfinite(found["decoder"])
    assert found.interrupted
    assert 0 < done.sum() < 16
    assert f"{done.sum()} of 16 heads" in repr(found)
    assert (found["decoder"][done] == whole["decoder"][done]).all()
    assert hooks(model) == held == []
    assert listeners() == ()
    with torch.no_grad():
        assert all(map(torch.equal, clean, tensors(model(**inputs))))


def test_effects_say_how_they_were_found_after_a_copy_too() -> None:
    model, tokenizer = aw.pocket()
    found = aw.effects(model, TEXT, tokenizer, metric="purred")
    for other in (copy.copy(found), pickle.loads(pickle.dumps(found))):  # noqa: S301  its own
        assert (other.ways, other.noise) == ({"grown": 16}, found.noise)
    assert "16 heads, zero, grown: 3.3" in repr(found)
    with pytest.raises(ValueError, match="at_once must be"):
        aw.effects(model, TEXT, tokenizer, at_once=0)
