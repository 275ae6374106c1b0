"""Models whose weights are elsewhere until they are needed, and recordings in several threads, tasks and passes."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import TYPE_CHECKING, Any

import accelerate
import numpy as np
import pytest
import torch
from support import others, zoo
from support import remote_models as far
from support.model_checks import compare, hooks, own, tensors

from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


def on_disk(model: Any, folder: Path) -> Any:
    return accelerate.disk_offload(model, str(folder), execution_device=CPU)


def on_cpu(model: Any, _folder: Path) -> Any:
    return accelerate.cpu_offload(model, execution_device=CPU)


def half_on_disk(model: Any, folder: Path) -> Any:
    parts = {name: "cpu" for name, _ in model.named_children()}
    del parts["model"]
    parts |= {f"model.{name}": "cpu" for name, _ in model.model.named_children()}
    del parts["model.layers"]
    parts |= {"model.layers.0": "cpu", "model.layers.1": "disk"}
    return accelerate.dispatch_model(
        model, parts, main_device="cpu", offload_dir=str(folder), force_hooks=True
    )


def loaded_in_parts(model: Any, folder: Path) -> Any:
    model.save_pretrained(folder / "model")
    parts = {"model.embed_tokens": "cpu", "model.layers.0": "disk", "model.layers.1": "cpu"}
    parts |= {"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "disk"}
    return type(model).from_pretrained(
        folder / "model", device_map=parts, offload_folder=folder, attn_implementation="eager"
    )


def accelerates(model: Any) -> list[tuple[str, Any, Any]]:
    """Accelerate's hooks, which stand around ``forward``."""
    names = ("_hf_hook", "forward")
    return [
        (path, name, vars(module).get(name))
        for path, module in model.named_modules()
        for name in names
    ]


@pytest.mark.parametrize("elsewhere", [on_cpu, on_disk, half_on_disk, loaded_in_parts])
def test_offloaded_weights(elsewhere: Any, tmp_path: Path) -> None:
    inputs = zoo.inputs_of("llama")
    expected, plain = own(zoo.build("llama"), inputs), capture(zoo.build("llama"), inputs)
    model = elsewhere(zoo.build("llama"), tmp_path)
    assert any(parameter.is_meta for parameter in model.parameters())
    before, around = hooks(model), accelerates(model)
    with torch.no_grad():
        off = model(**inputs)
        with recording(model) as attention:
            on = model(**inputs)
    assert accelerates(model) == around
    assert all(torch.equal(a, b) for a, b in zip(tensors(off), tensors(on), strict=True))
    assert hooks(model) == before
    for found in (attention.attention, capture(model, inputs)):
        compare(found, expected)
        assert {layer.device for layer in found["decoder"]} == {CPU}
        assert found["decoder"][1].value.shape == (2, 7, 8)
        for layer, other in zip(found["decoder"], plain["decoder"], strict=True):
            assert torch.equal(layer.value_norms, other.value_norms)


@pytest.mark.parametrize("name", ["bloom", "falcon", "gptj"])
def test_offloaded_weights_of_a_model_read_by_its_arithmetic(name: str, tmp_path: Path) -> None:
    """Its weights pass by at other addresses than those they have at rest; projections are still no scores."""
    plain = zoo.wake(others.MODELS[name]())
    expected = next(iter(capture(plain, zoo.ids(7)).streams.values()))
    model = on_disk(plain, tmp_path)
    found = next(iter(capture(model, zoo.ids(7)).streams.values()))
    for layer, other in zip(found, expected, strict=True):
        assert layer.has_vectors
        np.testing.assert_array_equal(layer.weights(), other.weights())


def test_an_encoder_decoder_whose_weights_are_all_elsewhere(tmp_path: Path) -> None:
    plain = capture(zoo.build("t5-2-4", "sdpa"), zoo.tokens(7))
    model = on_disk(zoo.build("t5-2-4", "sdpa"), tmp_path)
    found = capture(model, zoo.tokens(7))
    assert repr(found) == repr(plain)
    np.testing.assert_array_equal(found["cross"][3].weights(), plain["cross"][3].weights())


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("name", ["llama", "bloom"])
def test_what_gradient_checkpointing_computes_again_is_recorded_once(
    name: str,
    reentrant: bool,  # noqa: FBT001
) -> None:
    def run(*, listen: bool) -> tuple[Any, list[torch.Tensor]]:
        model = zoo.build("llama") if name == "llama" else zoo.wake(others.MODELS["bloom"]())
        model.train()
        model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        ids, attention = zoo.ids(7), None
        if listen:
            with recording(model) as attention:
                model(ids, labels=ids, use_cache=False).loss.backward()
        else:
            model(ids, labels=ids, use_cache=False).loss.backward()
        return attention, [p.grad.clone() for p in model.parameters() if p.grad is not None]

    attention, heard = run(listen=True)
    _, alone = run(listen=False)
    assert all(torch.equal(a, b) for a, b in zip(heard, alone, strict=True))
    model = zoo.build("llama") if name == "llama" else zoo.wake(others.MODELS["bloom"]())
    expected = capture(model, zoo.ids(7))
    for layer, other in zip(attention["decoder"], expected["decoder"], strict=True):
        np.testing.assert_allclose(layer.weights(), other.weights(), rtol=0, atol=1e-5)
        assert layer.value.shape == other.value.shape


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")
def test_only_what_is_computed_again_is_no_forward_pass() -> None:
    model, ids = zoo.build("llama").train(), zoo.ids(7)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    loss = model(ids, labels=ids, use_cache=False).loss
    with pytest.raises(ValueError, match="no forward pass of LlamaForCausalLM ran inside"), recording(model):  # fmt: skip
        loss.backward()


def test_tasks_hear_their_own_passes_only() -> None:
    models = [zoo.build("gpt2"), zoo.wake(others.MODELS["bloom"]())]

    async def record(model: Any, length: int) -> Any:
        with recording(model) as attention:
            await asyncio.sleep(0)
            with torch.no_grad():
                model(zoo.ids(length))
            await asyncio.sleep(0)
        return attention.attention

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(record(models[n % 2], n) for n in range(5, 9)))

    found = asyncio.run(all_at_once())
    for attention, length in zip(found, range(5, 9), strict=True):
        expected = capture(models[length % 2], zoo.ids(length))
        assert len(attention["decoder"].key_positions) == length
        assert torch.equal(attention["decoder"][1].query, expected["decoder"][1].query)
    assert hooks(models[0]) == hooks(models[1]) == []


def test_a_thread_that_a_task_waits_for_is_heard() -> None:
    model = zoo.build("gpt2")

    async def record() -> Any:
        with recording(model) as attention:
            await asyncio.to_thread(model, zoo.ids(5))
        return attention.attention

    assert len(asyncio.run(record())["decoder"].key_positions) == 5


def test_another_thread_is_not_heard_and_that_is_said() -> None:
    model = zoo.build("gpt2")

    def elsewhere() -> None:
        thread = threading.Thread(target=model, args=(zoo.ids(5),))
        thread.start()
        thread.join()

    with pytest.raises(ValueError, match="call the model in the block and in its thread"), recording(model):  # fmt: skip
        elsewhere()


def alternating(model: Any) -> dict[str, Any]:
    """Lay a model's blocks on two devices in turn, and all that is between them on the first."""
    found: dict[str, Any] = {}
    whole = set(model._no_split_modules)
    places = itertools.cycle([far.FIRST, far.SECOND])

    def walk(path: str, module: Any) -> None:
        if type(module).__name__ in whole:
            found[path] = next(places)
        elif not list(module.children()) or list(module.parameters(recurse=False)):
            found[path] = far.FIRST
        else:
            for name, child in module.named_children():
                walk(f"{path}.{name}".strip("."), child)

    walk("", model)
    return found


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "bert", "vit", "t5-2-4", "whisper"])
def test_layers_on_two_devices_end_on_the_device_of_the_record(name: str) -> None:
    inputs = zoo.inputs_of(name)
    plain = capture(zoo.build(name), inputs)
    with far.pretending():
        model = zoo.build(name)
        accelerate.dispatch_model(
            model, alternating(model), main_device=far.FIRST, force_hooks=True
        )
        before, around = hooks(model), accelerates(model)
        with torch.no_grad():
            off = model(**inputs)
            with recording(model) as attention:
                on = model(**inputs)
        assert all(torch.equal(a, b) for a, b in zip(tensors(off), tensors(on), strict=True))
    assert (hooks(model), accelerates(model)) == (before, around)
    assert {parameter.device for parameter in model.parameters()} == {far.FIRST, far.SECOND}
    assert repr(attention) == repr(plain)
    for name_of, stream in plain.streams.items():
        for layer, other in zip(attention[name_of], stream, strict=True):
            assert type(layer.query) is torch.Tensor
            assert layer.device == layer.value_norms.device == CPU
            np.testing.assert_array_equal(layer.weights(), other.weights())
            np.testing.assert_allclose(layer.value_norms, other.value_norms, rtol=1e-6)
