"""Links cut in every kind of model, against −∞ in the softmax of an eager copy; patches; what is refused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as hf
from support import others, zoo
from support.cut_links import hidden_from_softmax
from support.model_checks import GREEDY, hooks, tensors

import attnwidget as aw
from attnwidget.capture.edits.places import recorded_places

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = "the cat sat on the mat because it"

Case = tuple[Any, Any, dict[str, Any]]


def _known(name: str, implementation: str) -> Callable[[], Case]:
    return lambda: (
        zoo.build(name, implementation),
        zoo.build(name, "eager"),
        zoo.inputs_of(name),
    )


def _own(name: str) -> Callable[[], Case]:
    def make() -> Case:
        model = zoo.wake(others.MODELS[name]())
        kind, config = type(model), copy.deepcopy(model.config)
        eager = kind._from_config(config, attn_implementation="eager").eval()
        eager.load_state_dict(model.state_dict())
        return model, eager, zoo.tokens()

    return make


CASES: dict[str, Callable[[], Case]] = {
    **{
        f"{name}-{implementation}": _known(name, implementation)
        for name, implementation in (
            ("gpt2", "sdpa"), ("llama", "eager"), ("llama", "sdpa"), ("bert", "sdpa"), ("modernbert", "eager"),
            ("gemma2", "eager"), ("gemma3", "sdpa"), ("gpt-oss", "eager"), ("t5-2-4", "eager"), ("bart-2-4", "sdpa"),
            ("whisper", "sdpa"), ("vit", "sdpa"),
        )
    },
    **{name: _own(name) for name in ("bloom", "falcon", "mpt", "gptj", "deberta-v2")},
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_link_cut_is_minus_infinity_in_the_softmax(name: str) -> None:
    model, eager, inputs = CASES[name]()
    tried = 0
    with torch.no_grad():
        clean, plain = tensors(model(**inputs)), tensors(eager(**inputs))
        attention = aw.capture(model, inputs)
        held, places = hooks(model), recorded_places(model) or {}
        for stream, layers in attention.streams.items():
            layer, head = layers[-1], layers[-1].num_heads - 1
            query = layer.n_query - 1
            key = int(layer.weights(head)[query].argmax())
            place = places[stream, layer.layer]
            link = (query, key)
            with hidden_from_softmax(eager, place.path, layer.num_heads, head, link) as changed:
                expected = tensors(eager(**inputs))
            if not changed:
                continue
            edit = aw.cut(query=query, key=key, heads=(layer.layer, head), stream=stream)
            with aw.intervening(model, edit):
                assert hooks(model) == held
                got = tensors(model(**inputs))
            for one, other, before, apart in zip(got, expected, clean, plain, strict=True):
                scale = max(1.0, float(other.abs().max()))
                far = 1e-5 * scale + float((before - apart).abs().max())
                assert float((one - other).abs().max()) <= far, (stream, link)
            assert not all(map(torch.equal, clean, got)), (stream, link)
            tried += 1
        assert tried == len(attention.streams)
        assert all(map(torch.equal, clean, tensors(model(**inputs))))
    assert hooks(model) == held


@pytest.mark.parametrize(
    "name", ["llama-sdpa", "gemma2-eager", "gpt-oss-eager", "bloom", "t5-2-4-eager"]
)
def test_the_record_shows_the_weights_that_are_left(name: str) -> None:
    model, _, inputs = CASES[name]()
    clean = aw.capture(model, inputs)
    stream = next(iter(clean.streams))
    layer = clean[stream][1]
    query = layer.n_query - 1
    key = int(layer.weights(1)[query].argmax())
    edit = aw.cut(query=query, key=key, heads=(1, 1), stream=stream)
    changed = aw.capture(model, inputs, interventions=edit)
    assert changed.edits == (repr(edit),)
    before, after = layer.weights(), changed[stream][1].weights()
    assert after[1, query, key] == 0
    others_left = np.delete(before[1, query], key)
    kept = np.delete(after[1, query], key)
    if layer.sinks is None:
        np.testing.assert_allclose(kept, others_left / others_left.sum(), rtol=0, atol=2e-6)
    rows = np.ones(before.shape[:2], dtype=bool)
    rows[1, query] = False
    np.testing.assert_array_equal(after[rows], before[rows])
    assert changed[stream][1].value_norms is not None or layer.value_norms is None


@pytest.mark.parametrize("name", ["llama-sdpa", "bloom"])
def test_what_changes_nothing_is_bit_identical_and_one_key_left_is_its_value(name: str) -> None:
    model, _, inputs = CASES[name]()
    with torch.no_grad():
        clean = tensors(model(**inputs))
        attention = aw.capture(model, inputs)
        layer = attention["decoder"][1]
        for edit in (
            aw.cut(query=0, key=2, heads=(1, 0)),  # later than the query
            aw.cut(query=2, key=999),  # no such key in this call
            aw.patch(attention, heads=[(0, 0), (1, 1)]),
            aw.patch(attention, heads=(1, 1), what="pattern"),
            aw.patch(attention, heads=(1, 1), what="value"),
        ):
            with aw.intervening(model, edit):
                assert all(map(torch.equal, clean, tensors(model(**inputs)))), edit
    alone = aw.capture(model, inputs, interventions=aw.cut(query=4, key=[0, 1, 3, 4], heads=(1, 0)))
    values = layer.value_vectors(0)
    first = aw.capture(model, inputs)["decoder"][1]
    np.testing.assert_array_equal(alone["decoder"][1].weights(0)[4].nonzero()[0], [2])
    np.testing.assert_allclose(alone["decoder"][1].output(0)[4], values[2], rtol=0, atol=1e-6)
    nothing = aw.capture(model, inputs, interventions=aw.cut(query=4, heads=(1, 0)))
    assert (nothing["decoder"][1].output(0)[4] == 0).all()
    assert (nothing["decoder"][1].weights(0)[3] == first.weights(0)[3]).all()


@pytest.mark.parametrize("name", ["llama-sdpa", "bloom"])
def test_without_renormalising_the_other_weights_stay(name: str) -> None:
    model, _, inputs = CASES[name]()
    clean = aw.capture(model, inputs)["decoder"][1]
    edit = aw.cut(query=4, key=[1, 2], heads=(1, 1), renormalise=False)
    changed = aw.capture(model, inputs, interventions=edit)["decoder"][1]
    values = clean.value_vectors(1)
    expected = clean.output(1)[4] - clean.weights(1)[4, [1, 2]] @ values[[1, 2]]
    np.testing.assert_allclose(changed.output(1)[4], expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(changed.weights(), clean.weights())
    np.testing.assert_array_equal(changed.output(0), clean.output(0))
    assert changed.value_norms is not None  # what the projection was given is what the record says


def test_a_token_hidden_from_all_is_that_of_an_attention_mask() -> None:
    model, eager, inputs = CASES["llama-sdpa"]()
    seen = torch.ones_like(inputs["input_ids"])
    seen[:, 2] = 0
    order = torch.arange(seen.shape[1])[None]
    with torch.no_grad():
        expected = eager(**{**inputs, "attention_mask": seen, "position_ids": order}).logits
        aw.capture(model, inputs)
        with aw.intervening(model, aw.cut(key=2)):
            got = model(**inputs).logits
    rows = [at for at in range(seen.shape[1]) if at != 2]  # its own row sees nothing of itself here
    torch.testing.assert_close(got[:, rows], expected[:, rows], rtol=0, atol=2e-5)


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


def test_of_two_links_of_weight_one_one_is_the_cause(pocket: Any) -> None:
    model, tokenizer = pocket
    cause = aw.what_if(model, TEXT, tokenizer, aw.cut("it", "cat", heads=(3, 3)), metric="purred")
    assert cause.before["purred"] > 0.4
    assert cause.after["purred"] < 0.02
    assert cause.kl == pytest.approx(2.51, abs=0.01)
    other = aw.what_if(model, TEXT, tokenizer, aw.cut("it", "mat", heads=(3, 1)), metric="purred")
    assert other.after["purred"] >= other.before["purred"]
    assert other.clean["decoder"][3].weights(1, query="it", key="mat") > 0.9


@pytest.mark.parametrize("what", ["output", "pattern"])
def test_patching_the_pronoun_head_brings_the_cat_back(pocket: Any, what: Any) -> None:
    model, tokenizer = pocket
    pair, dog = ("purred", "barked"), TEXT.replace("cat", "dog")
    cat = aw.capture(model, TEXT, tokenizer)

    def difference(text: str, edit: aw.Edits) -> float:
        return aw.what_if(model, text, tokenizer, edit, metric=pair).value_after

    clean, other = (difference(text, aw.ablate([])) for text in (TEXT, dog))

    def back(*heads: tuple[int, int]) -> float:
        edit = aw.patch(cat, heads=heads, what=what)
        return (difference(dog, edit) - other) / (clean - other)

    if what == "pattern":  # where it looks is the same in both
        assert abs(back((3, 3))) < 0.05
        return
    every = [(layer, head) for layer in range(4) for head in range(4)]
    assert back((3, 3)) >= 0.7
    assert 0.1 < back((3, 2)) < 0.3
    for head in every:
        assert head in {(3, 3), (3, 2)} or back(head) <= 0.05
    assert back(*every) == pytest.approx(1, abs=1e-5)


def test_in_a_generation_positions_count_from_the_prompt(pocket: Any) -> None:
    model, tokenizer = pocket
    inputs = tokenizer(TEXT, return_tensors="pt")
    aw.capture(model, TEXT, tokenizer)
    edit = aw.cut(key=2, layers=[2, 3])  # “cat”, in every step
    with torch.no_grad(), aw.intervening(model, edit):
        ids = model.generate(**inputs, **GREEDY)
        # The same token by token without a cache.
        plain = inputs["input_ids"]
        for _ in range(ids.shape[1] - plain.shape[1]):
            logits = model(input_ids=plain, use_cache=False).logits[:, -1]
            plain = torch.cat([plain, logits.argmax(-1, keepdim=True)], dim=1)
    assert torch.equal(ids, plain)
    with torch.no_grad():
        assert not torch.equal(ids, model.generate(**inputs, **GREEDY))


def test_gradients_flow_through_a_cut() -> None:
    model, _, inputs = CASES["llama-sdpa"]()
    aw.capture(model, inputs)
    with aw.intervening(model, aw.cut(query=4, key=1, heads=(1, 0))):
        model(**inputs).logits.sum().backward()
    got = [one.grad.clone() for one in model.parameters() if one.grad is not None]
    eager = zoo.build("llama", "eager")
    with hidden_from_softmax(
        eager, "model.layers.1.self_attn", eager.config.num_attention_heads, 0, (4, 1)
    ):
        eager(**inputs).logits.sum().backward()
    expected = [one.grad for one in eager.parameters() if one.grad is not None]
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda _: aw.cut(query="dog", key="cat"), "'dog' is no token of this input"),
        (lambda _: aw.cut(query=-20, key=1), r"query must be integers in 0\.\.8"),
        (lambda _: aw.cut(query=1, key=0, layers=9), r"no layer 9 .* cut\(query=1, key=0, layers=\[0\]\)"),
        (lambda _: aw.cut(query=1, key=0, heads=(3, 9)), r"no head 9 .* cut\(query=1, key=0, heads=\[\(3, 3\)\]\)"),
        (lambda _: aw.cut(query=1, key=0, stream="encoder"), "no stream 'encoder'"),
        (lambda record: aw.patch(record, heads=(0, 0)) + aw.ablate((0, 0)), "edited in two ways"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(pocket: Any, edit: Any, message: str) -> None:
    model, tokenizer = pocket
    record = aw.capture(model, TEXT, tokenizer)
    with pytest.raises(ValueError, match=message):
        aw.what_if(model, TEXT, tokenizer, edit(record))


def test_texts_and_other_lengths_are_refused_where_they_cannot_be_looked_up(pocket: Any) -> None:
    model, tokenizer = pocket
    record = aw.capture(model, TEXT, tokenizer)
    with (
        pytest.raises(ValueError, match=r"'cat' has to be looked up .*what_if"),
        aw.intervening(model, aw.cut(key="cat")),
    ):
        pass
    with pytest.raises(
        TypeError, match=r"got 'the cat': call attnwidget\.patch\(attnwidget\.capture"
    ):
        aw.patch("the cat", heads=[(0, 0)])
    with pytest.raises(ValueError, match="has 9 positions, the input 5"):
        aw.what_if(model, "the cat sat on", tokenizer, aw.patch(record, heads=(3, 3)))
    training = zoo.build("llama", "sdpa")
    training.config.attention_dropout = 0.5
    for module in training.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.5
    aw.capture(training, zoo.inputs_of("llama"))
    with (
        pytest.raises(ValueError, match=r"drops some of its weights at random: call model\.eval"),
        aw.intervening(training.train(), aw.cut(query=3, key=1)),
    ):
        training(**zoo.inputs_of("llama"))


def test_a_layer_of_windows_is_refused() -> None:
    config = hf.SwinConfig(
        image_size=16, patch_size=2, window_size=4, embed_dim=16, depths=[2], num_heads=[2]
    )
    model = zoo.wake(hf.SwinModel(config))
    inputs = {"pixel_values": torch.randn(1, 3, 16, 16)}
    aw.capture(model, inputs)
    with (
        pytest.raises(ValueError, match="attends within windows"),
        aw.intervening(model, aw.cut(query=3, key=1)),
    ):
        model(**inputs)
