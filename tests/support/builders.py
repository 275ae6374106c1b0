"""Tiny configurations of every kind of model, weights as transformers initialises them."""

from __future__ import annotations

from typing import Any

import transformers as hf

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


def bert() -> Any:
    return hf.BertModel(hf.BertConfig(**_TEXT))


def roberta() -> Any:
    return hf.RobertaModel(hf.RobertaConfig(**_TEXT))


def distilbert() -> Any:
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


def modernbert() -> Any:
    return hf.ModernBertModel(
        hf.ModernBertConfig(
            **_TEXT, local_attention=4, global_attn_every_n_layers=2, cls_token_id=1, sep_token_id=2
        )
    )


def gpt2() -> Any:
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


def llama() -> Any:
    return hf.LlamaForCausalLM(hf.LlamaConfig(**_GROUPED))


def qwen2() -> Any:
    config = {name: value for name, value in _GROUPED.items() if name != "head_dim"}
    return hf.Qwen2ForCausalLM(hf.Qwen2Config(**config))


def qwen3() -> Any:
    return hf.Qwen3ForCausalLM(hf.Qwen3Config(**_GROUPED | {"head_dim": 10}))


def gemma2() -> Any:
    config = hf.Gemma2Config(
        **_GROUPED, sliding_window=3, attn_logit_softcapping=2.0, query_pre_attn_scalar=5
    )
    return hf.Gemma2ForCausalLM(config)


def gemma2_without_softcap() -> Any:
    config = hf.Gemma2Config(
        **_GROUPED, sliding_window=3, attn_logit_softcapping=None, query_pre_attn_scalar=5
    )
    return hf.Gemma2ForCausalLM(config)


def gemma3() -> Any:
    kinds = ["sliding_attention", "full_attention"]
    return hf.Gemma3ForCausalLM(
        hf.Gemma3TextConfig(
            **_GROUPED, sliding_window=3, layer_types=kinds, query_pre_attn_scalar=2
        )
    )


def gpt_oss() -> Any:
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


def vit() -> Any:
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


def whisper() -> Any:
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
