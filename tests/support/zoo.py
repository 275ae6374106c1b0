"""Tiny models with random weights, one of each kind, built in code: nothing is downloaded.

Weights are drawn so that attention is far from uniform. With the models' own initialisation every weight is about
``1 / n``, and a record of the wrong head, or of no position bias at all, would still pass a tolerance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from support import builders
from support.builders import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Attributes:
        build: Makes the configured model, weights as transformers initialises them.
        inputs: Makes its inputs.
        streams: Stream name to the field of the model's output that holds its attention, and its number of layers.
        implementations: Attention implementations it supports on the CPU.
    """

    build: Callable[[], Any]
    inputs: Callable[[], dict[str, Tensor]]
    streams: Mapping[str, tuple[str, int]]
    implementations: tuple[str, ...] = ("eager", "sdpa")


def ids(length: int, seed: int = 0, rows: int = 1) -> Tensor:
    """Draw token ids ``[rows, length]``, none of them special."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(5, VOCABULARY, (rows, length), generator=generator)


def tokens(length: int = 7) -> dict[str, Tensor]:
    """Inputs of a model that reads one text."""
    return {"input_ids": ids(length), "attention_mask": torch.ones(1, length, dtype=torch.long)}


def source_and_target() -> dict[str, Tensor]:
    """Inputs of an encoder-decoder model: 7 positions in, 5 out."""
    return {**tokens(7), "decoder_input_ids": ids(5, seed=1)}


def wake(model: Any, seed: int = 0) -> Any:
    """Draw weights so large that the heads attend to something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                # [out, in], or [in, out] in GPT-2: the sizes are alike enough for either.
                embeds = "embed" in name or "shared" in name
                spread = 1.0 if embeds else _gain(name) * parameter.shape[-1] ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            elif "norm" not in name.lower() and "ln_" not in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model.eval()


def _gain(name: str) -> float:
    if re.search(r"Attention\.[qk]\.", name):
        return 1.0  # T5 does not scale its scores
    if re.search(r"q_proj|k_proj|query|key|q_lin|k_lin|c_attn|Wqkv|relative_attention", name):
        return 2.0
    return 0.8  # mix less than is attended to, or all positions end up alike


def pixels() -> dict[str, Tensor]:
    """One image of 4 x 4 patches."""
    return {"pixel_values": torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))}


def sound() -> dict[str, Tensor]:
    """A spectrogram of 22 columns, which become 11 frames, and five tokens."""
    features = torch.randn(1, 8, 22, generator=torch.Generator().manual_seed(3))
    return {"input_features": features, "decoder_input_ids": ids(5)}


def _three(encoder: int, decoder: int) -> dict[str, tuple[str, int]]:
    return {
        "encoder": ("encoder_attentions", encoder),
        "decoder": ("decoder_attentions", decoder),
        "cross": ("cross_attentions", decoder),
    }


_ENCODER = {"encoder": ("attentions", 2)}
_DECODER = {"decoder": ("attentions", 2)}

KINDS: Mapping[str, Kind] = {
    "bert": Kind(builders.bert, tokens, _ENCODER),
    "roberta": Kind(builders.roberta, tokens, _ENCODER),
    "distilbert": Kind(builders.distilbert, tokens, _ENCODER),
    "modernbert": Kind(builders.modernbert, tokens, _ENCODER),
    "gpt2": Kind(builders.gpt2, tokens, _DECODER),
    "llama": Kind(builders.llama, tokens, _DECODER),
    "qwen2": Kind(builders.qwen2, tokens, _DECODER),
    "qwen3": Kind(builders.qwen3, tokens, _DECODER),
    "gemma2": Kind(
        builders.gemma2, tokens, _DECODER, ("eager",)
    ),  # sdpa has no softcap: transformers refuses
    "gemma2-without-softcap": Kind(builders.gemma2_without_softcap, tokens, _DECODER, ("eager",)),
    "gemma3": Kind(builders.gemma3, tokens, _DECODER),
    "gpt-oss": Kind(
        builders.gpt_oss, tokens, _DECODER, ("eager",)
    ),  # sdpa has no sinks: transformers refuses
    "t5-4-2": Kind(lambda: builders.t5(4, 2), source_and_target, _three(4, 2)),
    "t5-2-4": Kind(lambda: builders.t5(2, 4), source_and_target, _three(2, 4)),
    "bart-4-2": Kind(lambda: builders.bart(4, 2), source_and_target, _three(4, 2)),
    "bart-2-4": Kind(lambda: builders.bart(2, 4), source_and_target, _three(2, 4)),
    "vit": Kind(builders.vit, pixels, {"vision": ("attentions", 2)}),
    "whisper": Kind(builders.whisper, sound, _three(2, 3)),
}


def build(name: str, implementation: str = "eager", dtype: torch.dtype = torch.float32) -> Any:
    """Build the model called ``name``, the same weights every time."""
    model = wake(KINDS[name].build()).to(dtype)
    model.set_attn_implementation(implementation)
    return model


def inputs_of(name: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Make the inputs of the model called ``name``."""
    return {
        key: value.to(dtype) if value.is_floating_point() else value
        for key, value in KINDS[name].inputs().items()
    }
