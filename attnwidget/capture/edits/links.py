"""Rows of heads computed again: without some links or directions, or with another record's weights or values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.calls.call import has_dropout, sinks_of, unsupported
from attnwidget.capture.edits.row_readers import CallRows, Rows, SumRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.edits.changes import Changes, Link, Taken
    from attnwidget.capture.edits.windows import Window
    from attnwidget.capture.reconstruct.attention_call import SeenSum

__all__ = ["changed_call", "changed_sum", "no_change", "no_source", "other_length", "with_outputs"]

# Numbers of a block of rows that is worked on at a time.
_BLOCK = 1 << 24
# What is put in the place of an output and differs from it by less, relative to the row's largest number, is that output,
# computed in another order.
_ROUNDING = {torch.float32: 1e-5, torch.float64: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


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
    rows = (CallRows(heads, arguments, batch, changes.directions) for batch in range(len(output)))
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
        SumRows(
            heads,
            seen.weights[row],
            seen.value[row],
            None if logits is None else logits[row],
            CallRows(heads, calls[row], 0, changes.directions) if calls else None,
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
        (Rows(output.shape[1]) for _ in output), output, [window] * len(output), changes
    )


def _changed(
    rows: Iterable[Rows], output: Tensor, windows: Sequence[Window], changes: Changes
) -> Tensor:
    """Return ``[row, head, query, value_dim]`` with what is done to each row of a batch."""
    edited = output.clone()
    for row, (read, window) in enumerate(zip(rows, windows, strict=True)):
        _change(read, output[row], edited[row], window, changes)
    return edited


def _change(
    read: Rows,
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
    read: Rows, head: int, window: Window, output: Tensor, edited: Tensor
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
    read: Rows, head: int, rows: Tensor, hidden: list[int], *, renormalise: bool
) -> tuple[Tensor, Tensor]:
    """Return what rows of a head put out without some keys, and which of them saw any of these."""
    weights, saw = read.weights(head, rows, hidden, renormalise=renormalise)
    return weights @ read.values(head), saw


def _take(read: Rows, taken: Taken, window: Window, output: Tensor, edited: Tensor) -> None:
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
