"""Input audio as a spectrogram: the model's own, or one made of raw samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.media.images import row_share
from attnwidget.record.media import Medium

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["spectrogram"]

_COLUMNS = 1024  # about as many as a wide notebook shows
_BANDS = 64
_SAMPLING_RATE = 16_000
_HOP_SECONDS = 0.01
_WINDOW = 400  # samples; 25 ms, as in the log-mel spectrograms that models are given
_RANGE = 8.0  # natural logarithm of power: 35 decibels below the loudest is shown as silence


def spectrogram(
    given: Mapping[str, Tensor], config: Any, processor: Any, row: int, rows: int
) -> Medium | None:
    """Find the audio of one row of the batch.

    Args:
        given: Inputs of the model by name.
        config: The model's configuration.
        processor: The feature extractor, or what holds one, or ``None``.
        row: Row that is recorded.
        rows: Rows of the batch.

    Returns:
        The spectrogram, lowest band first, or ``None`` where there is no audio.
    """
    extractor = getattr(processor, "feature_extractor", processor)
    rate = getattr(extractor, "sampling_rate", None) or getattr(config, "sampling_rate", None)
    for name in ("input_features", "input_values"):
        audio = given.get(name)
        if audio is None or not audio.is_floating_point():
            continue
        own = row_share(audio, row, rows)
        if own is None or not own.numel():
            continue
        single = own[0].detach().float().cpu().nan_to_num()
        if single.ndim == 2 and 1 not in single.shape:
            hop = getattr(extractor, "hop_length", None)
            step = hop / rate if isinstance(hop, (int, float)) and rate else _HOP_SECONDS
            bands = _bands_first(single, config)
            return Medium("spectrogram", _grey(bands), seconds=round(bands.shape[1] * step, 6))
        if single.numel() > _WINDOW:
            return _of_samples(single.flatten(), float(rate or _SAMPLING_RATE))
    return None


def _bands_first(features: Tensor, config: Any) -> Tensor:
    """Bring a spectrogram into ``[band, frame]``: models disagree, the number of bands tells."""
    for part in (
        config,
        *(getattr(config, f"{name}_config", None) for name in ("audio", "encoder", "thinker")),
    ):
        bands = getattr(part, "num_mel_bins", None)
        if bands in features.shape:
            return features if features.shape[0] == bands else features.T
    return features if features.shape[0] <= features.shape[1] else features.T


def _of_samples(samples: Tensor, rate: float) -> Medium:
    hop = max(_WINDOW // 4, -(-len(samples) // _COLUMNS))
    window = max(_WINDOW, hop)
    power = (
        torch.stft(samples, window, hop, window=torch.hann_window(window), return_complex=True)
        .abs()
        .square()
    )
    # Frames are centred at multiples of the hop; the last one at the end.
    level = (power[:, : len(samples) // hop or 1] + 1e-10).log()
    return Medium(
        "spectrogram",
        _grey(level.clamp(min=float(level.max()) - _RANGE)),
        seconds=round(len(samples) / rate, 6),
    )


def _grey(bands: Tensor) -> Any:
    """Scale to uint8, with at most 64 bands and 1,024 columns."""
    size = (min(_BANDS, bands.shape[0]), min(_COLUMNS, bands.shape[1]))
    pooled = torch.nn.functional.adaptive_avg_pool2d(bands[None], size)[0]
    low, high = float(pooled.min()), float(pooled.max())
    return ((pooled - low) / max(high - low, 1e-12) * 255).round().to(torch.uint8).numpy()
