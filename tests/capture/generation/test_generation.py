"""Several forward passes in one recording: a generation becomes one record, anything else is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import zoo
from support.model_checks import GREEDY, assert_same

from attnwidget.recordings import capture, recording

DECODERS = [
    name
    for name, kind in zoo.KINDS.items()
    if "decoder" in kind.streams and kind.inputs is zoo.tokens
]
CASES = [
    pytest.param(name, implementation, id=f"{name}-{implementation}")
    for name in DECODERS
    for implementation in zoo.KINDS[name].implementations
]


def recorded(
    model: Any, inputs: dict[str, torch.Tensor], **options: Any
) -> tuple[Any, torch.Tensor]:
    with recording(model) as attention:
        output = model.generate(**inputs, **GREEDY, **options)
    return attention, output


@pytest.mark.parametrize("cache", [None, "static"])
@pytest.mark.parametrize(("name", "implementation"), CASES)
def test_generation_is_one_record(name: str, implementation: str, cache: str | None) -> None:
    """Prompt of 5, six more: the windows of the sliding layers (3) slide, their caches forget."""
    model, inputs = zoo.build(name, implementation), zoo.tokens(5)
    attention, output = recorded(model, inputs, cache_implementation=cache, disable_compile=True)
    assert output.shape == (1, 11)
    whole = capture(model, output[:, :-1])
    assert len(attention["decoder"].query_positions) == 10
    assert_same(attention["decoder"], whole["decoder"])


def test_generation_from_one_token() -> None:
    model = zoo.build("gemma3", "sdpa")
    attention, output = recorded(model, zoo.tokens(1))
    assert_same(attention["decoder"], capture(model, output[:, :-1])["decoder"])


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_generation_from_a_padded_prompt(implementation: str) -> None:
    model, inputs = zoo.build("llama", implementation), zoo.tokens(5)
    inputs["attention_mask"][0, :2] = 0
    attention, output = recorded(model, inputs)
    mask = torch.ones(1, 10, dtype=torch.long)
    mask[0, :2] = 0
    whole = capture(model, {"input_ids": output[:, :-1], "attention_mask": mask})
    assert len(attention["decoder"].key_positions) == 8
    assert_same(attention["decoder"], whole["decoder"])


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["t5-4-2", "bart-4-2", "bart-2-4"])
def test_translation_is_one_record(name: str, implementation: str) -> None:
    model, inputs = zoo.build(name, implementation), zoo.tokens(7)
    attention, output = recorded(model, inputs)
    assert output.shape == (1, 7)
    whole = capture(model, {**inputs, "decoder_input_ids": output[:, :-1]})
    assert set(attention.streams) == {"encoder", "decoder", "cross"}
    for name_of in attention.streams:
        assert_same(attention[name_of], whole[name_of])
    assert [p.label for p in attention["cross"].query_positions] == [
        str(i) for i in output[0, :-1].tolist()
    ]


def test_whisper_writes_down_what_it_hears() -> None:
    model, inputs = zoo.build("whisper", "sdpa"), zoo.inputs_of("whisper")
    with recording(model) as attention, torch.no_grad():
        step = model(**inputs)
        for token in (7, 9):
            ids = torch.tensor([[token]])
            cache = step.past_key_values
            step = model(
                encoder_outputs=(step.encoder_last_hidden_state,),
                decoder_input_ids=ids,
                past_key_values=cache,
            )
    ids = torch.cat([inputs["decoder_input_ids"], torch.tensor([[7, 9]])], dim=1)
    whole = capture(model, {**inputs, "decoder_input_ids": ids})
    for name in whole.streams:
        assert_same(attention[name], whole[name])


def test_a_pass_over_an_older_cache() -> None:
    """Keys that were computed before the recording have no labels, yet they are attended to."""
    model, ids = zoo.build("qwen2", "sdpa"), zoo.ids(7)
    with torch.no_grad():
        cache = model(ids[:, :4]).past_key_values
        attention = capture(model, {"input_ids": ids[:, 4:], "past_key_values": cache})
    stream, whole = attention["decoder"], capture(model, ids)["decoder"]
    assert [p.kind for p in stream.key_positions] == ["latent"] * 4 + ["token"] * 3
    assert stream[1].band.offset == 4
    np.testing.assert_allclose(stream[1].weights(), whole[1].weights()[:, 4:], rtol=0, atol=1e-5)


def test_the_last_of_two_forward_passes() -> None:
    model, inputs = zoo.build("bert"), zoo.inputs_of("bert")
    with pytest.warns(UserWarning, match=r"ran 2 forward passes.*which=0"), recording(model) as two:
        [model(**inputs) for _ in range(2)]
    assert (two.passes, two.which) == (2, 1)
    assert_same(two["encoder"], capture(model, inputs)["encoder"])


def test_no_forward_pass() -> None:
    model = zoo.build("gpt2")
    with (
        pytest.raises(ValueError, match="no forward pass of GPT2LMHeadModel ran"),
        recording(model),
    ):
        pass
