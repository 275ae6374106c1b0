"""Series whose channels are rows of the batch: labels say channel and patch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from attnwidget.recordings import capture


def record(kind: Any, channels: int, **options: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.PatchTSTConfig(
        num_input_channels=channels,
        context_length=32,
        patch_length=8,
        patch_stride=8,
        d_model=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=16,
        prediction_length=4,
        num_targets=2,
        **options,
    )
    return capture(kind(config).eval(), {"past_values": torch.randn(1, 32, channels)})


def labels(stream: Any) -> list[str]:
    assert {position.kind for position in stream.key_positions} == {"latent"}
    assert stream.query_positions == stream.key_positions
    return [position.label for position in stream.key_positions]


@pytest.mark.parametrize("channels", [2, 3])
def test_channels_of_patches(channels: int) -> None:
    for kind in (transformers.PatchTSTForPrediction, transformers.PatchTSTForClassification):
        found = labels(record(kind, channels)["encoder"])
        assert found == [f"ch{c} p{p}" for c in range(channels) for p in range(4)]


def test_a_class_token_of_each_channel() -> None:
    attention = record(transformers.PatchTSTForClassification, 3, use_cls_token=True)
    names = ["[CLS]", "p0", "p1", "p2", "p3"]
    for stream in attention.streams.values():
        assert labels(stream) == [f"ch{c} {name}" for c in range(3) for name in names]


@pytest.mark.parametrize("channels", [3, 4])
def test_channels_of_one_patch_attend_to_each_other(channels: int) -> None:
    attention = record(transformers.PatchTSTForPrediction, channels, channel_attention=True)
    assert labels(attention["encoder"]) == [
        f"ch{c} p{p}" for c in range(channels) for p in range(4)
    ]
    across = labels(attention["encoder part 2"])
    assert across == [f"ch{c} p{p}" for p in range(4) for c in range(channels)]


class Folded(torch.nn.Module):
    """A model of one's own that folds channels into the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.read = torch.nn.Linear(8, 16)
        self.attn = torch.nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        rows, time, channels = series.shape
        x = self.read(series.mT.reshape(rows * channels, time // 8, 8))
        return self.attn(x, x, x)[0]


def test_a_model_of_ones_own() -> None:
    torch.manual_seed(0)
    attention = capture(Folded().eval(), torch.randn(1, 32, 3))
    assert labels(attention["encoder"]) == [f"ch{c} p{p}" for c in range(3) for p in range(4)]
