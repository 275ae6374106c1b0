"""Tiny models that attend in windows, blocks and buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers as hf
from support.zoo import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LENGTH, REAL = 21, 17  # positions, and how many of them are real in the second of two rows

_BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 32,
    "max_position_embeddings": 96,
    "pad_token_id": 0,
    "attention_probs_dropout_prob": 0.0,
    "hidden_dropout_prob": 0.0,
}
_BART = {
    "vocab_size": VOCABULARY,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "dropout": 0.0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def _longt5(kind: str) -> Any:
    config = hf.LongT5Config(
        vocab_size=VOCABULARY,
        d_model=24,
        d_kv=8,
        d_ff=32,
        num_heads=3,
        num_layers=2,
        num_decoder_layers=1,
        local_radius=3,
        global_block_size=4,
        encoder_attention_type=kind,
        decoder_start_token_id=0,
        dropout_rate=0.0,
    )
    return hf.LongT5Model(config)


def _bigbird(**options: Any) -> Any:
    config = hf.BigBirdConfig(
        **_BERT, attention_type="block_sparse", block_size=2, num_random_blocks=2, **options
    )
    return hf.BigBirdModel(config)


def _bigbird_pegasus() -> Any:
    config = hf.BigBirdPegasusConfig(
        **_BART,
        max_position_embeddings=96,
        attention_type="block_sparse",
        block_size=2,
        num_random_blocks=2,
    )
    return hf.BigBirdPegasusModel(config)


def _led() -> Any:
    config = hf.LEDConfig(
        **_BART,
        max_encoder_position_embeddings=96,
        max_decoder_position_embeddings=96,
        attention_window=[4, 6],
    )
    return hf.LEDModel(config)


def _pegasus_x() -> Any:
    config = hf.PegasusXConfig(
        **_BART,
        max_position_embeddings=96,
        block_size=4,
        num_global_tokens=3,
        stagger_local_blocks=True,
    )
    return hf.PegasusXModel(config)


def _reformer(**options: Any) -> Any:
    config = hf.ReformerConfig(
        vocab_size=VOCABULARY,
        hidden_size=24,
        num_attention_heads=3,
        attention_head_size=8,
        feed_forward_size=32,
        attn_layers=["local", "lsh"],
        axial_pos_embds=False,
        max_position_embeddings=96,
        local_attn_chunk_length=4,
        lsh_attn_chunk_length=4,
        num_buckets=4,
        hash_seed=3,
        hidden_dropout_prob=0.0,
        **options,
    )
    return hf.ReformerModel(config)


def _nystromformer(**options: Any) -> Any:
    """Three landmarks for 21 positions, or a landmark for each."""
    config = hf.NystromformerConfig(
        **_BERT, segment_means_seq_len=LENGTH, conv_kernel_size=5, **options
    )
    return hf.NystromformerModel(config)


# Recorded with weights alone where there are fewer landmarks than positions.
LANDMARKS: Mapping[str, Callable[[], Any]] = {
    "nystromformer": lambda: _nystromformer(num_landmarks=3),
    "nystromformer-whole": lambda: _nystromformer(num_landmarks=LENGTH),
}

MODELS: Mapping[str, Callable[[], Any]] = {
    "longformer": lambda: hf.LongformerModel(hf.LongformerConfig(**_BERT, attention_window=[4, 6])),
    "longformer-global": lambda: hf.LongformerModel(
        hf.LongformerConfig(**_BERT, attention_window=[4, 6])
    ),
    "led": _led,
    "longt5-local": lambda: _longt5("local"),
    "longt5-global": lambda: _longt5("transient-global"),
    "pegasus_x": _pegasus_x,
    "bigbird": _bigbird,
    "reformer": lambda: _reformer(is_decoder=False),
    "reformer-decoder": lambda: _reformer(is_decoder=True),
    "reformer-hashes": lambda: _reformer(is_decoder=False, num_hashes=3, lsh_num_chunks_after=1),
    "bigbird-pegasus": _bigbird_pegasus,
}


def inputs_of(name: str, length: int = LENGTH, real: int = REAL) -> dict[str, torch.Tensor]:
    """Two rows, the second of them padded."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, VOCABULARY, (2, length), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, real:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if name == "nystromformer":
        del inputs["attention_mask"]  # transformers adds it to scores of landmarks, and fails
    if "global" in name and name.startswith("longformer"):
        inputs["global_attention_mask"] = torch.zeros_like(ids)
        inputs["global_attention_mask"][0, [0, 5, 9]] = 1
        inputs["global_attention_mask"][1, [0, 7]] = 1
    if (
        not name.startswith(("longformer", "bigbird", "reformer", "nystromformer"))
        or name == "bigbird-pegasus"
    ):
        inputs["decoder_input_ids"] = ids[:, :5]
    if name == "led":
        inputs["global_attention_mask"] = torch.zeros_like(ids)
        inputs["global_attention_mask"][:, 0] = 1
    return inputs
