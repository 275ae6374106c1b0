"""Gradients with regard to what heads put out: those of autograd through eager attention, and nothing is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers as hf
from support import others, zoo
from support.model_checks import hooks, tensors
from torch.utils._python_dispatch import _get_current_dispatch_mode
from transformers.modeling_utils import AttentionInterface

import attnwidget as aw
from attnwidget.capture.taps.listeners import listeners

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from attnwidget.record.layer import Layer

CLOSE = 1e-5
TEXT = "the cat sat on the mat because it"


def number_of(output: Any) -> Tensor:
    """Make a number of all that a model returns first, of which every position has a part."""
    found = tensors(output)[0]
    generator = torch.Generator().manual_seed(7)
    number: Tensor = (found * torch.randn(found.shape, generator=generator).to(found.dtype)).sum()
    return number


def link_gradient(layer: Layer) -> Tensor:
    """Return ``∂m/∂w`` of every link of a layer, ``[head, query, key]``."""
    assert layer.output_gradient is not None
    assert layer.value is not None
    value = layer.value.repeat_interleave(layer.num_heads // len(layer.value), 0)
    return layer.output_gradient @ value.mT


def apart(found: Tensor, expected: Tensor, seen: Tensor) -> float:
    """Return the largest difference over links that are seen, relative to the largest number."""
    return float(((found - expected) * seen).abs().max() / expected.abs().max())


@pytest.mark.parametrize(
    ("name", "implementation"),
    [(name, one) for name, kind in zoo.KINDS.items() for one in kind.implementations],
)
def test_gradients_of_links_are_those_of_eager_autograd(name: str, implementation: str) -> None:
    inputs = zoo.inputs_of(name)
    own = zoo.build(name)(**inputs, output_attentions=True)
    weights = {stream: own[field] for stream, (field, _) in zoo.KINDS[name].streams.items()}
    for each in (one for several in weights.values() for one in several):
        each.retain_grad()
    number_of(own).backward()
    attention = aw.capture(zoo.build(name, implementation), inputs, metric=number_of)
    for stream, several in weights.items():
        for layer, one in zip(attention[stream], several, strict=True):
            assert apart(link_gradient(layer), one.grad[0], one[0] != 0) < CLOSE


# The names of the module that reads what all heads put out.
PROJECTIONS = {
    "bloom": "self_attention.dense", "falcon": "self_attention.dense", "falcon-grouped": "self_attention.dense",
    "mpt": "out_proj", "gptj": "out_proj", "codegen": "out_proj", "gpt-neo": "out_proj", "ctrl": "multi_head_attention.dense",
    "deberta-v2": "attention.output.dense", "openai-gpt": "c_proj",
}  # fmt: skip


@pytest.mark.parametrize("name", PROJECTIONS)
def test_below_autograd_they_are_read_off_the_backward_pass(name: str) -> None:
    model, inputs = zoo.wake(others.MODELS[name]()), zoo.tokens()
    attention = aw.capture(model, inputs, metric=number_of)
    given: list[Tensor] = []

    def note(_module: object, args: tuple[Tensor, ...]) -> None:
        args[0].retain_grad()
        given.append(args[0])

    for path, module in model.named_modules():
        if path.endswith(PROJECTIONS[name]) and "mlp" not in path:
            module.register_forward_pre_hook(note)
    number_of(model(**inputs)).backward()
    layers = [layer for stream in attention.streams.values() for layer in stream]
    assert len(layers) == len(given)
    for layer, merged in zip(layers, given, strict=True):
        expected = merged.grad[0].unflatten(-1, (layer.num_heads, -1)).movedim(1, 0)
        assert layer.output_gradient is not None
        assert apart(layer.output_gradient, expected, torch.ones(())) < CLOSE


def test_a_models_own_attention_is_read_too() -> None:
    model = zoo.wake(others.Own())
    hidden = others.hidden_states()
    attention = aw.capture(model, {"hidden": hidden}, metric=number_of)
    given: list[Tensor] = []
    for block in model.blocks:
        block.proj.register_forward_pre_hook(lambda _module, args: given.append(args[0]))
    number = number_of(model(hidden))
    expected = torch.autograd.grad(number, given)
    for layer, merged in zip(attention["encoder"], expected, strict=True):
        own = merged[0].unflatten(-1, (layer.num_heads, -1)).movedim(1, 0)
        assert layer.output_gradient is not None
        assert apart(layer.output_gradient, own, torch.ones(())) < CLOSE


class FromIds(torch.nn.Module):
    """Looks up its ids and attends in one module, which is given nothing that could have gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(zoo.VOCABULARY, 24)
        self.qkv, self.proj = torch.nn.Linear(24, 72), torch.nn.Linear(24, 24)

    def forward(self, ids: Tensor) -> Tensor:
        states = self.embed(ids)
        query, key, value = self.qkv(states).unflatten(-1, (3, 3, 8)).permute(2, 0, 3, 1, 4)
        heads = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        merged: Tensor = heads.transpose(1, 2).flatten(2)
        return states + self.proj(merged)  # type: ignore[no-any-return]


def test_attention_in_the_module_that_looks_up_its_ids_is_read_too() -> None:
    model, ids = zoo.wake(FromIds()), zoo.ids(7)
    before = model(ids)
    attention = aw.capture(model, {"ids": ids}, metric=number_of)
    given: list[Tensor] = []
    model.proj.register_forward_pre_hook(lambda _module, args: given.append(args[0]))
    (expected,) = torch.autograd.grad(number_of(model(ids)), given)
    (layer,) = attention["decoder"]
    assert layer.output_gradient is not None
    own = expected[0].unflatten(-1, (layer.num_heads, -1)).movedim(1, 0)
    assert apart(layer.output_gradient, own, torch.ones(())) < CLOSE
    assert torch.equal(model(ids), before)


def test_a_weight_that_is_moved_moves_the_metric_by_its_gradient() -> None:
    model = zoo.build("gpt2", "eager", torch.float64)
    inputs = zoo.inputs_of("gpt2")
    layer = aw.capture(model, inputs, metric=number_of)["decoder"][1]
    expected = link_gradient(layer)
    head, query, key, step = 1, 5, 2, 1e-4

    def moved(by: float) -> float:
        def attend(
            module: Any, query_: Tensor, keys: Tensor, value: Tensor, _mask: Any, **options: Any
        ) -> Any:
            share = query_.shape[1] // keys.shape[1]
            keys, value = (each.repeat_interleave(share, 1) for each in (keys, value))
            scores = query_ @ keys.mT * options["scaling"]
            causal = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
            weights = scores.masked_fill(~causal, -torch.inf).softmax(-1)
            if module.layer_idx == 1:
                weights[0, head, query, key] += by
            return (weights @ value).transpose(1, 2), None

        AttentionInterface.register("moved_by_a_test", attend)
        model.set_attn_implementation("moved_by_a_test")
        with torch.no_grad():
            return float(number_of(model(**inputs)))

    slope = (moved(step) - moved(-step)) / (2 * step)
    assert slope == pytest.approx(float(expected[head, query, key]), rel=1e-6)


def test_the_importance_of_a_head_comes_out_of_outputs_and_of_links() -> None:
    model, tokenizer = aw.pocket()
    attention = aw.capture(model, TEXT, tokenizer, metric="purred")
    for layer in attention["decoder"]:
        assert layer.output_gradient is not None
        by_output = (torch.tensor(layer.output()) * layer.output_gradient).sum((1, 2))
        by_links = (torch.tensor(layer.weights()) * link_gradient(layer)).sum((1, 2))
        assert torch.allclose(by_output, by_links, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("kind", ["swin", "clip", "albert"])
def test_they_add_up_to_the_estimate_of_each_head(kind: str) -> None:
    """Windows are put together, layers share a module: the sums over queries are the slopes of gates on the heads."""
    model, inputs = _special(kind)
    attention = aw.capture(model, inputs, metric=number_of)
    found = aw.effects(model, inputs, metric=number_of, at_once=1, layers=[0])
    for name, stream in attention.streams.items():
        layer = stream[0]
        assert layer.output_gradient is not None
        sums = (torch.tensor(layer.output()) * layer.output_gradient).sum((1, 2))
        estimates = torch.tensor(found.streams[name].estimate[0, : layer.num_heads]).float()
        assert torch.allclose(-sums, estimates, rtol=1e-4, atol=1e-4)


def _special(kind: str) -> tuple[Any, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    if kind == "swin":
        config = hf.SwinConfig(
            image_size=32, patch_size=4, embed_dim=12, depths=[2], num_heads=[3], window_size=4
        )
        return zoo.wake(hf.SwinModel(config)), {
            "pixel_values": torch.randn(1, 3, 32, 32, generator=generator)
        }
    if kind == "albert":
        config = hf.AlbertConfig(
            vocab_size=zoo.VOCABULARY, embedding_size=12, hidden_size=24, num_hidden_layers=3, num_attention_heads=3,
            intermediate_size=32,
        )  # fmt: skip
        return zoo.wake(hf.AlbertModel(config)), zoo.tokens()
    return zoo.build("vit", "sdpa"), zoo.inputs_of("vit")


def test_a_row_of_a_padded_batch_has_its_own() -> None:
    model = zoo.build("gpt2", "sdpa")
    ids = zoo.ids(7)
    padded = torch.cat([torch.zeros(1, 2, dtype=torch.long), ids], 1)
    batch = {
        "input_ids": torch.cat([padded, zoo.ids(9, seed=5)]),
        "attention_mask": torch.tensor([[0] * 2 + [1] * 7, [1] * 9]),
        "position_ids": torch.tensor([[0, 0, *range(7)], [*range(9)]]),
    }

    def last(output: Any) -> Tensor:
        number: Tensor = output.logits[0, -1, :5].sum()
        return number

    alone = aw.capture(model, {"input_ids": ids}, metric=last)["decoder"]
    beside = aw.capture(model, batch, batch=0, metric=last)["decoder"]
    for one, other in zip(alone, beside, strict=True):
        assert one.output_gradient is not None
        assert other.output_gradient is not None
        assert torch.allclose(one.output_gradient, other.output_gradient, rtol=0, atol=1e-4)


@pytest.mark.parametrize("raises", [False, True])
def test_the_model_is_as_before(raises: bool) -> None:  # noqa: FBT001
    model, tokenizer = aw.pocket()
    model.transformer.h[0].requires_grad_(False)  # noqa: FBT003
    before = [(p.requires_grad, p.grad) for p in model.parameters()]
    clean = model(**tokenizer(TEXT, return_tensors="pt")).logits.detach()

    def number(output: Any) -> Tensor:
        if raises:
            msg = "a mistake in the metric"
            raise KeyError(msg)
        return number_of(output)

    if raises:
        with pytest.raises(KeyError, match="a mistake in the metric"):
            aw.capture(model, TEXT, tokenizer, metric=number)
    else:
        aw.capture(model, TEXT, tokenizer, metric=number)
    assert [(p.requires_grad, p.grad) for p in model.parameters()] == before
    assert not hooks(model)
    assert not listeners()
    assert _get_current_dispatch_mode() is None
    assert torch.equal(model(**tokenizer(TEXT, return_tensors="pt")).logits.detach(), clean)


def test_an_answer_of_several_tokens_is_read_after_the_input() -> None:
    model, tokenizer = aw.pocket()
    whole = aw.capture(model, "the cat sat on the mat because", tokenizer, metric="it purred")
    assert whole.metric == "log p(“it purred”)"
    assert [position.label for position in whole["decoder"].key_positions][-1] == "it"


def test_a_saved_record_has_them(tmp_path: Path) -> None:
    model, tokenizer = aw.pocket()
    attention = aw.capture(model, TEXT, tokenizer, metric=("purred", "was"))
    attention.save(tmp_path / "run.safetensors")
    again = aw.load(tmp_path / "run.safetensors")
    assert "gradients of logit(“purred”) − logit(“was”)" in repr(again)
    for one, other in zip(attention["decoder"], again["decoder"], strict=True):
        assert torch.equal(one.output_gradient, other.output_gradient)


def test_an_edited_run_has_those_of_the_edited_run() -> None:
    model, tokenizer = aw.pocket()
    changed = aw.capture(
        model, TEXT, tokenizer, metric="purred", interventions=aw.ablate(heads=[(3, 3)])
    )
    clean = aw.capture(model, TEXT, tokenizer, metric="purred")
    gradients = [record["decoder"][2].output_gradient for record in (clean, changed)]
    assert gradients[0] is not None
    assert not torch.allclose(gradients[0], gradients[1])


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (lambda output: output.logits[0, -1].argmax().float(), "no gradient"),
        (lambda output: output.logits[0, -1], "one number"),
        (("it purred", "it was"), "two passes"),
        ("xyzzy", "token"),
    ],
)
def test_a_metric_without_gradients_is_refused(metric: Any, said: str) -> None:
    model, tokenizer = aw.pocket()
    with pytest.raises(ValueError, match=said):
        aw.capture(model, TEXT, tokenizer, metric=metric)


def test_dropped_weights_are_refused() -> None:
    model = zoo.build("gpt2", "eager").train()
    with pytest.raises(ValueError, match=r"model\.eval\(\)"):
        aw.capture(model, zoo.tokens(), metric=number_of)
