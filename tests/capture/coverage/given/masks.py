"""Inputs of models that segment: images with prompts, and the parts between which their features pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers

if TYPE_CHECKING:
    from collections.abc import Callable


def _points(make: Any) -> dict[str, Any]:
    """An image and two points on it."""
    return {
        "pixel_values": make.normal(2, 3, 64, 64),
        "input_points": torch.tensor([[[[10.0, 20.0], [40.0, 30.0]]]] * 2),
        "input_labels": torch.ones(2, 1, 2, dtype=torch.long),
    }


def _session(name: str) -> Callable[[Any], dict[str, Any]]:
    """A video of two frames, with two points of one object on the first."""

    def made(make: Any) -> dict[str, Any]:
        kind = getattr(transformers, f"{name}InferenceSession")
        session = kind(
            video=make.normal(2, 3, 64, 64), video_height=64, video_width=64, dtype=torch.float32
        )
        index = session.obj_id_to_idx(1)
        points = {
            "point_coords": torch.tensor([[[[10.0, 20.0], [40.0, 30.0]]]]),
            "point_labels": torch.ones(1, 1, 2, dtype=torch.int32),
        }
        session.add_point_inputs(index, 0, points)
        session.obj_with_new_inputs = [1]
        return {"inference_session": session, "frame_idx": 0}

    return made


def _words(make: Any) -> dict[str, Any]:
    """A video of two frames, and words for what is to be found in it."""
    session = transformers.models.sam3_video.modeling_sam3_video.Sam3VideoInferenceSession(
        video=make.normal(2, 3, 64, 64), video_height=64, video_width=64, dtype=torch.float32
    )
    prompt = session.add_prompt("a dog")
    session.prompt_input_ids[prompt] = make.ids(5)[:1]
    session.prompt_attention_masks[prompt] = torch.ones(1, 5, dtype=torch.long)
    return {"inference_session": session, "frame_idx": 0}


def _detr_encoder(make: Any) -> dict[str, Any]:
    width = make.config.hidden_size
    return {
        "vision_features": [make.normal(2, width, 4, 4)],
        "vision_pos_embeds": [make.normal(2, width, 4, 4)],
        "text_features": make.normal(2, 5, width),
        "text_mask": make.mask(5, 3).bool(),
    }


def _detr_decoder(make: Any) -> dict[str, Any]:
    width = make.config.hidden_size
    return {
        "vision_features": make.normal(2, 16, width),
        "vision_pos_encoding": make.normal(2, 16, width),
        "text_features": make.normal(2, 5, width),
        "text_mask": make.mask(5, 3).bool(),
        "spatial_shapes": torch.tensor([[4, 4]]),
    }


def _mask_decoder(make: Any) -> dict[str, Any]:
    width = make.config.hidden_size
    return {
        "decoder_queries": make.normal(2, 6, width),
        "backbone_features": [make.normal(2, width, side, side) for side in (16, 8, 4)],
        "encoder_hidden_states": make.normal(2, 16, width),
        "prompt_features": make.normal(2, 5, width),
        "prompt_mask": make.mask(5, 3).bool(),
    }


def _oneformer(make: Any) -> dict[str, Any]:
    return {
        "pixel_values": make.normal(2, 3, 64, 64),
        "task_inputs": make.ids(make.config.task_seq_len),
        "pixel_mask": torch.ones(2, 64, 64, dtype=torch.long),
    }


GIVEN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "edgetam_video": _session("EdgeTamVideo"),
    "oneformer": _oneformer,
    "sam": _points,
    "sam2": _points,
    "sam2_video": _session("Sam2Video"),
    "sam3_detr_decoder": _detr_decoder,
    "sam3_detr_encoder": _detr_encoder,
    "sam3_lite_text_detr_decoder": _detr_decoder,
    "sam3_lite_text_detr_encoder": _detr_encoder,
    "sam3_lite_text_mask_decoder": _mask_decoder,
    "sam3_mask_decoder": _mask_decoder,
    "sam3_tracker": _points,
    "sam3_video": _words,
    "sam3_tracker_video": _session("Sam3TrackerVideo"),
    "sam_hq": _points,
}
