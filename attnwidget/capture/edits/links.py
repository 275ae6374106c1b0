"""Rows of heads computed again: without some links or directions, or with another record's weights or values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch

from attnwidget.capture.calls.call import (
    has_dropout,
    read_mask_view,
    scaling_of,
    sinks_of,
    unsupported,
)
from attnwidget.capture.edits.padding import ALL_REAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.calls.mask_reader import MaskView
    from attnwidget.capture.edits.padding import RealPositions
    from attnwidget.capture.reconstruct.attention_call import SeenSum

__all__ = [
    "Changes",
    "Link",
    "Taken",
    "Window",
    "changed_call",
    "changed_sum",
    "no_change",
    "no_source",
    "other_length",
    "with_outputs",
]

# Numbers of a block of rows that is worked on at a time.
_BLOCK = 1 << 24
# What is put in the place of an output and differs from it by less, relative to the row's largest number, is that output,
# computed in another order.
_ROUNDING = {torch.float32: 1e-5, torch.float64: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


@dataclass(frozen=True, slots=True)
class Link:
    """Links that some heads of a layer do without.

    Attributes:
        heads: The heads; ``None`` for all.
        queries: Positions of the queries; ``None`` for all.
        keys: Positions of the keys; ``None`` for all.
        renormalise: Whether the weights that are left add up to what all of them did.
    """

    heads: tuple[int, ...] | None
    queries: tuple[int, ...] | None
    keys: tuple[int, ...] | None
    renormalise: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What one head takes from another record.

    Attributes:
        head: The head.
        what: ``"output"``, ``"pattern"`` or ``"value"``.
        numbers: float32 ``[position, value_dim]``, or ``[query, key]`` of a pattern.
        positions: Where: those of values are keys; ``None`` for all of the record.
    """

    head: int
    what: Literal["output", "pattern", "value"]
    numbers: Tensor
    positions: tuple[int, ...] | None


@dataclass(slots=True)
class Changes:
    """What is done to the heads of a layer link by link, or row by row.

    Attributes:
        links: Links that its heads do without.
        taken: What its heads take from another record.
        directions: Directions that the scores of some heads are computed without, float32 ``[count, head_dim]``, unit
            vectors at right angles.
    """

    links: list[Link] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    directions: dict[int, Tensor] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is done."""
        return bool(self.links or self.taken or self.directions)


@dataclass(frozen=True, slots=True)
class Window:
    """Which positions the queries and keys of one call are.

    Attributes:
        query: Position of the first query; ``None`` where that is not known.
        key: Position of the first key.
        queries: How many queries the call has.
        keys: How many keys, those of a cache that were never written left out.
        is_chunk: Whether they are a part of the input, which attends within itself.
        real: Which of them are no padding in one row of the batch: those are counted.
    """

    query: int | None
    key: int
    queries: int
    keys: int
    is_chunk: bool = False
    real: RealPositions = ALL_REAL

    def rows(self, positions: Sequence[int] | None) -> list[int]:
        """Return which rows of the call are queries at these positions.

        Raises:
            ValueError: If that is not known.
        """
        if positions is None:
            return list(range(self.queries))
        if self.query is None:
            msg = (
                "which query of its input a step of a generation is, is not known where it looks at another sequence and the "
                "model does not say how much it has read: name keys only, such as cut(key=3)."
            )
            raise ValueError(msg)
        return _within(_counted(positions, self.real.queries), self.query, self.queries)

    def columns(self, positions: Sequence[int] | None) -> list[int]:
        """Return which columns of the call are keys at these positions."""
        if positions is None:
            return list(range(self.keys))
        return _within(_counted(positions, self.real.keys), self.key, self.keys)

    def count(self, axis: Literal["queries", "keys"]) -> int:
        """Return how many positions an axis has without padding."""
        real: tuple[int, ...] | None = getattr(self.real, axis)
        return int(getattr(self, axis)) if real is None else len(real)


def _counted(positions: Sequence[int], real: tuple[int, ...] | None) -> Sequence[int]:
    """Return positions as the model counts them, padding included; those that are not there are left out."""
    return positions if real is None else [real[place] for place in positions if place < len(real)]


def _within(positions: Sequence[int], first: int, count: int) -> list[int]:
    return [place - first for place in positions if 0 <= place - first < count]


@dataclass(slots=True)
class _Rows:
    """Reads rows of weights and the values of one row of a batch.

    Attributes:
        heads: How many heads there are.
    """

    heads: int

    def values(self, head: int) -> Tensor:
        """Return the values that a head reads, float32 ``[key, value_dim]``."""
        raise NotImplementedError

    def weights(
        self, head: int, rows: Tensor, hidden: list[int], *, renormalise: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return rows of one head's weights without the hidden keys, and where that changes them.

        Args:
            head: The head.
            rows: Which rows.
            hidden: The keys, which weigh 0.
            renormalise: Whether they are left out of the softmax; else the other weights are those with them.

        Returns:
            float32 ``[row, key]``, and boolean ``[row]``: which of them saw any of these keys.
        """
        raise NotImplementedError


@dataclass(slots=True)
class _CallRows(_Rows):
    """Rows of an attention call: scores computed from its arguments, as its implementation does it."""

    arguments: AttentionArguments
    batch: int
    directions: dict[int, Tensor] = field(default_factory=dict)
    view: MaskView = field(init=False)
    # What was read of the mask last, and for which rows: it is the same for all heads.
    _read: tuple[Tensor, Tensor] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.view = read_mask_view(self.arguments, self.batch)

    def values(self, head: int) -> Tensor:
        value = self.arguments.value
        return value[
            min(self.batch, len(value) - 1), head // (self.heads // value.shape[1])
        ].float()

    def weights(
        self, head: int, rows: Tensor, hidden: list[int], *, renormalise: bool = True
    ) -> tuple[Tensor, Tensor]:
        given, options = self.arguments, self.arguments.options
        query = self._query(head, rows)
        key = given.key[
            min(self.batch, len(given.key) - 1), head // (self.heads // given.key.shape[1])
        ]
        scores = (query @ key.float().mT) * scaling_of(given)
        softcap = options.get("softcap")
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        bias = options.get("position_bias")
        if bias is not None:
            scores = scores + _broadcast(bias, self.batch, head, rows).float()
        scores = scores + self._mask(head, rows).to(scores)
        saw = (scores[:, hidden] > -torch.inf).any(dim=-1)
        if renormalise:
            scores = _without(scores, hidden)
        sink = self._sinks(head, rows)
        if sink is not None:
            scores = torch.cat([scores, sink.to(scores)], dim=-1)
        weights = _softmax(scores)[:, : key.shape[0]]
        return weights if renormalise else _zeroed(weights, hidden), saw

    def _query(self, head: int, rows: Tensor) -> Tensor:
        """Return some queries of a head, without the directions that it does without."""
        query = self.arguments.query
        own = query[min(self.batch, len(query) - 1), head, rows].float()
        if head not in self.directions:
            return own
        basis = self.directions[head].to(own.device)
        if basis.shape[1] != own.shape[1]:
            msg = f"the directions have {basis.shape[1]} numbers, its queries {own.shape[1]}: take those of this head."
            raise ValueError(msg)
        return own - own @ basis.T @ basis

    def _mask(self, head: int, rows: Tensor) -> Tensor:
        if self._read is None or not torch.equal(self._read[0], rows):
            self._read = rows, self._masked(rows.cpu())
        mask = self._read[1]
        return mask[head if len(mask) > 1 else 0]

    def _masked(self, rows: Tensor) -> Tensor:
        """Return what the mask adds to some rows, ``[head or 1, row, key]``."""
        keys = torch.arange(self.view.num_keys)
        spans = self.view.spans(rows, keys)
        if spans.dense is not None:
            return spans.dense
        seen = (keys >= spans.start[:, None]) & (keys < spans.stop[:, None])
        return torch.zeros(seen.shape).masked_fill(~seen, -torch.inf)[None]

    def _sinks(self, head: int, rows: Tensor) -> Tensor | None:
        """Return the logit of the sink of each row, ``[row, 1]``."""
        # One that scales the output afterwards does what one in the softmax does.
        sinks = sinks_of(replace(self.arguments, sinks_in_softmax=True))
        if sinks is None:
            return None
        if sinks.ndim == 4:
            return sinks[self.batch, head, rows].float()
        return sinks.flatten()[head].float().expand(len(rows), 1)


@dataclass(slots=True)
class _SumRows(_Rows):
    """Rows of a weighted sum that was seen: its weights are there, and mostly the logits of its softmax.

    Attributes:
        multiplied: ``[head, query, key]``.
        value: ``[head, key, value_dim]``.
        logits: ``[head, query, key or more]``, where they are those of the weights; what is more are sinks.
        call: Reads rows of heads that do without some directions: their scores are computed from query and key.
    """

    multiplied: Tensor
    value: Tensor
    logits: Tensor | None
    call: _CallRows | None = None

    def values(self, head: int) -> Tensor:
        return self.value[head].float()

    def weights(
        self, head: int, rows: Tensor, hidden: list[int], *, renormalise: bool = True
    ) -> tuple[Tensor, Tensor]:
        if self.call is not None and head in self.call.directions:
            return self.call.weights(head, rows, hidden, renormalise=renormalise)
        own = self.multiplied[head, rows].float()
        saw = (own[:, hidden] != 0).any(dim=-1)
        if not hidden or not renormalise:
            return _zeroed(own, hidden), saw
        if self.logits is not None:
            scores = _without(self.logits[head, rows].float(), hidden)
            return _softmax(scores)[:, : own.shape[-1]], saw
        left = _zeroed(own, hidden)
        total = left.sum(dim=-1, keepdim=True)
        return left / torch.where(total == 0, torch.ones_like(total), total), saw


def _without(scores: Tensor, hidden: list[int]) -> Tensor:
    if not hidden:
        return scores
    columns = torch.tensor(hidden, device=scores.device)
    return scores.index_fill(-1, columns, -torch.inf)


def _zeroed(weights: Tensor, hidden: list[int]) -> Tensor:
    return weights.index_fill(
        -1, torch.tensor(hidden, device=weights.device, dtype=torch.long), 0.0
    )


def _softmax(scores: Tensor) -> Tensor:
    """Return the softmax of each row; 0 where nothing is left."""
    none = (scores == -torch.inf).all(dim=-1, keepdim=True)
    return torch.softmax(scores.masked_fill(none, 0.0), dim=-1).masked_fill(none, 0.0)


def _broadcast(tensor: Tensor, batch: int, head: int, rows: Tensor) -> Tensor:
    """Cut ``[row or 1, key]`` out of ``[batch or 1, head or 1, query or 1, key]``."""
    own = tensor[min(batch, len(tensor) - 1)]
    own = own[head if own.shape[0] > 1 else 0]
    return own[rows] if own.shape[0] > 1 else own


def no_source(arguments: AttentionArguments) -> str | None:
    """Say why nothing can be put in the place of a call's output that a record has, in words that follow "it"; else ``None``."""
    if arguments.sinks_in_softmax or sinks_of(replace(arguments, sinks_in_softmax=True)) is None:
        return None
    return "scales what its heads put out by their sinks, which the output in a record is not: use how='zero', or cut"


def no_change(arguments: AttentionArguments) -> str | None:
    """Say why the rows of a call cannot be computed again, in words that follow "it"; ``None`` where they can."""
    if has_dropout(arguments):
        return "drops some of its weights at random: call model.eval() first"
    return unsupported(arguments)


def changed_call(
    arguments: AttentionArguments,
    output: Tensor,
    windows: Sequence[Window],
    changes: Changes,
) -> Tensor:
    """Return the output of an attention call with some of its rows computed anew; all other numbers stand.

    Args:
        arguments: The call.
        output: ``[batch, head, query, value_dim]``.
        windows: Which positions its queries and keys are, of each row.
        changes: What is done.

    Raises:
        ValueError: If another record has not as many positions, or is not known where a row stands.
    """
    heads = output.shape[1]
    rows = (_CallRows(heads, arguments, batch, changes.directions) for batch in range(len(output)))
    return _changed(rows, output, windows, changes)


def changed_sum(
    seen: SeenSum,
    output: Tensor,
    windows: Sequence[Window],
    changes: Changes,
    calls: Sequence[AttentionArguments] = (),
) -> Tensor:
    """Return what a weighted sum comes to with some of its rows computed anew; all other numbers stand.

    Args:
        seen: The sum.
        output: ``[row, head, query, value_dim]``.
        windows: Which positions its queries and keys are, of each row.
        changes: What is done.
        calls: The call behind each row, with its query and key, where heads do without some directions.

    Raises:
        ValueError: As `changed_call`.
    """
    heads, logits = output.shape[1], seen.logits
    rows = (
        _SumRows(
            heads,
            seen.weights[row],
            seen.value[row],
            None if logits is None else logits[row],
            _CallRows(heads, calls[row], 0, changes.directions) if calls else None,
        )
        for row in range(len(output))
    )
    return _changed(rows, output, windows, changes)


def with_outputs(output: Tensor, window: Window, changes: Changes) -> Tensor:
    """Return outputs with those that heads take from another record, where nothing but outputs is taken.

    Args:
        output: ``[row, head, query, value_dim]``.
        window: Which positions its queries are.
        changes: What is taken.

    Raises:
        ValueError: As `changed_call`.
    """
    return _changed(
        (_Rows(output.shape[1]) for _ in output), output, [window] * len(output), changes
    )


def _changed(
    rows: Iterable[_Rows], output: Tensor, windows: Sequence[Window], changes: Changes
) -> Tensor:
    """Return ``[row, head, query, value_dim]`` with what is done to each row of a batch."""
    edited = output.clone()
    for row, (read, window) in enumerate(zip(rows, windows, strict=True)):
        _change(read, output[row], edited[row], window, changes)
    return edited


def _change(
    read: _Rows,
    output: Tensor,
    edited: Tensor,
    window: Window,
    changes: Changes,
) -> None:
    """Write rows into ``edited``, a copy of ``output`` ``[head, query, value_dim]``."""
    with torch.autocast(output.device.type, enabled=False):
        for head in changes.directions:
            _without_directions(read, head, window, output, edited)
        if changes.directions:
            output = edited.clone()
        for head, rows, hidden, renormalise in _cut_rows(read.heads, window, changes.links):
            where = torch.tensor(rows, device=output.device)
            put, saw = _cut(read, head, where, hidden, renormalise=renormalise)
            edited[head, where] = torch.where(saw[:, None], put.to(edited), output[head, where])
        for one in changes.taken:
            _take(read, one, window, output, edited)


def _without_directions(
    read: _Rows, head: int, window: Window, output: Tensor, edited: Tensor
) -> None:
    """Put what a head puts out without some directions in its place; rows that see nothing stay as they are."""
    values = read.values(head)
    step = max(1, _BLOCK // max(window.keys, 1))
    for start in range(0, window.queries, step):
        rows = torch.arange(start, min(window.queries, start + step), device=output.device)
        weights, _ = read.weights(head, rows, [])
        some = (weights > 0).any(dim=-1, keepdim=True)
        edited[head, rows] = torch.where(some, (weights @ values).to(edited), output[head, rows])


def _cut_rows(
    heads: int, window: Window, links: Sequence[Link]
) -> Iterator[tuple[int, list[int], list[int], bool]]:
    """Yield a head, rows of it, and the keys that all of these rows do without, whatever part of the edit says so."""
    said: dict[tuple[int, int, bool], set[int]] = {}
    for link in links:
        rows, columns = window.rows(link.queries), window.columns(link.keys)
        if not rows or not columns:
            continue
        for head in range(heads) if link.heads is None else link.heads:
            for row in rows:
                said.setdefault((head, row, link.renormalise), set()).update(columns)
    alike: dict[tuple[int, tuple[int, ...], bool], list[int]] = {}
    for (head, row, renormalise), hidden in said.items():
        alike.setdefault((head, tuple(sorted(hidden)), renormalise), []).append(row)
    step = max(1, _BLOCK // max(window.keys, 1))
    for (head, keys, renormalise), rows in alike.items():
        for start in range(0, len(rows), step):
            yield head, rows[start : start + step], list(keys), renormalise


def _cut(
    read: _Rows, head: int, rows: Tensor, hidden: list[int], *, renormalise: bool
) -> tuple[Tensor, Tensor]:
    """Return what rows of a head put out without some keys, and which of them saw any of these."""
    weights, saw = read.weights(head, rows, hidden, renormalise=renormalise)
    return weights @ read.values(head), saw


def _take(read: _Rows, taken: Taken, window: Window, output: Tensor, edited: Tensor) -> None:
    """Put what a head takes from another record where it stands in this call."""
    count = taken.numbers.shape[0]
    axis = window.count("keys" if taken.what == "value" else "queries")
    first = window.query or 0
    fits = first + axis <= count if window.is_chunk else first > 0 or axis == count
    if not fits and window.query is not None:  # later steps of a generation go on where it ends
        raise ValueError(other_length(count, first + axis, or_more=window.is_chunk))
    numbers = taken.numbers.to(output.device)
    head, places = taken.head, range(count) if taken.positions is None else taken.positions
    if taken.what == "value":
        rows = torch.arange(window.queries, device=output.device)
        values = read.values(head).clone()
        for place in places:
            for column in window.columns((place,)):
                values[column] = numbers[place]
        put = read.weights(head, rows, [])[0] @ values
    else:
        found = [(place, row) for place in places for row in window.rows((place,))]
        if not found:
            return
        own, rows = (torch.tensor(each, device=output.device) for each in zip(*found, strict=True))
        own = numbers[own]
        put = own if taken.what == "output" else _pattern(own, window) @ read.values(head)
    before = output[head, rows]
    if put.shape != before.shape:
        msg = f"the record that it takes from has outputs of {put.shape[-1]} numbers, the head puts out {before.shape[-1]}: take one of this model."
        raise ValueError(msg)
    largest = before.float().abs().amax(dim=-1, keepdim=True)
    apart = (put - before.float()).abs().amax(dim=-1, keepdim=True)
    same = apart <= _ROUNDING.get(output.dtype, 1e-5) * largest
    edited[head, rows] = torch.where(same, edited[head, rows], put.to(edited))


def other_length(there: int, here: int, *, or_more: bool = False) -> str:
    """Say that a record cannot be taken from, which has another number of positions."""
    more = " or more" if or_more else ""
    return f"the record that it takes from has {there} positions, the input {here}{more}: take one of an input as long."


def _pattern(weights: Tensor, window: Window) -> Tensor:
    """Return ``[row, key]`` weights for the keys of a call; padding has none."""
    if window.is_chunk:
        weights = weights[:, window.key : window.key + window.keys]
    count = window.count("keys")
    if weights.shape[-1] != count:
        msg = f"the record that it takes from looks at {weights.shape[-1]} keys, the input has {count}: take one of an input as long."
        raise ValueError(msg)
    if window.real.keys is None:
        return weights
    columns = torch.tensor(window.columns(range(count)), device=weights.device)
    return weights.new_zeros(len(weights), window.keys).index_copy(-1, columns, weights)
