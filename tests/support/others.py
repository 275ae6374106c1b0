"""Tiny models whose attention does not go through transformers' interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers as hf
from support.zoo import VOCABULARY
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

_TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_GPT = {
    "vocab_size": VOCABULARY,
    "n_embd": 24,
    "n_layer": 2,
    "n_head": 3,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_XLM = {
    "vocab_size": VOCABULARY,
    "emb_dim": 24,
    "n_layers": 2,
    "n_heads": 3,
    "max_position_embeddings": 64,
}
_DEBERTA = _TEXT | {
    "intermediate_size": 32,
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "max_relative_positions": 8,
}


def _falcon(**options: Any) -> Any:
    return hf.FalconForCausalLM(hf.FalconConfig(**_TEXT | options))


def _codegen() -> Any:
    config = hf.CodeGenConfig(**_GPT | {"n_embd": 32, "n_head": 4}, rotary_dim=4)
    return hf.CodeGenForCausalLM(config)


def _gpt_neo() -> Any:
    config = hf.GPTNeoConfig(
        vocab_size=VOCABULARY,
        hidden_size=24,
        num_layers=2,
        attention_types=[[["global", "local"], 1]],
        num_heads=3,
        window_size=3,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
    )
    return hf.GPTNeoForCausalLM(config)


def _funnel() -> Any:
    config = hf.FunnelConfig(
        vocab_size=VOCABULARY,
        block_sizes=[1, 1],
        d_model=24,
        n_head=3,
        d_head=8,
        d_inner=32,
        num_decoder_layers=1,
    )
    return hf.FunnelModel(config)


def _mpt() -> Any:
    config = hf.MptConfig(vocab_size=VOCABULARY, d_model=32, n_layers=2, n_heads=4, max_seq_len=64)
    return hf.MptForCausalLM(config)


def _bloom(**options: Any) -> Any:
    config = hf.BloomConfig(
        vocab_size=VOCABULARY, hidden_size=24, n_layer=2, n_head=3, pad_token_id=0, **options
    )
    return hf.BloomForCausalLM(config)


def _convbert() -> Any:
    config = hf.ConvBertConfig(
        **_TEXT | {"num_attention_heads": 6}, embedding_size=24, intermediate_size=32, head_ratio=2
    )
    return hf.ConvBertModel(config)


MODELS: Mapping[str, Callable[[], Any]] = {
    "bloom": _bloom,
    "falcon": lambda: _falcon(multi_query=True),
    "falcon-alibi": lambda: _falcon(alibi=True, multi_query=False),
    "falcon-grouped": lambda: _falcon(
        hidden_size=48, num_attention_heads=6, new_decoder_architecture=True, num_kv_heads=2
    ),
    "gptj": lambda: hf.GPTJForCausalLM(hf.GPTJConfig(**_GPT, rotary_dim=4)),
    "gpt-neo": _gpt_neo,
    "codegen": _codegen,
    "mpt": _mpt,
    "ctrl": lambda: hf.CTRLModel(
        hf.CTRLConfig(**{k: v for k, v in _GPT.items() if not k.endswith("token_id")}, dff=32)
    ),
    "openai-gpt": lambda: hf.OpenAIGPTModel(hf.OpenAIGPTConfig(**_GPT)),
    "deberta": lambda: hf.DebertaModel(hf.DebertaConfig(**_DEBERTA)),
    "deberta-v2": lambda: hf.DebertaV2Model(hf.DebertaV2Config(**_DEBERTA, position_buckets=4)),
    "xlnet": lambda: hf.XLNetModel(
        hf.XLNetConfig(vocab_size=VOCABULARY, d_model=24, n_layer=2, n_head=3, d_inner=32)
    ),
    "xlm": lambda: hf.XLMModel(hf.XLMConfig(**_XLM, n_langs=1)),
    "flaubert": lambda: hf.FlaubertModel(hf.FlaubertConfig(**_XLM)),
    "funnel": _funnel,
    "rembert": lambda: hf.RemBertModel(
        hf.RemBertConfig(**_TEXT, intermediate_size=32, input_embedding_size=24)
    ),
    "ibert": lambda: hf.IBertModel(hf.IBertConfig(**_TEXT, intermediate_size=32)),
    "luke": lambda: hf.LukeModel(
        hf.LukeConfig(**_TEXT, entity_vocab_size=10, entity_emb_size=8, intermediate_size=32)
    ),
    "convbert": _convbert,
}


def training_bloom() -> Any:
    """A model in training mode, half of whose weights are dropped."""
    return _bloom(attention_dropout=0.5).train()


class OwnAttention(nn.Module):
    """Attention written down plainly, as vision libraries do."""

    def __init__(self, *, mix: bool = False) -> None:
        super().__init__()
        self.num_heads, self.scale = 3, 8**-0.5
        self.qkv, self.proj = nn.Linear(24, 72), nn.Linear(24, 24)
        self.mix = nn.Linear(3, 3) if mix else None

    def forward(self, hidden: Tensor) -> Tensor:
        batch, count, width = hidden.shape
        qkv = self.qkv(hidden).reshape(batch, count, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        weights = (query * self.scale @ key.transpose(-2, -1)).softmax(dim=-1)
        if self.mix is not None:
            weights = self.mix(weights.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.proj((weights @ value).transpose(1, 2).reshape(batch, count, width))


class Own(nn.Module):
    """A model that knows nothing of transformers.

    Args:
        mix: Whether each head's weights are mixtures of all heads' weights.
    """

    def __init__(self, *, mix: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(OwnAttention(mix=mix) for _ in range(2))

    def forward(self, hidden: Tensor) -> Tensor:
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return hidden


def hidden_states(length: int = 7, rows: int = 1, seed: int = 0) -> Tensor:
    """What such models read, ``[rows, length, 24]``."""
    return torch.randn(rows, length, 24, generator=torch.Generator().manual_seed(seed)) * 2
