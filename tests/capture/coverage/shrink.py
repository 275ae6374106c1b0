"""Makes the configuration of any model type tiny: rules about what its options are called, then its recipe."""

from __future__ import annotations

import contextlib
import copy
import re
from typing import TYPE_CHECKING, Any

import transformers
from capture.coverage.parts import default_of, everywhere, merged_with, parts_made, set_each
from capture.coverage.recipes import DEPTH, HEADS, HIDDEN, IMAGE, PATCH, RECIPES, VOCABULARY
from capture.coverage.sizes import resized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The first rule whose pattern is found in an option's name says what becomes of it.
_NUMBERS: tuple[tuple[str, int], ...] = (
    (r"^(vocab_size|.*_vocab_size|num_tokens|vocab_size_.*|.*_group_vocab)$", VOCABULARY),
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
    (r"^(num_experts_per_tok|num_experts_per_token|top_k_experts|moe_k|top_k|moe_topk)$", 2),
    (r"^(n_group|num_expert_group|topk_group|n_shared_experts)$", 1),
    (r"^(num_mel_bins|num_mels)$", 16),
    (r"^(num_queries|num_query_tokens|num_latents|n_query|num_object_queries)$", 6),
    (r"^(num_labels|num_classes)$", 3),
    (r"(conv_dim|conv_channels)$", 16),
    (r"base_channels$", 32),
    (r"^(num_groups|norm_num_groups)$", 4),
    (r"^mm_tokens_per_image$", 4),
    (r"^hidden_size_global$", HIDDEN),
    (r"^num_self_attends_per_block$", DEPTH),
    (r"(^d_latents|upsample_initial_channel)$", HIDDEN),
)  # fmt: skip
_WIDTHS = re.compile(r"(hidden_sizes|embed_dims|dims|channels|widths|embed_dim|conv_dim)$")
_HEADS = re.compile(r"heads")
_TOKEN = re.compile(r"token_(id|index|idx)$")
# What stands for a picture or a sound in a text must not be drawn as a word: these are the last of the vocabulary.
_PLACES = (
    "image",
    "video",
    "audio",
    "vision_start",
    "vision_end",
    "image_start",
    "image_end",
    "audio_start",
)
_LAYERS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer")
_DEPTHS = re.compile(r"(depths|num_layers|layers|num_blocks|stage_repeats|layer_repeats)$")


def configurations(model_type: str, variant: dict[str, int]) -> Iterator[Any]:
    """Make tiny configurations of a type, likeliest first.

    Args:
        model_type: The type.
        variant: Sizes other than the usual ones: "depth", "hidden", "heads".
    """
    cls = transformers.CONFIG_MAPPING[model_type]
    default = default_of(cls, copy.deepcopy(RECIPES.get(model_type, {})))
    shrunk = _shrunk(default, variant)
    for change in _CHANGES if not variant else _CHANGES[:1]:
        with contextlib.suppress(Exception):  # the next attempt may do
            options = copy.deepcopy(everywhere(shrunk, change))
            yield cls(**parts_made(default, options))
    if variant:
        return
    set_each(default, shrunk)
    yield default


def _shrunk(config: Any, variant: dict[str, int]) -> dict[str, Any]:
    """Work out the tiny values of a configuration and of the configurations it is made of."""
    given = {
        name: value
        for name, value in config.to_dict().items()
        if name not in {"model_type", "transformers_version", "architectures", "sub_configs"}
    }
    shrunk: dict[str, Any] = {}
    for name, value in given.items():
        part = vars(config).get(name)
        if isinstance(part, transformers.PretrainedConfig):
            shrunk[name] = {"model_type": part.model_type, **_shrunk(part, variant)}
        else:
            shrunk[name] = _small(name, value, variant)
    shrunk |= _layerwise(given, shrunk, variant.get("depth", DEPTH))
    _stages(given, shrunk)
    _groups(given, shrunk)
    if {"qk_head_dim", "qk_nope_head_dim", "qk_rope_head_dim"} <= shrunk.keys():
        shrunk["qk_head_dim"] = shrunk["qk_nope_head_dim"] + shrunk["qk_rope_head_dim"]
    shrunk |= {name: _token(name, value) for name, value in shrunk.items() if _TOKEN.search(name)}
    return resized(merged_with(shrunk, RECIPES.get(config.model_type, {})), config.model_type)


def _stages(given: dict[str, Any], shrunk: dict[str, Any]) -> None:
    """Put right what a backbone gives out."""
    if "depths" in given:
        shrunk.pop("num_layers", None)
    names, wanted = shrunk.pop("stage_names", None), given.get("out_indices")
    if not names or not wanted:
        return
    shrunk.pop("out_indices")
    layers = given.get("num_hidden_layers")
    if (
        len(names) == (layers or 0) + 1
    ):  # each layer is a stage: as many as are wanted, and these are the last ones
        shrunk["num_hidden_layers"] = depth = max(shrunk["num_hidden_layers"], len(wanted))
        shrunk["out_features"] = [f"stage{depth - index}" for index in range(len(wanted))][::-1]


def _layerwise(given: dict[str, Any], shrunk: dict[str, Any], depth: int) -> dict[str, Any]:
    """Work out the options that say something of every layer, for the layers that are left."""
    layers = next((given[name] for name in _LAYERS if isinstance(given.get(name), int)), 0)
    kinds = given.get("layer_types")
    kept = _kept(kinds, depth) if isinstance(kinds, list) else list(range(depth))
    options = {
        name: [_small(name, value[layer], {}) for layer in kept]
        for name, value in given.items()
        if isinstance(value, list) and len(value) == layers > depth and "depths" not in given
    }
    own = {int(layer): values for layer, values in (given.get("per_layer_config") or {}).items()}
    if own:
        options["per_layer_config"] = {
            new: {
                name: _apart(_small(name, value, {}), value, shrunk.get(name), given.get(name))
                for name, value in own[old].items()
            }
            for new, old in enumerate(kept)
            if old in own
        }
        for new, values in options["per_layer_config"].items():
            _groups(own[kept[new]], values)
    return options


def _groups(given: dict[str, Any], shrunk: dict[str, Any]) -> None:
    """Keep whether heads share keys."""
    heads, groups = given.get("num_attention_heads"), given.get("num_key_value_heads")
    if isinstance(heads, int) and isinstance(groups, int):
        shrunk["num_key_value_heads"] = HEADS if groups >= heads else 2 if groups > 1 else 1


def _apart(small: Any, value: Any, shrunk: Any, given: Any) -> Any:
    """Keep what a layer has of its own apart from what all have, also when both are small."""
    if type(value) is int and small == shrunk and given and value % given == 0:
        return small * (value // given)
    return small


def _token(name: str, value: Any) -> Any:
    """Give a special token an id that the vocabulary has, and that no other has and no text."""
    stem = _TOKEN.sub("", name).rstrip("_")
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if stem in _PLACES:
        return VOCABULARY - 1 - _PLACES.index(stem)
    return VOCABULARY - 11 - sum(map(ord, name)) % 20 if value >= VOCABULARY else value


def _one_group(options: dict[str, Any]) -> dict[str, Any]:
    if "num_key_value_heads" not in options:
        return options
    return {**options, "num_key_value_heads": options.get("num_attention_heads", HEADS)}


def _no_head_dim(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "head_dim"}


def _all_filled(options: dict[str, Any]) -> dict[str, Any]:
    return {name: _filled(name, value) for name, value in options.items()}


_CHANGES: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    dict,
    _one_group,
    _no_head_dim,
    _all_filled,
)


def _small(name: str, value: Any, variant: dict[str, int]) -> Any:
    if isinstance(value, dict):
        if "mrope_section" in value:
            # Its parts add up to half of what is rotated of a head.
            width = variant.get("hidden", HIDDEN) // variant.get("heads", HEADS)
            half = int(width * value.get("partial_rotary_factor", 1.0)) // 2
            return {**value, "mrope_section": [half - 2 * (half // 3), half // 3, half // 3]}
        return value
    if isinstance(value, bool) or value is None:
        return value
    if name == "image_grid_pinpoints":
        return [[IMAGE, IMAGE]]
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


def _kept(kinds: list[Any], count: int) -> list[int]:
    """Which ``count`` of the layers are kept: one of each kind first."""
    firsts = [kinds.index(kind) for kind in dict.fromkeys(kinds)]
    others = [layer for layer in range(len(kinds)) if layer not in firsts]
    return sorted((firsts + others)[:count])
