"""Options that a tiny model needs whose pictures go through a model of timm; where timm is not installed, what stands in for it."""

from __future__ import annotations

import importlib.util
from typing import Any

__all__ = ["REMARKS", "TIMM_RECIPES"]

_VIT = {
    "model_type": "vit", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "image_size": 64, "patch_size": 16, "num_labels": 8,
}  # fmt: skip
_SIGLIP = {
    "model_type": "siglip_vision_model", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "image_size": 64, "patch_size": 16, "model_args": {"embed_dim": 32},
}  # fmt: skip

# Architectures of timm with options that make them small; "test_vit" is that already.
_PERCEPTION = {
    "architecture": "vit_pe_core_tiny_patch16_384",
    "model_args": {"img_size": 64, "embed_dim": 32, "num_heads": 4, "depth": 2},
}
_REPVIT = {
    "model_type": "timm_wrapper", "architecture": "repvit_m1", "num_classes": 8,
    "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
}  # fmt: skip

_WITH_TIMM: dict[str, dict[str, Any]] = {
    "timm_backbone": {"backbone": "test_vit"},
    "timm_wrapper": {"architecture": "test_vit", "model_args": {"img_size": 64}},
    "edgetam_vision_model": {"backbone_config": _REPVIT},
    "edgetam": {"vision_config": {"backbone_config": _REPVIT, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]}},
    "gemma3n_vision": {"architecture": "mobilenetv5_base", "model_args": {"channel_multiplier": 0.125}, "hidden_size": 64},
    "pe_video_encoder": {"vision_config": {**_PERCEPTION, "num_classes": 8}},
    "perception_lm": {"vision_config": {**_PERCEPTION, "model_args": {**_PERCEPTION["model_args"], "global_pool": ""}}},  # type: ignore[dict-item]
    "fast_vlm": {
        "vision_config": {
            "architecture": "fastvit_mci0",
            "hidden_size": 64,
            "model_args": {"inference_mode": True, "layers": [1, 1, 1, 1], "embed_dims": [8, 16, 32, 32]},
        }
    },
}  # fmt: skip
_WITHOUT: dict[str, dict[str, Any]] = {
    "pe_video_encoder": {"vision_config": _VIT},
    "fast_vlm": {"vision_config": {"model_type": "siglip_vision_model"}},
    "perception_lm": {"vision_config": _SIGLIP},
}
_STANDS_IN = "a ViT in place of its tower, which needs timm"

_there = importlib.util.find_spec("timm") is not None

TIMM_RECIPES = _WITH_TIMM if _there else _WITHOUT

# What the table says of these types.
REMARKS: dict[str, str] = (
    {"gemma3n": "text alone; gemma3n_vision and gemma3n_audio are measured"}
    if _there
    else {
        **dict.fromkeys(("pe_video", "pe_video_encoder", "pe_audio_video"), _STANDS_IN),
        **dict.fromkeys(("pe_audio_video_encoder", "perception_lm"), _STANDS_IN),
        "fast_vlm": "text alone: its tower needs timm",
    }
)
