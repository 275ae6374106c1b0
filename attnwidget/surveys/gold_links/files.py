"""Link counts in a survey's file: what its header says of them, their tensors, and both read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.surveys.gold_links.counts import COUNTS, LinkCounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.files.tensor_file import TensorFile

__all__ = ["SCHEMA", "read_links", "write_links"]

_ARRAYS = ("counts", "weight", "seen", "offsets")

SCHEMA = {
    "type": "object",
    "properties": {
        "unit": {"enum": ["tokens", "words"]},
        "labels": {"type": "array", "items": {"type": "string", "minLength": 1}},
    },
    "required": ["unit", "labels"],
    "additionalProperties": False,
}
"""What the header of a stream says of its links."""


def write_links(number: int, found: LinkCounts, tensors: dict[str, Any]) -> dict[str, Any]:
    """Add the tensors of a stream's links, and return what its header says of them."""
    for name in _ARRAYS:
        array = getattr(found, name)
        tensors[f"{number}.links.{name}"] = torch.from_numpy(array.copy(order="C"))
    return {"unit": found.unit, "labels": list(found.labels)}


def read_links(
    number: int, header: Mapping[str, Any], layers: tuple[tuple[int, int], ...], file: TensorFile
) -> LinkCounts | None:
    """Return the links of a stream, if it has any.

    Raises:
        ValueError: If an array has another shape or kind than the header says.
    """
    if "links" not in header:
        return None
    unit, labels = header["links"]["unit"], tuple(header["links"]["labels"])
    held = {name: file.tensors[f"{number}.links.{name}"].numpy().copy() for name in _ARRAYS}
    heads = sum(count for _, count in layers)
    rows = held["offsets"].shape[0] if held["offsets"].ndim else 0
    expected = {
        "counts": (len(COUNTS), 2, len(labels), heads),
        "weight": (2, len(labels), heads),
        "seen": (2, 2, len(labels)),
        "offsets": (rows, 5),
    }
    for name, array in held.items():
        kind = np.floating if name == "weight" else np.integer
        if array.shape != expected[name] or not np.issubdtype(array.dtype, kind):
            message = (
                f"{name} of the links of stream {header['name']!r} is {array.dtype} {list(array.shape)}, expected "
                f"{list(expected[name])}"
            )
            raise ValueError(message)
    offsets = held["offsets"]
    if len(offsets) and not 0 <= offsets[:, 1].min() <= offsets[:, 1].max() < len(labels):
        message = (
            f"the links of stream {header['name']!r} have an offset of a label that is not there"
        )
        raise ValueError(message)
    return LinkCounts(unit, labels, layers, **held)
