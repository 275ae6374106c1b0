"""Numbers and names that kernel and front end share, read from `schema.json`; js/src/protocol/constants.ts has the same."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

__all__ = [
    "BAND_WEIGHTS",
    "EFFECT",
    "EXPLAINED_WINDOW",
    "FORMS",
    "GRADIENT_MEASURES",
    "LARGEST_WHOLE_HEAD",
    "RANKING",
    "REST_GROUP",
    "SIDES",
    "SINK_SHARE",
    "STATE_NAMES",
    "THUMBNAIL_SIZE",
    "TILE_SIZE",
    "USUAL_GROUPINGS",
    "WEIGHTED_MEASURES",
    "choices",
    "schema",
]


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """Return the contract between kernel and front end, a JSON Schema."""
    text = (Path(__file__).parent / "schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def choices(name: str) -> tuple[str, ...]:
    """Return the values that a part of the selection may have, in the schema's order."""
    described = schema()["$defs"]["State"]["properties"][name]
    if "$ref" in described:
        described = schema()["$defs"][described["$ref"].rpartition("/")[2]]
    return tuple(described["enum"])


def _constant(name: str) -> Any:
    return schema()["constants"][name]["const"]


TILE_SIZE: Final[int] = _constant("tile_size")
"""Cells along a side of a tile of a head's map."""
BAND_WEIGHTS: Final[int] = _constant("band_weights")
"""Weights of a band of query rows."""
LARGEST_WHOLE_HEAD: Final[int] = _constant("largest_whole_head")
"""Up to this many weights a head travels whole, and its map is made of its rows; the map of a larger one is tiles."""
THUMBNAIL_SIZE: Final[int] = _constant("thumbnail_size")
"""Rows and columns of a thumbnail at most."""
SIDES: Final[str] = _constant("sides")
"""Letters of compared records, in their order: so many can be compared at most."""
SINK_SHARE: Final[float] = _constant("sink_share")
"""Above this mean weight on the first position, setting it aside is offered."""
WEIGHTED_MEASURES: Final[tuple[str, ...]] = tuple(_constant("weighted_measures"))
"""Measures that are weights times a length of each key."""
GRADIENT_MEASURES: Final[tuple[str, ...]] = tuple(_constant("gradient_measures"))
"""Measures of records with the gradients of a metric: weights times them, and the positive part of that."""
EXPLAINED_WINDOW: Final[int] = _constant("explained_window")
"""Positions of a longer axis that the neuron view of a whole head shows."""
RANKING: Final[str] = _constant("ranking")
"""The score that is the weight of the links that heads are ranked by."""
EFFECT: Final[str] = _constant("effect")
"""The score that is how much the metric changes without a head; its numbers are in the trait `effects`."""
USUAL_GROUPINGS: Final[tuple[str, ...]] = tuple(_constant("usual_groupings"))
"""Where nobody says which grouping is shown, the first of these that a stream has."""
REST_GROUP: Final[str] = _constant("rest_group")
"""What positions in no group are called."""
STATE_NAMES: Final[tuple[str, ...]] = tuple(schema()["$defs"]["State"]["properties"])
"""The parts of the selection."""
FORMS: Final[tuple[str, ...]] = choices("form")
"""Forms of the head view."""
