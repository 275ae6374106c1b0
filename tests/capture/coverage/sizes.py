"""Sizes that have to fit each other, where shrinking each option on its own does not keep them so.

Laid over the shrunk options of a type, also where the type is a part of another one.
"""

from __future__ import annotations

from typing import Any

_MAMBA = {
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_expand": 2,
    "mamba_d_state": 16,
    "mamba_chunk_size": 8,
}
_DINOV2 = {
    "model_type": "dinov2",
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": 16,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
    "out_indices": [1, 2, 3, 4],
    "stage_names": ["stem", "stage1", "stage2", "stage3", "stage4"],
    "apply_layernorm": True,
    "reshape_hidden_states": False,
}
_HIERA = {
    "hidden_size": 16,
    "embed_dim_per_stage": [16, 32, 64, 128],
    "blocks_per_stage": [1, 1, 2, 1],
    "num_attention_heads": 1,
    "num_attention_heads_per_stage": [1, 2, 2, 2],
    "window_size_per_stage": [4, 2, 4, 2],
    "global_attention_blocks": [3],
}
_DETR = {"encoder_hidden_dim": 32}
_WINDOWS = {"window_size": 56, "fullatt_block_indexes": [1]}
_CONFORMER = {"context_size": 8, "dim_head": 8, "max_pos_emb": 16}

SIZES: dict[str, dict[str, Any]] = {
    "autoformer": {"label_length": 4},
    "bamba": _MAMBA,
    "blt_local_decoder": {"hidden_size_global": 32},
    "blt_local_encoder": {"hidden_size_global": 32},
    "clap_audio_model": {"spec_size": 64, "num_mel_bins": 32, "enable_fusion": False, "patch_embeds_hidden_size": 16},
    "clvp_decoder": {"feature_size": 16, "num_mel_attn_blocks": 2, "decoder_fixing_codes": [83, 45, 45, 24]},
    "d_fine": _DETR,
    "deimv2": _DETR,
    "depth_anything": {"backbone_config": _DINOV2, "patch_size": 16, "reassemble_hidden_size": 32},
    "dots3_note_audio_encoder": {"feature_size": 16, "conv_output_size": 64, "adapter_input_size": 32},
    "efficientloftr": {
        "hidden_size": 64, "num_attention_heads": 8, "num_key_value_heads": 8, "intermediate_size": 128,
        "out_features": [16, 16, 32, 64], "stage_num_blocks": [1, 1, 1, 1], "stage_in_channels": [1, 16, 16, 32],
        "stage_block_stride": [[2], [1], [2], [2]], "stage_block_in_channels": [[1], [16], [16], [32]],
        "stage_block_out_channels": [[16], [16], [32], [64]], "fine_fusion_dims": [64, 32, 16],
    },
    "edgetam_video": {
        "memory_encoder_output_channels": 32, "perceiver_resampler_num_latents": 4,
        "perceiver_resampler_num_latents_2d": 4, "perceiver_resampler_attention_head_dim": 32, "memory_attention_rope_feat_sizes": [4, 4],
        "memory_attention_rope_k_sizes": [2, 2],
    },
    "exaone4_5_vision": _WINDOWS,
    "fastspeech2_conformer_hifigan": {"model_in_dim": 16},
    "falcon_h1": _MAMBA | {"mamba_d_ssm": 64},
    "granite_speech_encoder": _CONFORMER,
    "granite_speech_plus_encoder": _CONFORMER,
    "granitemoehybrid": _MAMBA | {"layer_types": ["linear_attention", "full_attention"]},
    "hgnet_v2": {
        "stem_channels": [3, 8, 32], "stage_in_channels": [32] * 4, "stage_mid_channels": [8] * 4,
        "stage_out_channels": [32] * 4,
    },
    "hrm_text": {"num_hidden_layers": 8, "num_layers_per_stack": 1},
    "instructblip": {"image_token_index": 90},
    "instructblipvideo": {"video_token_index": 90},
    "kimi_linear": {"num_experts_per_token": 2},
    "kosmos_2_text_model": {"layers": 2},
    "kosmos-2": {"latent_query_num": 4},
    "layoutlmv3": {"hidden_size": 48, "coordinate_size": 8, "shape_size": 8},
    "lilt": {"hidden_size": 48},
    "llama4_vision_model": {"intermediate_size": 128},
    "mamba2": {"num_heads": 4, "head_dim": 16, "state_size": 16, "n_groups": 2, "chunk_size": 8},
    "minicpm_ocr_vision": {"insert_layer_id": 0},
    "minicpmv4_6_vision": {"insert_layer_id": 0},
    "minicpmv4_7_vision": {"insert_layer_id": 0},
    "mistral4": {"head_dim": 16},
    "mllama_vision_model": {"intermediate_layers_indices": [1], "image_size": 56},
    "molmo2_vision": {"num_position_embeddings": 16, "image_size": [56, 56]},
    "nemotron_h": {"mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 16, "n_groups": 2, "chunk_size": 8},
    "neomme": {"head_dim": 16},
    "neucodec": {"quantization_dim": 64},
    "omdet-turbo": {
        "backbone_config": {
            "model_type": "swin", "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [2, 2, 2, 2], "window_size": 2,
            "image_size": 64, "patch_size": 4, "out_features": ["stage2", "stage3", "stage4"], "out_indices": [2, 3, 4],
        },
        "apply_layernorm_after_vision_backbone": False, "encoder_in_channels": [32, 64, 128], "encoder_hidden_dim": 32,
        "vision_features_channels": [32, 32, 32], "task_encoder_hidden_dim": 32, "decoder_hidden_dim": 32,
        "class_embed_dim": 48, "text_projection_in_dim": 48, "text_projection_out_dim": 48,
        "text_config": {"hidden_size": 48, "projection_dim": 48},
    },
    "phi4_multimodal_audio": {
        "num_blocks": 2, "ext_pw_out_channel": 32, "depthwise_separable_out_channel": 32, "input_size": 80,
    },
    "pp_lcnet_v4": {"stem_channels": [3, 32, 96]},
    "pp_doclayout_v2": _DETR,
    "pp_doclayout_v3": _DETR,
    "pp_doclayout_v4": _DETR,
    "prompt_depth_anything": {"backbone_config": _DINOV2, "patch_size": 16, "reassemble_hidden_size": 32},
    "qwen2_5_omni": {"enable_audio_output": False},
    "qwen3_omni_moe": {"enable_audio_output": False},
    "qwen2_5_omni_audio_encoder": {"n_window": 16},
    "qwen2_5_omni_dit": {"enc_channels": [32, 32, 32, 32, 96]},
    "qwen2_5_omni_thinker": {"vision_start_token_id": 98, "vision_end_token_id": 97},
    "qwen2_5_omni_vision_encoder": _WINDOWS,
    "qwen2_5_vl_vision": _WINDOWS,
    "qwen3_asr_encoder": {"n_window_infer": 100},
    "qwen3_omni_moe_audio_encoder": {"n_window_infer": 100},
    "rag": {"n_docs": 2},
    "rt_detr": _DETR,
    "rt_detr_v2": _DETR,
    "sam2_hiera_det_model": _HIERA,
    "sam2_vision_model": {
        "backbone_channel_list": [128, 64, 32, 16], "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    },
    "sam3_vision_model": {"backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]},
    "sam2_video": {"memory_attention_rope_feat_sizes": [4, 4]},
    "sam3_tracker_prompt_encoder": {"patch_size": 16},
    "sam3_tracker_video_prompt_encoder": {"patch_size": 16},
    "sam3_vit_model": {"patch_size": 16},
    "sam_hq_prompt_encoder": {"image_embedding_size": 4},
    "sam_hq_vision_model": {"output_channels": 32, "num_pos_feats": 16, "global_attn_indexes": [1]},
    "sam_prompt_encoder": {"image_embedding_size": 4},
    "sam_vision_model": {"output_channels": 32, "num_pos_feats": 16, "global_attn_indexes": [1]},
    "seggpt": {"image_size": [128, 64], "intermediate_hidden_state_indices": [1]},
    "siglip2_vision_model": {"num_patches": 16},
    "step3p7_text": {"sliding_window": 4},
    "step3p5": {"sliding_window": 4},
    "speecht5_hifigan": {"model_in_dim": 16},
    "superpoint": {"keypoint_decoder_dim": 65},
    "textnet": {"stem_out_channels": 32},
    "vit": {"pooler_output_size": 32},
    "wav2vec2": {"num_conv_pos_embeddings": 16},
    "xcodec": {"codebook_dim": 64, "semantic_model_config": {"num_feat_extract_layers": 7}},
    "xcodec2": {"quantization_dim": 64},
    "xclip_vision_model": {"num_frames": 2},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2,
        "attention_hidden_size": 64, "attention_head_dim": 16, "mamba_d_state": 16,
    },
    "zamba2": {
        "num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2,
        "attention_hidden_size": 64, "attention_head_dim": 16, "n_mamba_heads": 4, "mamba_headdim": 16,
        "mamba_d_state": 16, "mamba_ngroups": 2, "num_mem_blocks": 1, "chunk_size": 8,
        "hybrid_layer_ids": [1, 3],
    },
}  # fmt: skip
# The part to run, where the whole has no forward pass of its own.
PARTS: dict[str, str] = {
    "bark": "semantic",
    "qwen2_5_omni": "thinker",
    "qwen3_omni_moe": "thinker",
}
# Positions of three axes share the width of a head.
_THREE_AXES = {
    "glm4v_moe_text", "hunyuan_vl_text", "paddleocr_vl_text", "qwen2_5_omni_talker",
    "qwen2_5_omni_text", "qwen2_5_vl_text", "qwen2_vl_text",
}  # fmt: skip
# The class to measure, where the first one that can be made is only a part.
CLASSES: dict[str, str] = {
    "kosmos_2_5_vision_model": "Kosmos2_5VisionModel",
    "nougat": "VisionEncoderDecoderModel",
    "omdet-turbo": "OmDetTurboForObjectDetection",
    "pp_doclayout_v2": "PPDocLayoutV2ForObjectDetection",
    "pp_ocrv5_mobile_rec": "PPOCRV5MobileRecForTextRecognition",
    "pp_ocrv5_server_rec": "PPOCRV5ServerRecForTextRecognition",
    "pp_ocrv6_small_rec": "PPOCRV6SmallRecForTextRecognition",
    "qwen2_5_omni": "Qwen2_5OmniForConditionalGeneration",
    "qwen3_omni_moe": "Qwen3OmniMoeForConditionalGeneration",
}


def resized(options: dict[str, Any], model_type: str) -> dict[str, Any]:
    """Lay the sizes of ``model_type`` over its shrunk options."""
    both = _laid_over(options, SIZES.get(model_type, {}))
    if model_type in _THREE_AXES:
        rope = both.get("rope_parameters") or {"rope_type": "default", "rope_theta": 10000.0}
        width = both.get("head_dim") or both["hidden_size"] // both["num_attention_heads"]
        by_kind = {name: value for name, value in rope.items() if isinstance(value, dict)}
        both["rope_parameters"] = (
            {name: _sectioned(value, width) for name, value in by_kind.items()}
            if by_kind
            else _sectioned(rope, width)
        )
    return both


def _sectioned(rope: dict[str, Any], width: int) -> dict[str, Any]:
    half = int(width * rope.get("partial_rotary_factor", 1.0)) // 2
    return {**rope, "mrope_section": [half - 2 * (half // 3), half // 3, half // 3]}


def _laid_over(options: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    both = dict(options)
    for name, value in given.items():
        below = both.get(name)
        both[name] = (
            _laid_over(below, value)
            if isinstance(value, dict) and isinstance(below, dict)
            else value
        )
    return both
