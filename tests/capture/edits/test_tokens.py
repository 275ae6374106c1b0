"""Tokens of the input replaced and masked: the run of the text so changed, to the last bit; refused before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers as hf
from support import words, zoo
from support.model_checks import layers

import attnwidget as aw

if TYPE_CHECKING:
    from attnwidget.edits.edits import Edits

TEXT = "the cat sat on the mat because it"


def same(one: aw.Attention, other: aw.Attention) -> bool:
    """Whether two records have the same positions, and the same weights and outputs to the last bit."""
    labels = [
        [p.label for s in r.streams.values() for p in s.query_positions] for r in (one, other)
    ]
    return labels[0] == labels[1] and all(
        (mine.weights() == theirs.weights()).all() and (mine.output(0) == theirs.output(0)).all()
        for mine, theirs in zip(layers(one), layers(other), strict=True)
    )


def bert() -> tuple[Any, Any]:
    """Return a tiny BERT and a tokenizer with a mask token."""
    tokenizer = words.word_piece([*words.WORDS, "[MASK]", "dog"])
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    config = hf.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
    )
    return zoo.wake(hf.BertForMaskedLM(config)), tokenizer


@pytest.mark.parametrize("position", [2, -7, "cat"])
def test_a_replaced_token_is_the_text_so_changed(position: int | str) -> None:
    model, tokenizer = aw.pocket()
    edit = aw.replace(position, "dog")
    expected = aw.capture(model, TEXT.replace("cat", "dog"), tokenizer)
    changed = aw.capture(model, TEXT, tokenizer, interventions=edit)
    assert same(changed, expected)
    assert changed.text == expected.text
    assert changed.edits == (repr(edit),)
    effect = aw.what_if(model, TEXT, tokenizer, edit, metric=("purred", "barked"))
    assert same(effect.changed, expected)
    assert same(effect.clean, aw.capture(model, TEXT, tokenizer))
    assert effect.clean.edits == ()
    direct = aw.what_if(
        model, TEXT.replace("cat", "dog"), tokenizer, aw.ablate([]), metric=("purred", "barked")
    )
    assert effect.value_after == direct.value_before
    assert effect.value_before > 5 > -3 > effect.value_after
    assert "9 of 9 queries" in repr(aw.compare(effect.clean, effect.changed))


def test_an_answer_of_several_tokens_follows_the_changed_text() -> None:
    model, tokenizer = aw.pocket()
    metric = "purred ."
    effect = aw.what_if(model, TEXT, tokenizer, aw.replace("cat", "dog"), metric=metric)
    changed = aw.what_if(model, TEXT.replace("cat", "dog"), tokenizer, aw.ablate([]), metric=metric)
    assert effect.value_after == changed.value_before != effect.value_before


def test_tokens_and_heads_are_edited_together() -> None:
    model, tokenizer = aw.pocket()
    edit = aw.ablate([(1, 2)]) + aw.replace("cat", "dog") + aw.replace("mat", "rug")
    text = TEXT.replace("cat", "dog").replace("mat", "rug")
    expected = aw.capture(model, text, tokenizer, interventions=aw.ablate([(1, 2)]))
    for changed in (
        aw.capture(model, TEXT, tokenizer, interventions=edit),
        aw.what_if(model, TEXT, tokenizer, edit).changed,
    ):
        assert same(changed, expected)
        assert changed.text == text
        assert sorted(changed.edits) == sorted(
            map(repr, map(aw.Edits, zip(edit.parts, strict=True)))
        )


def test_a_masked_token_is_the_mask_token() -> None:
    model, tokenizer = bert()
    given = tokenizer("the cat sat on the mat", return_tensors="pt")
    given["input_ids"][0, 2] = tokenizer.mask_token_id
    expected = aw.capture(model, dict(given), tokenizer)
    for position in (2, "cat"):
        changed = aw.capture(
            model, "the cat sat on the mat", tokenizer, interventions=aw.mask(position)
        )
        assert same(changed, expected)
        assert changed.text == "the [MASK] sat on the mat"
    assert "[MASK]" in [position.label for position in changed["encoder"].query_positions]


def test_the_row_that_is_recorded_is_edited_and_padding_is_not_counted() -> None:
    model, tokenizer = bert()
    given = tokenizer(["the cat", "the cat sat on the mat"], padding=True, return_tensors="pt")
    left = {name: torch.stack([each[0].roll(4), each[1]]) for name, each in given.items()}
    before = {name: each.clone() for name, each in left.items()}
    changed = aw.capture(model, left, tokenizer, batch=0, interventions=aw.replace(2, "dog"))
    assert all(torch.equal(left[name], each) for name, each in before.items())
    assert [p.label for p in changed["encoder"].query_positions] == ["[CLS]", "the", "dog", "[SEP]"]
    other = aw.capture(model, left, tokenizer, batch=1, interventions=aw.replace("cat", "dog"))
    assert [p.label for p in other["encoder"].query_positions][2] == "dog"


def test_the_space_before_a_token_stays() -> None:
    tokenizer = words.byte_level(
        (("d", "o"), ("do", "g"), ("Ġ", "dog"), ("c", "a"), ("ca", "t"), ("Ġ", "cat"))
    )
    model = zoo.wake(hf.GPT2LMHeadModel(hf.GPT2Config(
        vocab_size=len(tokenizer), n_embd=16, n_layer=2, n_head=2, n_positions=32
    )))  # fmt: skip
    for text, position in (("cat a cat", -1), ("cat a cat", 0)):
        changed = aw.capture(model, text, tokenizer, interventions=aw.replace(position, "dog"))
        expected = "dog a cat" if position == 0 else "cat a dog"
        assert same(changed, aw.capture(model, expected, tokenizer))
        assert changed.text == expected


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (aw.replace("cow", "dog"), "'cow' is no token of this input; there are <bos>, the, cat"),
        (aw.replace("the", "dog"), r"occurs at \[1, 5\]"),
        (aw.replace(99, "dog"), r"0\.\.8"),
        (aw.replace("cat", "dog sat"), r"'dog sat' is 2 tokens, \['dog', 'sat'\]"),
        (aw.replace("cat", "zzzz"), "'zzzz' is no token"),
        (aw.mask("cat"), r"no mask token.* attnwidget\.cut\(key='cat'\)"),
        (aw.replace(2, "dog") + aw.replace("cat", "mat"), "position 2 is edited in two ways"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_runs(edit: Edits, said: str) -> None:
    model, tokenizer = aw.pocket()
    ran: list[int] = []
    handle = model.register_forward_pre_hook(lambda *_: ran.append(1))
    try:
        for both in (edit, edit + aw.ablate([(0, 0)])):
            with pytest.raises(ValueError, match=said):
                aw.capture(model, TEXT, tokenizer, interventions=both)
            with pytest.raises(ValueError, match=said):
                aw.what_if(model, TEXT, tokenizer, both)
        with (
            pytest.raises(ValueError, match=r"interventions=(replace|mask)\("),
            aw.intervening(model, edit),
        ):
            pass
    finally:
        handle.remove()
    assert ran == []


def test_what_has_no_token_ids_or_no_tokenizer_is_refused() -> None:
    model, _ = bert()
    hidden = {"inputs_embeds": torch.randn(1, 4, 16)}
    with pytest.raises(ValueError, match="BertForMaskedLM is given none"):
        aw.capture(model, hidden, interventions=aw.mask(1))
    for edit in (aw.mask(1), aw.replace(1, "dog")):
        with pytest.raises(ValueError, match="tokenizer"):
            aw.capture(model, torch.tensor([[1, 4, 5, 2]]), interventions=edit)


class _Words:
    """Encodes and decodes, and has nothing else."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text)["input_ids"])

    def decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids))


def test_tokens_are_looked_up_by_tokenizers_that_are_not_transformers() -> None:
    model, tokenizer = aw.pocket()
    text = "the cat sat on the mat because it"
    edit = aw.replace("cat", "dog")
    expected = aw.what_if(model, text, tokenizer, edit, metric="purred")
    found = aw.what_if(model, text, tokenizer.backend_tokenizer, edit, metric="purred")
    assert (found.value_before, found.value_after) == (expected.value_before, expected.value_after)
    with pytest.raises(ValueError, match=r"no tokens for metric='xyzzy'; it has, for instance"):
        aw.what_if(model, text, tokenizer.backend_tokenizer, edit, metric="xyzzy")
    bare = aw.what_if(model, text, _Words(tokenizer), aw.replace(2, "dog"), metric="purred")
    assert (bare.value_before, bare.value_after) == (expected.value_before, expected.value_after)
