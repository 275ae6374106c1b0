"""Keys that came out of a cache have the tokens that `generate` was given; those nobody named are visibly unknown."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from support import zoo

from attnwidget.recordings import recording


def labels(attention: Any, stream: str = "decoder") -> list[str]:
    return [position.label for position in attention[stream].key_positions]


def shown(ids: torch.Tensor) -> list[str]:
    return [str(token) for token in ids[0].tolist()]


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2"])
@pytest.mark.parametrize("new", [1, 3])
def test_a_second_turn_on_the_cache_of_the_first(name: str, new: int) -> None:
    model = zoo.build(name)
    options: dict[str, Any] = {"do_sample": False, "eos_token_id": None}
    with torch.no_grad():
        turn = model.generate(zoo.ids(5), max_new_tokens=3, return_dict_in_generate=True, **options)
        ids = torch.cat([turn.sequences, zoo.ids(4, seed=1)], dim=1)
        with recording(model) as attention:
            made = model.generate(
                ids, past_key_values=turn.past_key_values, max_new_tokens=new, **options
            )
    assert labels(attention) == shown(made[:, :-1])


def test_a_cache_with_a_window_holds_the_last_of_them() -> None:
    torch.manual_seed(0)
    config = transformers.MistralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=4,
        eos_token_id=None,
    )
    model: Any = transformers.MistralForCausalLM(config).eval()
    first, more = zoo.ids(7) % 64, zoo.ids(3, seed=2) % 64
    with torch.no_grad():
        turn = model.generate(
            first, max_new_tokens=3, do_sample=False, return_dict_in_generate=True
        )
        ids = torch.cat([turn.sequences, more], dim=1)
        with recording(model) as attention:
            made = model.generate(
                ids, past_key_values=turn.past_key_values, max_new_tokens=2, do_sample=False
            )
        assert labels(attention) == shown(made[:, 6:-1])
        cache = model(first).past_key_values
        with recording(model) as attention:
            model(more, past_key_values=cache)
    assert labels(attention) == ["#4", "#5", "#6", *shown(more)]


def test_passes_by_hand_on_a_cache() -> None:
    model, ids = zoo.build("llama"), zoo.ids(7)
    with torch.no_grad():
        with recording(model) as attention:
            cache = model(ids[:, :4], use_cache=True).past_key_values
            model(ids[:, 4:], past_key_values=cache)
        assert labels(attention) == shown(ids)
        with recording(model) as attention:
            model(zoo.ids(2, seed=1), past_key_values=cache)
    assert labels(attention) == [*(f"#{index}" for index in range(7)), *shown(zoo.ids(2, seed=1))]
    kinds = [position.kind for position in attention["decoder"].key_positions]
    assert kinds == ["latent"] * 7 + ["token"] * 2


@pytest.mark.filterwarnings("ignore:not recorded")
@pytest.mark.parametrize("name", ["t5-2-4", "bart-2-4"])
def test_an_encoder_that_runs_at_every_step_names_the_keys(name: str) -> None:
    model, ids, written = zoo.build(name), zoo.ids(5), zoo.ids(3, seed=1)
    cache = None
    with torch.no_grad(), recording(model) as attention:
        for step in range(3):
            made = model(
                input_ids=ids,
                decoder_input_ids=written[:, step : step + 1],
                past_key_values=cache,
                use_cache=True,
            )
            cache = made.past_key_values
    assert labels(attention, "cross") == shown(ids)
    assert labels(attention) == shown(written)
