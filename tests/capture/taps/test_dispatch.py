"""Attention that does not go through transformers' interface: exact, with its vectors, and nothing touched."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import others, zoo
from support.model_checks import hooks, layers, multiplied, tensors
from torch.utils._python_dispatch import _get_current_dispatch_mode

from attnwidget.capture.reconstruct import scores
from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Iterator


WITHOUT_CACHE = {"bloom", "gptj", "codegen", "mpt", "gpt-neo"}


@pytest.fixture(autouse=True)
def nothing_reads_on() -> Iterator[None]:
    yield
    assert _get_current_dispatch_mode() is None


def build(name: str) -> Any:
    return zoo.wake(others.MODELS[name]())


@pytest.mark.parametrize("name", others.MODELS)
def test_weights_are_what_values_were_multiplied_with(name: str) -> None:
    model, inputs = build(name), {"input_ids": zoo.ids(7)}
    own = multiplied(model, inputs)
    attention = capture(model, inputs)
    recorded = sorted(layers(attention), key=lambda layer: layer.stream.startswith("decoder"))
    assert len(own) == len(recorded) > 1
    for layer, expected in zip(recorded, own, strict=True):
        assert layer.has_vectors, layer.reason
        assert layer.recorded is None
        np.testing.assert_allclose(layer.weights(), expected, rtol=0, atol=1e-5)
        assert (expected.max(axis=-1) * (expected > 0).sum(axis=-1)).mean() > 1.3


@pytest.mark.parametrize("name", others.MODELS)
def test_long_inputs_are_read_from_some_of_their_rows(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "_SAMPLED", 3)
    model, inputs = build(name), {"input_ids": zoo.ids(13)}
    own = multiplied(model, inputs)
    attention = capture(model, inputs)
    recorded = sorted(layers(attention), key=lambda layer: layer.stream.startswith("decoder"))
    for layer, expected in zip(recorded, own, strict=True):
        assert layer.has_vectors, layer.reason
        np.testing.assert_allclose(layer.weights(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", others.MODELS)
def test_outputs_are_bit_identical(name: str) -> None:
    model, inputs = build(name), {"input_ids": zoo.ids(7)}
    state = torch.get_rng_state()
    with torch.no_grad():
        off = model(**inputs)
        before = hooks(model)
        with recording(model):
            on = model(**inputs)
            assert _get_current_dispatch_mode() is None
    assert tensors(off)
    assert all(torch.equal(a, b) for a, b in zip(tensors(off), tensors(on), strict=True))
    assert hooks(model) == before
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", others.MODELS)
def test_inference_mode(name: str) -> None:
    """There, operations that are made of others arrive in one piece."""
    model, ids = build(name), zoo.ids(7)
    expected = layers(capture(model, ids))
    with torch.inference_mode():
        off = model(ids)
        with recording(model) as attention:
            on = model(ids)
    assert all(torch.equal(a, b) for a, b in zip(tensors(off), tensors(on), strict=True))
    for layer, other in zip(layers(attention), expected, strict=True):
        assert layer.has_vectors
        np.testing.assert_allclose(layer.weights(), other.weights(), rtol=0, atol=1e-6)


def test_gradients_are_bit_identical() -> None:
    model, ids = build("bloom"), zoo.ids(7)
    gradients = []
    for listen in (False, True):
        model.zero_grad()
        if listen:
            with recording(model) as attention:
                loss = model(ids, labels=ids).loss
        else:
            loss = model(ids, labels=ids).loss
        loss.backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert all(layer.has_vectors for layer in attention["decoder"])


def test_what_the_arithmetic_says() -> None:
    bloom = capture(build("bloom"), zoo.ids(7))["decoder"][1]
    assert bloom.scaling == pytest.approx(8**-0.5)
    assert bloom.band is not None
    assert bloom.band.causal
    assert bloom.bias is not None  # ALiBi
    slopes = bloom.bias_block(0, 6)
    np.testing.assert_allclose(np.diff(slopes), np.diff(slopes)[0], atol=1e-4)
    local = capture(build("gpt-neo"), zoo.ids(7))["decoder"]
    assert [layer.band.window for layer in local] == [None, 3]
    assert [layer.bias for layer in local] == [None, None]
    assert capture(build("falcon"), zoo.ids(7))["decoder"][0].num_key_value_heads == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision(dtype: torch.dtype) -> None:
    model, inputs = build("bloom").to(dtype), {"input_ids": zoo.ids(7)}
    own = multiplied(model, inputs)
    for layer, expected in zip(capture(model, inputs)["decoder"], own, strict=True):
        assert layer.has_vectors
        np.testing.assert_allclose(layer.weights(), expected, rtol=0, atol=3e-2)


def test_padding_is_dropped() -> None:
    model = build("bloom")
    ids = torch.cat([torch.zeros(1, 2, dtype=torch.long), zoo.ids(5)], dim=1)
    rows = torch.cat([zoo.ids(7, seed=3), ids])
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[1, :2] = 0
    padded = capture(model, {"input_ids": rows, "attention_mask": mask}, batch=1)["decoder"]
    alone = capture(model, zoo.ids(5))["decoder"]
    for layer in alone:
        np.testing.assert_allclose(padded[layer.layer].weights(), layer.weights(), atol=1e-5)


@pytest.mark.parametrize("name", ["bloom", "gptj", "falcon", "gpt-neo"])
def test_generation_is_stitched(name: str) -> None:
    model = build(name)
    with recording(model) as attention:
        ids = model.generate(zoo.ids(5), max_new_tokens=4, do_sample=False, pad_token_id=0)
    whole = capture(model, ids[:, :-1])["decoder"]
    assert len(whole.key_positions) > 5
    for layer in attention["decoder"]:
        assert layer.has_vectors
        np.testing.assert_allclose(layer.weights(), whole[layer.layer].weights(), atol=1e-4)


def test_dropout_is_what_was_used() -> None:
    model, inputs = others.training_bloom(), {"input_ids": zoo.ids(7)}
    zoo.wake(model).train()
    own = multiplied(model, inputs, seed=3)
    torch.manual_seed(3)
    with recording(model) as attention:
        model(**inputs)
    for layer, expected in zip(attention["decoder"], own, strict=True):
        assert not layer.has_vectors
        assert "dropout" in layer.reason
        np.testing.assert_array_equal(layer.weights(), expected)
        assert layer.value_vectors(0).shape == (7, 8)
        with pytest.raises(ValueError, match="no scores: its weights are changed after the soft"):
            layer.scores()


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
def test_a_forward_that_raises_leaves_nothing_behind(error: type[BaseException]) -> None:
    model, inputs = build("bloom"), {"input_ids": zoo.ids(7)}
    dense = model.transformer.h[1].self_attention.dense

    def fail(*_: object) -> None:
        raise error

    dense.forward = fail
    with pytest.raises(error), recording(model):
        model(**inputs)
    del dense.forward
    assert hooks(model) == []
    assert _get_current_dispatch_mode() is None
    assert len(capture(model, inputs)["decoder"]) == 2


def test_recordings_nest() -> None:
    model, inputs = build("bloom"), {"input_ids": zoo.ids(7)}
    with recording(model) as outer, recording(model) as inner:
        model(**inputs)
    assert (outer["decoder"][1].weights() == inner["decoder"][1].weights()).all()


def test_two_threads_hear_their_own_model_only() -> None:
    names = ("bloom", "xlnet")
    models = {name: build(name) for name in names}
    alone = {name: layers(capture(models[name], zoo.ids(7))) for name in names}
    together: dict[str, Any] = {}
    gate = threading.Barrier(2, timeout=30)

    def run(name: str) -> None:
        for _ in range(3):
            with recording(models[name]) as attention, torch.no_grad():
                gate.wait()
                models[name](zoo.ids(7))
                gate.wait()
            together[name] = layers(attention.attention)

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        assert len(together[name]) == len(alone[name])
        for one, other in zip(together[name], alone[name], strict=True):
            assert torch.equal(one.query, other.query)


def test_modules_of_no_library() -> None:
    model, hidden = others.Own().eval(), others.hidden_states()
    own = multiplied(model, {"hidden": hidden})
    with recording(model) as attention:
        model(hidden)
    assert [layer.module_path for layer in attention["encoder"]] == ["blocks.0", "blocks.1"]
    for layer, expected in zip(attention["encoder"], own, strict=True):
        assert layer.has_vectors
        np.testing.assert_allclose(layer.weights(), expected, rtol=0, atol=1e-5)


def test_what_neither_tap_can_read_is_named() -> None:
    """Heads mixed after the softmax: no matrix of weights belongs to one head any more."""
    model = others.Own(mix=True).eval()
    with pytest.raises(ValueError, match=r"OwnAttention x 2 \(blocks\.0, blocks\.1\)"), recording(model):  # fmt: skip
        model(others.hidden_states())
