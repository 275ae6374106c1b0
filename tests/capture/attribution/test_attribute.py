"""`attribute`: each method against a dense reference in eager attention, and where it is refused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as hf
from support import others, zoo
from support.model_checks import tensors
from transformers.modeling_utils import AttentionInterface

import attnwidget as aw
from attnwidget.intervene.passes import Passes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

CLOSE = 1e-5
TEXT = "the cat sat on the mat because it"


def whole(output: Any) -> Tensor:
    """Make a number of all that a model returns first, of which every position has a part."""
    found = tensors(output)[0]
    generator = torch.Generator().manual_seed(7)
    number: Tensor = (found * torch.randn(found.shape, generator=generator)).sum() / found.numel()
    return number


def last(output: Any) -> Tensor:
    """Make a number of the last position."""
    number: Tensor = tensors(output)[0][0, -1, :7].sum()
    return number


def dense(name: str, metric: Any) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Return weights and their gradients ``[head, query, key]`` of each layer by stream, from eager autograd."""
    output = zoo.build(name)(**zoo.inputs_of(name), output_attentions=True)
    weights = {stream: output[field] for stream, (field, _) in zoo.KINDS[name].streams.items()}
    for one in (each for several in weights.values() for each in several):
        each_kept: Tensor = one
        each_kept.retain_grad()
    metric(output).backward()
    return {
        stream: [(one.detach()[0].double(), one.grad[0].double()) for one in several]
        for stream, several in weights.items()
    }


def assert_close(found: Any, expected: Any) -> None:
    """Compare to 1e-5 of the largest number."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE * np.abs(expected).max())


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "t5-4-2", "vit"])
def test_gradient_is_weight_times_gradient_and_its_sums(name: str) -> None:
    found = aw.attribute(zoo.build(name, "sdpa"), zoo.inputs_of(name), metric=whole)
    for stream, layers in dense(name, whole).items():
        links = [weights * gradients for weights, gradients in layers]
        for one, expected in zip(found[stream], links, strict=True):
            assert_close(one.weights(), expected)
        assert_close(found.heads[stream], torch.stack([one.sum((1, 2)) for one in links]))
        assert_close(found.tokens[stream], torch.stack([one.sum((0, 1)) for one in links]).sum(0))


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5-4-2"])
def test_importance_of_outputs_is_that_of_links(name: str) -> None:
    model, inputs = zoo.build(name, "sdpa"), zoo.inputs_of(name)
    found = aw.attribute(model, inputs, method="importance", metric=whole)
    for stream, layers in dense(name, whole).items():
        sums = torch.stack([(weights * slopes).sum((1, 2)) for weights, slopes in layers])
        assert_close(found.heads[stream], sums.abs())
    assert found.metric == "whole"
    assert "Michel" in found.source


def positive(layers: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Return ``E_h[(w ⊙ ∂m/∂w)⁺]`` of each layer."""
    return [(weights * slopes).clamp(min=0).mean(0) for weights, slopes in layers]


@pytest.mark.parametrize(("name", "metric"), [("gpt2", last), ("llama", whole), ("bert", whole)])
def test_chefer_of_one_sequence(name: str, metric: Any) -> None:
    found = aw.attribute(
        zoo.build(name, "sdpa"), zoo.inputs_of(name), method="chefer", metric=metric
    )
    ((stream, layers),) = dense(name, metric).items()
    relevance = torch.eye(7, dtype=torch.float64)
    for one in positive(layers):
        relevance = relevance + one @ relevance
    relevance -= torch.eye(7, dtype=torch.float64)
    assert_close(found.tokens[stream], relevance[-1] if metric is last else relevance.mean(0))
    weights, slopes = layers[1]
    assert_close(found[stream][1].weights(head=0), (weights * slopes)[0].clamp(min=0))


@pytest.mark.parametrize("name", ["t5-2-4", "bart-4-2", "whisper"])
def test_chefer_of_an_encoder_decoder(name: str) -> None:
    """Equations 5 to 10 of the paper; the encoder sees nothing of the decoder, so equation 11 adds nothing."""
    found = aw.attribute(zoo.build(name, "sdpa"), zoo.inputs_of(name), method="chefer", metric=last)
    own = {stream: positive(layers) for stream, layers in dense(name, last).items()}
    identity = [
        torch.eye(len(own[stream][0]), dtype=torch.float64) for stream in ("encoder", "decoder")
    ]
    r_qq, r_ss = (one.clone() for one in identity)
    for one in own["encoder"]:
        r_qq = r_qq + one @ r_qq
    bar_qq = (r_qq - identity[0]) / (r_qq - identity[0]).sum(1, keepdim=True) + identity[0]
    r_sq = torch.zeros(len(r_ss), len(r_qq), dtype=torch.float64)
    for one, cross in zip(own["decoder"], own["cross"], strict=True):
        r_ss, r_sq = r_ss + one @ r_ss, r_sq + one @ r_sq
        through = r_ss - identity[1]
        bar_ss = through / through.sum(1, keepdim=True).clamp(min=1e-300) + identity[1]
        r_sq = r_sq + bar_ss.T @ (cross @ bar_qq)
    assert set(found.tokens) == {"encoder", "decoder"}
    assert_close(found.tokens["encoder"], r_sq[-1])
    assert_close(found.tokens["decoder"], (r_ss - identity[1])[-1])


def test_rollout_is_that_of_dense_weights() -> None:
    model, inputs = zoo.build("gpt2", "sdpa"), zoo.inputs_of("gpt2")
    found = aw.attribute(model, inputs, method="rollout", metric=5, position=4)
    rolled = torch.eye(7, dtype=torch.float64)
    products = []
    for weights, _ in dense("gpt2", last)["decoder"]:
        mixed = (weights.mean(0) + torch.eye(7)) / 2
        rolled = mixed / mixed.sum(1, keepdim=True) @ rolled
        products.append(rolled)
    assert_close(found.tokens["decoder"], rolled[4])
    assert_close(found["decoder"][0].weights(queries=3), products[0][3])
    with pytest.raises(ValueError, match="all heads together"):
        found["decoder"][0].weights(head=1)


def test_what_a_label_of_the_whole_input_reads_is_told_by_its_gradient() -> None:
    """BERT's pooler reads the first position, GPT-2's classifier the last."""
    sizes = {"vocab_size": zoo.VOCABULARY, "num_labels": 3}
    bert = hf.BertConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=32, **sizes
    )
    gpt2 = hf.GPT2Config(n_embd=24, n_layer=2, n_head=3, pad_token_id=0, **sizes)
    for model, at in (
        (hf.BertForSequenceClassification(bert), 0),
        (hf.GPT2ForSequenceClassification(gpt2), -1),
    ):
        found = aw.attribute(zoo.wake(model), zoo.tokens(), method="rollout")
        ((stream, row),) = found.tokens.items()
        assert_close(row, found.record.rollout(stream=stream, layers=-1)[at])


def test_occlusion_is_the_cut_of_each_token() -> None:
    model, tokenizer = aw.pocket()
    found = aw.attribute(model, TEXT, tokenizer, method="occlusion", metric="purred")
    for key in range(0, 9, 4):
        effect = aw.what_if(model, TEXT, tokenizer, aw.cut(key=key), metric="purred")
        assert found.tokens["decoder"][key] == pytest.approx(-effect.delta, abs=1e-5)


def test_occlusion_of_an_encoder_decoder_cuts_a_token_wherever_it_is_a_key() -> None:
    model, inputs = zoo.build("bart-4-2", "sdpa"), zoo.inputs_of("bart-4-2")
    found = aw.attribute(model, inputs, method="occlusion", metric=last)
    assert {name: len(one) for name, one in found.tokens.items()} == {"encoder": 7, "decoder": 5}
    both = aw.cut(key=3, stream="encoder") + aw.cut(key=3, stream="cross")
    effect = aw.what_if(model, inputs, None, both, metric=last)
    assert found.tokens["encoder"][3] == pytest.approx(-effect.delta, rel=1e-4)
    own = aw.what_if(model, inputs, None, aw.cut(key=1, stream="decoder"), metric=last)
    assert found.tokens["decoder"][1] == pytest.approx(-own.delta, rel=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "bert", "bart-4-2", "mpt"])
def test_occlusion_hides_several_tokens_in_one_pass(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = (zoo.build(name), zoo.inputs_of(name)) if name != "mpt" else _mpt()
    passes = 0

    def count(*_: Any) -> None:
        nonlocal passes
        passes += 1

    model.register_forward_hook(count)

    def run() -> tuple[aw.Attribution, int]:
        before = passes
        found = aw.attribute(model, inputs, method="occlusion", metric=last)
        return found, passes - before

    together, few = run()
    monkeypatch.setattr(Passes, "_tried", lambda *_: None)
    alone, many = run()
    assert few < many
    for stream, lost in alone.tokens.items():
        assert np.abs(lost).max() > 0.01
        assert_close(together.tokens[stream], lost)


def _mpt() -> tuple[Any, Any]:
    """Return a model that attends by itself, and its inputs."""
    return zoo.wake(others.MODELS["mpt"]()), zoo.tokens()


def test_tokens_of_a_model_whose_rows_are_not_its_own_are_hidden_one_by_one() -> None:
    model, inputs = zoo.build("gpt2"), zoo.tokens()
    expected = aw.attribute(model, inputs, method="occlusion", metric=last).tokens["decoder"]

    def mixed(_module: Any, _given: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        hidden[:] = hidden.mean(0, keepdim=True)
        return output

    # Rows of a batch are mixed: of one row, nothing is another.
    model.transformer.h[1].register_forward_hook(mixed)
    found = aw.attribute(model, inputs, method="occlusion", metric=last).tokens["decoder"]
    np.testing.assert_array_equal(found, _alone(model, inputs))
    assert_close(found, expected)


def _alone(model: Any, inputs: Any) -> list[float]:
    effects = (aw.what_if(model, inputs, None, aw.cut(key=key), metric=last) for key in range(7))
    return [-effect.delta for effect in effects]


def scaled(metric: Any, steps: int) -> tuple[list[NDArray[np.float64]], list[float]]:
    """Integrate over each layer of GPT-2 with an attention function whose weights are scaled; and what each layer is worth."""
    model, kept = zoo.build("gpt2", "eager"), {}
    at, share = 0, 1.0

    def attend(
        module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: Any, **options: Any
    ) -> Any:
        scores = query @ key.mT * options["scaling"]
        causal = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        weights = scores.masked_fill(~causal, -torch.inf).softmax(-1)
        if module.layer_idx == at:
            kept["weights"] = weights.detach()
            weights = kept["scaled"] = (weights * share).detach().requires_grad_()
        return (weights @ value).transpose(1, 2), None

    AttentionInterface.register("scaled_by_a_test", attend)
    model.set_attn_implementation("scaled_by_a_test")

    def run(number: float) -> Tensor:
        nonlocal share
        share = number
        found: Tensor = metric(model(**zoo.inputs_of("gpt2")))
        return found

    links, worth = [], []
    for number in range(2):
        at = number
        slopes = [
            torch.autograd.grad(run((step + 0.5) / steps), kept["scaled"])[0]
            for step in range(steps)
        ]
        links.append((kept["weights"] * torch.stack(slopes).mean(0))[0].double().numpy())
        worth.append(float((run(1.0) - run(0.0)).detach()))
    return links, worth


def test_integrated_is_the_integral_over_scaled_weights() -> None:
    model, inputs = zoo.build("gpt2", "sdpa"), zoo.inputs_of("gpt2")
    links, worth = scaled(last, 24)
    found = aw.attribute(model, inputs, method="integrated", metric=last, steps=24)
    for at, expected in enumerate(links):
        assert_close(found["decoder"][at].weights(), expected)
        assert_close(found.heads["decoder"][at], expected.sum((1, 2)))
    assert_close(found.tokens["decoder"], sum(one.sum((0, 1)) for one in links))
    assert found.heads["decoder"].sum(1) == pytest.approx(worth, rel=0.02)


def test_integrated_is_refused_below_autograd() -> None:
    model = zoo.wake(others.MODELS["bloom"]())
    with pytest.raises(ValueError, match="below autograd"):
        aw.attribute(model, zoo.tokens(), method="integrated", metric=last, steps=1)


def test_direct_is_of_the_logit_and_agrees_with_effects_on_it() -> None:
    model, tokenizer = aw.pocket()
    found = aw.attribute(model, TEXT, tokenizer, method="direct", metric="purred")
    assert found.direct is not None
    assert (found.heads["decoder"] == found.direct["decoder"].astype(float)).all()
    assert found.metric == found.direct.metric
    agreement = found.agreement(sample=4)
    number = tokenizer.convert_tokens_to_ids("purred")
    for row in agreement.rows:
        assert row.layer is not None
        effect = aw.what_if(
            model, TEXT, tokenizer, aw.ablate(heads=[(row.layer, row.number)]),
            metric=lambda output: output.logits[0, -1, number],
        )  # fmt: skip
        assert row.lost == pytest.approx(-effect.delta, abs=1e-4)
    with pytest.raises(ValueError, match="nothing of tokens"):
        _ = found.tokens


def test_agreement_is_with_what_the_metric_loses() -> None:
    model, tokenizer = aw.pocket()
    found = aw.attribute(model, TEXT, tokenizer, method="importance", metric="purred")
    agreement = found.agreement()
    effects = aw.effects(model, TEXT, tokenizer, metric="purred")["decoder"]
    assert agreement.count == agreement.total == 16
    for row in agreement.rows:
        assert row.layer is not None
        assert row.lost == pytest.approx(-effects[row.layer, row.number], abs=1e-4)
        assert row.attribution == found.heads["decoder"][row.layer, row.number]
    assert 0.5 < agreement.rank_correlation < 1
    some = found.agreement(sample=5)
    assert (some.count, some.total) == (5, 16)
    assert "5 of 16 heads run without" in repr(some)
    of_all = {row.label: row.lost for row in agreement.rows}
    assert [row.lost for row in some.rows] == pytest.approx(
        [of_all[row.label] for row in some.rows], abs=1e-4
    )
    assert {row.label for row in some.rows} != {
        row.label for row in found.agreement(5, seed=3).rows
    }


def test_agreement_of_tokens() -> None:
    model, tokenizer = aw.pocket()
    found = aw.attribute(model, TEXT, tokenizer, method="gradient", metric="purred")
    exact = aw.attribute(model, TEXT, tokenizer, method="occlusion", metric="purred")
    agreement = found.agreement(of="tokens")
    assert [row.lost for row in agreement.rows] == exact.tokens["decoder"].tolist()
    assert list(agreement.to_dataframe()) == [
        "stream", "position", "token", "attribution", "lost",
    ]  # fmt: skip


def test_an_answer_of_several_tokens_has_an_agreement_of_the_tokens_before_it() -> None:
    model, tokenizer = aw.pocket()
    text = "the cat sat on the mat because"
    found = aw.attribute(model, text, tokenizer, metric="it purred")
    agreement = found.agreement(of="tokens")
    assert [row.label for row in agreement.rows][-1] == "because"
    assert agreement.count == len(found.tokens["decoder"]) - 1


def test_tables_and_copies() -> None:
    model, tokenizer = aw.pocket()
    found = aw.attribute(model, TEXT, tokenizer, metric="purred")
    heads = found.to_dataframe()
    assert list(heads) == ["stream", "layer", "head", "attribution"]
    assert abs(heads["attribution"][0]) == np.abs(found.heads["decoder"]).max()
    assert found.to_dataframe("tokens")["token"].tolist()[:3] == ["<bos>", "the", "cat"]
    assert found["decoder"][-1].weights(3, "it", "cat") == pytest.approx(
        found["decoder"][3].weights()[3, 8, 2]
    )
    again = copy.deepcopy(found)
    assert (again.heads["decoder"] == found.heads["decoder"]).all()
    with pytest.raises(ValueError, match="no model to run"):
        again.agreement()


@pytest.mark.parametrize(
    ("method", "asked", "said"),
    [
        ("importance", lambda found: found["decoder"], "nothing of links.*'gradient'"),
        ("importance", lambda found: found.tokens, "nothing of tokens.*'occlusion'"),
        ("rollout", lambda found: found.heads, "nothing of heads.*'importance'"),
        ("rollout", lambda found: found.agreement(of="heads"), "nothing of heads"),
        ("occlusion", lambda found: found.to_dataframe("links"), "'heads', 'tokens'"),
    ],
)
def test_what_a_method_says_nothing_of_is_refused(method: Any, asked: Any, said: str) -> None:
    model, tokenizer = aw.pocket()
    found = aw.attribute(model, "the cat", tokenizer, method=method, metric="sat")
    with pytest.raises(ValueError, match=said):
        asked(found)


def test_a_method_that_does_not_hold_is_refused() -> None:
    model, inputs = zoo.build("t5-4-2", "sdpa"), zoo.inputs_of("t5-4-2")
    with pytest.raises(ValueError, match=r"one sequence.*streams='encoder'"):
        aw.attribute(model, inputs, method="rollout", metric=last)
    with pytest.raises(ValueError, match="one of 'gradient', 'importance'"):
        aw.attribute(model, inputs, method="gradients", metric=last)  # type: ignore[arg-type]


def test_the_cosine_of_an_embedding_to_itself_has_no_gradients() -> None:
    model, inputs = zoo.build("bert", "sdpa"), zoo.tokens()
    with pytest.raises(ValueError, match="similarity to another text"):
        aw.attribute(model, inputs)
    found = aw.attribute(model, inputs, method="rollout")
    assert_close(found.tokens["encoder"], found.record.rollout()[-1].mean(0))
