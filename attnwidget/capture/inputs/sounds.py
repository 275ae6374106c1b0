"""Sounds as people have them (arrays, rows of a data set) to model inputs, through the model's feature extractor."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.capture.architecture.stream_names import main_input_name
from attnwidget.capture.hints import Hints
from attnwidget.capture.inputs.processors import find_processor, images_in

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

__all__ = ["Sounds", "find_sounds", "run_extractor"]

# What models call the features of a sound, or the sound itself.
_INPUTS = ("input_features", "input_values")

# More channels than this are no channels: a spectrogram, or several sounds of one length.
_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class Sounds:
    """Sounds that have to go through a feature extractor.

    Attributes:
        arrays: Their samples, float32 ``[sample]``.
        rate: Samples a second, or ``None`` where it was not given.
        several: Whether they were given as a list, and so make a batch.
        more: What was given besides, by name: the text of a model that reads both.
    """

    arrays: tuple[NDArray[np.float32], ...]
    rate: int | None
    several: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)


def _reads_sound(model: nn.Module) -> bool:
    """Tell whether the main input of a model is a sound or its features."""
    return main_input_name(model) in _INPUTS


def _feature_extractor(processor: Any) -> Any:
    """Return the feature extractor for sounds that a processor is or holds, or ``None``."""
    inner = getattr(processor, "feature_extractor", processor)
    return inner if getattr(inner, "sampling_rate", None) is not None else None


def find_sounds(model: nn.Module, inputs: Any, processor: Any) -> Sounds | None:
    """Find the sounds in what a caller gave, or return ``None`` where there are none.

    Args:
        model: The model.
        inputs: ``{"array": …, "sampling_rate": …}``, a row of a data set, ``{"audio": …}``, or samples ``[sample]``, alone
            or in a list. Samples alone are only taken for a sound where there is a feature extractor, or the model
            reads features and no samples.
        processor: The processor or feature extractor that the caller gave, or ``None``.

    Raises:
        ValueError: If it is a sound that cannot be used: integers, several channels, no samples.
    """
    if isinstance(inputs, Mapping):
        if _is_row(inputs):
            return _joined([_read(inputs)], several=False, more={})
        given = inputs.get("audio")
        if given is None:
            return None
        rows = list(given) if _is_list(given) else [given]
        more = {name: inputs[name] for name in inputs if name not in {"audio", "sampling_rate"}}
        sounds = _joined([_read(row) for row in rows], several=_is_list(given), more=more)
        rate = inputs.get("sampling_rate", sounds.rate)
        return Sounds(sounds.arrays, rate, sounds.several, more)
    if _is_decoder(inputs):
        return _joined([_read(inputs)], several=False, more={})
    extractor = _feature_extractor(processor)
    if not _may_read_sound(model) or (
        extractor is None and main_input_name(model) != "input_features"
    ):
        return None
    if _is_list(inputs) and all(_is_samples(row, model, extractor) for row in inputs):
        return _joined([_read(row) for row in inputs], several=True, more={})
    if _is_samples(inputs, model, extractor):
        return _joined([_read(inputs)], several=False, more={})
    return None


def run_extractor(
    model: nn.Module, sounds: Sounds, processor: Any
) -> tuple[Mapping[str, Any], Any, Hints]:
    """Let the feature extractor, or the processor that holds it, make a model's inputs.

    Args:
        model: The model.
        sounds: The sounds.
        processor: What the caller gave; where it is none, or a tokenizer, the one is looked up that goes with the model.

    Returns:
        The model's inputs, what labels its tokens, and what else is known.

    Raises:
        ValueError: If there is no processor, the sounds have another sampling rate than it takes, or the model reads text
            as well.

    Warns:
        UserWarning: If it cuts the sound off.
    """
    words = processor
    if processor is None or hasattr(processor, "convert_ids_to_tokens"):
        processor = find_processor(model)
    words = processor if words is None else words
    extractor = _feature_extractor(processor)
    rate = sounds.rate
    if extractor is not None:
        _check_rate(sounds, extractor)
        rate = int(extractor.sampling_rate)
        _warn_if_cut(sounds, extractor)
    _check_text(model, sounds, processor)
    given: Any = list(sounds.arrays) if sounds.several else sounds.arrays[0]
    options = dict(sounds.more) | ({} if rate is None else {"sampling_rate": rate})
    if sounds.several and "input_values" in _parameters(model):
        options.setdefault("padding", True)
    text = sounds.more.get("text")
    hints = Hints(text if isinstance(text, str) else None, images=tuple(images_in(sounds.more)))
    if extractor is processor or not _takes_by_name(processor):
        return processor(given, **options, return_tensors="pt"), words, hints
    return processor(audio=given, **options, return_tensors="pt"), words, hints


def _is_row(value: Any) -> bool:
    """Tell whether a value is a sound as data sets and pipelines give it."""
    return isinstance(value, Mapping) and (
        value.keys() >= {"array", "sampling_rate"} or value.keys() >= {"raw", "sampling_rate"}
    )


def _is_decoder(value: Any) -> bool:
    """Tell whether a value is a sound that is decoded when it is asked for, as newer data sets give it."""
    return callable(getattr(value, "get_all_samples", None))


def _is_list(value: Any) -> bool:
    """Tell whether a value is a list of sounds, and no list of samples."""
    return isinstance(value, (list, tuple)) and len(value) > 0 and not _is_number(value[0])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number))


def _is_samples(value: Any, model: nn.Module, extractor: Any) -> bool:
    """Tell samples from what a feature extractor made: those of one sound have one axis, its features two and more."""
    if isinstance(value, (list, tuple)):
        return len(value) > 0 and all(isinstance(item, (float, np.floating)) for item in value)
    if not isinstance(value, (np.ndarray, torch.Tensor)):
        return False
    if value.ndim == 1:
        # Integers are ids, unless the model reads nothing but sounds.
        return _is_floating(value) or "input_ids" not in _parameters(model)
    size = getattr(extractor, "feature_size", None)
    few = value.ndim == 2 and min(value.shape) <= _CHANNELS < max(value.shape)
    return (
        few
        and size is not None
        and size not in value.shape
        and main_input_name(model) == "input_features"
    )


def _is_floating(value: Any) -> bool:
    return bool(
        value.is_floating_point()
        if isinstance(value, torch.Tensor)
        else np.issubdtype(value.dtype, np.floating)
    )


def _read(value: Any) -> tuple[NDArray[np.float32], int | None]:
    """Return the samples of one sound, and how many there are a second."""
    rate = None
    if _is_decoder(value):
        made = value.get_all_samples()
        value, rate = made.data, int(made.sample_rate)
        value = value.mean(0) if value.ndim == 2 else value
    elif isinstance(value, Mapping):
        row = value
        value = row.get("array", row.get("raw"))
        if value is None:
            msg = (
                f"the sound has no array, got {', '.join(map(str, row))}: let the data set decode it, "
                "dataset.cast_column('audio', datasets.Audio(sampling_rate=...)), or give "
                "{'array': samples, 'sampling_rate': rate}."
            )
            raise ValueError(msg)
        rate = row.get("sampling_rate")
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.float().numpy() if value.is_floating_point() else value.numpy()
    samples = np.asarray(value)
    if samples.ndim == 2 and 1 in samples.shape:
        samples = samples.reshape(-1)
    if samples.ndim != 1:
        mean = (
            f"sound.mean({int(np.argmin(samples.shape))})" if samples.ndim == 2 else "one of them"
        )
        msg = f"a sound has one axis, its samples, got {list(samples.shape)}: give one channel, or {mean}."
        raise ValueError(msg)
    if not len(samples):
        msg = "the sound is empty; give at least one sample."
        raise ValueError(msg)
    if not np.issubdtype(samples.dtype, np.floating):
        most = np.iinfo(samples.dtype).max + 1 if np.issubdtype(samples.dtype, np.integer) else 1
        msg = (
            f"the samples of a sound are numbers in -1..1, got {samples.dtype}: "
            f"give sound.astype('float32') / {most}."
        )
        raise ValueError(msg)
    return samples.astype(np.float32), None if rate is None else int(rate)


def _joined(
    read: list[tuple[NDArray[np.float32], int | None]], *, several: bool, more: Mapping[str, Any]
) -> Sounds:
    rates = {rate for _, rate in read if rate is not None}
    if len(rates) > 1:
        msg = f"the sounds have different sampling rates ({', '.join(map(str, sorted(rates)))} Hz): resample them to one."
        raise ValueError(msg)
    return Sounds(tuple(samples for samples, _ in read), next(iter(rates), None), several, more)


def _check_rate(sounds: Sounds, extractor: Any) -> None:
    expected = int(extractor.sampling_rate)
    if sounds.rate not in {None, expected}:
        msg = (
            f"the sound has {sounds.rate} samples a second, {type(extractor).__name__} takes {expected}: give "
            f"torchaudio.functional.resample(torch.as_tensor(sound), {sounds.rate}, {expected}), or let the data set "
            f"do so, dataset.cast_column('audio', datasets.Audio(sampling_rate={expected}))."
        )
        raise ValueError(msg)


def _warn_if_cut(sounds: Sounds, extractor: Any) -> None:
    """Say that a feature extractor keeps the beginning of a sound only."""
    most = getattr(extractor, "n_samples", None)
    longest = max(len(array) for array in sounds.arrays)
    if isinstance(most, int) and longest > most:
        rate = extractor.sampling_rate
        warnings.warn(
            f"{type(extractor).__name__} keeps the first {most / rate:g} s of a sound, this one has {longest / rate:g}: the "
            f"record is that of its beginning. For another part give sound[start : start + {most}].",
            stacklevel=5,
        )


def _check_text(model: nn.Module, sounds: Sounds, processor: Any) -> None:
    """Refuse a sound alone for a model that reads text with sounds in it."""
    config = getattr(model, "config", None)
    needs = "input_ids" in _parameters(model) and not _reads_sound(model)
    if not needs or getattr(config, "is_encoder_decoder", False) or "text" in sounds.more:
        return
    place = str(getattr(processor, "audio_token", None) or "<|AUDIO|>")
    msg = (
        f"{type(model).__name__} reads text with a sound in it, got the sound alone: call "
        f"capture(model, {{'text': {place + ' What is this?'!r}, 'audio': sound}}, processor)."
    )
    raise ValueError(msg)


def _may_read_sound(model: nn.Module) -> bool:
    """Tell whether a model reads sounds, if only beside text."""
    return _reads_sound(model) or any(
        name in _INPUTS or "audio" in name or "speech" in name for name in _parameters(model)
    )


def _parameters(model: nn.Module) -> Mapping[str, Any]:
    return inspect.signature(model.forward).parameters


def _takes_by_name(processor: Any) -> bool:
    """Tell whether a processor takes sounds as ``audio``, beside text and pictures."""
    parameters = inspect.signature(processor.__call__).parameters
    return "audio" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
