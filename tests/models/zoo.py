"""Tiny models with random weights, one of each kind, built in code: nothing is downloaded.

Weights are drawn so that attention is far from uniform. With the models' own initialisation every weight is about
``1 / n``, and a record of the wrong head, or of no position bias at all, would still pass a tolerance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import transformers as hf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

VOCABULARY = 61
_TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# Grouped queries: six query heads on two key heads.
_GROUPED = _TEXT | {
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "hidden_size": 48,
    "head_dim": 8,
}


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
    extra: Mapping[str, Any] = field(default_factory=dict)


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


def _bert() -> Any:
    return hf.BertModel(hf.BertConfig(**_TEXT))


def _roberta() -> Any:
    return hf.RobertaModel(hf.RobertaConfig(**_TEXT))


def _distilbert() -> Any:
    return hf.DistilBertModel(
        hf.DistilBertConfig(
            vocab_size=VOCABULARY,
            dim=24,
            hidden_dim=32,
            n_layers=2,
            n_heads=3,
            max_position_embeddings=64,
        )
    )


def _modernbert() -> Any:
    return hf.ModernBertModel(
        hf.ModernBertConfig(
            **_TEXT, local_attention=4, global_attn_every_n_layers=2, cls_token_id=1, sep_token_id=2
        )
    )


def _gpt2() -> Any:
    return hf.GPT2LMHeadModel(
        hf.GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=24,
            n_layer=2,
            n_head=3,
            n_positions=64,
            bos_token_id=1,
            eos_token_id=2,
            scale_attn_by_inverse_layer_idx=True,
        )
    )


def _llama() -> Any:
    return hf.LlamaForCausalLM(hf.LlamaConfig(**_GROUPED))


def _qwen2() -> Any:
    config = {name: value for name, value in _GROUPED.items() if name != "head_dim"}
    return hf.Qwen2ForCausalLM(hf.Qwen2Config(**config))


def _qwen3() -> Any:
    return hf.Qwen3ForCausalLM(hf.Qwen3Config(**_GROUPED | {"head_dim": 10}))


def _gemma2() -> Any:
    config = hf.Gemma2Config(
        **_GROUPED, sliding_window=3, attn_logit_softcapping=2.0, query_pre_attn_scalar=5
    )
    return hf.Gemma2ForCausalLM(config)


def _gemma2_without_softcap() -> Any:
    config = hf.Gemma2Config(
        **_GROUPED, sliding_window=3, attn_logit_softcapping=None, query_pre_attn_scalar=5
    )
    return hf.Gemma2ForCausalLM(config)


def _gemma3() -> Any:
    kinds = ["sliding_attention", "full_attention"]
    return hf.Gemma3ForCausalLM(
        hf.Gemma3TextConfig(
            **_GROUPED, sliding_window=3, layer_types=kinds, query_pre_attn_scalar=2
        )
    )


def _gpt_oss() -> Any:
    config = hf.GptOssConfig(
        **_GROUPED, num_local_experts=2, num_experts_per_tok=1, sliding_window=3
    )
    return hf.GptOssForCausalLM(config)


def t5(encoder_layers: int, decoder_layers: int) -> Any:
    """T5 with uneven depths."""
    return hf.T5ForConditionalGeneration(
        hf.T5Config(
            vocab_size=VOCABULARY,
            d_model=24,
            d_kv=8,
            d_ff=32,
            num_heads=3,
            num_layers=encoder_layers,
            num_decoder_layers=decoder_layers,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=12,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=2,
        )
    )


def bart(encoder_layers: int, decoder_layers: int) -> Any:
    """BART with uneven depths."""
    return hf.BartForConditionalGeneration(
        hf.BartConfig(
            vocab_size=VOCABULARY,
            d_model=24,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
            encoder_attention_heads=3,
            decoder_attention_heads=3,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            max_position_embeddings=64,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=2,
            forced_eos_token_id=2,
        )
    )


def _vit() -> Any:
    return hf.ViTModel(
        hf.ViTConfig(
            hidden_size=24,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=3,
            image_size=16,
            patch_size=4,
        )
    )


def _whisper() -> Any:
    return hf.WhisperForConditionalGeneration(
        hf.WhisperConfig(
            vocab_size=VOCABULARY,
            d_model=24,
            encoder_layers=2,
            decoder_layers=3,
            encoder_attention_heads=3,
            decoder_attention_heads=3,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            num_mel_bins=8,
            max_source_positions=11,
            max_target_positions=32,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=3,
        )
    )


def with_vocabulary(size: int) -> Any:
    """GPT-2 with ``size`` tokens."""
    return hf.GPT2LMHeadModel(
        hf.GPT2Config(vocab_size=size, n_embd=24, n_layer=2, n_head=3, n_positions=64)
    )


def mamba() -> Any:
    """A model without attention."""
    return hf.MambaForCausalLM(
        hf.MambaConfig(
            vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, state_size=4, pad_token_id=0
        )
    ).eval()


def bloom() -> Any:
    """A model whose attention does not go through the interface."""
    return hf.BloomForCausalLM(
        hf.BloomConfig(vocab_size=VOCABULARY, hidden_size=24, n_layer=2, n_head=3, pad_token_id=0)
    ).eval()


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
    "bert": Kind(_bert, tokens, _ENCODER),
    "roberta": Kind(_roberta, tokens, _ENCODER),
    "distilbert": Kind(_distilbert, tokens, _ENCODER),
    "modernbert": Kind(_modernbert, tokens, _ENCODER),
    "gpt2": Kind(_gpt2, tokens, _DECODER),
    "llama": Kind(_llama, tokens, _DECODER),
    "qwen2": Kind(_qwen2, tokens, _DECODER),
    "qwen3": Kind(_qwen3, tokens, _DECODER),
    "gemma2": Kind(
        _gemma2, tokens, _DECODER, ("eager",)
    ),  # sdpa has no softcap: transformers refuses
    "gemma2-without-softcap": Kind(_gemma2_without_softcap, tokens, _DECODER, ("eager",)),
    "gemma3": Kind(_gemma3, tokens, _DECODER),
    "gpt-oss": Kind(
        _gpt_oss, tokens, _DECODER, ("eager",)
    ),  # sdpa has no sinks: transformers refuses
    "t5-4-2": Kind(lambda: t5(4, 2), source_and_target, _three(4, 2)),
    "t5-2-4": Kind(lambda: t5(2, 4), source_and_target, _three(2, 4)),
    "bart-4-2": Kind(lambda: bart(4, 2), source_and_target, _three(4, 2)),
    "bart-2-4": Kind(lambda: bart(2, 4), source_and_target, _three(2, 4)),
    "vit": Kind(_vit, pixels, {"vision": ("attentions", 2)}),
    "whisper": Kind(_whisper, sound, _three(2, 3)),
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
