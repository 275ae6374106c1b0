"""One safetensors file per survey: sums as they are, the rest as JSON in the header, never pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
from safetensors.numpy import save_file

from attnwidget.finding.corpus import Survey, Surveyed
from attnwidget.finding.kinds import SCORES
from attnwidget.finding.moments import Moments, Typical

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

__all__ = ["FORMAT_VERSION", "load", "save"]

FORMAT_VERSION = 1
_HEADER = "attnwidget-survey"
_ARRAYS = {
    "moments": ("count", "mean", "squares", "rows"),
    "typical": ("rank", "value", "index"),
}


def save(survey: Survey, path: str | os.PathLike[str]) -> None:
    """Write a survey; see `Survey.save`."""
    path = Path(path)
    if not path.parent.is_dir():
        message = f"cannot write {path}: there is no folder {path.parent}."
        raise FileNotFoundError(message)
    arrays: dict[str, NDArray[Any]] = {}
    streams = []
    for number, (name, found) in enumerate(survey.streams.items()):
        streams.append({"name": name, "layers": found.moments.layers})
        for part, names in _ARRAYS.items():
            for field in names:
                array = getattr(getattr(found, part), field)
                arrays[f"{number}.{part}.{field}"] = array.copy(order="C")
    header = {
        "version": FORMAT_VERSION,
        "model_name": survey.model_name,
        "scores": list(SCORES),
        "streams": streams,
        "count": survey.count,
        "skipped": survey.skipped,
        "examples_kept": survey.examples_kept,
        "texts": list(survey.texts.items()),
        "interrupted": survey.interrupted,
    }
    # ASCII: a lone surrogate is no UTF-8, which the header must be.
    save_file(arrays, path, metadata={_HEADER: json.dumps(header)})


def load(path: str | os.PathLike[str]) -> Survey:
    """Read a survey; see `Survey.load`."""
    path = Path(path)
    if not path.is_file():
        message = f"there is no file {path}."
        raise FileNotFoundError(message)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_HEADER)
            if text is None:
                message = f"{path} holds no survey: write one with survey.save(path)."
                raise ValueError(message)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except safetensors.SafetensorError as error:
        message = f"{path} is no safetensors file, or only part of one: {error}."
        raise ValueError(message) from error
    header = json.loads(text)
    if header["version"] > FORMAT_VERSION or header["scores"] != list(SCORES):
        message = (
            f"{path} has format {header['version']} with the scores {', '.join(header['scores'])}; this attnwidget reads "
            f"format {FORMAT_VERSION} with {', '.join(SCORES)}: use the version that wrote it."
        )
        raise ValueError(message)
    streams = {}
    for number, one in enumerate(header["streams"]):
        held = {
            part: {field: arrays[f"{number}.{part}.{field}"] for field in names}
            for part, names in _ARRAYS.items()
        }
        layers = tuple((layer, heads) for layer, heads in one["layers"])
        streams[one["name"]] = Surveyed(
            Moments(layers, **held["moments"]), Typical(**held["typical"])
        )
    return Survey(
        header["model_name"],
        streams,
        header["count"],
        tuple((index, reason) for index, reason in header["skipped"]),
        header["examples_kept"],
        dict(header["texts"]),
        header["interrupted"],
    )
