"""Attention in windows, blocks and buckets, over the whole of query × key."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as hf
from capture.coverage.measure import Result, compare, measure
from capture.coverage.reference import Reference
from support import sparse, zoo
from support.model_checks import hooks, tensors
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnwidget import Attention, Layer

ENCODER = dict.fromkeys(sparse.MODELS, "encoder")


@pytest.fixture(autouse=True)
def nothing_reads_on() -> Iterator[None]:
    yield
    assert _get_current_dispatch_mode() is None


def build(name: str) -> Any:
    return zoo.wake(sparse.MODELS[name]())


def layers(attention: Attention) -> list[Layer]:
    return [layer for stream in attention.streams.values() for layer in stream]


def measured(model: Any, inputs: dict[str, torch.Tensor]) -> tuple[Attention, Result]:
    """Record the second row, and compare with what the model multiplied its values with."""
    with torch.no_grad(), Reference() as reference:
        torch.manual_seed(7)
        model(**inputs)
    torch.manual_seed(7)
    with torch.no_grad(), recording(model, batch=1) as attention:
        model(**inputs)
    result = Result("tiny", calls=len(reference.seen))
    compare(attention.attention, reference.seen, result)
    return attention.attention, result


@pytest.mark.parametrize("name", sparse.MODELS)
def test_every_call_is_exact_and_has_its_vectors(name: str) -> None:
    attention, result = measured(build(name), sparse.inputs_of(name))
    assert result.calls >= 2
    assert (result.exact, result.vectors) == (result.calls, result.calls), result.reason
    encoder = attention["decoder" if name == "reformer-decoder" else "encoder"]
    assert len(encoder) == 2
    texts = [position.text for position in encoder.key_positions if position.kind != "latent"]
    assert len(texts) == sparse.REAL
    for layer in encoder:
        np.testing.assert_allclose(layer.weights().sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", sparse.MODELS)
def test_outputs_are_bit_identical_and_nothing_is_left_behind(name: str) -> None:
    model, inputs = build(name), sparse.inputs_of(name)
    with torch.no_grad():
        off = model(**inputs)
        before = hooks(model)
        with recording(model, batch=0):
            on = model(**inputs)
    assert tensors(off)
    assert all(torch.equal(a, b) for a, b in zip(tensors(off), tensors(on), strict=True))
    assert hooks(model) == before


@pytest.mark.parametrize("name", sparse.MODELS)
def test_a_forward_that_raises_leaves_nothing_behind(name: str) -> None:
    """In the middle of the attention itself, after its scores and before its values."""
    model, inputs = build(name), sparse.inputs_of(name)
    attention = capture(model, inputs, batch=1)
    last = model.get_submodule(next(iter(attention.streams.values()))[1].module_path)
    value = next(getattr(last, n) for n in ("value", "v", "v_proj") if hasattr(last, n))

    def fail(*_: object) -> None:
        raise ArithmeticError

    value.forward = fail
    before = hooks(model)
    with pytest.raises(ArithmeticError), recording(model, batch=1):
        model(**inputs)
    del value.forward
    assert hooks(model) == before
    again = capture(model, inputs, batch=1)
    for layer, other in zip(layers(again), layers(attention), strict=True):
        np.testing.assert_array_equal(layer.weights(), other.weights())


def test_longformer_against_its_own_attentions() -> None:
    model, inputs = build("longformer-global"), sparse.inputs_of("longformer-global")
    with torch.no_grad():
        own = model(**inputs, output_attentions=True)
    stream = capture(model, inputs, batch=0)["encoder"]
    for layer, local, everywhere in zip(stream, own.attentions, own.global_attentions, strict=True):
        weights = layer.weights()
        reach = (local.shape[-1] - 3) // 2
        for query in range(sparse.LENGTH):
            if query in (0, 5, 9):
                expected = everywhere[0, :, : sparse.LENGTH, [0, 5, 9].index(query)].numpy()
            else:
                expected = np.zeros((3, sparse.LENGTH), dtype=np.float32)
                expected[:, [0, 5, 9]] = local[0, :, query, :3]
                keys = np.arange(query - reach, query + reach + 1)
                inside = (keys >= 0) & (keys < sparse.LENGTH)
                expected[:, keys[inside]] += local[0, :, query, 3:].numpy()[:, inside]
            np.testing.assert_allclose(weights[:, query], expected, atol=1e-5)
    assert stream[0].head_dim == 16  # both kinds of projections


def test_outputs_of_both_kinds_of_tokens() -> None:
    model, inputs = build("longformer-global"), sparse.inputs_of("longformer-global")
    given = []
    module = model.encoder.layer[1].attention.self
    hook = module.register_forward_hook(lambda _m, _a, output: given.append(output[0][0]))
    layer = capture(model, inputs, batch=0)["encoder"][1]
    hook.remove()
    own = given[0][: sparse.LENGTH].reshape(sparse.LENGTH, 3, 8).transpose(0, 1)
    is_global = inputs["global_attention_mask"][0].bool().numpy()
    output = layer.output()
    np.testing.assert_allclose(output[:, ~is_global, :8], own[:, ~is_global], atol=1e-5)
    np.testing.assert_allclose(output[:, is_global, 8:], own[:, is_global], atol=1e-5)


def test_a_window_is_a_band() -> None:
    stream = capture(build("longformer"), sparse.inputs_of("longformer"), batch=0)["encoder"]
    assert [layer.band.window for layer in stream] == [2, 3]
    assert [layer.bias for layer in stream] == [None, None]


def test_blocks_drawn_at_random() -> None:
    """In training, other blocks for each head; in evaluation the first block, over and over."""
    model, inputs = build("bigbird").train(), sparse.inputs_of("bigbird")
    attention, result = measured(model, inputs)
    assert (result.exact, result.vectors) == (2, 2), result.reason
    drawn = attention["encoder"][0].weights() > 0
    assert not (drawn[0] == drawn[1]).all()
    again = capture(model.eval(), inputs, batch=1)["encoder"][0]
    seen = again.bias_block(0, 5)
    # One block of neighbours or the last, one that everybody sees and is drawn twice more.
    assert set(np.round(np.exp(seen[np.isfinite(seen)])).tolist()) == {1.0, 3.0}


def test_global_tokens_are_positions_of_their_own() -> None:
    pegasus = capture(build("pegasus_x"), sparse.inputs_of("pegasus_x"), batch=1)["encoder"]
    labels = [position.label for position in pegasus.key_positions]
    assert labels[-3:] == ["global 0", "global 1", "global 2"]
    assert pegasus.query_positions == pegasus.key_positions
    assert (pegasus[0].weights(0, -1) > 0).all()
    assert [(layer.weights(0, 4)[: sparse.REAL] > 0).sum() for layer in pegasus] == [4, 4]
    longt5 = capture(build("longt5-global"), sparse.inputs_of("longt5-global"), batch=1)["encoder"]
    assert (len(longt5.query_positions), len(longt5.key_positions)) == (
        sparse.REAL,
        sparse.REAL + 5,
    )
    assert longt5.key_positions[-1].label == "global 4"
    assert longt5[0].bias is longt5[1].bias


def test_dropout_is_what_was_used() -> None:
    model, inputs = build("longformer-global").train(), sparse.inputs_of("longformer-global")
    for module in model.modules():
        if type(module).__name__ == "LongformerSelfAttention":
            module.dropout = 0.5
    attention, result = measured(model, inputs)
    assert (result.exact, result.vectors) == (2, 0)
    for layer in attention["encoder"]:
        assert layer.reason is not None
        assert "dropout" in layer.reason
        assert layer.value_vectors(0).shape == (sparse.REAL, 16)
        np.testing.assert_allclose(layer.weights().sum(axis=-1).mean(), 1, atol=0.3)


def test_half_precision() -> None:
    inputs = sparse.inputs_of("longt5-global")
    _, result = measured(build("longt5-global").to(torch.bfloat16), inputs)
    assert result.vectors == 0  # no call is close to 1e-5 in half precision
    for layer in layers(capture(build("longt5-global").to(torch.bfloat16), inputs, batch=1)):
        assert layer.has_vectors, layer.reason


def test_gradients_are_bit_identical() -> None:
    model, inputs = build("longformer-global"), sparse.inputs_of("longformer-global")
    gradients = []
    for listen in (False, True):
        model.zero_grad()
        if listen:
            with recording(model, batch=0) as attention:
                loss = model(**inputs).last_hidden_state.square().sum()
        else:
            loss = model(**inputs).last_hidden_state.square().sum()
        loss.backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert all(layer.has_vectors for layer in attention["encoder"])


def test_two_threads_hear_their_own_model_only() -> None:
    names = ("longformer-global", "bigbird")
    models = {name: build(name) for name in names}
    alone = {n: layers(capture(models[n], sparse.inputs_of(n), batch=1)) for n in names}
    together: dict[str, Any] = {}
    gate = threading.Barrier(2, timeout=30)

    def run(name: str) -> None:
        for _ in range(3):
            with recording(models[name], batch=1) as attention, torch.no_grad():
                gate.wait()
                models[name](**sparse.inputs_of(name))
                gate.wait()
            together[name] = layers(attention.attention)

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        for one, other in zip(together[name], alone[name], strict=True):
            assert torch.equal(one.query, other.query)


@pytest.mark.parametrize("name", ["led", "bigbird-pegasus"])
def test_a_beam_search_reads_its_encoder_once(name: str) -> None:
    kind = {"led": hf.LEDForConditionalGeneration}.get(name, hf.BigBirdPegasusForConditionalGeneration)  # fmt: skip
    model = zoo.wake(kind(build(name).config))
    inputs = {"input_ids": sparse.inputs_of(name)["input_ids"][:1]}
    with recording(model) as attention:
        model.generate(**inputs, num_beams=3, max_new_tokens=4, do_sample=False)
    alone = capture(model, inputs, target=[1, 5])["encoder"]
    for layer, other in zip(attention["encoder"], alone, strict=True):
        assert layer.has_vectors
        np.testing.assert_allclose(layer.weights(), other.weights(), atol=1e-5)


WITHOUT = {
    "deformable_detr": "takes its softmax over points that it samples between the pixels, not over keys",
    "minimax": "is linear attention, which has no weights",
    "mobilevitv2": "is linear attention, which has no weights",
    "yoso": "weighs values by how likely query and key fall into the same bucket, not by a softmax",
    "evolla": "attends only when a protein, its structure or its alignment is given",
}


@pytest.mark.filterwarnings("ignore")  # of the models themselves
@pytest.mark.parametrize("model_type", WITHOUT)
def test_what_has_no_weights_says_why(model_type: str) -> None:
    result = measure(model_type)
    assert WITHOUT[model_type] in result.reason
    assert "not recognised" not in result.reason
    assert result.exact == result.calls


class Landmarks(nn.Module):
    """Nyströmformer's attention alone: the whole model cannot be given a mask that fits its landmarks."""

    def __init__(self, landmarks: int) -> None:
        super().__init__()
        config = hf.NystromformerConfig(
            hidden_size=24,
            num_attention_heads=3,
            num_hidden_layers=1,
            intermediate_size=32,
            segment_means_seq_len=12,
            num_landmarks=landmarks,
            conv_kernel_size=3,
        )
        self.layer = hf.NystromformerModel(config).encoder.layer[0]

    def forward(self, hidden_states: torch.Tensor) -> Any:
        """Attend once."""
        return self.layer(hidden_states)


@pytest.mark.parametrize("landmarks", [4, 12])
def test_weights_over_landmarks(landmarks: int) -> None:
    model = zoo.wake(Landmarks(landmarks))
    states = torch.randn(2, 12, 24, generator=torch.Generator().manual_seed(0))
    attention, result = measured(model, {"hidden_states": states})
    assert (result.calls, result.exact, result.vectors) == (1, 1, landmarks == 12)
    layer = attention["encoder"][0]
    assert layer.weights().shape == (3, 12, 12)
    if landmarks < 12:
        assert layer.reason is not None
        assert "landmarks" in layer.reason
        assert float(layer.weights().min()) < 0
