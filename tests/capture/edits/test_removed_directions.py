"""Directions removed from a head's scores, against a copy of the model whose query projection lacks them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as hf
from support import others, zoo
from support.model_checks import GREEDY, hooks, tensors

import attnwidget as aw

if TYPE_CHECKING:
    from collections.abc import Callable

LAYER, HEAD, COUNT = 1, 1, 2


def _vectors(width: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).standard_normal((COUNT, width))


def _off(vectors: np.ndarray[Any, Any]) -> torch.Tensor:
    """Return the matrix that takes what these span out of a query."""
    plane = torch.linalg.qr(torch.from_numpy(vectors.T))[0]
    return (torch.eye(vectors.shape[1], dtype=torch.float64) - plane @ plane.T).float()


def _gpt2(model: Any, off: torch.Tensor, rows: slice) -> None:
    both = model.get_submodule(f"transformer.h.{LAYER}.attn.c_attn")
    both.weight.data[:, rows] = both.weight.data[:, rows] @ off
    both.bias.data[rows] = both.bias.data[rows] @ off


def _linear(path: str) -> Callable[[Any, torch.Tensor, slice], None]:
    def change(model: Any, off: torch.Tensor, rows: slice) -> None:
        query = model.get_submodule(path)
        query.weight.data[rows] = off @ query.weight.data[rows]
        if query.bias is not None:
            query.bias.data[rows] = query.bias.data[rows] @ off

    return change


def _bloom(model: Any, off: torch.Tensor, rows: slice) -> None:
    # Query, key and value of one head stand together.
    width = rows.stop - rows.start
    path = next(
        path
        for path, _ in model.named_modules()
        if path.endswith(f"h.{LAYER}.self_attention.query_key_value")
    )
    _linear(path)(model, off, slice(3 * HEAD * width, (3 * HEAD + 1) * width))


CASES: dict[str, tuple[Callable[[], Any], Callable[[], dict[str, Any]], Any, str]] = {
    "gpt2-eager": (lambda: zoo.build("gpt2", "eager"), lambda: zoo.inputs_of("gpt2"), _gpt2, "decoder"),
    "gpt2-sdpa": (lambda: zoo.build("gpt2", "sdpa"), lambda: zoo.inputs_of("gpt2"), _gpt2, "decoder"),
    "bert-sdpa": (
        lambda: zoo.build("bert", "sdpa"),
        lambda: zoo.inputs_of("bert"),
        _linear(f"encoder.layer.{LAYER}.attention.self.query"),
        "encoder",
    ),
    "bloom": (lambda: zoo.wake(others.MODELS["bloom"]()), zoo.tokens, _bloom, "decoder"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_model_is_that_without_them_in_its_query_projection(name: str) -> None:
    build, inputs_of, change, _ = CASES[name]
    model, inputs = build(), inputs_of()
    clean = aw.capture(model, inputs)
    (stream,) = clean.streams
    layer = clean[stream][LAYER]
    width = layer.head_dim or 0
    vectors = _vectors(width)
    other = copy.deepcopy(model)
    change(other, _off(vectors), slice(HEAD * width, (HEAD + 1) * width))
    held = hooks(model)
    with torch.no_grad():
        before, expected = tensors(model(**inputs)), tensors(other(**inputs))
        with aw.intervening(model, aw.remove_directions(vectors, heads=(LAYER, HEAD))):
            got = tensors(model(**inputs))
        assert all(map(torch.equal, before, tensors(model(**inputs))))
    assert hooks(model) == held
    for one, wanted in zip(got, expected, strict=True):
        assert float((one - wanted).abs().max()) <= 1e-5 * max(1.0, float(wanted.abs().max()))
    moved = max(float((a - b).abs().max()) for a, b in zip(got, before, strict=True))
    assert moved > 1e-3


@pytest.mark.parametrize("name", ["gpt2-sdpa", "bloom"])
def test_the_record_has_the_weights_without_them_and_all_others_to_the_last_bit(name: str) -> None:
    build, inputs_of, change, _ = CASES[name]
    model, inputs = build(), inputs_of()
    clean = aw.capture(model, inputs)
    (stream,) = clean.streams
    width = clean[stream][LAYER].head_dim or 0
    vectors = _vectors(width)
    other = copy.deepcopy(model)
    change(other, _off(vectors), slice(HEAD * width, (HEAD + 1) * width))
    edit = aw.remove_directions(vectors, heads=(LAYER, HEAD))
    changed, expected = aw.capture(model, inputs, interventions=edit), aw.capture(other, inputs)
    weights = changed[stream][LAYER].weights()
    np.testing.assert_allclose(weights, expected[stream][LAYER].weights(), atol=2e-6)
    assert np.abs(weights[HEAD] - clean[stream][LAYER].weights(HEAD)).max() > 1e-3
    rest = [head for head in range(len(weights)) if head != HEAD]
    assert (weights[rest] == clean[stream][LAYER].weights(rest)).all()
    assert changed.edits == (f"remove_directions(<2 directions>, heads=[({LAYER}, {HEAD})])",)


def test_after_a_rotary_embedding_with_shared_keys_the_scores_lack_them() -> None:
    model, inputs = zoo.build("llama", "sdpa"), zoo.inputs_of("llama")
    layer = aw.capture(model, inputs)["decoder"][LAYER]
    assert layer.num_key_value_heads < layer.num_heads  # one key for several queries
    vectors = _vectors(layer.head_dim or 0)
    edit = aw.remove_directions(vectors, heads=(LAYER, HEAD))
    changed = aw.capture(model, inputs, interventions=edit)["decoder"][LAYER]
    query = layer.query_vectors(HEAD) @ _off(vectors).numpy()
    scores = query @ layer.key_vectors(HEAD).T * layer.scaling
    seen = np.isfinite(layer.scores(HEAD))
    np.testing.assert_allclose(changed.scores(HEAD)[seen], scores[seen], atol=1e-5)
    assert (changed.key_vectors(HEAD) == layer.key_vectors(HEAD)).all()
    # What the model went on with: the output of the changed weights, seen where the next layer begins.
    both = np.exp(np.where(seen, scores, -np.inf))
    both /= both.sum(1, keepdims=True)
    np.testing.assert_allclose(changed.output(HEAD), both @ layer.value_vectors(HEAD), atol=1e-5)


def test_a_link_may_be_cut_besides() -> None:
    model, inputs = zoo.build("gpt2", "sdpa"), zoo.inputs_of("gpt2")
    width = aw.capture(model, inputs)["decoder"][LAYER].head_dim or 0
    vectors = _vectors(width)
    other = copy.deepcopy(model)
    _gpt2(other, _off(vectors), slice(HEAD * width, (HEAD + 1) * width))
    link = aw.cut(query=3, key=1, heads=(LAYER, HEAD))
    with torch.no_grad():
        with aw.intervening(other, link):
            expected = tensors(other(**inputs))
        with aw.intervening(model, link + aw.remove_directions(vectors, heads=(LAYER, HEAD))):
            got = tensors(model(**inputs))
    for one, wanted in zip(got, expected, strict=True):
        assert float((one - wanted).abs().max()) <= 1e-5 * max(1.0, float(wanted.abs().max()))


def test_in_a_generation_every_step_does_without_them() -> None:
    model, tokenizer = aw.pocket()
    vectors = np.eye(32)[:28]
    other = copy.deepcopy(model)
    both = other.transformer.h[0].attn.c_attn
    off = _off(vectors)
    both.weight.data[:, 64:96] = both.weight.data[:, 64:96] @ off
    both.bias.data[64:96] = both.bias.data[64:96] @ off
    given = tokenizer("the cat sat on the mat because it", return_tensors="pt")
    expected = other.generate(**given, **GREEDY)
    with aw.intervening(model, aw.remove_directions(vectors, heads=(0, 2))):
        got = model.generate(**given, **GREEDY)
    assert torch.equal(got, expected)
    assert not torch.equal(got, model.generate(**given, **GREEDY))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (aw.remove_directions([[1.0, 0.0]], heads=(0, 2)), "have 2 numbers, its queries 32"),
        (aw.remove_directions(np.eye(32)[:1], heads=(0, 9)), r"no head 9 .* remove_directions\(directions, heads=\[\(0, 3\)\]\)"),
        (aw.remove_directions(np.eye(32)[:1], heads=(9, 0)), r"no layer 9"),
        (aw.remove_directions(np.eye(32)[:1], heads=(0, 0)) + aw.ablate((0, 0)), "edited in two ways"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(edit: aw.Edits, said: str) -> None:
    model, tokenizer = aw.pocket()
    with pytest.raises(ValueError, match=said):
        aw.capture(model, "the cat sat", tokenizer, interventions=edit)


def test_a_layer_of_windows_is_refused() -> None:
    config = hf.SwinConfig(
        image_size=16, patch_size=2, window_size=4, embed_dim=16, depths=[2], num_heads=[2]
    )
    model = zoo.wake(hf.SwinModel(config))
    inputs = {"pixel_values": torch.randn(1, 3, 16, 16)}
    stream = next(iter(aw.capture(model, inputs).streams))
    edit = aw.remove_directions([1.0], heads=(0, 0), stream=stream)
    with pytest.raises(ValueError, match="attends within windows"), aw.intervening(model, edit):
        model(**inputs)
