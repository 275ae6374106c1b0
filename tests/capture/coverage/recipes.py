"""What no rule about names finds out: per type, the options that a tiny model of it needs."""

from __future__ import annotations

from typing import Any

from capture.coverage import timm_recipes
from capture.coverage.timm_recipes import TIMM_RECIPES

VOCABULARY, HIDDEN, HEADS, DEPTH, IMAGE, PATCH = 101, 32, 4, 2, 64, 16
ROWS = 2

_RESNET = {
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "backbone": None,
    "backbone_config": {
        "model_type": "resnet",
        "embedding_size": 8,
        "hidden_sizes": [8, 8, 8, 8],
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
        "out_features": ["stage4"],
    },
}
_STAGES = _RESNET | {
    "backbone_config": _RESNET["backbone_config"] | {"out_features": ["stage2", "stage3", "stage4"]}  # type: ignore[operator]
}
_MROPE = {
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [2, 1, 1],
    }
}
_ROPES = {
    kind: {"rope_type": "default", "rope_theta": 10000.0}
    for kind in ("sliding_attention", "full_attention")
}
_VQ = {
    "num_embeddings": 10,
    "base_channels": 32,
    "channel_multiplier": [1, 1],
    "resolution": IMAGE,
    "latent_channels": 16,
}
_CODEC = {
    "hidden_size": HIDDEN,
    "upsample_groups": HIDDEN,
    "num_filters": 4,
    "upsampling_ratios": [4, 2],
    "codebook_dim": HIDDEN,
    "vector_quantization_hidden_dimension": HIDDEN,
}
_BLOCKS = {"num_filters": 4, "downsampling_ratios": [2, 2], "depths": [1, 1, 1]}
_WAYS = ("vertical_long_to_small_conv", "horizontal_small_to_long_conv", "symmetric_conv_long")
_BLOCK = {
    "scale_factor_list": [1, 2, 4, 8],
    "intraclass_block_config": {
        "reduce_channel": [1, 1, 0],
        "return_channel": [1, 1, 0],
        **{f"{way}_{ratio}ratio": [3, 1, 1] for way in _WAYS for ratio in ("long", "mid", "short")},
    },
}
_LCNET = {
    "backbone_config": {
        "model_type": "pp_lcnet_v4",
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    }
}
# By model type, also where the type is a part of another. A dict is merged into the part of that name.
RECIPES: dict[str, dict[str, Any]] = {
    "detr": _RESNET,
    "conditional_detr": _RESNET,
    "table-transformer": _RESNET,
    "dab-detr": _RESNET,
    "deformable_detr": _STAGES,
    "chameleon": {"vocabulary_map": {"<image>": VOCABULARY - 1, **{f"IMGIMG{letter}Z": 60 + index for index, letter in enumerate("ABCDEFGHIJ")}}, "vq_config": _VQ},
    "chameleon_vqgan": _VQ,
    "emu3": {"vocabulary_map": {"<image>": VOCABULARY - 1, "<|extra_200|>": 59, **{f"<|visual token {index:06d}|>": 60 + index for index in range(10)}}},
    "cohere_compass_text": {"layer_types": ["sliding_attention", "full_attention"], "num_hidden_layers": 2, "rope_parameters": _ROPES, "sliding_window": 5},
    "deepseek_ocr2_text": {"num_hidden_layers": 2, "mlp_layer_types": ["dense", "sparse"], "n_group": 1, "topk_group": 1, "num_experts_per_tok": 2},
    "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 48},
    "ernie4_5_vl_moe_text": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}},
    "gemma3n_text": {"num_hidden_layers": 4, "layer_types": ["sliding_attention", "full_attention"] * 2, "intermediate_size": [48] * 4, "activation_sparsity_pattern": [0.5, 0.5, 0.0, 0.0], "num_kv_shared_layers": 2, "laurel_rank": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_hidden_layers": 2, "num_dense_layers": 1},
    "mobilebert": {"embedding_size": HIDDEN, "intra_bottleneck_size": HIDDEN, "true_hidden_size": HIDDEN},
    "moonshine_streaming": {"num_key_value_heads": 4, "encoder_config": {"sliding_windows": [[4, 2], [4, 0]]}},
    "pix2struct_text_model": {"initializer_range": 0.02},
    "qwen3_omni_moe_talker_text": {"shared_expert_intermediate_size": 48},
    "step3p5": {"sliding_window": 5},
    "t5gemma2_text": {"dropout_rate": 0.0},
    "t5gemma2_encoder": {"text_config": {"dropout_rate": 0.0}},
    "t5gemma2_decoder": {"dropout_rate": 0.0},
    "swin2sr": {"image_size": 16, "depths": [2, 1], "num_heads": [2, 2], "window_size": 4},
    "granite4_vision": {"deepstack_layer_map": [[0, 0]], "spatial_target_layers": [0, 1, 0, 1], "downsample_rate": "1/2"},
    "hunyuan_vl_text": {"head_dim": 8, **_MROPE},
    "tvp": {"visual_prompt_size": 8, "max_img_size": IMAGE, "num_frames": 2, "backbone_config": {"model_type": "resnet", "hidden_sizes": [16, 16, 16, 32], "depths": [1, 1, 1, 1], "embedding_size": 8, "layer_type": "basic", "out_features": ["stage4"]}},
    "lw_detr": {"projector_scale_factors": [1.0], "num_feature_levels": 1, "backbone_config": {"model_type": "lw_detr_vit", "num_hidden_layers": 2, "window_block_indices": [0], "num_windows": 4, "num_windows_side": 2, "out_features": ["stage1", "stage2"]}},
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8.0, "kv_n_heads": 2}},
    **dict.fromkeys(("mimi", "mimi_encoder", "mimi_decoder", "pocket_tts_audio_tokenizer", "pocket_tts_audio_tokenizer_encoder", "pocket_tts_audio_tokenizer_decoder"), _CODEC),
    "vibevoice_acoustic_tokenizer": _BLOCKS,
    "vibevoice_acoustic_tokenizer_encoder": _BLOCKS,
    "vibevoice_acoustic_tokenizer_decoder": _BLOCKS,
    "qwen4_exp_text": {"hidden_size": 32, "num_attention_heads": 4, "head_dim": 8, "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 4, "indexer_compress_ratio": 2, "ngram_vocab_size_base": 100, "hc_lowrank": 8},
    "zoedepth": {"bottleneck_features": HIDDEN, "fusion_hidden_size": HIDDEN, "num_attractors": [4, 2, 2, 1]},
    "sapiens2": {"num_key_value_heads_per_layer": [4, 2], "num_hidden_layers": 2, "hidden_size": HIDDEN, "num_attention_heads": 4},
    "nougat": {"encoder": {"model_type": "donut-swin"}, "decoder": {"model_type": "mbart"}},
    "depth_pro": {"intermediate_hook_ids": [1, 0]},
    "janus_vqgan": {"num_patches": 4},
    "glm4v_text": _MROPE,
    "glm_ocr_text": _MROPE,
    "musicflamingo_encoder": {"hidden_size": HIDDEN, "intermediate_size": 4 * HIDDEN},
    "voxtral": {"audio_token_id": 98},
    "sam3_lite_text_text_model": {"num_hidden_layers": 4},
    "pp_ocrv5_server_det": _BLOCK,
    "pp_ocrv6_medium_det": {**_BLOCK, **_LCNET},
    "pp_ocrv6_small_det": _LCNET,
    "superglue": {"gnn_layers_types": ["self", "cross"] * 2},
    "patchtsmixer": {"self_attn": True, "self_attn_heads": 2},
    "pp_ocrv6_tiny_det": _LCNET,
    "muse_glimmer": {"out_hidden_size": 4 * HIDDEN},
    "muse_spark": {"out_hidden_size": 4 * HIDDEN},
    "vipllava": {"vision_feature_layers": [-1, -2]},
    "granite_speech": {"window_size": 4, "downsample_rate": 2},
    "granite_speech_plus": {"window_size": 4, "downsample_rate": 2},
    "granite_speech_encoder": {"hidden_dim": HIDDEN},
    "granite_speech_plus_encoder": {"hidden_dim": HIDDEN},
    "pp_lcnet_v4": {"stem_channels": [3, 48, 96], "stage_out_channels": [96, 96, 192, 384], "depths": [1, 2, 7, 3]},
    "aria": {"projector_patch_to_query_dict": {16: 4}},
    "emu3_vqgan": {"base_channels": 32, "channel_multiplier": [1, 1], "embed_dim": 32, "codebook_size": 10},
    "gemma4": {"vision_config": {"model_type": "gemma4_vision"}, "audio_config": {"model_type": "gemma4_audio"}},
    "embedding_gemma2": {"vision_config": {"model_type": "gemma4_vision"}, "audio_config": {"model_type": "gemma4_audio"}},
    "gemma4_unified": {"vision_config": {"model_type": "gemma4_unified_vision"}, "audio_config": {"model_type": "gemma4_unified_audio"}},
    "glmasr_encoder": {"hidden_size": HIDDEN, "intermediate_size": 4 * HIDDEN},
    "voxtral_encoder": {"hidden_size": HIDDEN, "intermediate_size": 4 * HIDDEN},
    "qwen3_omni_moe_thinker": {"vision_start_token_id": 97, "vision_end_token_id": 96, "audio_start_token_id": 93},
    "minicpm_ocr": {"image_token_id": 100, "video_token_id": 99},
    "minicpmv4_6": {"image_token_id": 100, "video_token_id": 99},
    "minicpmv4_7": {"image_token_id": 100, "video_token_id": 99},
    "autoformer": {"prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2]},
    "informer": {"prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2]},
    "time_series_transformer": {"prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2]},
    # Windows and blocks smaller than the text.
    "big_bird": {"block_size": 1, "num_random_blocks": 1},
    "bigbird_pegasus": {"block_size": 1, "num_random_blocks": 1},
    "led": {"attention_window": [4, 6]},
    "longformer": {"attention_window": [4, 6]},
    "longt5": {"local_radius": 3, "global_block_size": 4, "encoder_attention_type": "transient-global"},
    "pegasus_x": {"block_size": 4, "num_global_tokens": 3},
    "reformer": {"axial_pos_shape": [4, 3], "axial_pos_embds_dim": [16, 16], "hidden_size": 32,
                 "attn_layers": ["local", "lsh"], "local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4},
    "qwen2_vl_text": _MROPE,
    "qwen2_5_vl_text": _MROPE,
    "qwen2_5_omni_text": _MROPE,
    "qwen2_5_omni_talker": _MROPE,
    "glm_image_text": _MROPE,
    "bamba": {"attn_layer_indices": [1], "num_hidden_layers": 2},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"], "num_hidden_layers": 2},
    "efficientnet": {"hidden_dim": 2560},
    **TIMM_RECIPES,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
}  # fmt: skip

# What the table says of a type besides what is measured.
REMARKS: dict[str, str] = {
    **timm_recipes.REMARKS,
    "layoutxlm": "the model of layoutlmv2, which needs detectron2",
    "pp_ocrv6_small_det": "convolutions only; its sizes do not fit each other when made tiny",
    "pp_ocrv6_medium_det": "convolutions only; its sizes do not fit each other when made tiny",
    "qwen2_5_omni_bigvgan": "convolutions only",
    "qwen2_5_omni_token2wav": "solves an equation with many passes of qwen2_5_omni_dit, which is measured",
    "nougat": "transformers names its encoder donut_swin, which it does not know; it is a vision-encoder-decoder",
    "gemma4_assistant": "every layer shares keys with another model: transformers refuses to build it",
    "gemma4_unified_assistant": "every layer shares keys with another model: transformers refuses to build it",
}
