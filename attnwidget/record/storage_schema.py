"""JSON Schema of a record's description in a file."""

from __future__ import annotations

from typing import Any

from attnwidget.compute.layer_tensors import EXACT

__all__ = ["EXACTNESS", "SCHEMA"]

# Fields of a layer that are written where they are not "float32".
EXACTNESS = ("exact", "softmax_dtype")

_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_POSITIVE = {"type": "integer", "minimum": 1}
_NUMBER = {"type": "number"}
# Of positions that callers made, of whose numbers 1.0 was always taken for 1; a float holds all of these exactly.
_WHOLE = {"type": "number", "multipleOf": 1, "minimum": 0, "maximum": 2**53}
_WHOLE_POSITIVE = {**_WHOLE, "minimum": 1}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(of: dict[str, Any], **limits: int) -> dict[str, Any]:
    return {"type": "array", "items": of, **limits}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"type": "null"}, schema]}


_NAMES = {"type": "object", "additionalProperties": _TEXT}
_POSITION = _object(
    {"label": _TEXT},
    {
        "kind": {"type": "string", "minLength": 1},
        "text": _TEXT,
        "row": _WHOLE,
        "column": _WHOLE,
        "time": _NUMBER,
        "grid": _list(_WHOLE_POSITIVE, minItems=2, maxItems=2),
        "medium": _WHOLE,
        "segment": _WHOLE,
        "role": _TEXT,
        "continues": {"type": "boolean"},
    },
)
_BAND = _object(
    {
        "causal": {"type": "boolean"},
        "offset": {"type": "integer"},
        "window": {"type": ["integer", "null"], "minimum": 0},
    }
)
_LAYER = _object(
    {
        "layer": _COUNT,
        "module_path": _TEXT,
        "num_heads": _POSITIVE,
        "scaling": {"type": ["number", "null"]},
        "softcap": {"type": ["number", "null"]},
        "reason": _MAYBE_TEXT,
        "band": _or_null(_BAND),
        "tensors": _NAMES,
    },
    {
        "norm_reason": _MAYBE_TEXT,
        "edited_heads": _list(_COUNT, minItems=1),
        **{name: {"enum": list(EXACT)} for name in EXACTNESS},
    },
)
_STREAM = _object(
    {
        "name": _TEXT,
        "query_positions": _list(_POSITION, minItems=1),
        "key_positions": _or_null(_list(_POSITION, minItems=1)),
        "layers": _list(_LAYER, minItems=1),
    },
    {"first_query": {"type": ["integer", "null"], "minimum": 0}},
)
_NEXT_TOKENS = _object(
    {
        "stream": _TEXT,
        "prompt": _COUNT,
        "first": _COUNT,
        "labels": {
            "type": "object",
            "propertyNames": {"pattern": "^-?[0-9]+$"},
            "additionalProperties": _TEXT,
        },
        "tensors": _NAMES,
    }
)
_MEDIUM = _object(
    {
        "kind": {"enum": ["image", "spectrogram"]},
        "seconds": {"type": ["number", "null"]},
        "note": _MAYBE_TEXT,
        "pixels": _TEXT,
    },
    {"frequencies": _list(_NUMBER, minItems=1)},
)
SCHEMA = _object(
    {
        "version": _POSITIVE,
        "model_name": _TEXT,
        "text": _MAYBE_TEXT,
        "streams": _list(_STREAM, minItems=1),
    },
    {
        "next_tokens": _or_null(_NEXT_TOKENS),
        "media": _list(_MEDIUM),
        "passes": _POSITIVE,
        "which": _COUNT,
        "edits": _list(_TEXT, minItems=1),
        "metric": _TEXT,
    },
)
