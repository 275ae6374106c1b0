"""Save and load a record as one file: which tensors and which description make it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.compute.masks import Band
from attnwidget.files.saved import SavedKind
from attnwidget.files.tensor_file import FirstRead
from attnwidget.record.layer import Layer
from attnwidget.record.media import Medium
from attnwidget.record.next_tokens import NextTokens
from attnwidget.record.positions import Position
from attnwidget.record.record import Record
from attnwidget.record.storage_schema import EXACTNESS, SCHEMA
from attnwidget.record.stream import Stream

if TYPE_CHECKING:
    import os

    from torch import Tensor

    from attnwidget.files.tensor_file import TensorFile
    from attnwidget.record.positions import Positions

__all__ = ["FORMAT_VERSION", "load", "save"]

# 2: pictures and sounds, and the positions that lie in them. 3: digests. Older files are read as before.
FORMAT_VERSION = 3
_TENSORS = (
    "query",
    "key",
    "value",
    "bias",
    "sinks",
    "recorded",
    "value_norms",
    "edited_output",
    "output_gradient",
)
_ARRAYS = ("ids", "probabilities", "chosen", "chosen_probabilities")
_PLAIN = ("layer", "module_path", "num_heads", "scaling", "softcap", "reason", "norm_reason")


_KIND = SavedKind(
    "attnwidget",
    FORMAT_VERSION,
    digests_since=3,
    schema=SCHEMA,
    otherwise="holds no attention record: write one with attention.save(path); a survey is read by Survey.load(path).",
)


def save(attention: Record, path: str | os.PathLike[str]) -> None:
    """Write a record to one safetensors file.

    Values and dtypes are kept exactly; a tensor that several layers share, such as a position bias, is written once.
    An existing file is replaced in one step, so that a record that was loaded from it stays valid.

    Args:
        attention: The record.
        path: File to write.

    Raises:
        FileNotFoundError: If the folder does not exist.
        OSError: If the system refuses, such as for a full disk; the old file is left as it was.
        ValueError: If the record was loaded from a file that turns out to be damaged.
    """
    pool = _Pool()
    record = {
        "model_name": attention.model_name,
        "text": attention.text,
        "streams": [_stream_to_json(stream, pool) for stream in attention.streams.values()],
        "next_tokens": _next_tokens_to_json(attention.next_tokens, pool),
        "media": [_medium_to_json(medium, pool) for medium in attention.media],
        # Only in records of one pass of several; other files have no such entries.
        **({} if attention.passes == 1 else {"passes": attention.passes, "which": attention.which}),
        # Only in records of a run that was edited.
        **({"edits": list(attention.edits)} if attention.edits else {}),
        # Only in records with gradients.
        **({} if attention.metric is None else {"metric": attention.metric}),
    }
    _KIND.write(path, record, pool.tensors)


def load(path: str | os.PathLike[str], *, copy: bool = False, verify: bool = False) -> Record:
    """Return the record in a file; `attnwidget.load` describes arguments and errors."""
    with _KIND.reading(path, copy=copy, verify=verify or copy) as (record, file):
        source = _Source(file, str(path))
        streams = [_stream_from_json(stream, source) for stream in record["streams"]]
        named = {stream.name: stream for stream in streams}
        if len(named) < len(streams):
            message = "two streams have one name"
            raise ValueError(message)
        expected = _next_tokens_from_json(record.get("next_tokens"), source)
        media = tuple(_medium_from_json(medium, source) for medium in record.get("media", ()))
        number = {name: record[name] for name in ("passes", "which") if name in record}
        edits = tuple(record.get("edits", ()))
        return Record(
            record["model_name"],
            named,
            record["text"],
            expected,
            media,
            **number,
            edits=edits,
            metric=record.get("metric"),
        )


class _Source:
    """The tensors of a file: those of layers are checked when they are first read, others when they are taken."""

    def __init__(self, file: TensorFile, path: str) -> None:
        self.file, self._path = file, path

    def tensors(self, names: dict[str, str]) -> dict[str, Tensor]:
        """Return the tensors of a layer by field, unchecked."""
        unknown = sorted(set(names) - set(_TENSORS))
        if unknown:
            message = f"a layer has no tensor {unknown[0]!r}"
            raise ValueError(message)
        return {field: self.file.tensors[name] for field, name in names.items()}

    def first_read(self, names: dict[str, str]) -> FirstRead | None:
        """Return what checks them."""
        if not self.file.digests:
            return None
        return FirstRead(self.file, tuple(names.values()), self._path)

    def array(self, name: str) -> Any:
        """Return a tensor as numpy, checked."""
        tensor = self.file.tensors[name]
        self.file.verify_one(name)
        return tensor.numpy()


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


def _stream_from_json(stream: dict[str, Any], source: _Source) -> Stream:
    queries = _positions_from_json(stream["query_positions"])
    keys = (
        queries
        if stream["key_positions"] is None
        else _positions_from_json(stream["key_positions"])
    )
    layers = tuple(_layer_from_json(layer, stream["name"], source) for layer in stream["layers"])
    return Stream(stream["name"], layers, queries, keys, stream.get("first_query"))


def _medium_to_json(medium: Medium, pool: _Pool) -> dict[str, Any]:
    pixels = torch.from_numpy(medium.pixels.copy())
    return {
        "kind": medium.kind,
        "seconds": medium.seconds,
        "note": medium.note,
        # Only where they are known; older files have no such entries.
        **({} if medium.frequencies is None else {"frequencies": list(medium.frequencies)}),
        "pixels": pool.add(pixels, f"media.{len(pool.tensors)}"),
    }


def _medium_from_json(medium: dict[str, Any], source: _Source) -> Medium:
    bands = medium.get("frequencies")
    read = {"pixels": source.array(medium["pixels"]), "frequencies": bands and tuple(bands)}
    return Medium(**{**medium, **read})


def _layer_to_json(layer: Layer, pool: _Pool) -> dict[str, Any]:
    layer.before_reading()
    held = {name: getattr(layer, name) for name in _TENSORS}
    return {
        **{name: getattr(layer, name) for name in _PLAIN},
        # Only where they are not float32; older files have no such entries.
        **{name: value for name in EXACTNESS if (value := getattr(layer, name)) != "float32"},
        **({"edited_heads": list(layer.edited_heads)} if layer.edited_heads else {}),
        "band": None if layer.band is None else dataclasses.asdict(layer.band),
        "tensors": {
            name: pool.add(tensor, f"{layer.stream}.{layer.layer}.{name}")
            for name, tensor in held.items()
            if tensor is not None
        },
    }


def _layer_from_json(layer: dict[str, Any], stream: str, source: _Source) -> Layer:
    # Files of version 1 have no norms.
    fields: dict[str, Any] = {"norm_reason": None} | {
        name: layer[name] for name in _PLAIN if name in layer or name != "norm_reason"
    }
    fields |= {name: layer[name] for name in EXACTNESS if name in layer}
    fields |= source.tensors(layer["tensors"])
    fields["edited_heads"] = tuple(layer.get("edited_heads", ()))
    band = None if layer["band"] is None else Band(**layer["band"])
    made = Layer(stream=stream, band=band, **fields)
    object.__setattr__(made, "_first_read", source.first_read(layer["tensors"]))
    return made


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


def _next_tokens_from_json(expected: dict[str, Any] | None, source: _Source) -> NextTokens | None:
    if expected is None:  # older files have no such entry either
        return None
    return NextTokens(
        stream=expected["stream"],
        prompt=expected["prompt"],
        first=expected["first"],
        labels={int(token): label for token, label in expected["labels"].items()},
        **{name: source.array(key) for name, key in expected["tensors"].items()},
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
        Position(**{name: _as_in_position(name, value) for name, value in position.items()})
        for position in positions
    )


def _as_in_position(name: str, value: Any) -> Any:
    """Return a position's field as it is counted with: of one that a caller made a row may have been written as 1.0."""
    if name == "grid":
        return tuple(map(int, value))
    return int(value) if isinstance(value, float) and name != "time" else value
