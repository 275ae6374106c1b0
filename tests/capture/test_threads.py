"""Threads and tasks beside a recording: none of them notices, and records hold their own calls only."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from support import others, zoo
from support.threads import PATIENCE, Running, elsewhere, wait
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def run(model: Any, length: int = 7) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(zoo.ids(length)).logits
    return logits


def attribute_values(model: nn.Module) -> list[tuple[str, str, int, Any]]:
    """What hangs on a model's modules, and what is in its dictionaries."""
    return [
        (path, name, id(value), dict(value) if isinstance(value, dict) else None)
        for path, module in model.named_modules()
        for name, value in vars(module).items()
    ]


MODELS: dict[str, Callable[[], Any]] = {
    "llama": lambda: zoo.build("llama", "sdpa"),
    "gpt2": lambda: zoo.build("gpt2", "eager"),
    "own": lambda: others.Own().eval(),
    "encoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2
    ).eval(),
}


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_set_on_the_model(name: str) -> None:
    """What another thread, a copy or a checkpoint would find."""
    model = MODELS[name]()
    before = attribute_values(model)
    kinds = {type(module): dict(vars(type(module))) for module in model.modules()}
    block = recording(model)
    block.__enter__()
    assert attribute_values(model) == before
    with pytest.raises(ValueError, match="no forward pass"):
        block.__exit__(None, None, None)
    assert attribute_values(model) == before
    assert {kind: dict(vars(kind)) for kind in kinds} == kinds


def test_a_recording_ends_between_the_hooks_of_another_thread() -> None:
    """PyTorch lists a module's hooks, then calls each by the signature that is noted for it by then."""
    model = zoo.build("llama", "sdpa")
    expected = run(model)
    inside, ended = threading.Event(), threading.Event()

    def hold(*_: Any) -> None:
        inside.set()
        wait(ended)

    handle = model.model.layers[1].self_attn.register_forward_pre_hook(hold)
    block = recording(model)
    block.__enter__()
    serving = Running(lambda: run(model))
    wait(inside)
    with pytest.raises(ValueError, match="no forward pass"):
        block.__exit__(None, None, None)
    ended.set()
    assert torch.equal(serving.result(), expected)
    handle.remove()


@pytest.mark.parametrize("begins", [True, False])
def test_the_error_of_another_thread_stays_its_own(*, begins: bool) -> None:
    """PyTorch goes through a module's hooks when it has raised: they must not change meanwhile."""
    model = zoo.build("llama", "sdpa")
    inside, changed = threading.Event(), threading.Event()

    def hold(*_: Any) -> None:
        inside.set()
        wait(changed)

    def fail(*_: Any, **__: Any) -> None:
        msg = "the server's own"
        raise ArithmeticError(msg)

    attend = model.model.layers[1].self_attn
    attend.register_forward_hook(hold, always_call=True)
    attend.register_forward_hook(lambda *_: None, always_call=True)
    attend.forward = fail
    block = recording(model)
    if not begins:
        block.__enter__()
    serving = Running(lambda: run(model))
    wait(inside)
    if begins:
        block.__enter__()
    else:
        with pytest.raises(ValueError, match="no forward pass"):
            block.__exit__(None, None, None)
    changed.set()
    with pytest.raises(ArithmeticError, match="the server's own"):
        serving.result()
    if begins:
        with pytest.raises(ValueError, match="no forward pass"):
            block.__exit__(None, None, None)


def test_a_hooked_module_in_two_threads() -> None:
    """What a recording reads after the user's hooks is called in its own thread alone, and missed by nobody."""
    model = zoo.build("llama", "sdpa")
    expected, alone = run(model), capture(model, zoo.ids(5))
    recorder_in, server_in, recorded = (threading.Event() for _ in range(3))
    main = threading.get_ident()

    def hold(_module: nn.Module, _args: Any) -> None:
        if threading.get_ident() == main:
            recorder_in.set()
            wait(server_in)
        elif not server_in.is_set():
            server_in.set()
            wait(recorded)

    def serve() -> Tensor:
        wait(recorder_in)
        return run(model)

    handle = model.model.layers[1].self_attn.register_forward_pre_hook(hold)
    serving = Running(serve)
    attention = capture(model, zoo.ids(5))
    recorded.set()
    assert torch.equal(serving.result(), expected)
    handle.remove()
    assert not model.model.layers[1].self_attn._forward_pre_hooks
    assert not model.model.layers[1].self_attn._forward_pre_hooks_with_kwargs
    for layer, other in zip(attention["decoder"], alone["decoder"], strict=True):
        assert torch.equal(layer.query, other.query)
        assert layer.value_norms is not None


def test_what_a_hook_makes_of_the_arguments_is_recorded() -> None:
    """An intervention: the model reads other tokens than it was given."""
    model = zoo.build("llama", "sdpa")
    expected = capture(model, zoo.ids(7, seed=3))

    def swap(_module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, "input_ids": zoo.ids(7, seed=3)}

    handle = model.register_forward_pre_hook(swap, with_kwargs=True)
    attention = capture(model, {"input_ids": zoo.ids(7)})
    handle.remove()
    stream = attention["decoder"]
    assert torch.equal(stream[1].query, expected["decoder"][1].query)
    assert stream.key_positions == expected["decoder"].key_positions


def test_a_thread_that_serves_is_not_recorded() -> None:
    model, other = zoo.build("llama", "sdpa"), zoo.build("gpt2", "sdpa")
    expected, plain = [run(model), run(other)], ALL_ATTENTION_FUNCTIONS["sdpa"]
    with recording(model) as attention:
        assert elsewhere(lambda: ALL_ATTENTION_FUNCTIONS.get_interface("sdpa", None)) is plain
        assert elsewhere(lambda: ALL_ATTENTION_FUNCTIONS["sdpa"]) is plain
        assert ALL_ATTENTION_FUNCTIONS.get_interface("sdpa", None) is not plain
        run(model, 5)
        found = elsewhere(lambda: [run(model), run(other)])
    assert attention.passes == 1
    assert len(attention["decoder"].key_positions) == 5
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))


def test_generations_in_two_threads() -> None:
    """One step each in turn, of one model."""
    model = zoo.build("llama", "sdpa")
    options: dict[str, Any] = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}

    def generate(length: int, *processors: Any) -> tuple[Any, Tensor]:
        with recording(model) as attention:
            ids = model.generate(zoo.ids(length), logits_processor=list(processors), **options)
        return attention["decoder"], ids

    alone = [generate(length) for length in (5, 7)]
    gate = threading.Barrier(2, timeout=PATIENCE)

    def in_turn(_ids: Tensor, scores: Tensor) -> Tensor:
        gate.wait()
        return scores

    running = [Running(lambda length=length: generate(length, in_turn)) for length in (5, 7)]
    for thread, (stream, ids) in zip(running, alone, strict=True):
        own, own_ids = thread.result()
        assert torch.equal(own_ids, ids)
        assert own.key_positions == stream.key_positions
        assert all(torch.equal(a.query, b.query) for a, b in zip(own, stream, strict=True))


def test_tasks_record_their_own_calls() -> None:
    model = zoo.build("llama", "sdpa")

    async def one(length: int) -> int:
        with recording(model) as attention:
            await asyncio.sleep(0)
            run(model, length)
            await asyncio.sleep(0)
        assert attention.passes == 1
        return len(attention["decoder"].key_positions)

    async def server() -> Tensor:
        await asyncio.sleep(0)
        return run(model)

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(one(length) for length in range(4, 8)), server())

    *lengths, served = asyncio.run(all_of_them())
    assert lengths == [4, 5, 6, 7]
    assert torch.equal(served, run(model))


def test_a_task_outlives_the_recording_that_it_began_in() -> None:
    model = zoo.build("llama", "sdpa")

    async def both() -> tuple[Any, Any]:
        go = asyncio.Event()

        async def late() -> None:
            await go.wait()
            run(model, 7)

        with recording(model) as first:
            task = asyncio.create_task(late())
            run(model, 5)
        with recording(model) as second:
            go.set()
            await task
            run(model, 4)
        return first, second

    first, second = asyncio.run(both())
    assert (first.passes, second.passes) == (1, 1)
    assert len(first["decoder"].key_positions) == 5
    assert len(second["decoder"].key_positions) == 4


def test_a_thread_that_inherits_the_recording_is_recorded() -> None:
    model = zoo.build("llama", "sdpa")

    async def block() -> Any:
        with recording(model) as attention:
            await asyncio.to_thread(run, model, 5)
        return attention

    assert len(asyncio.run(block())["decoder"].key_positions) == 5


def test_two_threads_of_one_recording_at_once() -> None:
    """The one that came first is recorded whole, and what the other ran is said to be left out."""
    model = zoo.build("llama", "sdpa")
    expected = [run(model, 5), run(model, 7)]
    first_in, second_done = threading.Event(), threading.Event()

    def hold(_module: nn.Module, _args: Any, output: Any) -> None:
        if output[0].shape[-2] == 5:
            first_in.set()
            wait(second_done)

    def second() -> Tensor:
        wait(first_in)
        try:
            return run(model, 7)
        finally:
            second_done.set()

    handle = model.model.layers[0].self_attn.register_forward_hook(hold)
    block = recording(model)
    attention = block.__enter__()
    # Each runs in a copy of the context that records, as `asyncio.to_thread` has it.
    contexts = [contextvars.copy_context() for _ in range(2)]
    running = [
        Running(lambda: contexts[0].run(run, model, 5)),
        Running(lambda: contexts[1].run(second)),
    ]
    found = [thread.result() for thread in running]
    handle.remove()
    message = "ran in one thread while another thread of the same recording ran it"
    with pytest.warns(UserWarning, match=message):
        block.__exit__(None, None, None)
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    assert attention.passes == 1
    assert len(attention["decoder"].key_positions) == 5
    alone = capture(model, zoo.ids(5))["decoder"]
    assert all(
        torch.equal(a.query, b.query) for a, b in zip(attention["decoder"], alone, strict=True)
    )


@pytest.mark.parametrize("thread", [False, True])
def test_a_block_ends_in_another_context(*, thread: bool) -> None:
    """A fixture, or a cell that enters what another leaves."""
    model = zoo.build("llama", "sdpa")
    block = recording(model)
    attention = contextvars.Context().run(block.__enter__) if not thread else block.__enter__()
    if thread:
        run(model)
        elsewhere(lambda: block.__exit__(None, None, None))
        assert len(attention["decoder"]) == 2
    else:
        with pytest.raises(ValueError, match="no forward pass"):
            contextvars.Context().run(block.__exit__, None, None, None)
    assert "_call_impl" in vars(nn.Module)
    assert vars(nn.Module)["_call_impl"].__module__ == "torch.nn.modules.module"
    assert not hasattr(vars(nn.Module)["_call_impl"], "__wrapped__")


class Counting:
    """A compiler that compiles nothing, and counts how often it is asked to, and how often what it made runs."""

    def __init__(self) -> None:
        self.asked = self.ran = 0

    def __call__(self, graph: Any, _inputs: Any) -> Any:
        self.asked += 1

        def forward(*args: Any) -> Any:
            self.ran += 1
            return graph.forward(*args)

        return forward


def compiled(how: str, backend: Any) -> Any:
    model: Any = others.Own().eval()
    if how == "whole":
        return torch.compile(model, backend=backend)
    if how == "in place":
        model.compile(backend=backend)
    elif how == "forward":
        model.forward = torch.compile(model.forward, backend=backend)
    elif how == "class":

        class Compiled(others.Own):
            forward = torch.compile(others.Own.forward, backend=backend)

        model = Compiled().eval()
    return model


@pytest.mark.filterwarnings("ignore:.*is compiled. what is recorded runs uncompiled")
@pytest.mark.parametrize("how", ["whole", "in place", "forward", "class"])
def test_a_compiled_model_stays_compiled_for_others(how: str) -> None:
    torch.compiler.reset()
    backend = Counting()
    model, states = compiled(how, backend), others.hidden_states()
    with torch.no_grad():
        off = model(states)
        asked, ran = backend.asked, backend.ran
        assert ran > 0
        with recording(model) as attention:
            model(states)
            assert backend.ran == ran  # not in this thread
            served = elsewhere(lambda: _without_gradients(model, states))
            assert backend.ran > ran
    assert torch.equal(served, off)
    assert backend.asked == asked, "compiled code was thrown away"
    assert attention.passes == 1


def test_another_thread_compiles_during_a_recording() -> None:
    torch.compiler.reset()
    backend, states = Counting(), others.hidden_states()
    model = others.Own().eval()
    other = others.Own().eval()
    with torch.no_grad():
        expected = other(states)
    fast = torch.compile(other, backend=backend, fullgraph=True)
    with recording(model):
        model(states)
        served = elsewhere(lambda: _without_gradients(fast, states))
    assert torch.equal(served, expected)
    assert backend.ran == backend.asked == 1
    assert torch.equal(_without_gradients(fast, states), expected)


def _without_gradients(model: Any, states: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(states)
    return found
