"""Tiny models that see and hear, and what to show them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers as hf
from PIL import Image, ImageDraw
from support import zoo

IMAGE_TOKEN, VIDEO_TOKEN = 98, 97
TEXT = {
    "vocab_size": 99,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_VISION = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
}


class Processor:
    """What a processor knows of colours."""

    image_mean = (0.5, 0.4, 0.3)
    image_std = (0.5, 0.25, 0.2)


def picture(width: int = 48, height: int = 32) -> Image.Image:
    """Shapes on a gradient, everywhere different."""
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([40 + 160 * x / width, 60 + 120 * y / height, 200 - 120 * y / height], -1)
    image = Image.fromarray(base.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse([width // 8, height // 4, width // 2, 3 * height // 4], fill=(220, 40, 40))
    draw.rectangle(
        [5 * width // 8, height // 2, 7 * width // 8, 7 * height // 8], fill=(250, 220, 60)
    )
    return image


def pixel_values(image: Image.Image) -> torch.Tensor:
    """The picture as `Processor` would make it, ``[1, 3, height, width]``."""
    values = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    mean, deviation = torch.tensor([Processor.image_mean, Processor.image_std])[..., None, None]
    return ((values - mean) / deviation)[None]


def packed(
    image: Image.Image, patch: int, merge: int, depth: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The picture as Qwen2-VL's processor packs it: patches that merge together stand together."""
    frame = pixel_values(image)[0]
    rows, columns = frame.shape[1] // patch, frame.shape[2] // patch
    cut = frame.expand(depth, -1, -1, -1).reshape(
        1, depth, 3, rows // merge, merge, patch, columns // merge, merge, patch
    )
    cut = cut.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
    return cut.reshape(rows * columns, -1), torch.tensor([[1, rows, columns]])


def vit(**options: Any) -> Any:
    """ViT over 32 x 48 pixels in patches of 8: 4 x 6, after [CLS]."""
    config = hf.ViTConfig(**_VISION, **{"image_size": (32, 48), "patch_size": 8, **options})
    return zoo.wake(hf.ViTModel(config))


def swin() -> Any:
    """Swin with two stages, of 8 x 8 and 4 x 4 patches, in windows of 4."""
    config = hf.SwinConfig(
        image_size=32, patch_size=4, embed_dim=12, depths=[2, 1], num_heads=[2, 3], window_size=4
    )
    return zoo.wake(hf.SwinModel(config))


def segformer() -> Any:
    """SegFormer with two stages, of 8 x 12 and 4 x 6 patches, whose keys are merged 4 x 4 and 2 x 2."""
    config = hf.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[4, 2],
        hidden_sizes=[12, 24],
        num_attention_heads=[2, 3],
        patch_sizes=[7, 3],
        strides=[4, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=12,
    )
    return zoo.wake(hf.SegformerModel(config))


def clip() -> Any:
    """CLIP: a vision tower and a text tower."""
    vision = {**_VISION, "image_size": 32, "patch_size": 8}
    text = {key: value for key, value in TEXT.items() if key != "num_key_value_heads"}
    return zoo.wake(
        hf.CLIPModel(hf.CLIPConfig(vision_config=vision, text_config=text, projection_dim=12))
    )


def llava() -> Any:
    """LLaVA: 16 image tokens for each picture of 32 x 32 pixels."""
    config = hf.LlavaConfig(
        vision_config={
            **_VISION,
            "model_type": "clip_vision_model",
            "image_size": 32,
            "patch_size": 8,
            "projection_dim": 12,
        },
        text_config={**TEXT, "model_type": "llama"},
        image_token_index=IMAGE_TOKEN,
    )
    return zoo.wake(hf.LlavaForConditionalGeneration(config))


def qwen(family: str) -> Any:
    """Qwen2-VL or Qwen2.5-VL with patches of 4 pixels, merged two by two; the latter with windows of 16 pixels."""
    vision = {
        "depth": 2,
        "embed_dim": 24,
        "hidden_size": 24,
        "out_hidden_size": 24,
        "intermediate_size": 32,
        "num_heads": 3,
        "in_channels": 3,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "mlp_ratio": 2,
        "window_size": 16,
        "fullatt_block_indexes": [1],
    }
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}
    config = getattr(hf, f"{family}Config")(
        vision_config=vision,
        text_config={**TEXT, "rope_parameters": rope},
        image_token_id=IMAGE_TOKEN,
        video_token_id=VIDEO_TOKEN,
        vision_start_token_id=96,
        vision_end_token_id=95,
    )
    return zoo.wake(getattr(hf, f"{family}ForConditionalGeneration")(config))


def pix2struct() -> Any:
    """Pix2Struct's vision tower: patches carry their row and column."""
    config = hf.Pix2StructVisionConfig(
        hidden_size=24,
        patch_embed_hidden_size=48,
        d_ff=32,
        d_kv=8,
        num_hidden_layers=2,
        num_attention_heads=3,
        patch_size=4,
        seq_len=64,
    )
    return zoo.wake(hf.Pix2StructVisionModel(config))


def videomae() -> Any:
    """VideoMAE over 4 frames of 16 x 16 pixels, two frames to a patch."""
    config = hf.VideoMAEConfig(**_VISION, image_size=16, patch_size=8, num_frames=4, tubelet_size=2)
    return zoo.wake(hf.VideoMAEModel(config))


def wav2vec2() -> Any:
    """Wav2Vec2 with 320 samples to a frame."""
    config = hf.Wav2Vec2Config(
        **_VISION,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        vocab_size=12,
        num_feat_extract_layers=7,
    )
    return zoo.wake(hf.Wav2Vec2Model(config))


def chirp(seconds: float = 1.0) -> np.ndarray:
    """A tone that rises from 300 to 4,300 hertz in a second."""
    t = np.arange(int(16_000 * seconds)) / 16_000
    return np.sin(2 * np.pi * (300 * t + 2000 * t**2)).astype(np.float32)
