"""Makes inputs for a model nobody has described: what its main input is called, then more and more of what it may want."""

from __future__ import annotations

import copy
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from capture.coverage.factory import HIDDEN, IMAGE, LENGTH, PATCH, REAL, ROWS, attempts
from capture.coverage.given import GIVEN
from capture.coverage.reference import Reference
from capture.coverage.together import together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

_STATES = (
    "hidden_states", "query_embeds", "inputs_embeds", "vision_features", "text_features", "context", "patch_embeds",
)  # fmt: skip


class NotBuiltError(LookupError):
    """No model of a type could be made."""


def ready(model_type: str) -> tuple[Any, dict[str, Any], Any]:
    """Make a model of a type and inputs it runs on; one that attends, if any of the first few does.

    Returns:
        The model, its inputs, its output.

    Raises:
        NotBuiltError: If no model could be made.
        Exception: What the first model that could be made raised when it ran.
    """
    first: Exception | None = None
    without: list[tuple[Any, dict[str, Any], Any]] = []
    try:
        for model in attempts(model_type):
            try:
                found = (model, *_run(model, model_type))
            except Exception as error:  # noqa: BLE001  the next attempt may do
                first = first or error
                continue
            if _attends(model, found[1]):
                return found
            without.append(found)
            if len(without) == _ENOUGH:
                break
    except Exception as error:
        if not without:
            msg = f"{type(error).__name__}: {error}"
            raise NotBuiltError(msg) from error
    if without:
        return without[0]
    raise first or NotBuiltError


_ENOUGH = 6  # models without attention, of which a type has none


def _attends(model: Any, inputs: dict[str, Any]) -> bool:
    with torch.no_grad(), Reference() as reference:
        torch.manual_seed(7)
        model(**copy.deepcopy(inputs))
    return bool(reference.seen)


_EXTRAS = (
    (), ("pixels",), ("features",), ("values",), ("frames",), ("pixels", "ids"), ("states",), ("states", "pixels"),
    ("grid",), ("series",), ("video",), ("audio",),
)  # fmt: skip


def _run(model: Any, model_type: str) -> tuple[dict[str, Any], Any]:
    """Find inputs the model runs on: those given for its type, or what it names as its main input, then more and more."""
    errors: list[Exception] = []
    for make in _makers(model, model_type):
        try:
            inputs = make()
            if not inputs:
                continue
            with torch.no_grad():
                torch.manual_seed(7)
                # Copied, since the session of a video keeps what it has seen.
                return inputs, model(**copy.deepcopy(inputs))
        except Exception as error:  # noqa: BLE001  the next attempt may do
            errors.append(error)
    raise errors[0] if errors else LookupError("no inputs known for this model")


def _makers(model: Any, model_type: str) -> Iterator[Callable[[], dict[str, Any]]]:
    if model_type in GIVEN:
        yield lambda: Inputs(model).given(model_type)
    for inputs in together(Inputs(model), model):
        yield partial(dict, inputs)
    for extra in _EXTRAS:
        yield partial(Inputs(model).guessed, extra)


class Inputs:
    """Makes the inputs of one model: ``ROWS`` rows, the second padded where there is an attention mask."""

    def __init__(self, model: Any) -> None:
        self.config = model.config
        self.names = inspect.signature(model.forward).parameters
        self.main = getattr(model, "main_input_name", "input_ids")
        self._generator = torch.Generator().manual_seed(1)

    def given(self, model_type: str) -> dict[str, Any]:
        """Make what is given for ``model_type``."""
        made = GIVEN[model_type](self)
        passed_on = made.pop(
            "passed_on", {}
        )  # what no signature names, since a layer further in takes it
        return {name: value for name, value in made.items() if name in self.names} | passed_on

    def guessed(self, extra: tuple[str, ...]) -> dict[str, Tensor]:
        """Make what the model asks for, and ``extra``."""
        alone = {
            "grid": self._grid,
            "series": self._series,
            "video": self._video,
            "audio": self._audio,
        }
        if extra and extra[0] in alone:
            inputs = alone[extra[0]]()
        else:
            inputs = {**self._text(extra), **self._image(extra), **self._sound(extra)}
            if "states" in extra:
                inputs.pop("input_ids", None)
                inputs |= self._states()
            if "bbox" in self.names:
                inputs["bbox"] = torch.zeros(ROWS, LENGTH, 4, dtype=torch.long)
        if "decoder_input_ids" in self.names and extra[:1] != ("series",):
            inputs["decoder_input_ids"] = self.ids(5)
        return {name: value for name, value in inputs.items() if name in self.names}

    def normal(self, *shape: int) -> Tensor:
        """Draw numbers around 0."""
        return torch.randn(*shape, generator=self._generator)

    def ids(self, length: int) -> Tensor:
        """Draw tokens, none of them special."""
        size = min(60, self.option("vocab_size") or 60)
        return torch.randint(5, max(6, size), (ROWS, length), generator=self._generator)

    def mask(self, length: int = LENGTH, real: int = REAL) -> Tensor:
        """Say which positions are real: all of the first row, ``real`` of the second."""
        mask = torch.ones(ROWS, length, dtype=torch.long)
        mask[1, real:] = 0
        return mask

    def text(self) -> dict[str, Tensor]:
        """Make a text, its second row padded."""
        return {"input_ids": self.ids(LENGTH), "attention_mask": self.mask()}

    def option(self, *names: str) -> Any:
        """Read the first option of the configuration that has a value."""
        return next((value for name in names if (value := getattr(self.config, name, None))), None)

    def _text(self, extra: tuple[str, ...]) -> dict[str, Tensor]:
        other = self.main in {"pixel_values", "input_features", "input_values"}
        if "input_ids" not in self.names or (other and "ids" not in extra):
            return {}
        return self.text()

    def _image(self, extra: tuple[str, ...]) -> dict[str, Tensor]:
        visual = self.main.startswith("pixel")
        if not visual and "pixels" not in extra:
            return {}
        vision = getattr(self.config, "vision_config", None) or self.config
        names = ("image_size", "img_size", "input_size", "crop_size")
        size = next((value for name in names if (value := getattr(vision, name, None))), IMAGE)
        height, width = size[-2:] if isinstance(size, (list, tuple)) else (size, size)
        names = ("num_channels", "in_channels", "in_chans")
        channels = next((value for name in names if (value := getattr(vision, name, None))), 3)
        frames = getattr(vision, "num_frames", None) or getattr(vision, "frames_per_clip", None)
        if self.main == "pixel_values_videos" or frames:
            return {self.main: self.normal(ROWS, frames or 4, channels, height, width)}
        name = self.main if visual else "pixel_values"
        return {name: self.normal(ROWS, channels, height, width)}

    def _sound(self, extra: tuple[str, ...]) -> dict[str, Tensor]:
        inputs = {}
        if (self.main == "input_features" and not extra) or "features" in extra:
            names = ("num_mel_bins", "feature_size", "input_feat_per_channel", "input_dim")
            bins, count = self.option(*names) or 16, self.option("max_source_positions")
            frames = 2 * count if count else 64
            shape = (frames, bins) if "features" in extra else (bins, frames)
            inputs["input_features"] = self.normal(ROWS, *shape)
        if self.main == "input_values" and "frames" in extra:
            frames, bins = self.option("max_length") or 64, self.option("num_mel_bins") or 16
            inputs["input_values"] = self.normal(ROWS, frames, bins)
        elif self.main == "input_values":
            inputs["input_values"] = self.normal(ROWS, 1600)
        return inputs

    def _states(self) -> dict[str, Tensor]:
        width = self.option("hidden_size", "d_model", "embed_dim", "encoder_hidden_size") or HIDDEN
        inputs = {name: self.normal(ROWS, LENGTH, width) for name in _STATES if name in self.names}
        return inputs | {"encoder_hidden_states": self.normal(ROWS, 5, width)}

    def _grid(self) -> dict[str, Tensor]:
        """Packed patches of two images of 4 x 4, as Qwen-VL and its kin take them."""
        patch = self.option("patch_size") or PATCH
        channels = self.option("in_channels", "in_chans", "num_channels") or 3
        width = channels * (self.option("temporal_patch_size") or 1) * patch * patch
        grid = torch.tensor([[1, 4, 4]] * ROWS)
        return {
            **{name: self.normal(16 * ROWS, width) for name in ("hidden_states", "pixel_values")},
            **dict.fromkeys(("grid_thw", "image_grid_thw"), grid),
            "merge_sizes": torch.ones(ROWS, dtype=torch.long),
        }

    def _series(self) -> dict[str, Tensor]:
        """A time series, its past long enough for the lags."""
        lags = max(getattr(self.config, "lags_sequence", None) or [0])
        past, ahead = (
            (self.option("context_length") or 32) + lags,
            self.option("prediction_length") or 4,
        )
        features = self.option("num_time_features") or 0
        known = {
            "past_time_features": self.normal(ROWS, past, features),
            "future_values": self.normal(ROWS, ahead),
            "future_time_features": self.normal(ROWS, ahead, features),
        }
        channels = self.option("num_input_channels")
        if channels and "past_time_features" not in self.names:
            return {"past_values": self.normal(ROWS, past, channels)}
        return {
            **known,
            "past_values": self.normal(ROWS, past),
            "past_observed_mask": torch.ones(ROWS, past),
        }

    def _video(self) -> dict[str, Tensor]:
        return {"pixel_values": self.normal(ROWS, 2, 3, IMAGE, IMAGE)}

    def _audio(self) -> dict[str, Tensor]:
        return {
            "input_values": self.normal(ROWS, 1, 1600),
            "input_features": self.normal(ROWS, 16, 200),
        }
