"""Save and load a record as one safetensors file: tensors as they are, the rest as JSON in its header, no pickle."""

from __future__ import annotations

import dataclasses
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import torch

from attnwidget.compute.masks import Band
from attnwidget.record import tensor_files
from attnwidget.record.layer import Layer
from attnwidget.record.media import Medium
from attnwidget.record.next_tokens import NextTokens
from attnwidget.record.positions import Position
from attnwidget.record.record import Record
from attnwidget.record.stream import Stream

if TYPE_CHECKING:
    import os

    from torch import Tensor

    from attnwidget.record.positions import Positions

__all__ = ["FORMAT_VERSION", "load", "save"]

# 2: pictures and sounds, and the positions that lie in them. Files of version 1 are read as before.
FORMAT_VERSION = 2
_HEADER = "attnwidget"
_TENSORS = ("query", "key", "value", "bias", "sinks", "recorded", "value_norms")
_ARRAYS = ("ids", "probabilities", "chosen", "chosen_probabilities")
_PLAIN = ("layer", "module_path", "num_heads", "scaling", "softcap", "reason", "norm_reason")


def save(attention: Record, path: str | os.PathLike[str]) -> None:
    """Write a record to one safetensors file.

    Values and dtypes are kept exactly; a tensor that several layers share, such as a position bias, is written once.
    An existing file is replaced in one step, so that a record that was loaded from it stays valid.

    Args:
        attention: The record.
        path: File to write.

    Raises:
        FileNotFoundError: If the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        message = f"cannot write {path}: there is no folder {path.parent}."
        raise FileNotFoundError(message)
    pool = _Pool()
    record = {
        "version": FORMAT_VERSION,
        "model_name": attention.model_name,
        "text": attention.text,
        "streams": [_stream_to_json(stream, pool) for stream in attention.streams.values()],
        "next_tokens": _next_tokens_to_json(attention.next_tokens, pool),
        "media": [_medium_to_json(medium, pool) for medium in attention.media],
        # Only in records of one pass of several; other files have no such entries.
        **({} if attention.passes == 1 else {"passes": attention.passes, "which": attention.which}),
    }
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        # Twice JSON: a lone surrogate from a tokenizer is no UTF-8, which the header must be.
        tensor_files.write(part, pool.tensors, {_HEADER: json.dumps(record)})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> Record:
    """Return the record in a file; `attnwidget.load` describes the errors."""
    path = Path(path)
    if not path.is_file():
        message = f"there is no file {path}."
        raise FileNotFoundError(message)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            if header is None:
                message = f"{path} holds no attention record: write one with attention.save(path); a survey is read by Survey.load(path)."
                raise ValueError(message)
            record = json.loads(header)
            version = record.get("version") if isinstance(record, dict) else None
            if isinstance(version, int) and version > FORMAT_VERSION:
                message = (
                    f"{path} has format {version}, this attnwidget reads up to {FORMAT_VERSION}:"
                    " pip install --upgrade attnwidget."
                )
                raise ValueError(message)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except safetensors.SafetensorError as error:
        message = f"{path} is no safetensors file, or only part of one: {error}."
        raise ValueError(message) from error
    except json.JSONDecodeError as error:
        message = f"{path} is damaged: its header is no JSON ({error})."
        raise ValueError(message) from error
    try:
        streams = [_stream_from_json(stream, tensors) for stream in record["streams"]]
        named = {stream.name: stream for stream in streams}
        expected = _next_tokens_from_json(record.get("next_tokens"), tensors)
        media = tuple(_medium_from_json(medium, tensors) for medium in record.get("media", ()))
        number = {name: int(record[name]) for name in ("passes", "which") if name in record}
        return Record(record["model_name"], named, record["text"], expected, media, **number)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"{path} is damaged: {type(error).__name__}: {error}."
        raise ValueError(message) from error


class _Pool:
    """Tensors to write, each once however many layers hold it."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[tuple[object, ...], str] = {}

    def add(self, tensor: Tensor, name: str) -> str:
        place = (
            tensor.device,
            tensor.data_ptr(),
            tensor.dtype,
            tuple(tensor.shape),
            tensor.stride(),
        )
        if place not in self._names:
            self.tensors[name] = tensor
            self._names[place] = name
        return self._names[place]


def _stream_to_json(stream: Stream, pool: _Pool) -> dict[str, Any]:
    same = stream.query_positions == stream.key_positions
    return {
        "name": stream.name,
        "query_positions": _positions_to_json(stream.query_positions),
        "key_positions": None if same else _positions_to_json(stream.key_positions),
        "layers": [_layer_to_json(layer, pool) for layer in stream],
        # Only in records of some of the query positions; files of whole records have no such entry.
        **({} if stream.first_query is None else {"first_query": stream.first_query}),
    }


def _stream_from_json(stream: dict[str, Any], tensors: dict[str, Tensor]) -> Stream:
    queries = _positions_from_json(stream["query_positions"])
    keys = (
        queries
        if stream["key_positions"] is None
        else _positions_from_json(stream["key_positions"])
    )
    layers = tuple(_layer_from_json(layer, stream["name"], tensors) for layer in stream["layers"])
    return Stream(stream["name"], layers, queries, keys, stream.get("first_query"))


def _medium_to_json(medium: Medium, pool: _Pool) -> dict[str, Any]:
    pixels = torch.from_numpy(medium.pixels.copy())
    return {
        "kind": medium.kind,
        "seconds": medium.seconds,
        "note": medium.note,
        "pixels": pool.add(pixels, f"media.{len(pool.tensors)}"),
    }


def _medium_from_json(medium: dict[str, Any], tensors: dict[str, Tensor]) -> Medium:
    return Medium(**{**medium, "pixels": tensors[medium["pixels"]].numpy()})


def _layer_to_json(layer: Layer, pool: _Pool) -> dict[str, Any]:
    held = {name: getattr(layer, name) for name in _TENSORS}
    return {
        **{name: getattr(layer, name) for name in _PLAIN},
        "band": None if layer.band is None else dataclasses.asdict(layer.band),
        "tensors": {
            name: pool.add(tensor, f"{layer.stream}.{layer.layer}.{name}")
            for name, tensor in held.items()
            if tensor is not None
        },
    }


def _layer_from_json(layer: dict[str, Any], stream: str, tensors: dict[str, Tensor]) -> Layer:
    # Files of version 1 have no norms.
    fields: dict[str, Any] = {"norm_reason": None} | {
        name: layer[name] for name in _PLAIN if name in layer or name != "norm_reason"
    }
    fields |= {name: tensors[key] for name, key in layer["tensors"].items()}
    band = None if layer["band"] is None else Band(**layer["band"])
    return Layer(stream=stream, band=band, **fields)


def _next_tokens_to_json(expected: NextTokens | None, pool: _Pool) -> dict[str, Any] | None:
    if expected is None:
        return None
    held = {name: torch.from_numpy(getattr(expected, name).copy()) for name in _ARRAYS}
    return {
        "stream": expected.stream,
        "prompt": expected.prompt,
        "first": expected.first,
        "labels": {str(token): label for token, label in expected.labels.items()},
        "tensors": {name: pool.add(array, f"next_tokens.{name}") for name, array in held.items()},
    }


def _next_tokens_from_json(
    expected: dict[str, Any] | None, tensors: dict[str, Tensor]
) -> NextTokens | None:
    if expected is None:  # older files have no such entry either
        return None
    return NextTokens(
        stream=expected["stream"],
        prompt=expected["prompt"],
        first=expected["first"],
        labels={int(token): label for token, label in expected["labels"].items()},
        **{name: tensors[key].numpy() for name, key in expected["tensors"].items()},
    )


def _positions_to_json(positions: Positions) -> list[dict[str, Any]]:
    fields = dataclasses.fields(Position)
    return [
        {
            field.name: getattr(position, field.name)
            for field in fields
            if getattr(position, field.name) != field.default
        }
        for position in positions
    ]


def _positions_from_json(positions: list[dict[str, Any]]) -> Positions:
    return tuple(
        Position(
            **{**position, "grid": tuple(position["grid"])} if "grid" in position else position
        )
        for position in positions
    )
