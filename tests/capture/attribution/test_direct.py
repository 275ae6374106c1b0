"""Direct attribution adds up to the logit, is what the weights say by hand, or is refused by name."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import lm_heads

import attnwidget as aw
from attnwidget.attribution.residual_stream.direct import direct_attribution
from attnwidget.capture.forward import run_recorded
from attnwidget.metrics.outputs import read_output

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.attribution.residual_stream.direct_result import DirectAttribution

TEXT = "the cat sat on the mat because it"
REFUSED = {"bert", "albert", "xlm"}


def direct(
    model: Any, inputs: Any, tokenizer: Any = None, metric: Any = None, position: int = -1
) -> DirectAttribution:
    ran = run_recorded(model, inputs, tokenizer)
    return direct_attribution(ran, read_output(ran, position), metric)


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


@pytest.fixture(scope="module")
def purred(pocket: Any) -> DirectAttribution:
    return direct(pocket[0], TEXT, pocket[1], ("purred", "barked"))


@pytest.mark.parametrize("name", [name for name in lm_heads.BUILDERS if name not in REFUSED])
def test_parts_add_up_to_the_logit(name: str) -> None:
    model, inputs = lm_heads.build(name)
    found = direct(model, inputs)
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    best = float((logits if logits.ndim == 1 else logits[-1]).max())
    if "gemma2," in name:
        assert found.metric.endswith("before the model's cap")
        cap = model.config.final_logit_softcapping
        assert cap * np.tanh(found.value / cap) == pytest.approx(best, rel=1e-5)
    else:
        assert found.value == pytest.approx(best, rel=1e-5)
    largest = max(abs(row["contribution"]) for row in found._rows())
    assert abs(found.total - found.value) <= 1e-5 * max(abs(found.value), largest)
    for stream, one in found.streams.items():
        for layer in one.layers:
            links = found.links(layer, 1, stream=stream)
            wanted = one.contribution[one.layers.index(layer), 1]
            assert links.sum() == pytest.approx(float(wanted), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_does_not_add_up_is_refused_by_name(name: str) -> None:
    model, inputs = lm_heads.build(name)
    with pytest.raises(ValueError, match=rf"{type(model).__name__}.*attnwidget\.effects"):
        direct(model, inputs)


def test_an_activation_before_the_output_embedding_is_named() -> None:
    model, inputs = lm_heads.build("bert")
    with pytest.raises(ValueError, match=r"after cls\.predictions\.transform\.dense"):
        direct(model, inputs)


def test_heads_of_gpt2_are_what_its_weights_say(pocket: Any, purred: DirectAttribution) -> None:
    model, tokenizer = pocket
    ids = tokenizer(TEXT, return_tensors="pt")
    given: list[Tensor] = []
    hooks = [
        block.attn.c_proj.register_forward_pre_hook(lambda _, args: given.append(args[0][0, -1]))
        for block in model.transformer.h
    ]
    last: list[Tensor] = []
    final = model.transformer.ln_f
    hooks.append(final.register_forward_pre_hook(lambda _, args: last.append(args[0][0, -1])))
    with torch.no_grad():
        model(**ids)
    for one in hooks:
        one.remove()
    scale = torch.rsqrt(last[0].var(correction=0) + final.eps)
    a, b = tokenizer.convert_tokens_to_ids(["purred", "barked"])
    direction = (model.lm_head.weight[a] - model.lm_head.weight[b]).detach()
    for layer, block in enumerate(model.transformer.h):
        weight = block.attn.c_proj.weight.detach().reshape(4, -1, block.attn.c_proj.nf)
        heads = torch.einsum("hd,hdm->hm", given[layer].reshape(4, -1), weight)
        heads = heads - heads.mean(-1, keepdim=True)
        wanted = (heads * scale * final.weight.detach()) @ direction
        np.testing.assert_allclose(purred["decoder"][layer], wanted.numpy(), atol=2e-5)


def test_norms_after_attention_are_held() -> None:
    """Gemma 2 normalises what attention and MLP add: a head's part passes through that norm, too."""
    model, inputs = lm_heads.build("gemma2")
    found = direct(model, inputs)
    layer = model.model.layers[1]
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda _module, args, out: seen.update({name: args[0][0, -1], f"{name} out": out})

    modules = {
        "project": layer.self_attn.o_proj,
        "after": layer.post_attention_layernorm,
        "final": model.model.norm,
    }
    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    with torch.no_grad():
        best = int(model(**inputs).logits[0, -1].argmax())
    for hook in hooks:
        hook.remove()

    def held(norm: Any, x: Tensor) -> Tensor:
        return torch.rsqrt(x.square().mean() + norm.eps) * (1 + norm.weight.detach())

    weight = layer.self_attn.o_proj.weight.detach().unflatten(1, (6, -1))
    heads = torch.einsum("hd,mhd->hm", seen["project"].reshape(6, -1), weight)
    factor = held(modules["after"], seen["after"]) * held(modules["final"], seen["final"])
    wanted = (heads * factor) @ model.lm_head.weight[best].detach()
    np.testing.assert_allclose(found["decoder"][1], wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_the_pronoun_head_writes_the_verb(purred: DirectAttribution) -> None:
    rows = [row for row in purred._rows() if row["kind"] == "head"]
    assert max(rows, key=lambda row: row["contribution"])["part"] == "3.3"
    links = purred.links(3, 3)
    assert links.argmax() == 2  # "cat", after the first token and "the"
    assert purred.position == 8


def test_what_a_head_promotes_is_what_it_adds_to_each_logit(pocket: Any) -> None:
    model, tokenizer = pocket
    found = direct(model, TEXT, tokenizer, "purred")
    promoted = found.promotes(3, 3, 442)
    assert promoted[0].label == "purred"
    values = {one.label: one.logit for one in promoted}
    assert values["purred"] == pytest.approx(float(found["decoder"][3, 3]), abs=1e-4)
    other = direct(model, TEXT, tokenizer, "barked")
    assert values["barked"] == pytest.approx(float(other["decoder"][3, 3]), abs=1e-4)
    assert [one.logit for one in promoted] == sorted(values.values(), reverse=True)
    assert found.suppresses(3, 3, 3)[0] == promoted[-1]


@pytest.mark.parametrize("name", ["gemma2", "granite", "openai-gpt", "t5"])
def test_promotion_passes_through_what_stands_between(name: str) -> None:
    model, inputs = lm_heads.build(name)
    found = direct(model, inputs, metric=7)
    for one in found.promotes(1, 2, lm_heads.VOCABULARY, stream="decoder"):
        if one.id == 7:
            assert one.logit == pytest.approx(float(found["decoder"][1, 2]), rel=1e-4, abs=1e-5)
            break
    else:
        pytest.fail("token 7 is among all tokens")


def test_padding_on_the_left_is_not_counted(pocket: Any) -> None:
    model, tokenizer = pocket
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    padded = torch.cat([ids.new_zeros(1, 3), ids], dim=1)
    mask = torch.ones_like(padded)
    mask[:, :3] = 0
    given = {
        "input_ids": padded,
        "attention_mask": mask,
        "position_ids": (mask.cumsum(-1) - 1).clamp(min=0),
    }
    found = direct(model, given, tokenizer, "purred")
    alone = direct(model, TEXT, tokenizer, "purred")
    assert found.position == alone.position == 8
    np.testing.assert_allclose(found["decoder"], alone["decoder"], atol=1e-4)
    np.testing.assert_allclose(found.links(3, 3), alone.links(3, 3), atol=1e-4)


class Adapted(torch.nn.Module):
    """A linear layer and what an adapter adds beside it, as in PEFT."""

    def __init__(self, base_layer: Any) -> None:
        super().__init__()
        self.base_layer = base_layer
        width = base_layer.weight.shape[0]
        self.down = torch.nn.Linear(width, 2, bias=False)
        self.up = torch.nn.Linear(2, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base_layer(x) + self.up(self.down(x))
        return out


def test_an_adapter_around_the_output_projection_is_refused() -> None:
    model, inputs = lm_heads.build("gpt2")
    attention = model.transformer.h[1].attn
    attention.c_proj = Adapted(attention.c_proj)
    with pytest.raises(ValueError, match=r"heads of layer 1 of stream 'decoder'.*merged first"):
        direct(model, inputs)


def test_half_precision_adds_up_as_its_rounding_allows() -> None:
    model, inputs = lm_heads.build("llama")
    wanted = direct(model, inputs)
    with torch.no_grad():
        best = int(model(**inputs).logits[0, -1].argmax())
    found = direct(model.bfloat16(), inputs, metric=best)
    np.testing.assert_allclose(found["decoder"], wanted["decoder"], atol=0.02)
    assert found.total == pytest.approx(found.value, rel=0.02)


def test_the_model_is_as_before() -> None:
    model, tokenizer = aw.pocket()
    ids = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        before = model(**ids).logits
    direct(model, TEXT, tokenizer)
    assert all(
        parameter.grad is None and parameter.requires_grad for parameter in model.parameters()
    )
    assert not any(module._forward_hooks for module in model.modules())
    with torch.no_grad():
        assert torch.equal(model(**ids).logits, before)


def test_a_copy_has_its_numbers_and_says_what_it_lacks(purred: DirectAttribution) -> None:
    other = copy.deepcopy(purred)
    np.testing.assert_array_equal(other["decoder"], purred["decoder"])
    np.testing.assert_array_equal(other.links(3, 3), purred.links(3, 3))
    with pytest.raises(ValueError, match="attribute once more"):
        other.promotes(3, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda found: found.links(9, 0), "its layers are"),
        (lambda found: found.links(0, 7), "its heads are 0 .. 3"),
        (lambda found: found.promotes(0, 0, stream="vision"), "there are"),
    ],
)
def test_what_is_not_there_is_refused(purred: DirectAttribution, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(purred)


def test_metrics_that_are_no_logits_are_refused(pocket: Any) -> None:
    model, tokenizer = pocket
    with pytest.raises(TypeError, match="is a function"):
        direct(model, TEXT, tokenizer, lambda output: output.logits.sum())
    with pytest.raises(ValueError, match="is 2 tokens"):
        direct(model, TEXT, tokenizer, "purred barked")
    with pytest.raises(ValueError, match="returns no logits"):
        direct(model.transformer, TEXT, tokenizer)


def test_a_table_has_a_row_for_each_part(purred: DirectAttribution) -> None:
    rows = purred.to_dataframe()
    assert list(rows) == ["kind", "part", "stream", "layer", "head", "contribution"]
    assert (rows["kind"] == "head").sum() == 16
    assert rows["contribution"].sum() == pytest.approx(purred.value, abs=1e-5)
    assert rows["contribution"].abs().is_monotonic_decreasing
    assert set(rows["kind"]) == {"head", "module", "embedding", "bias"}
    assert "7.85" in repr(purred)
    assert "3.3 +1.92" in repr(purred)
