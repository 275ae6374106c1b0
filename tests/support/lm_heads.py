"""Tiny models that return logits, one of each way in which they are made of the residual stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers as hf
from support import builders, zoo

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_TEXT = builders._TEXT
_SMALL = {**_TEXT, "hidden_size": 24, "intermediate_size": 32}
VOCABULARY = builders.VOCABULARY


def _opt(project: int) -> Any:
    return hf.OPTForCausalLM(
        hf.OPTConfig(**_SMALL, ffn_dim=32, word_embed_proj_dim=project, dropout=0.0)
    )


def _bert(config: Any = hf.BertConfig, model: Any = hf.BertForMaskedLM) -> Any:
    return model(config(**_SMALL))


def _vit(pooled: type = hf.ViTForImageClassification) -> Any:
    config = hf.ViTConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=32,
        image_size=12,
        patch_size=4,
        num_labels=5,
    )
    return pooled(config)


def _classifier() -> Any:
    config = hf.GPT2Config(
        vocab_size=VOCABULARY, n_embd=24, n_layer=2, n_head=3, n_positions=64, num_labels=4, pad_token_id=0
    )  # fmt: skip
    return hf.GPT2ForSequenceClassification(config)


def _albert() -> Any:
    return hf.AlbertForMaskedLM(hf.AlbertConfig(**_SMALL, embedding_size=16))


def _granite() -> Any:
    config = hf.GraniteConfig(
        **_SMALL,
        num_key_value_heads=3,
        embedding_multiplier=2.0,
        residual_multiplier=0.3,
        logits_scaling=4.0,
    )
    return hf.GraniteForCausalLM(config)


def _cohere() -> Any:
    return hf.CohereForCausalLM(hf.CohereConfig(**_SMALL, num_key_value_heads=3, logit_scale=0.25))


def _gemma2(cap: float | None) -> Any:
    grouped = builders._GROUPED
    config = hf.Gemma2Config(
        **grouped, sliding_window=3, attn_logit_softcapping=2.0, query_pre_attn_scalar=5, final_logit_softcapping=cap
    )  # fmt: skip
    return hf.Gemma2ForCausalLM(config)


def _neox() -> Any:
    return hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**_SMALL, use_parallel_residual=True))


def _bloom() -> Any:
    return hf.BloomForCausalLM(
        hf.BloomConfig(vocab_size=VOCABULARY, hidden_size=24, n_layer=2, n_head=3)
    )


def _gpt1() -> Any:
    return hf.OpenAIGPTLMHeadModel(
        hf.OpenAIGPTConfig(vocab_size=VOCABULARY, n_embd=24, n_layer=2, n_head=3, n_positions=64)
    )


def _xlm() -> Any:
    return hf.XLMWithLMHeadModel(
        hf.XLMConfig(vocab_size=VOCABULARY, emb_dim=24, n_layers=2, n_heads=3, causal=True)
    )


def _mixtral() -> Any:
    config = hf.MixtralConfig(**_SMALL, num_key_value_heads=3, num_local_experts=2)
    return hf.MixtralForCausalLM(config)


def _marian() -> Any:
    config = hf.MarianConfig(
        vocab_size=VOCABULARY,
        d_model=24,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=3,
        decoder_attention_heads=3,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
        pad_token_id=0,
        decoder_start_token_id=0,
    )
    return hf.MarianMTModel(config)


BUILDERS: dict[str, tuple[Callable[[], Any], Callable[[], dict[str, Tensor]]]] = {
    "gpt2": (builders.gpt2, zoo.tokens),
    "llama": (builders.llama, zoo.tokens),
    "qwen3": (builders.qwen3, zoo.tokens),
    "gemma2": (lambda: _gemma2(None), zoo.tokens),
    "gemma2, capped": (lambda: _gemma2(60.0), zoo.tokens),
    "gemma2, no slope": (lambda: _gemma2(3.0), zoo.tokens),
    "granite": (_granite, zoo.tokens),
    "cohere": (_cohere, zoo.tokens),
    "opt": (lambda: _opt(24), zoo.tokens),
    "opt, projected": (lambda: _opt(12), zoo.tokens),
    "neox, parallel": (_neox, zoo.tokens),
    "bloom": (_bloom, zoo.tokens),
    "openai-gpt": (_gpt1, zoo.tokens),
    "mixtral": (_mixtral, zoo.tokens),
    "gpt-oss": (builders.gpt_oss, zoo.tokens),
    "t5": (lambda: builders.t5(1, 2), zoo.source_and_target),
    "bart": (lambda: builders.bart(1, 2), zoo.source_and_target),
    "marian": (_marian, zoo.source_and_target),
    "classifier": (_classifier, zoo.tokens),
    "vit": (_vit, lambda: {"pixel_values": torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))}),
    "bert": (_bert, zoo.tokens),
    "albert": (_albert, zoo.tokens),
    "xlm": (_xlm, lambda: {"input_ids": zoo.ids(7)}),
}  # fmt: skip


def build(name: str) -> tuple[Any, dict[str, Tensor]]:
    """Return a model in evaluation mode whose heads attend to something and whose biases are not zero, and its inputs."""
    make, inputs = BUILDERS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = zoo.wake(make().eval())
        for key, parameter in model.named_parameters():
            if key.endswith("bias") or parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn_like(parameter)
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias += 0.3
        model.final_logits_bias[..., 7] = -2.0
    return model, inputs()
