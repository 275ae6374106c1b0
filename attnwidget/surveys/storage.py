"""Save and load the fields of a survey, and how far it has come, as one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.analysis.score_definitions import SCORES
from attnwidget.files.saved import SavedKind
from attnwidget.surveys.contexts import saved as contexts
from attnwidget.surveys.gold_links.files import SCHEMA as LINKS_SCHEMA
from attnwidget.surveys.gold_links.files import read_links, write_links
from attnwidget.surveys.group_means import GroupMeans
from attnwidget.surveys.head_means import HeadMeans
from attnwidget.surveys.statistics import Moments, Surveyed, Typical

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attnwidget.files.tensor_file import TensorFile

__all__ = ["FIELDS", "FORMAT_VERSION", "read", "read_progress", "write"]

# 2: digests. 3: how far a survey has come that is written while it runs. 4: shares of groups. 5: outputs of heads.
# 6: gold links, contexts. Older files are read as before.
FORMAT_VERSION = 6
FIELDS = ("model_name", "streams", "count", "skipped", "examples_kept", "texts", "interrupted")
_ARRAYS = {
    "moments": ("count", "mean", "squares", "rows"),
    "typical": ("rank", "value", "index"),
}
_GROUP_ARRAYS = ("count", "mean", "squares")
_OUTPUT_ARRAYS = ("at", "over_all")
_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}


def _pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    pair = {"type": "array", "items": [first, second], "minItems": 2, "maxItems": 2}
    return {"type": "array", "items": pair}


_SCHEMA = {
    "type": "object",
    "properties": {
        "version": {"type": "integer", "minimum": 1},
        "model_name": _TEXT,
        "scores": {"type": "array", "items": _TEXT},
        "streams": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": _TEXT,
                    "layers": _pairs(_COUNT, {"type": "integer", "minimum": 1}),
                    "groups": {
                        "type": "object",
                        "properties": {
                            "by": _TEXT,
                            "names": {"type": "array", "items": _TEXT, "minItems": 1},
                        },
                        "required": ["by", "names"],
                        "additionalProperties": False,
                    },
                    "outputs": {
                        "type": "object",
                        "properties": {
                            "inputs": {"type": "integer", "minimum": 1},
                            "rows": {"type": "array", "items": {"type": "integer", "minimum": 1}},
                        },
                        "required": ["inputs", "rows"],
                        "additionalProperties": False,
                    },
                    "links": LINKS_SCHEMA,
                    "contexts": contexts.SCHEMA,
                },
                "required": ["name", "layers"],
                "additionalProperties": False,
            },
        },
        "count": _COUNT,
        "skipped": _pairs(_COUNT, _TEXT),
        "examples_kept": _COUNT,
        "texts": _pairs(_COUNT, _TEXT),
        "interrupted": {"type": "boolean"},
    },
    "additionalProperties": False,
}
_SCHEMA["required"] = list(_SCHEMA["properties"])  # type: ignore[call-overload]
_WORDS = {"type": "object", "additionalProperties": _TEXT}
_SCHEMA["properties"]["progress"] = {  # type: ignore[index]
    "type": "object",
    "properties": {
        "read": _COUNT,
        "inputs": _TEXT,
        "made_by": _WORDS,
        "settings": _WORDS,
        "not_numbers": {
            "type": "array",
            "items": {
                "type": "array",
                "items": [_TEXT, _COUNT, _COUNT],
                "minItems": 3,
                "maxItems": 3,
            },
        },
    },
    "required": ["read", "inputs", "made_by", "settings", "not_numbers"],
    "additionalProperties": False,
}
_KIND = SavedKind(
    "attnwidget-survey",
    FORMAT_VERSION,
    digests_since=2,
    schema=_SCHEMA,
    otherwise="holds no survey: write one with survey.save(path).",
)


def write(
    path: str | os.PathLike[str],
    fields: Mapping[str, Any],
    progress: Mapping[str, Any] | None = None,
) -> None:
    """Write a survey in one step; see `Survey.save`.

    Args:
        path: File to write.
        fields: The survey's `FIELDS` by name.
        progress: What a survey that is written while it runs is resumed with: the number of inputs that were ``read``,
            the digest of these ``inputs``, what it is ``made_by``, its ``settings``, and the heads with NaN.
    """
    tensors = {}
    streams = []
    for number, (name, found) in enumerate(fields["streams"].items()):
        header_of: dict[str, Any] = {"name": name, "layers": found.moments.layers}
        streams.append(header_of)
        if found.groups is not None:
            header_of["groups"] = {"by": found.groups.by, "names": list(found.groups.names)}
            for each in _GROUP_ARRAYS:
                array = getattr(found.groups, each)
                tensors[f"{number}.groups.{each}"] = torch.from_numpy(array.copy(order="C"))
        if found.outputs is not None:
            header_of["outputs"] = _write_outputs(number, found.outputs, tensors)
        if found.links is not None:
            header_of["links"] = write_links(number, found.links, tensors)
        tensors |= _context_tensors(number, found, header_of)
        for part, names in _ARRAYS.items():
            for each in names:
                array = getattr(getattr(found, part), each)
                tensors[f"{number}.{part}.{each}"] = torch.from_numpy(array.copy(order="C"))
    header = {
        **{name: fields[name] for name in FIELDS},
        "scores": list(SCORES),
        "streams": streams,
        "texts": list(fields["texts"].items()),
    }
    if progress is not None:
        header["progress"] = dict(progress)
    _KIND.write(path, header, tensors)


def _write_outputs(number: int, found: HeadMeans, tensors: dict[str, Any]) -> dict[str, Any]:
    """Add the tensors of a stream's outputs, and return what its header says of them."""
    for each in _OUTPUT_ARRAYS:
        for place, array in enumerate(getattr(found, each)):
            tensors[f"{number}.outputs.{place}.{each}"] = torch.from_numpy(array.copy(order="C"))
    return {"inputs": found.inputs, "rows": list(found.rows)}


def _context_tensors(number: int, found: Surveyed, header_of: dict[str, Any]) -> dict[str, Any]:
    """Return the tensors of a stream's contexts by name, and say in its header that there are any."""
    if found.contexts is None:
        return {}
    header_of["contexts"] = contexts.header_of(found.contexts)
    tensors = contexts.tensors_of(found.contexts)
    return {f"{number}.contexts.{name}": tensor for name, tensor in tensors.items()}


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a survey's `FIELDS` from a file, all compared with their digests; see `Survey.load`."""
    fields, _ = read_progress(path)
    return fields


def read_progress(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return a survey's `FIELDS` from a file as `read`, and its progress if it was written while it ran."""
    with _KIND.reading(path, verify=True) as (header, file):
        if header["scores"] == list(SCORES):
            return _fields(header, file), _progress(header)
    message = (
        f"{path} has the scores {', '.join(header['scores'])}; this attnwidget has {', '.join(SCORES)}: use the "
        "version that wrote it."
    )
    raise ValueError(message)


def _fields(header: Mapping[str, Any], file: TensorFile) -> dict[str, Any]:
    made = {name: header[name] for name in FIELDS}
    made["streams"] = {
        one["name"]: _stream(number, one, file) for number, one in enumerate(header["streams"])
    }
    if len(made["streams"]) < len(header["streams"]):
        message = "two streams have one name"
        raise ValueError(message)
    made["skipped"] = tuple((index, reason) for index, reason in header["skipped"])
    made["texts"] = dict(header["texts"])
    return made


def _progress(header: Mapping[str, Any]) -> dict[str, Any] | None:
    progress: dict[str, Any] | None = header.get("progress")
    counted = header["count"] + len(header["skipped"])
    if progress is not None and progress["read"] != counted:
        message = f"it tells of {progress['read']} inputs and holds {counted}"
        raise ValueError(message)
    return progress


def _stream(number: int, one: Mapping[str, Any], file: TensorFile) -> Surveyed:
    layers = tuple((layer, heads) for layer, heads in one["layers"])
    heads = sum(count for _, count in layers)
    held = {
        part: {name: file.tensors[f"{number}.{part}.{name}"].numpy().copy() for name in names}
        for part, names in _ARRAYS.items()
    }
    moments, typical = held["moments"], held["typical"]
    places = typical["rank"].shape[-1] if typical["rank"].ndim else 0
    expected = {
        **{name: (4, heads, len(SCORES)) for name in moments},
        "rows": (2, heads, len(SCORES)),
        **{name: (heads, len(SCORES), places) for name in typical},
    }
    _check_arrays(moments | typical, expected, f"stream {one['name']!r}")
    groups = _groups(number, one, heads, file)
    outputs = _outputs(number, one, layers, file)
    links = read_links(number, one, layers, file)
    places = None
    if "contexts" in one:
        places = contexts.read_contexts(one["contexts"], f"{number}.contexts.", heads, file)
    return Surveyed(
        Moments(layers, **moments),
        Typical(**typical),
        groups,
        outputs,
        links=links,
        contexts=places,
    )


def _groups(number: int, one: Mapping[str, Any], heads: int, file: TensorFile) -> GroupMeans | None:
    if "groups" not in one:
        return None
    by, names = one["groups"]["by"], tuple(one["groups"]["names"])
    held = {name: file.tensors[f"{number}.groups.{name}"].numpy().copy() for name in _GROUP_ARRAYS}
    expected = dict.fromkeys(held, (heads, len(names), len(names)))
    _check_arrays(held, expected, f"the groups of stream {one['name']!r}")
    return GroupMeans(by, names, **held)


def _outputs(
    number: int, one: Mapping[str, Any], layers: tuple[tuple[int, int], ...], file: TensorFile
) -> HeadMeans | None:
    if "outputs" not in one:
        return None
    rows = tuple(one["outputs"]["rows"])
    if len(rows) != len(layers):
        message = f"it tells of the outputs of {len(rows)} layers and holds {len(layers)}"
        raise ValueError(message)
    kept: dict[str, list[NDArray[np.float64]]] = {name: [] for name in _OUTPUT_ARRAYS}
    for place, (layer, heads) in enumerate(layers):
        held = {
            name: file.tensors[f"{number}.outputs.{place}.{name}"].numpy().copy()
            for name in _OUTPUT_ARRAYS
        }
        positions, width = (*held["at"].shape, 0, 0)[1:3]
        expected = {"at": (heads, positions, width), "over_all": (heads, width)}
        _check_arrays(held, expected, f"the outputs of layer {layer} of stream {one['name']!r}")
        for name, array in held.items():
            kept[name].append(array)
    arrays = (tuple(kept[name]) for name in _OUTPUT_ARRAYS)
    return HeadMeans(layers, one["outputs"]["inputs"], rows, *arrays)


def _check_arrays(
    held: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[int, ...]], of: str
) -> None:
    """Refuse arrays of other shapes or kinds; `SavedKind` says of which file.

    Raises:
        ValueError: If one is not as expected.
    """
    for name, array in held.items():
        kind = np.integer if name == "index" else np.floating
        if array.shape != expected[name] or not np.issubdtype(array.dtype, kind):
            message = f"{name} of {of} is {array.dtype} {list(array.shape)}, expected {list(expected[name])}"
            raise ValueError(message)
