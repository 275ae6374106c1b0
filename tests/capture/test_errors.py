"""What cannot be done is refused in words that say what can."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import builders, words, zoo
from support.words import IDS, TEXT, WORDS

from attnwidget.recordings import capture, recording


@pytest.fixture(scope="module")
def bert() -> Any:
    return zoo.build("bert")


@pytest.fixture(scope="module")
def gpt2() -> Any:
    return zoo.build("gpt2")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return words.word_piece(WORDS)


# RoBERTa counts its positions from the row after the padding's, which is row 0 here.
@pytest.mark.parametrize(
    ("name", "most"), [("gpt2", 64), ("bert", 64), ("distilbert", 64), ("roberta", 63)]
)
def test_more_tokens_than_learned_positions_say_how_many_fit(name: str, most: int) -> None:
    model = zoo.build(name, "sdpa")
    capture(model, zoo.ids(most))
    for over in (1, 9):
        with pytest.raises(ValueError, match=f"has {most + over} tokens, .* takes at most {most}"):
            capture(model, zoo.ids(most + over))


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ("", ValueError, "inputs is an empty string"),
        (("the", ""), ValueError, "inputs is an empty string"),
        ({}, ValueError, "inputs is empty"),
        ([], ValueError, "inputs is empty"),
        (None, TypeError, "inputs must be text, a pair .* got NoneType"),
        (b"the", TypeError, "got bytes"),
        (object(), TypeError, "got a object"),
        ([[1, 2], [3]], ValueError, "2 rows that do not form a rectangle"),
        ([1, 99], ValueError, r"input_ids must be in 0\.\.60, got 99; is the tokenizer"),
        ([-1], ValueError, r"got -1"),
        (torch.rand(1, 7, 24), ValueError, "reads token ids"),
        ({"input_ids": torch.rand(1, 7)}, ValueError, "must be integers"),
        (
            {"input_ids": IDS, "attention_mask": [1] * 5},
            ValueError,
            "attention_mask has 5 positions but input_ids has 7",
        ),
        ({"input_ids": IDS, "token_type_ids": [0]}, ValueError, "token_type_ids has 1 positions"),
    ],
)
def test_bad_inputs(
    bert: Any, tokenizer: Any, inputs: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        capture(bert, inputs, tokenizer)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([], r"target must be text or token ids, at least one, got .* \[0\]"),
        ([0.5], "target must be text or token ids, at least one, got torch.float32"),
        ([[5], [6]], "target has 2 rows, inputs has 1"),
        (zoo.ids(65), "target has 66 tokens, BartForConditionalGeneration takes at most 64"),
    ],
)
def test_bad_targets(target: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        capture(zoo.build("bart-2-4"), IDS, target=target)


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("vit", "a cat", "ViTModel reads pixel_values, got str; give what its processor makes"),
        ("vit", np.zeros((16, 16, 3), dtype=np.uint8), "got ndarray of uint8"),
        ("vit", torch.zeros(3, 16, 16, dtype=torch.long), "got Tensor of int64"),
        ("whisper", "a cat", "WhisperForConditionalGeneration reads input_features, got str"),
    ],
)
def test_a_model_that_sees_or_hears_wants_its_processor(
    name: str, inputs: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        capture(zoo.build(name), inputs)


def test_the_name_of_a_tokenizer_is_none(bert: Any) -> None:
    with pytest.raises(
        TypeError, match=r"got a name; pass AutoTokenizer\.from_pretrained\('gpt2'\)"
    ):
        capture(bert, TEXT, "gpt2")
    with pytest.raises(TypeError, match="got a name"), recording(bert, "gpt2"):
        pass


def test_text_that_becomes_no_token(gpt2: Any) -> None:
    with pytest.raises(ValueError, match="makes no tokens of ' '"):
        capture(gpt2, " ", words.whole_words(["a"]))


def test_what_is_no_model() -> None:
    with pytest.raises(TypeError, match="model must be a torch module, got str"):
        capture("gpt2", "the cat")  # type: ignore[arg-type]


def test_a_model_without_attention() -> None:
    with pytest.raises(ValueError, match="MambaForCausalLM has no attention layers"):
        capture(builders.mamba(), zoo.ids(7))


def test_a_model_that_attends_on_its_own() -> None:
    """What is no softmax of anything is nothing that can be recognised."""
    model = builders.bloom()
    for block in model.transformer.h:
        attend = block.self_attention
        attend.forward = lambda hidden, residual, *_args, **_: (hidden + residual, None)
    with pytest.raises(
        ValueError,
        match=r"BloomForCausalLM computes attention in a way .*BloomAttention x 2 \(transf",
    ):
        capture(model, zoo.ids(7))
