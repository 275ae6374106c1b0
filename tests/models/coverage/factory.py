"""Makes a tiny model with random weights of any model type, by shrinking the defaults of its configuration."""

from __future__ import annotations

import contextlib
import copy
import inspect
import re
from typing import TYPE_CHECKING, Any

import torch
import transformers
from models.coverage.sizes import CLASSES, resized
from transformers.models.auto import configuration_auto, modeling_auto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

VOCABULARY, HIDDEN, HEADS, DEPTH, IMAGE, PATCH = 101, 32, 4, 2, 64, 16
ROWS = 2
LARGEST = 30_000_000  # parameters
LENGTH, REAL = 12, 9  # positions of a text, and how many of them are real in the padded row

# The first rule whose pattern is found in an option's name says what becomes of it.
_NUMBERS: tuple[tuple[str, int], ...] = (
    (r"^(vocab_size|.*_vocab_size|num_tokens|vocab_size_.*)$", VOCABULARY),
    (r"^(num_key_value_heads|num_kv_heads|n_kv_heads|.*_num_key_value_heads)$", 2),
    (r"(^|_)(num_attention_heads|attention_heads|num_heads|n_heads?|nhead|heads)$", HEADS),
    (r"^(num_hidden_layers|num_layers|n_layers?|encoder_layers|decoder_layers|depth|num_(en|de)coder_layers|.*_num_hidden_layers|.*_layers|.*_depth)$", DEPTH),
    (r"^(head_dim|d_kv|attention_head_dim|.*_head_dim|attention_head_size|d_head|kv_channels|v_head_dim|qk_nope_head_dim)$", HIDDEN // HEADS),
    (r"^(qk_rope_head_dim|rotary_dim)$", 4),
    (r"^(q_lora_rank|kv_lora_rank)$", 16),
    (r"(intermediate_size|ffn_dim|d_ff|n_inner|dim_feedforward|mlp_dim|hidden_dim|ffn_hidden_size|intermediate_dim)$", 48),
    (r"^(hidden_size|d_model|n_embd|dim|embed_dim|.*_hidden_size|.*embed_dim|.*embedding_size|model_dim|.*_dim|.*_embed_size|hidden_channels|emb_dim|width|d_embed)$", HIDDEN),
    (r"(image_size|img_size|crop_size|input_size|input_resolution)$", IMAGE),
    (r"(patch_size|patch_stride)$", PATCH),
    (r"^window_size$", 2),
    (r"(max_position_embeddings|n_positions|max_seq_len|max_sequence_length|n_ctx|max_source_positions|max_target_positions|max_length)$", 128),
    (r"^(num_local_experts|num_experts|n_routed_experts|moe_num_experts)$", 4),
    (r"^(num_experts_per_tok|moe_k|top_k|moe_topk)$", 2),
    (r"^(n_group|topk_group|n_shared_experts)$", 1),
    (r"^(num_mel_bins|num_mels)$", 16),
    (r"^(num_queries|num_query_tokens|num_latents|n_query|num_object_queries)$", 6),
    (r"^(num_labels|num_classes)$", 3),
    (r"(conv_dim|conv_channels)$", 16),
)  # fmt: skip
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
# What no rule finds out: backbones out of another library, sums that have to be right.
_OVERRIDES: dict[str, dict[str, Any]] = {
    "detr": _RESNET,
    "conditional_detr": _RESNET,
    "table-transformer": _RESNET,
    "dab-detr": _RESNET,
    "deformable_detr": _STAGES,
    "autoformer": {"prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2]},
    "informer": {"prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2]},
    "time_series_transformer": {"prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2]},
    "reformer": {"axial_pos_shape": [4, 3], "axial_pos_embds_dim": [16, 16], "hidden_size": 32,
                 "attn_layers": ["local", "lsh"], "local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4},
    "qwen2_vl_text": _MROPE,
    "qwen2_5_vl_text": _MROPE,
    "qwen2_5_omni_text": _MROPE,
    "qwen2_5_omni_talker": _MROPE,
    "glm_image_text": _MROPE,
    "bamba": {"attn_layer_indices": [1], "num_hidden_layers": 2},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"], "num_hidden_layers": 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
}  # fmt: skip
_WIDTHS = re.compile(r"(hidden_sizes|embed_dims|dims|channels|widths|embed_dim|conv_dim)$")
_HEADS = re.compile(r"heads")
_DEPTHS = re.compile(r"(depths|num_layers|layers|num_blocks|stage_repeats|layer_repeats)$")


def model_types() -> list[str]:
    """List every model type that transformers knows."""
    return sorted(configuration_auto.CONFIG_MAPPING_NAMES)


def attempts(model_type: str) -> Iterator[nn.Module]:
    """Make tiny models of a type, in evaluation mode and with weights that attend to something, likeliest first.

    Raises:
        Exception: Whatever the first attempt raised, when none succeeded.
    """
    cls = transformers.CONFIG_MAPPING[model_type]
    first: Exception | None = None
    made = 0
    # Each variant is for what the one before may be too small for: hybrids attend in few of their layers only.
    for variant in ({}, {"depth": 8}, {"hidden": 64, "heads": 4}, {"hidden": 128, "heads": 2}):
        for config in _configurations(cls, model_type, variant):
            for kind in _kinds(cls, model_type):
                try:
                    if _size(kind, config) > LARGEST:
                        first = first or MemoryError(f"{kind.__name__} stays too large")
                        continue
                    torch.manual_seed(0)
                    model: nn.Module = kind(config)
                except Exception as error:  # noqa: BLE001  the next attempt may do
                    first = first or error
                    continue
                made += 1
                yield _wake(model).eval()
    if not made:
        raise first or LookupError(f"no model belongs to {model_type}")


def _size(kind: Any, config: Any) -> int:
    """Number of parameters, found without making them."""
    try:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in kind(copy.deepcopy(config)).parameters())
    except Exception:  # noqa: BLE001  some cannot be made without memory
        return 0


def _kinds(cls: type, model_type: str) -> Iterator[type]:
    names = [
        mapping[model_type]
        for mapping in (
            modeling_auto.MODEL_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
        )
        if model_type in mapping
    ]
    first = CLASSES.get(model_type)
    for found in [*([first] if first else []), *names]:
        for name in found if isinstance(found, (list, tuple)) else (found,):
            kind = getattr(transformers, name, None)
            if kind is not None:
                yield kind
    # Towers of composite models have no entry of their own.
    module = inspect.getmodule(cls)
    source = getattr(module, "__name__", "").replace("configuration_", "modeling_")
    try:
        modeling = __import__(source, fromlist=["x"])
    except ImportError:
        return
    for kind in vars(modeling).values():
        if (
            inspect.isclass(kind)
            and issubclass(kind, transformers.PreTrainedModel)
            and getattr(kind, "config_class", None) is cls
            and not kind.__name__.endswith("PreTrainedModel")
        ):
            yield kind


def _configurations(cls: Any, model_type: str, variant: dict[str, int]) -> Iterator[Any]:
    default = cls(**copy.deepcopy(_OVERRIDES.get(model_type, {})))
    shrunk = _shrunk(default.to_dict(), variant) | _OVERRIDES.get(model_type, {})
    shrunk = resized(shrunk, model_type)
    same = [{"num_key_value_heads": shrunk.get("num_attention_heads", HEADS)}, {"head_dim": None}]
    others = [
        {**shrunk, **{name: value for name, value in change.items() if name in shrunk}}
        for change in same
        if shrunk.keys() & change.keys()
    ]
    others.append({name: _filled(name, value) for name, value in shrunk.items()})
    for attempt in [shrunk, *others] if not variant else [shrunk]:
        with contextlib.suppress(Exception):  # the next attempt may do
            yield cls(**copy.deepcopy(attempt))
    if variant:
        return
    for name, value in shrunk.items():
        with contextlib.suppress(Exception):  # what cannot be set stays
            if not isinstance(getattr(default, name, None), transformers.PretrainedConfig):
                setattr(default, name, value)
    yield default


def _shrunk(given: dict[str, Any], variant: dict[str, int]) -> dict[str, Any]:
    drop = {"model_type", "transformers_version", "architectures", "_attn_implementation_autoset"}
    depth = variant.get("depth", DEPTH)
    shrunk = {
        name: _small(name, value, variant) for name, value in given.items() if name not in drop
    }
    if isinstance(given.get("layer_types"), list):
        shrunk["layer_types"] = _kept(given["layer_types"], depth)
    heads, groups = given.get("num_attention_heads"), given.get("num_key_value_heads")
    if isinstance(heads, int) and isinstance(groups, int):
        shrunk["num_key_value_heads"] = HEADS if groups >= heads else 2 if groups > 1 else 1
    for name, value in shrunk.items():
        if name.endswith("token_id") and isinstance(value, int) and value >= VOCABULARY:
            shrunk[name] = VOCABULARY - 1 - sum(map(ord, name)) % 20
    return shrunk


def _small(name: str, value: Any, variant: dict[str, int]) -> Any:
    if isinstance(value, dict):
        if "model_type" in value:
            kind = value["model_type"]
            return {"model_type": kind, **resized(_shrunk(value, variant), kind)}
        if "mrope_section" in value:
            # Its parts add up to half of what is rotated of a head.
            width = variant.get("hidden", HIDDEN) // variant.get("heads", HEADS)
            half = int(width * value.get("partial_rotary_factor", 1.0)) // 2
            return {**value, "mrope_section": [half - 2 * (half // 3), half // 3, half // 3]}
        return value
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        for pattern, number in _NUMBERS:
            if re.search(pattern, name):
                return min(value, _varied(pattern, number, variant)) if value > 0 else value
    if isinstance(value, (list, tuple)) and value and all(type(item) is int for item in value):
        return _small_list(name, list(value))
    return value


def _filled(name: str, value: Any) -> Any:
    """Give an option without a default what its name asks for."""
    if value is not None or name.endswith("token_id"):
        return value
    return next((number for pattern, number in _NUMBERS if re.search(pattern, name)), None)


def _varied(pattern: str, number: int, variant: dict[str, int]) -> int:
    hidden, heads = variant.get("hidden", HIDDEN), variant.get("heads", HEADS)
    if pattern.startswith("^(head_dim"):
        return hidden // heads
    if number == HIDDEN:
        return hidden
    if "layer" in pattern:
        return variant.get("depth", DEPTH)
    return heads if number == HEADS and "head" in pattern else number


def _small_list(name: str, value: list[int]) -> list[int]:
    count = len(value)
    if _DEPTHS.search(name):
        return [min(item, 1 + (index == 0)) for index, item in enumerate(value)]
    if _HEADS.search(name):
        return [min(item, 2) for item in value]
    if _WIDTHS.search(name):
        return [HIDDEN] * count if max(value) > HIDDEN else value
    if re.search(r"image_size|img_size|input_size|crop_size", name):
        return [IMAGE] * count
    return value


def _kept(kinds: list[str], count: int) -> list[str]:
    """Keep ``count`` of the kinds of layers, one of each kind first."""
    first = list(dict.fromkeys(kinds))
    return (
        (first + kinds)[: max(count, len(first))][:count] if len(first) <= count else first[:count]
    )


def _wake(model: nn.Module) -> nn.Module:
    """Draw weights so large that the heads attend to something."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.is_floating_point():
                continue
            if parameter.ndim > 1:
                spread = 1.0 if "embed" in name else 1.2 * parameter[0].numel() ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            elif not re.search(
                "norm|ln_|scale|gamma|lambda|A_log|dt_|temperature", name, re.IGNORECASE
            ):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model
