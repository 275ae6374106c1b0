"""Measures one model type: which of its attention calls a recording has, how exactly, and whether with vectors."""

from __future__ import annotations

import copy
import math
import re
import warnings
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from capture.coverage.edited import measure_edits
from capture.coverage.exceptions import NOT_CUT, NOT_EDITED
from capture.coverage.factory import part_of
from capture.coverage.gradients import measure_gradients
from capture.coverage.inputs import NotBuiltError, ready
from capture.coverage.links import measure_links
from capture.coverage.recipes import REMARKS, ROWS
from capture.coverage.reference import Reference
from capture.coverage.ways import SEED, by_capture, by_recording, difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.coverage.reference import Seen

    from attnwidget import Attention, Layer

CLOSE = 1e-5
ROW = 1  # the padded one


@dataclass
class Result:
    """What came out for one type.

    Attributes:
        model_type: The type.
        outcome: "measured", "no attention", "part of another", "not built", "not run" or "too slow".
        model: Name of the model class.
        streams: Stream name to number of layers.
        calls: Attention calls the model makes.
        exact: How many of them the record of `recording` has, to ``CLOSE``.
        captured: How many of them the record of `capture` has.
        error: Largest difference among those.
        vectors: How many of them have query and key.
        same: Whether outputs are bit-identical with and without recording.
        clean: Whether nothing is left on the model.
        heads: How many heads were to be knocked out: the first and the last of every layer.
        edited: How many of them came out as the reference has them, to the last bit.
        idle: How many of these change nothing of the output, in the reference either.
        tidy: Whether an edit of nothing changes no bit of the output, and edits leave nothing behind.
        links: How many links were to be cut: one of every layer; ``None`` where that was not measured.
        cut: How many of them came out as the reference has them.
        still: How many of these change nothing of the output, in the reference either.
        not_cut: What is said against the others, by how many links.
        layers: How many layers were recorded with gradients; ``None`` where that was not measured.
        sloped: How many of them have the gradients that autograd gives for their output.
        not_sloped: What is said against the others, by how many layers.
        reason: What went wrong, or is missing.
    """

    model_type: str
    outcome: str = "measured"
    model: str = ""
    streams: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    exact: int = 0
    captured: int = 0
    error: float = 0.0
    vectors: int = 0
    same: bool = True
    clean: bool = True
    heads: int = 0
    edited: int = 0
    idle: int = 0
    tidy: bool = True
    links: int | None = None
    cut: int = 0
    still: int = 0
    not_cut: dict[str, int] = field(default_factory=dict)
    layers: int | None = None
    sloped: int = 0
    not_sloped: dict[str, int] = field(default_factory=dict)
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Turn into plain values."""
        return asdict(self)


def measure(model_type: str) -> Result:
    """Build, run, record and compare one type."""
    result = Result(model_type)
    try:
        model, inputs, off = ready(model_type)
    except Exception as error:  # noqa: BLE001  every type gets its line
        _not_ready(result, error)
        return result
    result.model = type(model).__name__
    with torch.no_grad(), Reference() as reference:
        torch.manual_seed(SEED)
        model(**copy.deepcopy(inputs))
    seen = [taken for taken in reference.seen if taken.weights.shape[-1] > 0]
    result.calls = len(seen)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            attention, row = _recorded(model, inputs, off, result)
        except ValueError as error:
            attention, row = None, 0
            result.reason = _said(error)
    if attention is not None:
        result.streams = {name: len(stream) for name, stream in attention.streams.items()}
        rows = ROWS if row else 1  # one where several images stand in it
        compare(attention, seen, result, aside=reference.aside, rows=rows)
        _capture_too(model, inputs, row, attention, result)
        _edit_too(model, inputs, attention, result)
        _cut_too(model, inputs, attention, result)
        _slope_too(model, inputs, row, attention, result)
    said = [str(warning.message) for warning in caught if "not recorded" in str(warning.message)]
    remark = [REMARKS[model_type]] if model_type in REMARKS else []
    result.reason = " ".join([*remark, result.reason, *said]).strip()
    if not seen and attention is None:
        result.outcome = "no attention"
    return result


def _not_ready(result: Result, error: Exception) -> None:
    """Say why a type cannot be measured."""
    whole = part_of(result.model_type)
    needed = re.search(r"requires the (\w+) library", str(error))
    said = f"needs {needed[1]}" if needed else _said(error)
    if whole is not None:
        result.outcome, result.reason = "part of another", whole
    elif isinstance(error, NotBuiltError):
        result.outcome, result.reason = "not built", REMARKS.get(result.model_type, said)
    else:
        result.outcome, result.reason = "not run", REMARKS.get(result.model_type, said)


def _recorded(model: Any, inputs: Any, off: Any, result: Result) -> tuple[Attention, int]:
    """Record, and say which row: the first where there is one, in which several images may stand."""
    try:
        return _recorded_row(model, inputs, off, result, ROW), ROW
    except ValueError as error:
        if "batch must be in 0..0" not in str(error):
            raise
        return _recorded_row(model, inputs, off, result, 0), 0


def _recorded_row(model: Any, inputs: Any, off: Any, result: Result, row: int) -> Attention:
    before = _hooks(model)
    try:
        attention, on = by_recording(model, inputs, row)
        result.same = all(
            torch.equal(a.nan_to_num(), b.nan_to_num())
            for a, b in zip(_tensors(off), _tensors(on), strict=True)
        )
    finally:
        result.clean = _hooks(model) == before
    return attention


def _capture_too(model: Any, inputs: Any, row: int, attention: Attention, result: Result) -> None:
    """Count what `capture` has of the same pass: everything `recording` has if its record is the same to the last bit."""
    before = _hooks(model)
    try:
        said = difference(attention, by_capture(model, inputs, row))
    except Exception as error:  # noqa: BLE001  refused or failed, it is said in the table
        said = _said(error)
    result.clean = result.clean and _hooks(model) == before
    if said:
        result.reason = f"{result.reason} capture: {said}.".strip()
    else:
        result.captured = result.exact


def _edit_too(model: Any, inputs: Any, attention: Attention, result: Result) -> None:
    """Count the heads that are knocked out as the reference has them; the reason of a known exception is that of the list."""
    found = measure_edits(model, inputs, attention, _hooks)
    result.heads, result.edited, result.idle = found.heads, found.same, found.idle
    result.tidy = found.clean
    if found.why:
        said = NOT_EDITED.get(result.model_type) or found.reason()
        result.reason = f"{result.reason} edited: {said}.".strip()


def _cut_too(model: Any, inputs: Any, attention: Attention, result: Result) -> None:
    """Count the links that are cut as the reference has them."""
    before = _hooks(model)
    found = measure_links(model, inputs, attention)
    result.links, result.cut, result.still = found.links, found.same, found.idle
    known = NOT_CUT.get(result.model_type)
    result.not_cut = {known or said: count for said, count in found.why.items()}
    result.tidy = result.tidy and _hooks(model) == before


def _slope_too(model: Any, inputs: Any, row: int, attention: Attention, result: Result) -> None:
    """Count the layers whose gradients are those of autograd."""
    before = _hooks(model)
    found = measure_gradients(model, inputs, attention, row)
    result.layers, result.sloped = found.layers, found.same
    result.not_sloped = dict(found.why)
    result.tidy = result.tidy and _hooks(model) == before


def compare(
    attention: Attention,
    seen: list[Seen],
    result: Result,
    aside: Sequence[Seen] = (),
    rows: int = ROWS,
) -> None:
    """Match layers to calls: each call is taken by the layer that comes closest.

    A product with a softmax of something else than scores, found ``aside``, counts as a call if it was recorded.
    """
    left = [layer for stream in attention.streams.values() for layer in stream]
    reasons = set()
    begun: dict[int, int] = {}
    for taken, certain in [*((one, True) for one in seen), *((one, False) for one in aside)]:
        if taken.weights.isnan().all():
            reasons.add("weights of no numbers")
            continue
        found, best = _closest(taken, left, rows)
        if found is not None and best <= CLOSE:
            left.remove(found)
        else:
            found, best = _next_block(taken, left, rows, begun)
            if found is None:
                continue
            if begun[id(found)] == found.n_query:
                left.remove(found)
        result.calls += not certain
        result.exact += 1
        result.error = max(result.error, best)
        result.vectors += found.has_vectors
        if found.reason:
            reasons.add(found.reason)
    if left:
        reasons.add(f"{len(left)} recorded layers match no call")
    result.reason = " ".join([result.reason, *sorted(reasons)]).strip()


def _closest(taken: Seen, layers: list[Layer], rows: int) -> tuple[Layer | None, float]:
    """Find the layer that comes closest to a call."""
    best, found = math.inf, None
    for layer in layers:
        for row in _rows(taken.weights, layer.num_heads, rows):
            own = _without_padding(row, taken, layer)
            if own is None:
                continue
            cut_up = math.prod(taken.weights.shape[:-2]) > rows * layer.num_heads
            square = layer.n_query == layer.n_key and own.shape[1:] == (layer.n_query,) * 2
            distance = _distance(layer.weights(), own, windows=cut_up and square)
            if distance < best:
                best, found = distance, layer
        if best == 0:
            break
    return found, best


def _next_block(
    taken: Seen, layers: list[Layer], rows: int, begun: dict[int, int]
) -> tuple[Layer | None, float]:
    """Find the layer of which a call is the next block: pieces one after another make one matrix.

    Args:
        taken: The call.
        layers: The layers.
        rows: Number of rows of the batch.
        begun: By the id of a layer, how many of its positions have been found; the call's are added.
    """
    for layer in layers:
        start = begun.get(id(layer), 0)
        for own in _rows(taken.weights, layer.num_heads, rows):
            stop = start + own.shape[1]
            if own.shape[1] != own.shape[2] or stop > layer.n_query:
                continue
            block = layer.weights(queries=slice(start, stop), keys=slice(start, stop))
            distance = _distance(block, own, windows=False)
            if distance <= CLOSE:
                begun[id(layer)] = stop
                return layer, distance
    return None, math.inf


def _without_padding(own: np.ndarray, taken: Seen, layer: Layer) -> np.ndarray | None:
    """Leave out what the record leaves out: padding after the sequence, and what was put before it."""
    for axis, size, extra in (
        (1, layer.n_query, taken.extra_queries),
        (2, layer.n_key, taken.extra_keys),
    ):
        count = own.shape[axis]
        if size > count:
            return None
        if not extra and not taken.before:
            continue
        real = np.arange(taken.before, taken.before + size - extra)
        own = own.take(np.concatenate([real, np.arange(count - extra, count)]), axis)
    return own


def _rows(weights: torch.Tensor, heads: int, rows: int) -> list[np.ndarray]:
    """Yield what may be the recorded row of a call."""
    *lead, queries, keys = weights.shape
    count, row = math.prod(lead), min(ROW, rows - 1)
    if count == heads:
        return [weights.reshape(heads, queries, keys).numpy()]
    if count % rows or count // rows % heads:
        return []
    pieces = count // rows // heads
    if pieces == 1:
        return [weights.reshape(rows, heads, queries, keys)[row].numpy()]
    found = []
    for turned in (False, True):  # heads stand after the pieces or before them
        form = (heads, pieces) if turned else (pieces, heads)
        parts = weights.reshape(rows, *form, queries, keys)[row]
        parts = parts.transpose(0, 1) if turned else parts
        blocks = [torch.block_diag(*parts[:, head]) for head in range(heads)]
        found.append(torch.stack(blocks).numpy())
    return found


def _distance(recorded: np.ndarray, own: np.ndarray, *, windows: bool) -> float:
    """Compare after leaving out what the record leaves out: padding, at either end."""
    if recorded.shape[0] != own.shape[0]:
        return math.inf
    queries, keys = recorded.shape[1:]
    if queries > own.shape[1] or keys > own.shape[2]:
        return math.inf
    own = np.nan_to_num(own[:, :queries, :keys])
    recorded = np.nan_to_num(recorded)
    apart = float(np.abs(recorded - own).max())
    if apart > CLOSE and windows:
        # Windows are put where they lie in the image: the same numbers, rows and columns in another order.
        mine, theirs = _by_content(recorded), _by_content(own)
        recorded, own = recorded[:, mine][:, :, mine], own[:, theirs][:, :, theirs]
        apart = float(np.abs(recorded - own).max())
    return apart


def _by_content(weights: np.ndarray) -> np.ndarray:
    """Order the positions by what their rows hold, whatever the order of the columns."""
    heads = np.arange(1, len(weights) + 1)[:, None]
    return np.argsort(((weights.astype(np.float64) ** 3).sum(axis=2) * heads).sum(axis=0))


def _tensors(output: Any) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output] if not output.is_nested else []
    if isinstance(output, dict):
        return [tensor for value in output.values() for tensor in _tensors(value)]
    if isinstance(output, (list, tuple)):
        return [tensor for value in output for tensor in _tensors(value)]
    return []


def _hooks(model: torch.nn.Module) -> list[tuple[str, int]]:
    return [
        (f"{path}.{name}", len(value))
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if "hooks" in name and hasattr(value, "keys") and value
    ]


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]
