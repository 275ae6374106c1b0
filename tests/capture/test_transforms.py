"""Recordings around and inside of what PyTorch does with a whole model: `torch.func`, traces, exports, the compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import others, zoo
from torch import nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def encoder() -> Any:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(24, 2, 32, batch_first=True)
    return nn.TransformerEncoder(layer, 2).eval()


MODELS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "llama-sdpa": (lambda: zoo.build("llama", "sdpa"), lambda: zoo.ids(7)),
    "llama-eager": (lambda: zoo.build("llama", "eager"), lambda: zoo.ids(7)),
    "gpt2": (lambda: zoo.build("gpt2", "eager"), lambda: zoo.ids(7)),
    "bert": (lambda: zoo.build("bert", "sdpa"), lambda: zoo.ids(7)),
    "own": (lambda: others.Own().eval(), others.hidden_states),
    "encoder": (encoder, others.hidden_states),
}


def parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in model.named_parameters()}


def loss_of(model: nn.Module, given: Any) -> Callable[[dict[str, Tensor]], Tensor]:
    def loss(values: dict[str, Tensor]) -> Tensor:
        found = functional_call(model, values, (given,))
        first: Tensor = found if isinstance(found, torch.Tensor) else found[0]
        return first.square().mean()

    return loss


def recorded(model: nn.Module, given: Any) -> Any:
    with torch.no_grad(), recording(model) as attention:
        model(given)
    return attention


def same(attention: Any, other: Any, atol: float = 0.0) -> None:
    assert attention.streams.keys() == other.streams.keys()
    for name, stream in other.streams.items():
        assert attention[name].key_positions == stream.key_positions
        for layer, expected in zip(attention[name], stream, strict=True):
            np.testing.assert_allclose(layer.weights(), expected.weights(), rtol=0, atol=atol)
            assert (layer.value_norms is None) == (expected.value_norms is None)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("way", ["grad", "vjp"])
def test_gradients_of_torch_func(name: str, way: str) -> None:
    model, given = MODELS[name][0](), MODELS[name][1]()
    loss, values = loss_of(model, given), parameters(model)

    def gradients() -> Any:
        if way == "grad":
            return torch.func.grad(loss)(values)
        return torch.func.vjp(loss, values)[1](torch.tensor(1.0))[0]

    off = gradients()
    with recording(model) as attention:
        on = gradients()
    assert attention.passes == 1
    assert off.keys() == on.keys()
    assert all(torch.equal(off[key], on[key]) for key in off)
    # The fast path of PyTorch's encoder, which gradients close, differs in the last bits.
    same(attention, recorded(model, given), atol=1e-6 if name == "encoder" else 0.0)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_gradients_with_respect_to_the_inputs() -> None:
    """And forward-mode derivatives, and a Jacobian, whose `vmap` is in the backward pass alone."""
    model = zoo.build("llama", "eager")
    embeds = model.get_input_embeddings()(zoo.ids(4)).detach()
    expected = capture(model, {"inputs_embeds": embeds})

    def last(vectors: Tensor) -> Tensor:
        found: Tensor = model(inputs_embeds=vectors, use_cache=False).logits[0, -1, :3]
        return found

    actions: tuple[Callable[[], Any], ...] = (
        lambda: torch.func.grad(lambda vectors: last(vectors).sum())(embeds),
        lambda: torch.func.jacrev(last)(embeds),
        lambda: torch.func.grad(torch.func.grad(lambda by: last(embeds * by).sum()))(
            torch.tensor(1.0)
        ),
        lambda: torch.func.jvp(last, (embeds,), (torch.ones_like(embeds),))[1],
    )
    for action in actions:
        off = action()
        with recording(model) as attention:
            on = action()
        assert torch.equal(off, on)
        same(attention, expected)


def test_a_capture_inside_of_a_transform() -> None:
    model, given = zoo.build("llama", "sdpa"), zoo.ids(7)
    embeds = model.get_input_embeddings()(given).detach()
    found = []

    def inside(vectors: Tensor) -> Tensor:
        found.append(capture(model, {"inputs_embeds": vectors}))
        with recording(model) as attention:
            logits: Tensor = model(inputs_embeds=vectors, use_cache=False).logits
        found.append(attention)
        return logits.sum()

    torch.func.grad(inside)(embeds)
    for attention in found:
        same(attention, capture(model, {"inputs_embeds": embeds}))


SENTENCE = r"ran inside of torch.vmap, .*attnwidget\.capture\(model, inputs\)"


def test_vmap_is_answered_by_a_sentence() -> None:
    model, given = zoo.build("llama", "eager"), zoo.ids(7)
    values = {name: torch.stack([value, value]) for name, value in parameters(model).items()}

    def both() -> Tensor:
        def one(own: dict[str, Tensor]) -> Tensor:
            found: Tensor = functional_call(model, own, (given,), {"use_cache": False}).logits
            return found

        with torch.no_grad():
            found: Tensor = torch.vmap(one)(values)
        return found

    off = both()
    block = recording(model)
    block.__enter__()
    assert torch.equal(both(), off)  # the model is not disturbed
    with pytest.raises(ValueError, match=f"nothing was recorded: LlamaForCausalLM {SENTENCE}"):
        block.__exit__(None, None, None)
    block = recording(model)
    attention = block.__enter__()
    both()
    with torch.no_grad():
        model(given)
    with pytest.warns(UserWarning, match=f"not recorded: a call of LlamaForCausalLM {SENTENCE}"):
        block.__exit__(None, None, None)
    same(attention, capture(model, given))
    with pytest.raises(ValueError, match=f"LlamaForCausalLM {SENTENCE}"):
        torch.vmap(lambda ids: capture(model, ids[None])["decoder"][0].query)(zoo.ids(7, rows=2))


@pytest.mark.filterwarnings("ignore:.*torch.jit.(trace|script)")
@pytest.mark.filterwarnings("ignore:.*Converting a tensor to a Python")
@pytest.mark.parametrize("name", ["own", "encoder"])
def test_a_trace_inside_of_a_recording(name: str) -> None:
    """It notes the model's operations alone, and the recording the numbers it was made with."""
    model, given = MODELS[name][0](), others.hidden_states()

    def trace() -> Any:
        with torch.no_grad():
            return torch.jit.trace(model, (given,), check_trace=False)

    def operations(traced: Any) -> list[str]:
        return [node.kind() for node in traced.inlined_graph.nodes()]

    expected = operations(trace())
    with recording(model) as attention:
        traced = trace()
    assert operations(traced) == expected
    same(attention, recorded(model, given), atol=1e-6 if name == "encoder" else 0.0)
    with torch.no_grad():
        torch.testing.assert_close(traced(given), model(given))


EXPORTS: dict[str, Callable[[Any, Any], str]] = {
    "export": lambda model, given: torch.export.export(model, (given,)).graph_module.code,
    "fx": lambda model, _given: torch.fx.symbolic_trace(model).code,
    "make_fx": lambda model, given: make_fx(model)(given).code,
}


@pytest.mark.parametrize("way", EXPORTS)
def test_an_export_inside_of_a_recording(way: str) -> None:
    """It is the same as without, and has no numbers."""
    model, given = others.Own().eval(), others.hidden_states()
    expected = EXPORTS[way](model, given)
    block = recording(model)
    block.__enter__()
    assert EXPORTS[way](model, given) == expected
    with pytest.raises(ValueError, match=r"Own ran on tensors without numbers, .*capture\(model"):
        block.__exit__(None, None, None)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_model_with_a_scripted_part() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.jit.script(nn.Linear(24, 24))
            self.own = others.Own()

        def forward(self, hidden: Tensor) -> Tensor:
            found: Tensor = self.own(self.first(hidden))
            return found

    model, given = Model().eval(), others.hidden_states()
    attention = recorded(model, given)
    same(attention, recorded(model.own, model.first(given)))


def test_a_compiled_function_that_calls_the_model() -> None:
    torch.compiler.reset()
    model, given = zoo.build("llama", "sdpa"), zoo.ids(7)
    with torch.no_grad():
        expected = model(given, use_cache=False).logits
    function = torch.compile(lambda ids: model(ids, use_cache=False).logits, backend="eager")
    block = recording(model)
    block.__enter__()
    with torch.no_grad():
        torch.testing.assert_close(function(given), expected)
    with pytest.raises(ValueError, match=r"what torch\.compile makes"):
        block.__exit__(None, None, None)


OPTIONS: dict[str, Any] = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}


def callback(where: str, look: Callable[[Tensor], None]) -> dict[str, Any]:
    """Options of ``generate`` that let something look at the ids so far."""

    class Streamer:
        def put(self, ids: Tensor) -> None:
            look(ids.reshape(1, -1))

        def end(self) -> None:
            pass

    def criterion(ids: Tensor, _scores: Any, **_: Any) -> Tensor:
        look(ids)
        return torch.zeros(len(ids), dtype=torch.bool)

    def processor(ids: Tensor, scores: Tensor) -> Tensor:
        look(ids)
        return scores

    options = {
        "criterion": {"stopping_criteria": [criterion]},
        "processor": {"logits_processor": [processor]},
        "streamer": {"streamer": Streamer()},
    }
    return options.get(where, {})


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("where", ["criterion", "processor", "streamer", "hook"])
@pytest.mark.parametrize("way", ["capture", "recording"])
def test_a_recording_in_a_callback(way: str, where: str, *, outer: bool) -> None:
    """It is a record of its own, and no part of the generation, or of the pass, that it interrupts."""
    model = zoo.build("llama", "sdpa")
    found = []

    def look(ids: Tensor) -> None:
        if way == "capture":
            found.append((ids, capture(model, ids)))
        else:
            with recording(model) as attention, torch.no_grad():
                model(ids)
            found.append((ids, attention.attention))

    options = callback(where, look)
    with recording(model) as plain:
        expected = model.generate(zoo.ids(5), **OPTIONS)
    handles = []
    if where == "hook":
        busy = []

        def hook(*_: Any) -> None:
            if not busy:
                busy.append(True)
                look(zoo.ids(3))
                busy.clear()

        handles.append(model.model.layers[0].self_attn.register_forward_hook(hook))
    if outer:
        with recording(model) as attention:
            ids = model.generate(zoo.ids(5), **OPTIONS, **options)
        same(attention, plain)
        assert len(attention.next_tokens) == len(plain.next_tokens)
    else:
        ids = model.generate(zoo.ids(5), **OPTIONS, **options)
    for handle in handles:
        handle.remove()
    assert torch.equal(ids, expected)
    assert len(found) >= 4
    for given, seen in found:
        same(seen, capture(model, given))
