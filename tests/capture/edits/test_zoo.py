"""A head knocked out in every kind of model, against a reference that knows none of the taps; nothing is left behind."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers as hf
from support import others, seeing, sparse, zoo
from support.knocked_out import without_columns, zeroed
from support.model_checks import hooks, tensors
from torch.utils._python_dispatch import _get_current_dispatch_mode
from transformers.modeling_utils import AttentionInterface

import attnwidget as aw
from attnwidget.capture.edits.places import known_places, recorded_places
from attnwidget.capture.sparse.registry import adapter_of
from attnwidget.capture.taps.listeners import listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Case = tuple[Any, dict[str, Any]]


def _text(name: str) -> Callable[[], Case]:
    return lambda: (zoo.wake(others.MODELS[name]()), zoo.tokens())


def _known(name: str, implementation: str) -> Callable[[], Case]:
    return lambda: (zoo.build(name, implementation), zoo.inputs_of(name))


_SIZES: dict[str, Any] = {
    "vocab_size": zoo.VOCABULARY,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "intermediate_size": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def _mistral() -> Case:
    config = hf.MistralConfig(**_SIZES, head_dim=8, num_key_value_heads=2, sliding_window=3)
    return zoo.wake(hf.MistralForCausalLM(config)), zoo.tokens()


def _clip() -> Case:
    model = zoo.wake(seeing.clip())
    size = model.config.vision_config.image_size
    pixels = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(3))
    return model, {**zoo.tokens(), "pixel_values": pixels}


CASES: dict[str, Callable[[], Case]] = {
    **{
        f"{name}-{implementation}": _known(name, implementation)
        for name, implementation in (
            ("gpt2", "sdpa"), ("llama", "eager"), ("llama", "sdpa"), ("bert", "sdpa"), ("modernbert", "eager"),
            ("gemma2", "eager"), ("gemma3", "sdpa"), ("gpt-oss", "eager"), ("t5-2-4", "eager"), ("bart-2-4", "sdpa"),
            ("whisper", "sdpa"), ("vit", "sdpa"),
        )
    },
    **{
        name: _text(name)
        for name in ("bloom", "deberta-v2", "falcon", "mpt", "gptj", "xlnet", "funnel", "convbert")
    },
    "mistral": _mistral,
    "clip": _clip,
    "own": lambda: (zoo.wake(others.Own()), {"hidden": others.hidden_states()}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    before = [dict(vars(kind)) for kind in AttentionInterface.__mro__], torch.nn.Module._call_impl
    yield
    after = [dict(vars(kind)) for kind in AttentionInterface.__mro__], torch.nn.Module._call_impl
    assert after == before
    assert listeners() == ()
    assert _get_current_dispatch_mode() is None


@pytest.mark.parametrize("name", CASES)
def test_a_head_zeroed_is_the_reference_to_the_last_bit(name: str) -> None:
    model, inputs = CASES[name]()
    static, _ = known_places(model)
    state, held = torch.get_rng_state(), hooks(model)
    with torch.no_grad():
        clean = tensors(model(**inputs))
        attention = aw.capture(model, inputs)
        with aw.intervening(model, aw.ablate(heads=[])):
            assert all(map(torch.equal, clean, tensors(model(**inputs))))
        places = recorded_places(model)
        assert places
        for (stream, number), place in static.items():
            found = places[stream, number]
            assert (place.path, place.num_heads) == (found.path, found.num_heads)
        ends = {(stream, layer) for stream in attention for layer in _ends(attention, stream)}
        for (stream, number), place in places.items():
            if (stream, number) not in ends:
                continue
            layer = next(one for one in attention[stream] if one.layer == number)
            width = layer.value.shape[2]
            for head in (0, -1):
                with zeroed(model, place.path, head % layer.num_heads, width):
                    expected = tensors(model(**inputs))
                edit = aw.ablate(heads=[(number, head)], stream=stream)
                with aw.intervening(model, edit):
                    assert hooks(model) == held
                    got = tensors(model(**inputs))
                assert all(map(torch.equal, expected, got)), (stream, number, head)
                assert not all(map(torch.equal, clean, got)), (stream, number, head)
        assert all(map(torch.equal, clean, tensors(model(**inputs))))
    assert hooks(model) == held
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", [*sparse.MODELS, *sparse.LANDMARKS])
def test_a_head_of_a_sparse_layout_zeroed_is_its_projection_without_the_columns(name: str) -> None:
    model = zoo.wake({**sparse.MODELS, **sparse.LANDMARKS}[name]())
    inputs = sparse.inputs_of(name)
    held, tried = hooks(model), 0
    with torch.no_grad():
        clean = tensors(model(**inputs))
        attention = aw.capture(model, inputs, batch=1)
        for (stream, number), place in (recorded_places(model) or {}).items():
            if adapter_of(model.get_submodule(place.path)) is None:
                continue
            heads = attention[stream][number].num_heads
            for head in (0, heads - 1):
                expected = tensors(without_columns(model, place.path, head, heads)(**inputs))
                with aw.intervening(model, aw.ablate(heads=(number, head), stream=stream)):
                    assert hooks(model) == held
                    got = tensors(model(**inputs))
                assert all(map(torch.equal, expected, got)), (stream, number, head)
                assert not all(map(torch.equal, clean, got)), (stream, number, head)
                tried += 1
        assert tried == 4
        assert all(map(torch.equal, clean, tensors(model(**inputs))))
    assert hooks(model) == held


def _ends(attention: aw.Attention, stream: str) -> set[int]:
    numbers = [layer.layer for layer in attention[stream]]
    return {numbers[0], numbers[-1]}


def test_layers_that_share_a_module_are_edited_one_by_one() -> None:
    model = zoo.wake(hf.AlbertModel(hf.AlbertConfig(**_SIZES, embedding_size=8)))
    inputs = zoo.tokens()
    clean = aw.capture(model, inputs)["encoder"]
    places = recorded_places(model) or {}
    (path,) = {place.path for place in places.values()}
    second = aw.capture(model, inputs, interventions=aw.ablate([(1, 2)]))["encoder"]
    assert second[0].edited_heads == ()
    assert second[1].edited_heads == (2,)
    assert (second[1].weights() == clean[1].weights()).all()  # only what comes after it differs
    with torch.no_grad(), aw.intervening(model, aw.ablate([(0, 2), (1, 2)])):
        both = tensors(model(**inputs))
    width = clean[0].value.shape[2]  # type: ignore[union-attr]
    with torch.no_grad(), zeroed(model, path, 2, width):
        assert all(map(torch.equal, tensors(model(**inputs)), both))
    with torch.no_grad(), aw.intervening(model, aw.ablate([(0, 2)])):
        first = tensors(model(**inputs))
    assert not torch.equal(first[0], both[0])


def test_a_head_that_is_more_than_its_weighted_sum_is_refused() -> None:
    config = hf.DiffLlamaConfig(**_SIZES | {"hidden_size": 32, "num_attention_heads": 4})
    model = zoo.wake(hf.DiffLlamaForCausalLM(config))
    ran = []
    model.register_forward_pre_hook(lambda *_: ran.append(1))
    with (
        pytest.raises(ValueError, match="difference of two attentions"),
        aw.intervening(model, aw.ablate([(0, 0)], stream="decoder")),
    ):
        model(**zoo.tokens())
    assert ran == []


@pytest.mark.parametrize("name", ["gpt2-sdpa", "bloom", "own"])
def test_the_record_is_that_of_the_changed_run(name: str) -> None:
    model, inputs = CASES[name]()
    clean = aw.capture(model, inputs)
    (stream,) = clean.streams
    changed = aw.capture(model, inputs, interventions=aw.ablate(heads=[(0, 1)]))
    assert changed.edits == ("ablate(heads=[(0, 1)])",)
    assert clean.edits == ()
    first, last = changed[stream][0], changed[stream][1]
    assert (first.weights() == clean[stream][0].weights()).all()
    assert (first.output(1) == 0).all()
    assert (first.output(0) == clean[stream][0].output(0)).all()
    assert first.value_norms is not None  # its projection was given what the record says
    assert not (last.weights() == clean[stream][1].weights()).all()
    with aw.intervening(model, aw.ablate(heads=[(0, 1)])):
        inside = aw.capture(model, inputs)
    assert inside.edits == changed.edits
    assert (inside[stream][1].weights() == last.weights()).all()


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["gpt2-sdpa", "bloom"])
def test_an_exception_inside_leaves_nothing_behind(name: str, error: type[BaseException]) -> None:
    model, inputs = CASES[name]()
    with torch.no_grad():
        clean = tensors(model(**inputs))
        aw.capture(model, inputs)
        module = model.get_submodule(recorded_places(model)["decoder", 1].path)  # type: ignore[index]
        original = module.forward

        def fail(*_args: object, **_kwargs: object) -> None:
            raise error

        module.forward = fail
        with pytest.raises(error), aw.intervening(model, aw.ablate(heads=[(0, 1), (1, 0)])):
            model(**inputs)
        del module.forward
        assert module.forward == original
        assert hooks(model) == []
        assert all(map(torch.equal, clean, tensors(model(**inputs))))


def test_threads_edit_their_own_runs_only() -> None:
    model, inputs = CASES["bloom"]()
    with torch.no_grad():
        clean = model(**inputs).logits
        aw.capture(model, inputs)
        alone = []
        for head in (0, 1):
            with aw.intervening(model, aw.ablate([(0, head)])):
                alone.append(model(**inputs).logits)
    gate, found, errors = threading.Barrier(3, timeout=60), {}, []

    def run(number: int) -> None:
        try:
            for _ in range(4):
                gate.wait()
                with torch.no_grad():
                    if number == 2:
                        found[number] = model(**inputs).logits
                        continue
                    with aw.intervening(model, aw.ablate([(0, number)])):
                        found[number] = model(**inputs).logits
        except BaseException as error:  # noqa: BLE001  told below
            errors.append(error)
            gate.abort()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for number, expected in enumerate([*alone, clean]):
        assert torch.equal(found[number], expected)


def test_gradients_flow_through_the_interface_and_raise_below_autograd() -> None:
    model, inputs = CASES["llama-sdpa"]()
    aw.capture(model, inputs)
    with aw.intervening(model, aw.ablate([(0, 1)])):
        model(**inputs).logits.sum().backward()
    got = {name: one.grad.clone() for name, one in model.named_parameters()}
    model.zero_grad()
    with zeroed(model, "model.layers.0.self_attn", 1, model.config.head_dim):
        model(**inputs).logits.sum().backward()
    assert all(torch.equal(one.grad, got[name]) for name, one in model.named_parameters())
    model, inputs = CASES["bloom"]()
    aw.capture(model, inputs)
    with aw.intervening(model, aw.ablate([(0, 1)])):
        loss = model(**inputs).logits.sum()
    with pytest.raises(RuntimeError, match="below autograd"):
        loss.backward()


def test_what_cannot_be_edited_is_refused() -> None:
    model, _ = CASES["gpt2-sdpa"]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # transformers 6 has another name for it
        model.gradient_checkpointing_enable()
    with (
        pytest.raises(ValueError, match="gradient_checkpointing_disable"),
        aw.intervening(model.train(), aw.ablate([(0, 0)])),
    ):
        pass
    with (
        pytest.raises(RuntimeError, match=r"not edited: heads 1\.0 of 'decoder'"),
        aw.intervening(model.eval(), aw.ablate([(0, 0), (1, 0)])),
    ):
        model.transformer.h[0](torch.randn(1, 3, model.config.n_embd))
    clip = seeing.clip()
    with (
        pytest.raises(ValueError, match="several streams"),
        aw.intervening(clip, aw.ablate([(0, 0)])),
    ):
        pass
