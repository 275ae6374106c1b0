"""BertViz's calls open a view where there are weights, and are answered with the call that works where there are none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import attnwidget as aw

TOKENS = ["[CLS]", "a", "cat", "[SEP]", "it", "[SEP]"]


def even(queries: int, keys: int, layers: int = 2) -> tuple[torch.Tensor, ...]:
    return tuple(torch.full((1, 3, queries, keys), 1 / keys) for _ in range(layers))


@pytest.mark.parametrize(("call", "view"), [(aw.head_view, "head"), (aw.model_view, "model")])
@pytest.mark.parametrize(
    "attention", [even(6, 6), list(even(6, 6)), torch.stack(even(6, 6)), np.stack(even(6, 6))]
)
def test_weights_and_tokens_open_a_view(call: Any, view: str, attention: Any) -> None:
    shown = call(attention, TOKENS)
    assert (shown.view, len(shown.attention["self"])) == (view, 2)
    assert [one.label for one in shown.attention["self"].key_positions] == TOKENS


def test_the_options_of_bertviz_mean_what_they_do_there() -> None:
    options = {
        "sentence_b_start": 4,
        "layer": 1,
        "heads": [0, 2],
        "prettify_tokens": True,
        "html_action": "view",
    }
    shown = aw.head_view(even(6, 6), TOKENS, **options)
    assert (shown.layer, shown.heads) == (1, [0, 2])
    segments = [one.segment for one in shown.attention["self"].key_positions]
    assert segments == [0, 0, 0, 0, 1, 1]
    assert aw.head_view(even(6, 6), TOKENS, 4).attention["self"].key_positions[4].segment == 1
    assert aw.head_view(even(6, 6), TOKENS, layer=None, heads=None, choose=False).layer == 0
    assert aw.view(shown.attention, layer=None, stream=None, head=None, choose=False).layer == 0
    kept = aw.model_view(
        attention=even(6, 6), tokens=TOKENS, include_layers=[-1], display_mode="dark"
    )
    assert (kept.theme, kept.layer) == ("dark", 1)


def test_an_encoder_decoder_by_name() -> None:
    shown = aw.model_view(
        encoder_attention=even(4, 4),
        decoder_attention=even(3, 3),
        cross_attention=even(3, 4),
        encoder_tokens=list("abcd"),
        decoder_tokens=list("xyz"),
    )
    assert list(shown.attention) == ["encoder", "decoder", "cross"]
    alone = aw.head_view(
        encoder_attention=None, decoder_attention=even(3, 3), decoder_tokens=list("xyz")
    )
    assert list(alone.attention) == ["decoder"]


@pytest.mark.parametrize("call", [aw.head_view, aw.model_view, aw.view])
@pytest.mark.parametrize("attention", [None, (None, None), [None]])
def test_none_is_answered_with_the_call_that_needs_none(call: Any, attention: Any) -> None:
    words = rf"got no weights: .*sdpa.*call aw\.{call.__name__}\(model, 'some text', tokenizer\)"
    with pytest.raises(ValueError, match=words):
        call(attention, ["the", "cat"])
    with pytest.raises(ValueError, match=words):
        call(attention=attention, tokens=["the", "cat"])
    with pytest.raises(ValueError, match=words):
        call(encoder_attention=attention, decoder_attention=None, encoder_tokens=["the", "cat"])


def test_what_a_model_with_sdpa_returns_is_answered() -> None:
    model, tokenizer = aw.pocket()
    before = model.config._attn_implementation
    model.set_attn_implementation("sdpa")
    try:
        outputs = model(**tokenizer("the cat", return_tensors="pt"))
    finally:
        model.set_attn_implementation(before)
    with pytest.raises(ValueError, match="head_view got no weights"):
        aw.head_view(outputs.attentions, ["the", "cat"])
    with pytest.raises(TypeError, match=r"head_view\(outputs\.attentions, tokens\)"):
        aw.head_view(outputs, ["the", "cat"])
    with pytest.raises(TypeError, match=r"that a model returned"):
        aw.view(SimpleNamespace(attentions=None), ["the", "cat"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"include_heads": [0]}, r"pass heads=\[0, 2\]"),
        ({"html_action": "return"}, r"save\('attention\.html'\)"),
        ({"display_mode": "sepia"}, "theme='dark'"),
        ({"prettify_tokens": False}, "tokens are shown as they are read"),
    ],
)
def test_options_without_an_equivalent_name_it(options: dict[str, Any], words: str) -> None:
    model, tokenizer = aw.pocket()
    with pytest.raises(TypeError, match=words):
        aw.model_view(even(6, 6), TOKENS, **options)
    with pytest.raises(TypeError, match=words):
        aw.model_view(model, "the cat", tokenizer, **options)


def test_neuron_views_show_names_the_call() -> None:
    model, tokenizer = aw.pocket()
    words = r"aw\.neuron_view\(model, \('the cat', 'it sat'\), tokenizer, layer=4, head=3\)"
    with pytest.raises(TypeError, match=words):
        aw.neuron_view.show(
            model, "bert", tokenizer, "the cat", "it sat", layer=4, head=3, display_mode="dark"
        )


def test_a_model_and_weights_at_once_are_refused() -> None:
    model, tokenizer = aw.pocket()
    with pytest.raises(
        TypeError, match="takes a model or weights, got GPT2LMHeadModel and attention="
    ):
        aw.head_view(model, "the cat", tokenizer, attention=even(2, 2))
    with pytest.raises(TypeError, match="got a tuple of GPT2LMHeadModel"):
        aw.head_view((model, tokenizer), "the cat")
    with pytest.raises(TypeError, match=r"from_weights\(outputs\.attentions, tokens\)"):
        aw.view(attention=even(2, 2), tokens=["the", "cat"])
