"""The `meta` trait of a record: streams, layers, positions, scores, generation, thumbnails."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from attnwidget.analysis.rollout import rollout_missing
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.analysis.token_features import TokenFeatures
from attnwidget.compute.measures import missing
from attnwidget.protocol.constants import GRADIENT_MEASURES, WEIGHTED_MEASURES
from attnwidget.protocol.positions import pack
from attnwidget.record.prompts import num_steps, prompt_sizes
from attnwidget.serve.groups import RecordGroups
from attnwidget.serve.thumbnails import Thumbnails

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from attnwidget.analysis.score_definitions import Score
    from attnwidget.record.layer import Layer
    from attnwidget.record.positions import Position
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream
    from attnwidget.serve.groups import ShownGroups

__all__ = [
    "describe",
    "described_layer",
    "described_position",
    "described_scores",
    "media_bytes",
]

# Predictions of layers that a page is told: the first message holds them.
_MOST_PREDICTED = 50_000


def describe(
    attention: Record,
    thumbnails: Thumbnails | None = None,
    *,
    later: bool | None = None,
    groups: ShownGroups | None = None,
) -> tuple[dict[str, Any], bytes]:
    """Return a record's meta (see ``Meta`` in the schema) and the bytes of its thumbnails.

    Every head of a stream gets a thumbnail of the same size, uint8 holding ``255 * sqrt(weight)``, max-pooled. Where
    they take long, none of them is among the bytes, and the meta says that they come later.

    Args:
        attention: The record.
        thumbnails: Makes the thumbnails.
        later: Whether they come later; None for where they take long.
        groups: The groups of its positions; those that are known when left out.
    """
    groups = groups or RecordGroups(attention)
    thumbnails = thumbnails or Thumbnails(attention)
    later = thumbnails.later if later is None else later
    positions: list[list[dict[str, Any]]] = []
    seen: dict[int, int] = {}

    def place(axis: tuple[Position, ...]) -> int:
        # Cross attention shares its axes with the other streams: each list of labels travels once.
        if id(axis) not in seen:
            listed = [described_position(position) for position in axis]
            seen[id(axis)] = positions.index(listed) if listed in positions else len(positions)
            if seen[id(axis)] == len(positions):
                positions.append(listed)
        return seen[id(axis)]

    streams, chunks, offset = [], [], 0
    for stream in attention.streams.values():
        pictures, data = ({}, b"") if later else thumbnails.stream(stream)
        rows, columns = thumbnails.shape(stream)
        overview = {"offset": offset, "rows": rows, "columns": columns}
        overview["sampled"] = next(iter(stream)).overview_is_sample
        if later:
            overview["later"] = True
        meta = {
            "name": stream.name,
            "layers": [
                described_layer(layer, gradients=attention.metric is not None) for layer in stream
            ],
            "query_positions": place(stream.query_positions),
            "key_positions": place(stream.key_positions),
            "overview": overview,
            **pictures,
            **_optional(attention, stream, groups),
        }
        streams.append(meta)
        chunks.append(data)
        offset += len(data)
    model = attention.model_name
    described = {
        "version": 1,
        "model": model,
        "positions": list(map(pack, positions)),
        "streams": streams,
    }
    described["media"] = _media(attention)
    described["scores"] = described_scores()
    generation = _generation(attention)
    if generation is not None:
        described["generation"] = generation
    lens = _lens(attention)
    if lens is not None:
        described["lens"] = lens
    if attention.edits:
        described["edits"] = list(attention.edits)
    return described, b"".join(chunks)


def _optional(attention: Record, stream: Stream, groups: ShownGroups) -> dict[str, Any]:
    """Return what is said only of some streams."""
    found = {
        "no_rollout": rollout_missing(stream),
        "metric": attention.metric,
        "no_gradients": attention.no_gradients,
        "prompt": prompt_sizes(attention, stream),
        "absent": TokenFeatures.of(stream).absent or None,
        "groupings": groups.described(stream.name) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def described_scores(scores: Iterable[Score] = tuple(SCORES.values())) -> list[dict[str, str]]:
    """Return scores with their words, those of `SCORES` when left out; see ``ScoreMeta`` in the schema."""
    return [asdict(score) for score in scores]


def _generation(attention: Record) -> dict[str, Any] | None:
    """Return the next tokens of the generated positions, each label once."""
    expected = attention.next_tokens
    if expected is None or not num_steps(attention):
        return None
    first = max(expected.first, expected.prompt - 1)
    skipped = first - expected.first
    ids, chosen = expected.ids[skipped:], expected.chosen[skipped:]
    used = sorted({*ids.ravel().tolist(), *chosen.tolist()} - {-1})
    places = {token: place for place, token in enumerate(used)}
    return {
        "first": first,
        "ranks": ids.shape[1],
        "tokens": [expected.labels[token] for token in used],
        "top": [places[token] for token in ids.ravel().tolist()],
        "probabilities": _rounded(expected.probabilities[skipped:]),
        "chosen": [places.get(token) for token in chosen.tolist()],
        "chosen_probabilities": _rounded(expected.chosen_probabilities[skipped:]),
    }


def _lens(attention: Record) -> dict[str, Any] | None:
    """Return what each layer would predict, each label once; of what is long the last positions, and the likeliest alone."""
    found = attention.predictions
    if found is None:
        return None
    layers, rows, ranks = found.ids.shape
    kept = min(rows, max(1, _MOST_PREDICTED // layers))
    ranks = max(1, min(ranks, _MOST_PREDICTED // (layers * kept)))
    ids = found.ids[:, rows - kept :, :ranks]
    used = sorted(set(ids.ravel().tolist()))
    places = {token: place for place, token in enumerate(used)}
    return {
        "stream": found.stream,
        "first": found.first + rows - kept,
        "layers": layers,
        "ranks": ranks,
        "tokens": [found.labels[token] for token in used],
        "top": [places[token] for token in ids.ravel().tolist()],
        "probabilities": _rounded(found.probabilities[:, rows - kept :, :ranks]),
    }


def _rounded(probabilities: NDArray[np.float32]) -> list[float | None]:
    """Return as many digits as are ever shown: the first message holds thousands of them."""
    return [
        float(f"{value:.4g}") if math.isfinite(value) else None
        for value in probabilities.ravel().tolist()
    ]


def media_bytes(attention: Record) -> bytes:
    """Return the pixels of a record's media one after the other, where ``Meta.media`` says they lie."""
    return b"".join(medium.pixels.tobytes() for medium in attention.media)


def _media(attention: Record) -> list[dict[str, Any]]:
    found, offset = [], 0
    for medium in attention.media:
        entry = {"kind": medium.kind, "width": medium.width, "height": medium.height}
        bands = medium.frequencies
        optional = {
            "seconds": medium.seconds,
            "note": medium.note,
            "frequencies": None if bands is None else list(bands),
        }
        known = {name: value for name, value in optional.items() if value is not None}
        found.append({**entry, **known, "offset": offset})
        offset += medium.pixels.nbytes
    return found


def described_position(position: Position) -> dict[str, Any]:
    """Return what a position is (see ``Position`` in the schema)."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(position).items()
        if value is not None and value is not False
    }


def described_layer(layer: Layer, *, gradients: bool = False) -> dict[str, Any]:
    """Return a layer's entry; see ``LayerMeta`` in the schema.

    Args:
        layer: The layer.
        gradients: Whether the record has the gradients of a metric: it is said then which layers lack them.
    """
    band = layer.band
    asked = (*WEIGHTED_MEASURES, *GRADIENT_MEASURES) if gradients else WEIGHTED_MEASURES
    reasons = {measure: missing(layer, measure) for measure in asked}
    lacking = {measure: reason for measure, reason in reasons.items() if reason is not None}
    return {
        **({"missing": lacking} if lacking else {}),
        **({} if layer.precision is None else {"precision": layer.precision}),
        "layer": layer.layer,
        "module_path": layer.module_path,
        "num_heads": layer.num_heads,
        "num_key_value_heads": layer.num_key_value_heads if layer.has_vectors else None,
        "head_dim": layer.head_dim,
        "has_vectors": layer.has_vectors,
        "reason": layer.reason,
        "scaling": layer.scaling,
        "softcap": layer.softcap,
        "sinks": None if layer.sinks is None else layer.sinks.float().tolist(),
        "causal": band is not None and band.causal,
        "window": None if band is None else band.window,
        "bias": layer.bias is not None,
    }
