"""Effects whose answers are known: the pocket model's heads have jobs, and without them it cannot do these."""

from __future__ import annotations

import copy
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support.model_checks import GREEDY

import attnwidget as aw
from attnwidget.pocket import grammar
from attnwidget.pocket.head_report import HELD_OUT_SEED, IDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TEXT = "the cat sat on the mat because it"


@pytest.fixture(scope="module")
def model() -> Any:
    return aw.pocket()[0]


@pytest.fixture(scope="module")
def passages() -> list[grammar.Passage]:
    rng = Random(HELD_OUT_SEED)
    return [grammar.coreference(rng) for _ in range(30)]


def _ids(words: Sequence[str]) -> torch.Tensor:
    return torch.tensor([[IDS["<bos>"], *(IDS[word] for word in words)]])


def repeated_spans(model: Any) -> float:
    """Loss on the second copy of a span of random words, from its second word on."""
    rng = Random(3)
    spans = [tuple(rng.sample(grammar.RANDOM_WORDS, 16)) for _ in range(12)]
    ids = torch.cat([_ids(span * 2) for span in spans])
    with torch.no_grad():
        logits = model(ids).logits.log_softmax(-1)
    right = logits[:, 17:-1].gather(-1, ids[:, 18:, None])
    return -float(right.mean())


def after_pronouns(model: Any, passages: list[grammar.Passage]) -> float:
    """Loss on the word after a pronoun."""
    losses = []
    for passage in passages:
        ids = _ids(passage.words)
        with torch.no_grad():
            logits = model(ids).logits[0].log_softmax(-1)
        losses += [-float(logits[at + 1, ids[0, at + 2]]) for at, _ in passage.links]
    return float(np.mean(losses))


def cost(model: Any, edit: aw.Edits, loss: Callable[[], float], clean: float) -> float:
    with aw.intervening(model, edit):
        return loss() - clean


def test_the_previous_token_head_and_the_induction_heads_copy(model: Any) -> None:
    def loss() -> float:
        return repeated_spans(model)

    clean = loss()
    assert clean < 0.05
    assert cost(model, aw.ablate([(0, 2)]), loss, clean) > 5
    assert cost(model, aw.ablate([(2, 1), (2, 3), (3, 3)]), loss, clean) > 5
    assert (
        cost(model, aw.ablate([(2, 1)]), loss, clean) < 1
    )  # one alone does not tell: the others do the same
    assert cost(model, aw.ablate([(2, 0), (2, 2), (3, 2)]), loss, clean) < 0.1
    assert cost(model, aw.ablate([(3, 0)]), loss, clean) < 0.1


def test_the_pronoun_head_and_a_head_that_matters_by_zero_only(
    model: Any, passages: list[grammar.Passage]
) -> None:
    def loss() -> float:
        return after_pronouns(model, passages)

    clean, rng = loss(), Random(11)
    others = [aw.capture(model, _ids(grammar.coreference(rng).words)) for _ in range(12)]
    assert cost(model, aw.ablate([(3, 3)]), loss, clean) > 0.5
    assert cost(model, aw.ablate([(3, 3)], "mean", others), loss, clean) > 0.5
    assert cost(model, aw.ablate([(0, 1)]), loss, clean) > 0.3
    assert cost(model, aw.ablate([(0, 1)], "mean", others), loss, clean) < 0.1


def test_effects_say_where_zero_and_mean_differ(
    model: Any, passages: list[grammar.Passage]
) -> None:
    rng = Random(11)
    others = [aw.capture(model, _ids(grammar.coreference(rng).words)) for _ in range(12)]
    rows = [_ids(passage.words)[0] for passage in passages]
    # What follows a passage changes nothing of it.
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    row, at, word = torch.tensor(
        [
            (number, at + 1, int(rows[number][at + 2]))
            for number, passage in enumerate(passages)
            for at, _ in passage.links
        ]
    ).T

    def loss(output: Any) -> torch.Tensor:
        return -output.logits.log_softmax(-1)[row, at, word].mean()

    found = aw.effects(
        model, {"input_ids": ids}, metric=loss, source=others, batch=0, layers=[0, 3], at_once=1
    )
    stream = found.streams["decoder"]
    by = {(line["layer"], line["head"]): line for line in found._rows()}
    zero, mean = by[0, 1]["effect"], by[0, 1]["by_mean"]
    assert zero > 0.3
    assert abs(mean) < 0.1
    assert by[0, 1]["differs"]
    assert by[3, 3]["effect"] > 0.5
    assert by[3, 3]["by_mean"] > 0.5
    assert not by[3, 3]["differs"]
    assert f"; zero and mean differ: 0.1 {zero:+.3g} and {mean:+.3g}" in repr(found)
    assert stream.by_mean.shape == stream.effect.shape == (2, 4)
    # Both are what they are where each is asked for alone.
    alone = [
        aw.what_if(model, {"input_ids": ids}, None, edit, metric=loss, batch=0)
        for edit in (aw.ablate([(0, 1)]), aw.ablate([(0, 1)], "mean", others))
    ]
    assert [one.delta for one in alone] == pytest.approx([zero, mean], abs=1e-5)
    # What if says it of one head, too.
    both = aw.what_if(
        model,
        {"input_ids": ids},
        None,
        aw.ablate([(0, 1)]),
        metric=loss,
        batch=0,
        source=others,
    )
    assert (both.delta, both.by_mean) == pytest.approx((zero, mean), abs=1e-5)
    assert both.differs
    assert repr(both).endswith(f"; by mean {both.by_mean:+.4g}, which differs)")
    assert alone[0].by_mean is None
    assert not alone[0].differs


def _without(model: Any, layer: int, head: int) -> Any:
    """A copy of the model whose weights of one head are zero."""
    cut = copy.deepcopy(model)
    width = model.config.n_embd // model.config.n_head
    with torch.no_grad():
        cut.transformer.h[layer].attn.c_proj.weight[head * width : (head + 1) * width] = 0
    return cut


def test_generation_under_an_edit_is_that_of_zeroed_weights(model: Any) -> None:
    ids = _ids(TEXT.split())
    for layer in range(4):
        for head in range(4):
            options = {**GREEDY, "output_logits": True, "return_dict_in_generate": True}
            expected = _without(model, layer, head).generate(ids, **options)
            with aw.intervening(model, aw.ablate([(layer, head)])):
                got = model.generate(ids, **options)
            assert torch.equal(got.sequences, expected.sequences)
            for one, other in zip(got.logits, expected.logits, strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_a_recorded_generation_says_what_was_done(model: Any) -> None:
    with aw.recording(model) as attention, aw.intervening(model, aw.ablate([(3, 3)])):
        model.generate(_ids(TEXT.split()), **GREEDY)
    assert attention.edits == ()  # begun before the edit
    with aw.intervening(model, aw.ablate([(3, 3)])), aw.recording(model) as attention:
        model.generate(_ids(TEXT.split()), **GREEDY)
    assert attention.edits == ("ablate(heads=[(3, 3)])",)
    assert (attention["decoder"][3].output(3) == 0).all()


def test_what_if_tells_before_and_after(model: Any) -> None:
    tokenizer = aw.pocket()[1]
    effect = aw.what_if(model, TEXT, tokenizer, aw.ablate([(3, 3)]), metric="purred")
    assert effect.before["purred"] == pytest.approx(0.478, abs=2e-3)
    assert effect.after["purred"] == pytest.approx(0.004, abs=2e-3)
    assert effect.delta == pytest.approx(-4.68, abs=0.02)
    assert effect.kl == pytest.approx(2.36, abs=0.02)
    assert effect.changed.edits == ("ablate(heads=[(3, 3)])",)
    assert effect.clean.edits == ()
    rows = effect.to_dataframe()
    assert list(rows) == ["label", "before", "after", "change"]
    assert repr(effect).startswith("Effect(ablate(heads=[(3, 3)]): log p(“purred”) -0.738 → -5.42")
    same = aw.what_if(model, TEXT, tokenizer, aw.ablate([]))
    assert (same.delta, same.kl) == (0, 0)
    assert same.before == same.after


def test_metrics(model: Any) -> None:
    tokenizer = aw.pocket()[1]
    with torch.no_grad():
        logits = model(**tokenizer(TEXT, return_tensors="pt")).logits[0]
        longer = model(**tokenizer(f"{TEXT} purred", return_tensors="pt")).logits[0].log_softmax(-1)
    purred, barked, stop = (
        tokenizer.convert_tokens_to_ids(word) for word in ("purred", "barked", ".")
    )

    def value(metric: Any, **options: Any) -> float:
        return aw.what_if(
            model, TEXT, tokenizer, aw.ablate([]), metric=metric, **options
        ).value_before

    assert value(None) == pytest.approx(float(logits[-1].log_softmax(-1).max()), abs=1e-5)
    assert value(purred) == pytest.approx(value("purred"), abs=1e-6)
    assert value(("purred", "barked")) == pytest.approx(
        float(logits[-1, purred] - logits[-1, barked]), abs=1e-4
    )
    several = float(longer[-2, purred] + longer[-1, stop])
    assert value("purred .") == pytest.approx(several, abs=1e-4)
    assert value(lambda output: output.logits[0, -1, 7]) == pytest.approx(
        float(logits[-1, 7]), abs=1e-5
    )
    assert value("sat", position=2) == pytest.approx(
        float(logits[2].log_softmax(-1)[tokenizer.convert_tokens_to_ids("sat")]), abs=1e-5
    )
    for metric, error, said in (
        ("zyzzyva", ValueError, "no tokens for metric='zyzzyva'"),
        (10**6, ValueError, "none of the"),
        (("a", "b", "c"), ValueError, "difference of two"),
        (1.5, TypeError, "must be nothing, a token"),
        (lambda output: output.logits[0], ValueError, "must return one number"),
    ):
        with pytest.raises(error, match=said):
            value(metric)
    with pytest.raises(IndexError, match="no position 99"):
        value(None, position=99)


def test_effects_are_those_of_what_if_head_by_head(model: Any) -> None:
    tokenizer = aw.pocket()[1]
    found = aw.effects(model, TEXT, tokenizer, metric="purred")
    assert found["decoder"].shape == (4, 4)
    for layer, head in ((3, 3), (1, 2), (0, 0)):
        alone = aw.what_if(model, TEXT, tokenizer, aw.ablate([(layer, head)]), metric="purred")
        assert found["decoder"][layer, head] == pytest.approx(alone.delta, abs=1e-5)
    rows = found._rows()
    assert [(row["layer"], row["head"]) for row in rows[:4]] == [(3, 3), (1, 2), (0, 2), (3, 2)]
    assert [round(row["effect"], 2) for row in rows[:4]] == [-4.68, -0.66, -0.49, -0.40]
    assert all(row["exact"] for row in rows)
    assert list(found.to_dataframe()) == ["stream", "layer", "head", "effect", "estimate", "exact"]
    assert repr(found).startswith(
        "Effects(log p(“purred”) -0.738, 16 heads, zero, grown: 3.3 -4.68"
    )


def test_the_estimate_is_the_slope_of_the_heads_output(model: Any) -> None:
    found = aw.effects(model, TEXT, aw.pocket()[1], metric="purred", layers=[3])
    assert found["decoder"].shape == (1, 4)
    ids, step = aw.pocket()[1](TEXT, return_tensors="pt"), 1e-3
    projection, width = model.transformer.h[3].attn.c_proj, 32
    for head in range(4):

        def scale(by: float, head: int = head) -> float:
            def hook(_module: Any, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
                scaled = given[0].clone()
                scaled[..., head * width : (head + 1) * width] *= by
                return (scaled,)

            handle = projection.register_forward_pre_hook(hook)
            with torch.no_grad():
                logits = model.double()(**ids).logits[0, -1].log_softmax(-1)
            handle.remove()
            return float(logits[IDS["purred"]])

        slope = (scale(1 + step) - scale(1 - step)) / (2 * step)
        model.float()
        assert found.streams["decoder"].estimate[0, head] == pytest.approx(-slope, abs=1e-3)


def test_random_numbers_are_the_same_before_and_after() -> None:
    from support import zoo

    model, inputs = zoo.build("gpt2", "eager").train(), zoo.inputs_of("gpt2")
    state = torch.get_rng_state()
    same = aw.what_if(model, inputs, None, aw.ablate([]))
    assert (same.delta, same.kl) == (0, 0)
    assert torch.equal(state, torch.get_rng_state())
    assert aw.what_if(model, inputs, None, aw.ablate([(0, 0)])).delta != 0
    assert model.training


def test_an_embedding_is_compared_with_the_unedited_one() -> None:
    from support import zoo

    model, inputs = zoo.build("bert", "sdpa"), zoo.inputs_of("bert")
    effect = aw.what_if(model, inputs, None, aw.ablate([(0, 0)]))
    with torch.no_grad():
        clean = model(**inputs).last_hidden_state[0].mean(0)
        with aw.intervening(model, aw.ablate([(0, 0)])):
            changed = model(**inputs).last_hidden_state[0].mean(0)
    expected = float(torch.nn.functional.cosine_similarity(clean, changed, dim=0))
    assert effect.value_before == pytest.approx(1, abs=1e-6)
    assert effect.value_after == pytest.approx(expected, abs=1e-6)
    assert effect.kl is None
    with pytest.raises(ValueError, match=r"returns no logits.*metric=lambda"):
        aw.what_if(model, inputs, None, aw.ablate([(0, 0)]), metric=5)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (aw.ablate([(9, 0)]), "no layer 9 in stream 'decoder'"),
        (aw.ablate([(0, 4)]), "its heads are 0 .. 3"),
        (aw.ablate([(0, -5)]), "its heads are 0 .. 3"),
        (aw.ablate([(0, 0)], stream="encoder"), "no stream 'encoder'; there are \\['decoder'\\]"),
        (aw.ablate([(3, 3)]) + aw.ablate([(-1, -1)], "mean", ["the cat"]), "edited in two ways"),
        (aw.ablate([(0, 0)], "resample", ["the cat"]), "give a source that is as long"),
    ],
)
def test_heads_that_are_not_there_are_refused(model: Any, edit: aw.Edits, said: str) -> None:
    tokenizer = aw.pocket()[1]
    for door in (
        lambda: aw.what_if(model, TEXT, tokenizer, edit),
        lambda: aw.capture(model, TEXT, tokenizer, interventions=edit),
    ):
        with pytest.raises(ValueError, match=said):
            door()
    with pytest.raises(TypeError, match="must be an edit"):
        aw.what_if(model, TEXT, tokenizer, [(3, 3)])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="source says what heads that are zeroed are set to"):
        aw.what_if(model, TEXT, tokenizer, aw.cut(key="cat"), source=["the cat sat"])


def test_resampling_takes_the_output_of_another_input(model: Any) -> None:
    tokenizer = aw.pocket()[1]
    other = "the dog sat on the mat because it"
    source = aw.capture(model, other, tokenizer)
    edit = aw.ablate([(3, 3)], "resample", other)
    changed = aw.capture(model, TEXT, tokenizer, interventions=edit)
    np.testing.assert_array_equal(changed["decoder"][3].output(3), source["decoder"][3].output(3))
    effect = aw.what_if(model, TEXT, tokenizer, edit, metric=("purred", "barked"))
    assert effect.value_before > 5
    assert effect.delta < -5


def test_an_edited_record_is_saved_with_what_was_done(model: Any, tmp_path: Any) -> None:
    edit = aw.ablate([(3, 3)], "mean", ["the dog sat on the mat .", "a cat ran ."])
    changed = aw.capture(model, TEXT, aw.pocket()[1], interventions=edit)
    changed.save(tmp_path / "run.safetensors")
    loaded = aw.load(tmp_path / "run.safetensors")
    assert loaded.edits == changed.edits == (repr(edit),)
    assert repr(loaded) == repr(changed)
    assert repr(edit) in repr(changed)
    np.testing.assert_array_equal(loaded["decoder"][3].output(3), changed["decoder"][3].output(3))
