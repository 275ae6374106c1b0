"""Input audio as a spectrogram: the model's own, or one made of raw samples."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.record.media import Medium

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from attnwidget.capture.media.shares import Shares

__all__ = ["spectrograms"]

_COLUMNS = 1024  # about as many as a wide notebook shows
_BANDS = 64
_SAMPLING_RATE = 16_000
_HOP_SECONDS = 0.01
_WINDOW = 400  # samples; 25 ms, as in the log-mel spectrograms that models are given
_RANGE = 8.0  # natural logarithm of power: 35 decibels below the loudest is shown as silence


def spectrograms(
    given: Mapping[str, Tensor], config: Any, processor: Any, shares: Shares
) -> list[tuple[Medium, float]]:
    """Find the sounds of one row of the batch.

    Args:
        given: Inputs of the model by name.
        config: The model's configuration.
        processor: The feature extractor, or what holds one, or ``None``.
        shares: Whose they are.

    Returns:
        Their spectrograms, lowest band first, each with the seconds of it that are no padding.
    """
    extractor = getattr(processor, "feature_extractor", processor)
    rate = getattr(extractor, "sampling_rate", None) or getattr(config, "sampling_rate", None)
    for name in ("input_features", "input_values"):
        audio = given.get(name)
        if audio is None or not audio.is_floating_point():
            continue
        part = shares.of(len(audio), "audio")
        if part is None or not audio[part].numel():
            continue
        # Without tokens in a text, one row is one sound, whatever its first axis counts.
        several = bool(sum(shares.tokens.get("audio", ())))
        own = range(len(audio))[part]
        found = [
            (_spectrogram(audio[number], config, extractor, rate), _real(given, audio, number))
            for number in (own if several else own[:1])
        ]
        whole = [(each, share * (each.seconds or 0)) for each, share in found if each is not None]
        if whole:
            return whole
    return []


def _real(given: Mapping[str, Tensor], audio: Tensor, number: int) -> float:
    """Return how much of a sound is no padding, from 0 to 1."""
    for name in ("feature_attention_mask", "input_features_mask", "padding_mask"):
        mask = given.get(name)
        if mask is None or mask.ndim != 2 or len(mask) != len(audio):
            continue
        if mask.shape[1] in audio.shape[1:]:
            return float(mask[number].bool().float().mean()) or 1.0
    return 1.0


def _spectrogram(audio: Tensor, config: Any, extractor: Any, rate: Any) -> Medium | None:
    single = audio.detach().float().cpu().nan_to_num()
    if single.ndim == 2 and 1 not in single.shape:
        hop = getattr(extractor, "hop_length", None)
        step = hop / rate if isinstance(hop, (int, float)) and rate else _HOP_SECONDS
        bands = _bands_first(single, config)
        return Medium(
            "spectrogram",
            _grey(bands),
            seconds=round(bands.shape[1] * step, 6),
            frequencies=_band_middles(extractor, rate, bands.shape[0]),
        )
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
        frequencies=_shown(torch.linspace(0, rate / 2, len(level))),
    )


def _band_middles(extractor: Any, rate: Any, bands: int) -> tuple[float, ...] | None:
    """Return the middle of each band that is shown in Hz, by the extractor's own filters; None where it tells none."""
    filters = getattr(extractor, "mel_filters", None)
    if filters is None or not isinstance(rate, (int, float)):
        return None
    weights = torch.as_tensor(filters, dtype=torch.float64)
    if weights.ndim != 2 or bands not in weights.shape:
        return None
    # Filters are kept as [frequency, band] or the other way round; there are more frequencies than bands.
    weights = weights if weights.shape[1] == bands else weights.T
    frequencies = torch.linspace(0, rate / 2, len(weights), dtype=torch.float64)
    middles = (weights * frequencies[:, None]).sum(0) / weights.sum(0)
    # A band without any frequency in it has no middle.
    return _shown(middles) if bool(middles.isfinite().all()) else None


def _shown(middles: Tensor) -> tuple[float, ...] | None:
    """Pool the middles of bands as `_grey` pools the bands."""
    size = min(_BANDS, len(middles))
    pooled = torch.nn.functional.adaptive_avg_pool1d(middles[None, None].double(), size)[0, 0]
    found = tuple(round(one, 3) for one in pooled.tolist())
    return found if all(low < high for low, high in pairwise(found)) else None


def _grey(bands: Tensor) -> Any:
    """Scale to uint8, with at most 64 bands and 1,024 columns."""
    size = (min(_BANDS, bands.shape[0]), min(_COLUMNS, bands.shape[1]))
    pooled = torch.nn.functional.adaptive_avg_pool2d(bands[None], size)[0]
    low, high = float(pooled.min()), float(pooled.max())
    return ((pooled - low) / max(high - low, 1e-12) * 255).round().to(torch.uint8).numpy()
