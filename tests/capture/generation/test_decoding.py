"""Ways of decoding in which passes, rows and positions of the record have to be chosen among those that ran."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from support import others, zoo
from support.model_checks import GREEDY, assert_same
from transformers import Cache, DynamicCache, GenerationMixin
from transformers.generation import LogitsProcessor

from attnwidget.recordings import capture, recording

REPEATS = torch.tensor([[7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8]])
WAYS: dict[str, dict[str, Any]] = {
    "sampling": {"do_sample": True},
    "beams": {"num_beams": 3},
    "many-beams": {"num_beams": 5, "max_new_tokens": 14, "min_new_tokens": None},
    "sampled-beams": {"num_beams": 3, "do_sample": True},
    "no-cache": {"use_cache": False},
    "beams-no-cache": {"use_cache": False, "num_beams": 3},
    "static-beams": {"cache_implementation": "static", "disable_compile": True, "num_beams": 3},
    "chunks": {"prefill_chunk_size": 2},
    "lookup": {"prompt_lookup_num_tokens": 3},
}


def read_of(sequence: torch.Tensor, prompt: int, end: int = 2) -> torch.Tensor:
    """What a model read of a sequence that it wrote, ``[1, position]``: all but the last token."""
    ids = sequence.tolist()
    stop = next((i for i in range(prompt, len(ids)) if ids[i] == end), len(ids) - 1)
    return sequence[None, :stop]


def assert_expected(attention: Any, whole: Any) -> None:
    """Same next tokens as in one pass, as far as both are there."""
    for position, ranked in attention.next_tokens.items():
        of_whole = whole.next_tokens[position]
        assert [t.probability for t in ranked[:8]] == pytest.approx(
            [t.probability for t in of_whole[:8]], abs=1e-5
        )
        chosen = next(token for token in ranked if token.chosen)
        if position + 1 in whole.next_tokens:  # the last token is not in the text of one pass
            same = next(token for token in of_whole if token.chosen)
            assert chosen.id == same.id
            assert chosen.probability == pytest.approx(same.probability, abs=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3"])
def test_any_way_of_decoding_is_one_record(name: str, way: str) -> None:
    torch.manual_seed(0)
    model = zoo.build(name, "sdpa")
    with recording(model) as attention:
        output = model.generate(REPEATS, **{**GREEDY, **WAYS[way]})
    whole = capture(model, read_of(output[0], 11))
    assert_same(attention["decoder"], whole["decoder"])
    assert attention.next_tokens.prompt == 11
    assert_expected(attention, whole)


@pytest.mark.parametrize("way", ["beams", "lookup"])
@pytest.mark.parametrize("name", ["bloom", "gptj", "falcon-alibi"])
def test_models_with_their_own_attention(name: str, way: str) -> None:
    model = zoo.wake(others.MODELS[name]())
    with recording(model) as attention:
        output = model.generate(REPEATS, **{**GREEDY, **WAYS[way]})
    assert_same(attention["decoder"], capture(model, read_of(output[0], 11))["decoder"])


@pytest.mark.parametrize("way", ["beams", "no-cache", "sampling"])
@pytest.mark.parametrize("name", ["t5-4-2", "bart-2-4", "whisper"])
def test_encoder_decoder(name: str, way: str) -> None:
    torch.manual_seed(0)
    model, given = zoo.build(name, "sdpa"), zoo.inputs_of(name)
    del given["decoder_input_ids"]
    with recording(model) as attention:
        model.generate(**given, **{**GREEDY, **WAYS[way]})
    # Whisper's own generate leaves out what it began with; its labels are its ids.
    ids = torch.tensor([[int(p.label) for p in attention["decoder"].key_positions]])
    whole = capture(model, {**given, "decoder_input_ids": ids})
    for stream in whole.streams:
        assert_same(attention[stream], whole[stream])
    assert attention.next_tokens.prompt == 1
    assert_expected(attention, whole)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("row", [0, 1])
def test_a_row_of_a_batch(row: int, beams: int) -> None:
    """Left padding; the rows end at different lengths, and after its end a row reads padding."""
    model = zoo.build("llama", "sdpa")
    mask = torch.tensor([[0, 0, 1, 1, 1], [1] * 5])
    options = {**GREEDY, "min_new_tokens": None, "max_new_tokens": 9, "num_beams": beams}
    free = model.generate(zoo.ids(5, rows=2), attention_mask=mask, **options)
    options["eos_token_id"] = end = int(free[0, 8])
    with recording(model, batch=row) as attention:
        output = model.generate(zoo.ids(5, rows=2), attention_mask=mask, **options)
    read = read_of(output[row], 5, end)
    hidden = int((mask[row] == 0).sum())
    seen = torch.tensor([[0] * hidden + [1] * (read.shape[1] - hidden)])
    whole = capture(model, {"input_ids": read, "attention_mask": seen})
    assert_same(attention["decoder"], whole["decoder"])
    assert attention.next_tokens.prompt == 5 - hidden
    assert_expected(attention, whole)


@pytest.mark.parametrize("beams", [1, 4])
def test_one_of_several_sequences(beams: int) -> None:
    torch.manual_seed(0)
    model = zoo.build("llama", "sdpa")
    options = {**GREEDY, "num_beams": beams, "num_return_sequences": 3, "do_sample": beams == 1}
    with (
        pytest.raises(ValueError, match=r"returns 3 sequences.*batch=0 \.\. batch=2"),
        recording(model),
    ):
        model.generate(REPEATS, **options)
    with recording(model, batch=2) as attention:
        output = model.generate(REPEATS, **options)
    assert_same(attention["decoder"], capture(model, read_of(output[2], 11))["decoder"])


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3"])
def test_what_was_drafted_and_refused_is_not_in_the_record(name: str) -> None:
    model = zoo.build(name, "sdpa")
    draft = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in draft.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    with recording(model) as attention:
        output = model.generate(REPEATS, **GREEDY, assistant_model=draft)
    whole = capture(model, read_of(output[0], 11))
    assert_same(attention["decoder"], whole["decoder"])
    assert_expected(attention, whole)


def test_a_model_that_drafts_for_itself() -> None:
    model = zoo.build("llama")
    with recording(model) as attention:
        output = model.generate(REPEATS, **GREEDY, assistant_early_exit=1)
    assert_same(attention["decoder"], capture(model, read_of(output[0], 11))["decoder"])


def test_whisper_that_finds_out_the_language_first() -> None:
    model, given = zoo.build("whisper", "sdpa"), zoo.inputs_of("whisper")
    config = model.generation_config
    config.is_multilingual, config.no_timestamps_token_id = True, 11
    config.lang_to_id = {"<|en|>": 7, "<|de|>": 8}
    config.task_to_id = {"transcribe": 9, "translate": 10}
    with recording(model) as attention:
        model.generate(given["input_features"], **GREEDY)
    ids = torch.tensor([[int(p.label) for p in attention["decoder"].key_positions]])
    whole = capture(model, {**given, "decoder_input_ids": ids})
    for stream in whole.streams:
        assert_same(attention[stream], whole[stream])
    assert attention.next_tokens.prompt == 3


def test_vectors_in_place_of_a_prompt() -> None:
    model = zoo.build("llama", "sdpa")
    with recording(model) as attention:
        vectors = model.get_input_embeddings()(REPEATS)
        output = model.generate(inputs_embeds=vectors, **GREEDY)
    whole = capture(model, torch.cat([REPEATS, output[:, :-1]], dim=1))
    for layer, expected in zip(attention["decoder"], whole["decoder"], strict=True):
        np.testing.assert_allclose(layer.weights(), expected.weights(), rtol=0, atol=1e-5)
    assert attention.next_tokens.prompt == 11


def test_a_prompt_that_was_read_before() -> None:
    model = zoo.build("llama", "sdpa")
    with torch.no_grad():
        cache = model(REPEATS[:, :4]).past_key_values
    with recording(model) as attention:
        output = model.generate(REPEATS, past_key_values=cache, **GREEDY)
    stream, whole = attention["decoder"], capture(model, output[:, :-1])["decoder"]
    assert (len(stream.query_positions), len(stream.key_positions)) == (12, 16)
    assert attention.next_tokens.prompt == 7
    np.testing.assert_allclose(stream[1].weights(), whole[1].weights()[:, 4:], rtol=0, atol=1e-5)


def test_two_generations_are_two_passes() -> None:
    model, other = zoo.build("gpt2"), REPEATS[:, 1:]
    with recording(model) as alone:
        model.generate(other, **GREEDY)
    with pytest.warns(UserWarning, match="2 passes, the last a generation"):  # noqa: SIM117
        with recording(model) as attention:
            [model.generate(ids, **GREEDY) for ids in (REPEATS, other)]
    assert_same(attention["decoder"], alone["decoder"])
    assert attention.next_tokens.prompt == alone.next_tokens.prompt
    with pytest.warns(UserWarning, match="2 passes, the last a generation"):  # noqa: SIM117
        with recording(model) as attention:
            [model(REPEATS), model.generate(other, **GREEDY)]
    assert_same(attention["decoder"], alone["decoder"])


def test_a_generation_that_cannot_be_followed_is_refused() -> None:
    """Guidance reads another prompt besides."""
    model = zoo.build("llama")
    other = {"guidance_scale": 2.0, "negative_prompt_ids": zoo.ids(4, seed=3)}
    with (
        pytest.raises(ValueError, match=r"what generate returned .*capture\(model, output_ids\)"),
        recording(model),
    ):
        model.generate(REPEATS, **GREEDY, **other)


class _Shuffle(LogitsProcessor):
    """Changes rows of a cache where nobody is told."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002 - its signature
        for layer in self.cache.layers:
            layer.keys = layer.keys[[1, 0, 2]]
        return scores


def test_beams_whose_cache_is_not_the_one_told_of_are_refused() -> None:
    model = zoo.build("gpt2")
    cache = DynamicCache(config=model.config)
    options = {**GREEDY, "num_beams": 3, "past_key_values": cache}
    with pytest.raises(ValueError, match=r"cache rewritten .*num_beams=1"), recording(model):
        model.generate(REPEATS, **options, logits_processor=[_Shuffle(cache)])


def test_a_quantised_cache_is_refused() -> None:
    """It hands out other keys than were put in: no one set of keys makes all of its weights."""
    model = zoo.build("llama")
    options = {"cache_implementation": "quantized", "cache_config": {"backend": "fp8"}}
    with (
        pytest.raises(ValueError, match=r"quantised.*cache_implementation='dynamic'"),
        recording(model),
    ):
        model.generate(REPEATS, **GREEDY, **options)


def test_nothing_is_left_of_following_a_generation() -> None:
    before = GenerationMixin.generate, Cache.reorder_cache
    model = zoo.build("gpt2")
    hooks = len(model._forward_hooks)

    class Stop(LogitsProcessor):
        def __call__(self, *_: Any) -> Any:
            assert GenerationMixin.generate is not before[0]
            raise RuntimeError

    with pytest.raises(RuntimeError), recording(model):
        model.generate(REPEATS, **GREEDY, logits_processor=[Stop()])
    assert (GenerationMixin.generate, Cache.reorder_cache) == before
    assert "generate" not in vars(model)
    assert len(model._forward_hooks) == hooks


def test_what_is_generated_is_the_same() -> None:
    model = zoo.build("llama", "sdpa")
    options = {**GREEDY, "num_beams": 3, "return_dict_in_generate": True, "output_scores": True}
    plain = model.generate(REPEATS, **options)
    with recording(model):
        heard = model.generate(REPEATS, **options)
    assert torch.equal(plain.sequences, heard.sequences)
    assert torch.equal(plain.sequences_scores, heard.sequences_scores)
