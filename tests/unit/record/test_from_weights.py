"""Weights from elsewhere in every shape people have them, and what is refused with the call that fixes it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from attnwidget.record.positions import (
    Position,
    position_from_token,
    positions_from_tokens,
    visible_text,
)
from attnwidget.recordings import from_weights

LAYERS, HEADS, SIZE, OTHER = 2, 3, 5, 7
TOKENS = ["[CLS]", "the", "cat", "##s", "[SEP]"]


def weights(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2 * torch.randn(shape, generator=generator), -1)


STACKED = weights(LAYERS, HEADS, SIZE, SIZE)
FORMS: dict[str, Any] = {
    "tuple of [1, head, query, key], as transformers and BertViz": tuple(STACKED[:, None]),
    "list of [head, query, key]": list(STACKED),
    "[layer, head, query, key]": STACKED,
    "[layer, batch, head, query, key]": STACKED[:, None],
    "numpy": STACKED.numpy(),
    "list of numpy": list(STACKED.numpy()),
    "read-only numpy": np.frombuffer(STACKED.numpy().tobytes(), np.float32).reshape(STACKED.shape),
    "numpy of negative strides": STACKED.flip(-1).numpy()[..., ::-1],
    "nested lists": STACKED.tolist(),
    "nested lists with a batch axis": STACKED[:, None].tolist(),
    "lists of one tensor per head": [list(layer) for layer in STACKED],
    "float64": STACKED.double(),
    "with gradients": STACKED.clone().requires_grad_(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_every_form_gives_the_same_record(form: Any) -> None:
    stream = from_weights(form, TOKENS)["self"]
    assert [layer.layer for layer in stream] == [0, 1]
    for number in range(LAYERS):
        np.testing.assert_allclose(stream[number].weights(), STACKED[number], rtol=1e-6)
        assert not stream[number].has_vectors
    with pytest.raises(ValueError, match="made from weights alone"):
        stream[0].scores()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_kept(dtype: torch.dtype) -> None:
    layer = from_weights(STACKED.to(dtype), TOKENS)["self"][1]
    assert layer.recorded is not None
    assert layer.recorded.dtype == dtype
    np.testing.assert_array_equal(layer.weights(), STACKED[1].to(dtype).float())


def test_hard_weights_may_be_integers_or_booleans() -> None:
    hard = torch.eye(SIZE).expand(LAYERS, HEADS, SIZE, SIZE)
    for form in (hard.int(), hard.bool(), hard.int().tolist()):
        np.testing.assert_array_equal(from_weights(form, TOKENS)["self"][0].weights(), hard[0])


def test_layers_that_are_none_leave_the_numbers_of_the_others() -> None:
    stream = from_weights((None, STACKED[:1], None, STACKED[1:]), TOKENS)["self"]
    assert [layer.layer for layer in stream] == [1, 3]
    np.testing.assert_array_equal(stream[3].weights(), STACKED[1])
    kept = from_weights((None, STACKED[:1], None, STACKED[1:]), TOKENS, include_layers=[3])["self"]
    assert [layer.layer for layer in kept] == [3]
    with pytest.raises(ValueError, match=r"include_layers must be among \[0, 1\], got \[2\]"):
        from_weights(STACKED, TOKENS, include_layers=[2])


def test_layers_may_differ_in_heads() -> None:
    stream = from_weights([STACKED[0], STACKED[1, :2]], TOKENS)["self"]
    assert [layer.num_heads for layer in stream] == [3, 2]


def test_one_item_of_a_batch() -> None:
    batched = weights(LAYERS, 4, HEADS, SIZE, SIZE)
    with pytest.raises(ValueError, match=r"holds a batch of 4: choose .*batch=0"):
        from_weights(tuple(batched), TOKENS)
    for form in (tuple(batched), batched.numpy()):
        layer = from_weights(form, TOKENS, batch=2)["self"][1]
        np.testing.assert_array_equal(layer.weights(), batched[1, 2])
    tokens = [[f"{item}{place}" for place in range(SIZE)] for item in range(4)]
    stream = from_weights(batched, tokens, batch=2)["self"]
    assert stream.key_positions[1].label == "21"
    for batch in (4, -1, True, "0"):
        with pytest.raises(ValueError, match=r"batch must be an integer in 0\.\.3"):
            from_weights(batched, TOKENS, batch=batch)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"batch must be an integer in 0\.\.0"):
        from_weights(list(STACKED), TOKENS, batch=1)
    with pytest.raises(ValueError, match="tokens hold a batch of 4"):
        from_weights(STACKED, tokens)


def test_encoder_decoder_and_cross_streams() -> None:
    attention = from_weights(
        encoder_attention=weights(4, HEADS, OTHER, OTHER),
        decoder_attention=weights(2, HEADS, SIZE, SIZE),
        cross_attention=weights(2, HEADS, SIZE, OTHER),
        encoder_tokens=[f"e{place}" for place in range(OTHER)],
        decoder_tokens=[f"d{place}" for place in range(SIZE)],
        model_name="T5Model",
    )
    assert repr(attention) == (
        "Attention(T5Model, encoder: 4 layers × 3 heads, 7 tokens; decoder: 2 layers × 3 heads, "
        "5 tokens; cross: 2 layers × 3 heads, 5 × 7 tokens)"
    )
    cross = attention["cross"]
    assert (cross.query_positions[4].label, cross.key_positions[6].label) == ("d4", "e6")
    alone = from_weights(cross_attention=weights(2, HEADS, SIZE, OTHER))
    assert list(alone) == ["cross"]
    assert alone["cross"].key_positions[6].label == "#6"


def test_fewer_queries_than_keys_are_the_last_ones() -> None:
    stream = from_weights(weights(LAYERS, HEADS, SIZE, OTHER), list("abcdefg"))["self"]
    assert [position.label for position in stream.query_positions] == list("cdefg")


def test_a_pair_of_texts_is_marked() -> None:
    stream = from_weights(STACKED, TOKENS, sentence_b_start=3)["self"]
    assert [position.segment for position in stream.key_positions] == [0, 0, 0, 1, 1]
    assert stream.query_positions == stream.key_positions
    for start in (0, 5, 2.0, True):
        with pytest.raises(ValueError, match=r"sentence_b_start must be an integer in 1\.\.4"):
            from_weights(STACKED, TOKENS, sentence_b_start=start)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 4, 6])
def test_a_wrong_number_of_tokens_is_told(count: int) -> None:
    with pytest.raises(
        ValueError, match=rf"got {count} for 5 \w+ positions in layer 0 of attention"
    ):
        from_weights(STACKED, ["x"] * count)
    with pytest.raises(ValueError, match=rf"decoder_tokens .* got {count} for 5 query"):
        from_weights(cross_attention=weights(2, HEADS, SIZE, OTHER), decoder_tokens=["x"] * count)


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        (float("nan"), "nan_to_num"),
        (float("inf"), "nan_to_num"),
        (-0.2, "torch.softmax"),
        (7.5, "torch.softmax"),
        (1.11, r"model\.eval\(\)"),
    ],
)
def test_a_wrong_weight_is_named(value: float, fix: str) -> None:
    wrong = STACKED.clone()
    wrong[1, 2, 3, 4] = value
    where = "layer 1, head 2, query 3, key 4"
    with pytest.raises(ValueError, match=rf"numbers in 0\.\.1, got .* at {where}\. .*{fix}"):
        from_weights(wrong, TOKENS)
    assert len(from_weights(wrong, TOKENS, include_layers=[0])["self"]) == 1


def test_rows_need_not_sum_to_one() -> None:
    np.testing.assert_array_equal(
        from_weights(STACKED * 0.5, TOKENS)["self"][0].weights(), STACKED[0] * 0.5
    )


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ((), "holds no weights.*eager"),
        ((None, None), "holds no weights.*eager"),
        ({"attentions": STACKED}, r"got dict: pass outputs\.attentions"),
        ("weights", r"got str: pass outputs\.attentions"),
        (STACKED[0, 0], r"per layer, got \[5, 5\]"),
        ([STACKED[0, 0]], r"per layer, got \[5, 5\]"),
        (torch.zeros(2, 3, 0, 0), r"per layer, got \[3, 0, 0\]"),
        ([[["a"]]], "arrays of numbers"),
        ([SimpleNamespace()], "arrays of numbers"),
        ([[[1.0], [0.5, 0.5]]], "arrays of numbers"),
        (STACKED.to(torch.complex64), "real numbers"),
        ((tuple(STACKED[:, None]), tuple(STACKED[:, None])), r"choose a step, .*attention\[0\]"),
    ],
)
def test_what_is_no_attention_is_refused(attention: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_weights(attention, TOKENS)


def test_arguments_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="got no attention"):
        from_weights()
    with pytest.raises(ValueError, match="got attention, cross_attention"):
        from_weights(STACKED, TOKENS, cross_attention=STACKED)
    with pytest.raises(ValueError, match="got attention, decoder_tokens"):
        from_weights(STACKED, decoder_tokens=TOKENS)
    with pytest.raises(ValueError, match="pass encoder_tokens and decoder_tokens"):
        from_weights(tokens=TOKENS, cross_attention=STACKED)


@pytest.mark.parametrize("tokens", ["abcde", [1, 2, 3, 4, 5], [None] * 5])
def test_tokens_that_are_no_strings_are_refused(tokens: Any) -> None:
    with pytest.raises(ValueError, match="convert_ids_to_tokens"):
        from_weights(STACKED, tokens)


def test_positions_pass_through_and_tokens_are_optional() -> None:
    given = tuple(Position(label=f"r0 c{place}", kind="patch", row=0) for place in range(SIZE))
    assert from_weights(STACKED, given)["self"].key_positions == given
    numbered = from_weights(STACKED)["self"].key_positions
    assert [position.label for position in numbered] == ["#0", "#1", "#2", "#3", "#4"]
    assert {position.kind for position in numbered} == {"latent"}


def test_tokens_as_bytes() -> None:
    """As tokenizers on tiktoken give them; a character is split over two, one token is not known."""
    smile = "😀".encode()
    tokens = [
        "你".encode(),
        b" the",
        b"n",
        smile[:2],
        bytearray(smile[2:]),
        b"\n",
        None,
        "<|im_end|>",
    ]
    weights = torch.full((1, 2, len(tokens), len(tokens)), 1 / len(tokens))
    positions = from_weights(weights, tokens)["self"].key_positions
    shown = ["你", "the", "n", "⟨f0 9f⟩", "😀", "↵", "⟨?⟩", "<|im_end|>"]
    assert [position.label for position in positions] == shown
    kinds = ["token"] * 6 + ["latent", "special"]
    assert [position.kind for position in positions] == kinds
    continues = [False, False, True, False, True, False, False, False]
    assert [position.continues for position in positions] == continues


@pytest.mark.parametrize(
    ("token", "label", "kind"),
    [
        ("Ġthe", "the", "token"),
        ("ĠĠdef", "␣def", "token"),
        ("Ġ", "␣", "token"),
        ("ĊĊ", "↵↵", "token"),
        ("čĊ", "␍↵", "token"),
        ("ĉ", "⇥", "token"),
        ("âĢĻ", "’", "token"),
        ("ĠâĢ", "⟨e2 80⟩", "token"),
        ("▁the", "the", "token"),
        ("▁▁", "␣␣", "token"),
        ("##ing", "ing", "token"),
        ("##", "##", "token"),
        ("cat</w>", "cat", "token"),
        ("<0x0A>", "↵", "token"),
        ("<0xE2>", "⟨e2⟩", "token"),
        ("[CLS]", "[CLS]", "special"),
        ("</s>", "</s>", "special"),
        ("<pad>", "<pad>", "special"),
        ("<|im_start|>", "<|im_start|>", "special"),
        ("<｜begin▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "special"),  # noqa: RUF001
        ("</script><img onerror=alert(1)>", "</script><img onerror=alert(1)>", "token"),
        ("", "∅", "token"),
        ("two\nlines", "two↵lines", "token"),
        ("\u202eabc", "⟨U+202E⟩abc", "token"),
        ("\ud83d", "⟨U+D83D⟩", "token"),
        ("čas", "čas", "token"),
        ("Łukasz", "Łukasz", "token"),
        ("Ã©", "Ã©", "token"),
        ("日本", "日本", "token"),
    ],
)
def test_labels_are_what_a_person_reads(token: str, label: str, kind: str) -> None:
    position = position_from_token(token)
    assert (position.label, position.kind) == (label, kind)
    assert position.continues is token.startswith("##i")


def test_the_sequence_tells_bytes_and_word_pieces() -> None:
    def read(*tokens: str) -> list[tuple[str, bool]]:
        return [(item.label, item.continues) for item in positions_from_tokens(tokens)]

    assert read("Hello", "Ġcaf", "Ã©", "s", "!", "Ċ", "<|endoftext|>") == [
        ("Hello", False),
        ("caf", False),
        ("é", True),
        ("s", True),
        ("!", False),
        ("↵", False),
        ("<|endoftext|>", False),
    ]
    assert read("▁un", "believ", "able", "▁so") == [
        ("un", False),
        ("believ", True),
        ("able", True),
        ("so", False),
    ]
    assert read("un", "cat</w>", "dog</w>") == [("un", False), ("cat", True), ("dog", False)]
    assert read("the", "café", "Ã©") == [("the", False), ("café", False), ("Ã©", False)]


def test_text_is_kept_as_it_stands_in_the_source() -> None:
    assert [position_from_token(token).text for token in ("Ġthe", "▁the", "Ċ", "##s")] == [
        " the",
        " the",
        "\n",
        "s",
    ]
    assert visible_text(" a\u00a0b ") == "a b␣"
