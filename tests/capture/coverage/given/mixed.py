"""Inputs of models of several things at once: text with an image, with features of regions, with a page's layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from capture.coverage.given.texts import boxes

if TYPE_CHECKING:
    from collections.abc import Callable


def _idefics(make: Any) -> dict[str, Any]:
    size = make.config.vision_config.image_size
    return {
        **make.text(),
        "pixel_values": make.normal(2, 1, 3, size, size),
        "image_attention_mask": torch.ones(2, 12, 1, dtype=torch.long),
    }


def _idefics2_perceiver(make: Any) -> dict[str, Any]:
    return {
        "context": make.normal(2, 12, make.config.hidden_size),
        "attention_mask": make.mask(),
    }


def _instructblip(make: Any) -> dict[str, Any]:
    """An image, a question of it, and a text that begins with the places of the image's queries."""
    text = make.text()
    count = make.config.num_query_tokens
    frames = 4 if "video" in make.config.model_type else 1
    place = getattr(make.config, "image_token_index", None) or getattr(
        make.config, "video_token_index", None
    )
    size = make.config.vision_config.image_size
    images = (2, frames, 3, size, size) if frames > 1 else (2, 3, size, size)
    if place is not None:
        text = {
            "input_ids": torch.cat(
                [torch.full((2, count * frames), place), text["input_ids"]], dim=1
            ),
            "attention_mask": torch.cat(
                [torch.ones(2, count * frames).long(), text["attention_mask"]], dim=1
            ),
        }
    return {
        "pixel_values": make.normal(*images),
        "qformer_input_ids": make.ids(7),
        "qformer_attention_mask": make.mask(7, 5),
        **text,
        "decoder_input_ids": make.ids(5),
    }


def _kosmos2(make: Any) -> dict[str, Any]:
    places = torch.zeros(2, 12, dtype=torch.long)
    places[:, 1 : 1 + make.config.latent_query_num] = 1
    size = make.config.vision_config.image_size
    return {
        **make.text(),
        "pixel_values": make.normal(2, 3, size, size),
        "image_embeds_position_mask": places,
    }


def _layoutlmv3(make: Any) -> dict[str, Any]:
    size = make.config.input_size
    return {**make.text(), "bbox": boxes(make, 12), "pixel_values": make.normal(2, 3, size, size)}


def _lxmert(make: Any) -> dict[str, Any]:
    return {
        **make.text(),
        "visual_feats": make.normal(2, 6, make.config.visual_feat_dim),
        "visual_pos": make.normal(2, 6, make.config.visual_pos_dim).sigmoid(),
        "visual_attention_mask": make.mask(6, 4),
    }


def _omdet(make: Any) -> dict[str, Any]:
    """An image, a task, and three classes to find in each of two images."""
    return {
        "pixel_values": make.normal(2, 3, 64, 64),
        "classes_input_ids": torch.cat([make.ids(5) for _ in range(3)]),
        "classes_attention_mask": torch.ones(6, 5, dtype=torch.long),
        "tasks_input_ids": make.ids(7),
        "tasks_attention_mask": make.mask(7, 5),
        "classes_structure": torch.tensor([3, 3]),
    }


def _pi0(make: Any) -> dict[str, Any]:
    """A camera's image, a command behind the places of its patches, and what the arm is to do."""
    vlm = make.config.vlm_config
    size, count = vlm.vision_config.image_size, vlm.text_config.num_image_tokens
    places = torch.full((2, count), vlm.image_token_id)
    mask = torch.cat([torch.ones(2, count, dtype=torch.long), make.mask()], dim=1)
    return {
        "action_embeds": make.normal(2, 5, make.config.dit_config.hidden_size),
        "input_ids": torch.cat([places, make.ids(12)], dim=1),
        "attention_mask": mask,
        "pixel_values": make.normal(2, 1, 3, size, size),
        "pixel_attention_mask": torch.ones(2, 1, dtype=torch.bool),
    }


def _text_and_image(make: Any) -> dict[str, Any]:
    return {**make.text(), "pixel_values": make.normal(2, 3, 64, 64)}


GIVEN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "idefics": _idefics,
    "idefics2_perceiver": _idefics2_perceiver,
    "instructblip": _instructblip,
    "instructblipvideo": _instructblip,
    "kosmos-2": _kosmos2,
    "layoutlmv3": _layoutlmv3,
    "lxmert": _lxmert,
    "omdet-turbo": _omdet,
    "pi0": _pi0,
    "vision-text-dual-encoder": _text_and_image,
}
