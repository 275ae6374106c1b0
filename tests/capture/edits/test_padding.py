"""Positions of an edit count as those of a record, without padding: in each row of a batch, in each pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import others, zoo
from support.model_checks import GREEDY

import attnwidget as aw

if TYPE_CHECKING:
    from collections.abc import Callable

LONG, SHORT = 8, 6


def _llama(implementation: str) -> Any:
    return zoo.build("llama", implementation)


MODELS: dict[str, Callable[[], Any]] = {
    "llama-sdpa": lambda: _llama("sdpa"),
    "llama-eager": lambda: _llama("eager"),
    "bloom": lambda: zoo.wake(others.MODELS["bloom"]()),  # edited below autograd
}


def _ids(count: int) -> torch.Tensor:
    return zoo.ids(LONG, rows=2)[:1, :count] if count == LONG else zoo.ids(LONG, rows=2)[1:, :count]


def _padded(*counts: int) -> dict[str, torch.Tensor]:
    """Rows of so many tokens, padded on the left."""
    ids = torch.ones(len(counts), LONG, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, count in enumerate(counts):
        ids[row, LONG - count :], mask[row, LONG - count :] = _ids(count)[0], 1
    return {"input_ids": ids, "attention_mask": mask}


def _logits(model: Any, inputs: dict[str, torch.Tensor], edit: aw.Edits) -> torch.Tensor:
    with torch.no_grad(), aw.intervening(model, edit):
        logits: torch.Tensor = model(**inputs).logits
    return logits


EDITS: dict[str, Callable[[aw.Attention], aw.Edits]] = {
    "a link": lambda _: aw.cut(query=4, key=1, heads=[(0, 0), (1, 1)]),
    "a key": lambda _: aw.cut(key=2),
    "a query": lambda _: aw.cut(query=3, heads=(0, 0)),
    "not renormalised": lambda _: aw.cut(query=4, key=[0, 1], renormalise=False),
    "mean": lambda other: aw.ablate([(0, 0), (1, 1)], "mean", other),
    "resample": lambda other: aw.ablate([(0, 0)], "resample", other),
}
PATCHES: dict[str, Callable[[aw.Attention], aw.Edits]] = {
    "output": lambda other: aw.patch(other, heads=[(0, 0), (1, 1)], positions=[1, 5]),
    "output everywhere": lambda other: aw.patch(other, heads=(0, 0)),
    "pattern": lambda other: aw.patch(other, heads=(1, 1), what="pattern"),
    "value": lambda other: aw.patch(other, heads=(1, 0), positions=[0, 2], what="value"),
}


@pytest.mark.parametrize("name", MODELS)
def test_an_edit_of_a_batch_is_that_of_each_row_alone(name: str) -> None:
    model = MODELS[name]()
    # Two mean outputs of as many positions as the longer row.
    long = aw.capture(model, {"input_ids": zoo.ids(LONG, rows=3)[2:]})
    short = aw.capture(model, {"input_ids": zoo.ids(SHORT, rows=3)[2:]})
    for edits, other, counts in ((EDITS, long, (SHORT, LONG)), (PATCHES, short, (SHORT, SHORT))):
        inputs = _padded(*counts)
        plain = _logits(model, inputs, aw.ablate([]))
        for said, make in edits.items():
            edit = make(other)
            got = _logits(model, inputs, edit)
            for row, count in enumerate(counts):
                alone = {"input_ids": _ids(count)}
                clean = _logits(model, alone, aw.ablate([]))[0]
                expected = _logits(model, alone, edit)[0]
                apart = float((plain[row, LONG - count :] - clean).abs().max())
                far = float((got[row, LONG - count :] - expected).abs().max())
                assert far <= apart + 2e-5, (said, row)
                assert float((expected - clean).abs().max()) > 1e-3, said


def test_a_token_named_in_a_padded_row_is_the_one_of_its_record() -> None:
    model = _llama("sdpa")
    inputs = _padded(SHORT, LONG)
    edit = aw.cut(query=-1, key=1, heads=(1, 1))
    effect = aw.what_if(model, inputs, None, edit, batch=0)
    alone = aw.what_if(model, {"input_ids": _ids(SHORT)}, None, edit)
    assert effect.delta == pytest.approx(alone.delta, abs=1e-5)
    assert abs(alone.delta) > 1e-4
    before, after = (one["decoder"][1].weights(1) for one in (effect.clean, effect.changed))
    assert after.shape == (SHORT, SHORT)
    assert after[-1, 1] == 0 < before[-1, 1]
    np.testing.assert_array_equal(after[:-1], before[:-1])


def test_a_padded_text_has_the_effects_of_the_text_alone() -> None:
    model = _llama("sdpa")
    source = aw.capture(model, {"input_ids": zoo.ids(SHORT, rows=3)[2:]})
    options: dict[str, Any] = {"how": "mean", "source": source}
    found = aw.effects(model, _padded(SHORT), None, **options)
    alone = aw.effects(model, {"input_ids": _ids(SHORT)}, None, **options)
    np.testing.assert_allclose(found["decoder"], alone["decoder"], rtol=0, atol=2e-5)
    estimates = [one.streams["decoder"].estimate for one in (found, alone)]
    np.testing.assert_allclose(*estimates, rtol=0, atol=2e-5)
    assert set(found.ways) == {"grown"}


def test_a_padded_prompt_goes_on_as_it_does_alone() -> None:
    model = _llama("sdpa")
    for edit in (aw.cut(key=1), aw.cut(query=[6, 7], key=[5, 6], layers=[0])):
        with torch.no_grad(), aw.intervening(model, edit):
            both = model.generate(**_padded(SHORT, LONG), **GREEDY, pad_token_id=0)
            alone = model.generate(_ids(SHORT), **GREEDY, pad_token_id=0)
        assert both[0, LONG:].tolist() == alone[0, SHORT:].tolist()
        with torch.no_grad():
            clean = model.generate(_ids(SHORT), **GREEDY, pad_token_id=0)
        assert clean.tolist() != alone.tolist()


@pytest.mark.parametrize("name", ["t5-4-2", "bart-4-2"])
def test_a_query_of_a_step_that_looks_at_the_encoder_is_counted(name: str) -> None:
    model = zoo.build(name, "eager")
    inputs = {
        key: value for key, value in zoo.inputs_of(name).items() if not key.startswith("decoder")
    }
    aw.capture(model, zoo.inputs_of(name))
    edit = aw.cut(query=2, stream="cross")
    with torch.no_grad(), aw.intervening(model, edit):
        ids = model.generate(**inputs, **GREEDY, output_logits=True, return_dict_in_generate=True)
        # The same without a cache.
        whole = model(**inputs, decoder_input_ids=ids.sequences[:, :-1], use_cache=False).logits
    steps = torch.stack(ids.logits, dim=1)
    torch.testing.assert_close(whole, steps, rtol=0, atol=2e-5)
    with torch.no_grad():
        clean = model(**inputs, decoder_input_ids=ids.sequences[:, :-1]).logits
    apart = (clean - whole).abs().amax(dim=(0, 2))
    assert bool((apart[:2] < 1e-5).all())
    assert float(apart[2]) > 1e-3
