"""Recording leaves the model, its outputs and the process as they were."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from support import zoo
from support.model_checks import hooks, tensors
from transformers.modeling_utils import AttentionInterface

from attnwidget.capture.taps.listeners import listeners
from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Iterator


CASES = [
    pytest.param(name, implementation, id=f"{name}-{implementation}")
    for name, kind in zoo.KINDS.items()
    for implementation in kind.implementations
]


@pytest.fixture(autouse=True)
def interface_as_before() -> Iterator[None]:
    before = [dict(vars(kind)) for kind in AttentionInterface.__mro__]
    yield
    assert [dict(vars(kind)) for kind in AttentionInterface.__mro__] == before
    assert listeners() == ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("name", "implementation"), CASES)
def test_outputs_are_bit_identical(name: str, implementation: str, dtype: torch.dtype) -> None:
    model, inputs = zoo.build(name, implementation, dtype), zoo.inputs_of(name, dtype)
    config, state = copy.deepcopy(model.config), torch.get_rng_state()
    with torch.no_grad():
        off = model(**inputs, output_hidden_states=True)
        before = hooks(model)
        with recording(model):
            assert hooks(model) == before  # not even while it is recorded
            on = model(**inputs, output_hidden_states=True)
    assert len(tensors(off)) > 3
    assert all(torch.equal(a, b) for a, b in zip(tensors(off), tensors(on), strict=True))
    assert model.config.to_dict() == config.to_dict()
    assert model.config._attn_implementation == config._attn_implementation
    # Before transformers 5.2 some classes keep the implementation that they were made with.
    if hasattr(AttentionInterface, "get_interface"):
        assert config._attn_implementation == implementation
    assert hooks(model) == before
    assert not model.training
    assert torch.equal(state, torch.get_rng_state())


def test_gradients_are_bit_identical() -> None:
    model, inputs = zoo.build("qwen2", "sdpa"), zoo.inputs_of("qwen2")
    gradients = []
    for listen in (False, True):
        model.zero_grad()
        if listen:
            with recording(model):
                loss = model(**inputs, labels=inputs["input_ids"]).loss
        else:
            loss = model(**inputs, labels=inputs["input_ids"]).loss
        loss.backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_dropout_draws_the_same_numbers() -> None:
    model, inputs = zoo.build("bert").train(), zoo.inputs_of("bert")
    torch.manual_seed(5)
    off = model(**inputs).last_hidden_state
    torch.manual_seed(5)
    with recording(model):
        on = model(**inputs).last_hidden_state
    assert model.training
    assert torch.equal(off, on)


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["h.1.mlp", "h.1.attn", "h.0.attn.c_proj", ""])
def test_a_forward_that_raises_leaves_nothing_behind(
    where: str, error: type[BaseException]
) -> None:
    model, inputs = zoo.build("gpt2", "sdpa"), zoo.inputs_of("gpt2")
    with torch.no_grad():
        before = model(**inputs).logits
    module = model.transformer.get_submodule(where) if where else model
    broken = module.forward

    def fail(*_args: object, **_kwargs: object) -> None:
        msg = "in the middle"
        raise error(msg)

    module.forward = fail
    with pytest.raises(error, match="in the middle"), recording(model) as attention:
        model(**inputs)
    del module.forward
    assert module.forward == broken
    assert hooks(model) == []
    with pytest.raises(RuntimeError, match=f"the block raised {error.__name__}"):
        attention["decoder"]
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, before)
    assert len(capture(model, inputs)["decoder"]) == 2


def test_recordings_nest() -> None:
    outer_model, inner_model = zoo.build("gpt2"), zoo.build("bert")
    with recording(outer_model) as outer:
        with recording(inner_model) as inner:
            inner_model(**zoo.inputs_of("bert"))
        assert inner.streams.keys() == {"encoder"}
        with pytest.raises(RuntimeError, match="has not ended"):
            outer.streams  # noqa: B018
        with pytest.raises(ArithmeticError), recording(inner_model):
            raise ArithmeticError
        outer_model(**zoo.inputs_of("gpt2"))
    assert outer.streams.keys() == {"decoder"}


def test_nested_recordings_of_one_model_agree() -> None:
    model, inputs = zoo.build("llama"), zoo.inputs_of("llama")
    with recording(model) as outer, recording(model) as inner:
        model(**inputs)
    assert (outer["decoder"][1].weights() == inner["decoder"][1].weights()).all()
    assert hooks(model) == []


def test_two_threads_hear_their_own_model_only() -> None:
    names = ("gpt2", "bart-2-4")
    alone = {name: capture(zoo.build(name), zoo.inputs_of(name)) for name in names}
    models = {name: zoo.build(name) for name in names}
    together, errors = {}, []
    gate = threading.Barrier(2, timeout=30)

    def run(name: str) -> None:
        try:
            for _ in range(5):
                with recording(models[name]) as attention, torch.no_grad():
                    gate.wait()  # both are listening before either runs
                    models[name](**zoo.inputs_of(name))
                    gate.wait()
                together[name] = attention.attention
        except BaseException as error:  # noqa: BLE001  a thread's error is the test's
            errors.append(error)
            gate.abort()

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for name in names:
        assert together[name].streams.keys() == alone[name].streams.keys()
        for stream, layers in alone[name].streams.items():
            for layer in layers:
                assert torch.equal(together[name][stream][layer.layer].query, layer.query)


def test_two_threads_may_share_a_model() -> None:
    model = zoo.build("gpt2", "sdpa")
    inputs = [{"input_ids": zoo.ids(length, seed=length)} for length in (5, 7)]
    alone = [capture(model, given)["decoder"] for given in inputs]
    together: dict[int, Any] = {}
    gate = threading.Barrier(2, timeout=30)

    def run(index: int) -> None:
        with recording(model) as attention, torch.no_grad():
            gate.wait()
            model(**inputs[index])
            gate.wait()
        together[index] = attention["decoder"]

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, stream in enumerate(alone):
        assert torch.equal(together[index][1].query, stream[1].query)
        assert together[index].key_positions == stream.key_positions
    assert hooks(model) == []


def test_another_model_in_the_block_is_not_heard() -> None:
    model, other = zoo.build("gpt2"), zoo.build("llama")
    with recording(model) as attention:
        model(**zoo.inputs_of("gpt2"))
        other(**zoo.inputs_of("llama"))
    assert [layer.num_heads for layer in attention["decoder"]] == [3, 3]


def test_what_is_recorded_is_a_copy() -> None:
    model, inputs = zoo.build("llama"), zoo.inputs_of("llama")
    with recording(model) as attention:
        cache = model(**inputs).past_key_values
    layer = attention["decoder"][0]
    before = layer.key.clone()
    cache.layers[0].keys.zero_()
    assert torch.equal(layer.key, before)
