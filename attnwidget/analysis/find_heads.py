"""`Attention.find`: rank all heads by the weight of given links or of a pattern."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.analysis.group_shares import pair_shares_slices
from attnwidget.analysis.position_groups import groups_of
from attnwidget.analysis.tables import table
from attnwidget.compute.checks import check_count, check_tensor, shown
from attnwidget.compute.group_sums import without_aside
from attnwidget.compute.indexing import Axis
from attnwidget.compute.measures import row_factors
from attnwidget.compute.not_numbers import strongest_first, warn_not_numbers
from attnwidget.compute.resumable import finish, share_of
from attnwidget.compute.softmax import exact
from attnwidget.compute.weight_rows import query_blocks, weight_blocks
from attnwidget.record.aside import check_not_aside, named_aside
from attnwidget.record.chosen import chosen_heads, only_these
from attnwidget.record.position_lookup import resolve
from attnwidget.record.record import the_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.analysis.position_groups import By
    from attnwidget.compute.indexing import Heads
    from attnwidget.compute.measures import Factors
    from attnwidget.compute.resumable import Slices
    from attnwidget.record.layer import Layer
    from attnwidget.record.position_lookup import Place
    from attnwidget.record.positions import Positions
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream, StreamAxes
    from attnwidget.record.vocabulary import Layers

    Pattern = Callable[[Positions, Positions], Any] | Any

__all__ = [
    "Links",
    "Pattern",
    "find",
    "link_weights",
    "links",
    "pattern_mask",
    "stream_weights",
    "stream_weights_slices",
]


def find(
    attention: Record,
    query: Place | None = None,
    key: Place | None = None,
    *,
    pattern: Pattern = None,
    top: int | None = 10,
    stream: str | None = None,
    measure: str = "weights",
    layers: Layers = None,
    heads: Heads = None,
    pair: tuple[str | None, str | None] = (None, None),
    by: By | None = None,
    aside: Place | None = None,
) -> Any:
    """Return `Attention.find`, where it is described; ``pair`` are two groups of positions."""
    count = None if top is None else check_count("top", top, " or None for all heads")
    chosen = only_these(the_stream(attention, stream), layers)
    wanted = {layer.layer: chosen_heads(layer, heads) for layer in chosen}
    out = named_aside(aside, chosen.key_positions)
    weigh: Callable[[Sequence[int]], Slices[list[NDArray[np.float64]]]]
    if by is None and all(name is None for name in pair):
        asked = links(chosen, query, key, pattern)
        weigh = partial(stream_weights_slices, chosen, asked, measure)
    else:
        grouping = _only_groups(by, pair, {"query": query, "key": key, "pattern": pattern})
        groups = groups_of(attention, grouping, chosen.name)[chosen.name]
        weigh = partial(pair_shares_slices, chosen, groups, pair, measure)
    weighed = finish(weigh(out))
    found: list[dict[str, Any]] = [
        {"stream": chosen.name, "layer": layer.layer, "head": head, "weight": float(weight)}
        for layer, weights in zip(chosen, weighed, strict=True)
        for head, weight in enumerate(weights)
        if head in wanted[layer.layer]
    ]
    unknown = {(row["layer"], row["head"]) for row in found if math.isnan(row["weight"])}
    if unknown and out:
        # Of these, some have nothing left besides what is set aside, which is no fault of theirs.
        whole = zip(chosen, finish(weigh(())), strict=True)
        unknown &= {
            (layer.layer, head)
            for layer, weights in whole
            for head in np.flatnonzero(np.isnan(weights))
        }
    warn_not_numbers(
        ((chosen.name, *head) for head in sorted(unknown)), "such heads come last", stacklevel=3
    )
    # Stable: equal heads stay in the model's order.
    found.sort(key=lambda row: strongest_first(row["weight"]))
    return table({"rank": place, **row} for place, row in enumerate(found[:count], start=1))


def _only_groups(
    by: By | None, pair: tuple[str | None, str | None], besides: Mapping[str, object]
) -> By:
    """Return the grouping of a call that ranks by groups.

    Raises:
        ValueError: If there is none, no group is named, or something else names links too.
    """
    given = [name for name, value in besides.items() if value is not None]
    if by is not None and any(name is not None for name in pair) and not given:
        return by
    got = f"got {given[0]} besides" if given else f"got no {'by' if by is None else 'group'}"
    message = (
        f"find takes from_group and to_group, one at least, with by, {got}: for instance "
        "find(from_group='A', to_group='B', by='segment')."
    )
    raise ValueError(message)


def stream_weights(
    stream: Stream, asked: Links, measure: str = "weights", aside: Sequence[int] = ()
) -> list[NDArray[np.float64]]:
    """Return `link_weights` where there are any.

    Raises:
        ValueError: If the model's mask hides all of the links, or all of them are to keys that are set aside.
    """
    return finish(stream_weights_slices(stream, asked, measure, aside))


def stream_weights_slices(
    stream: Stream, asked: Links, measure: str = "weights", aside: Sequence[int] = ()
) -> Slices[list[NDArray[np.float64]]]:
    """Return `stream_weights` as a computation in slices."""
    check_not_aside(asked.keys(), aside, stream)
    found = yield from link_weights_slices(stream, asked, measure, aside)
    # A link that the metric does not gain by is no link that the mask hides.
    if measure != "relevance" and not any(weights.any() for weights in found):
        message = (
            f"no head of stream {stream.name!r} can give these links any weight: the mask hides the keys from the "
            "queries (a causal model never looks ahead); swap query and key, or choose other positions."
        )
        raise ValueError(message)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Which links are asked for.

    Attributes:
        queries: The queries that have any.
        mask: Their keys, boolean ``[query, key]`` on the CPU; one row of memory for all queries where each has the same.
        of: How many queries there are in all.
    """

    queries: Axis
    mask: Tensor
    of: int

    def keys(self) -> list[int]:
        """Return the keys of any of the queries, in order."""
        # One row is that of all queries where it is one row of memory.
        rows = self.mask if self.mask.stride(0) else self.mask[:1]
        found: list[int] = rows.any(0).nonzero()[:, 0].tolist()
        return found


def links(
    stream: StreamAxes,
    query: Place | None = None,
    key: Place | None = None,
    pattern: Pattern = None,
) -> Links:
    """Return the links that a caller named, as positions, as tokens or as a pattern.

    Raises:
        ValueError: If nothing is named, a token is not there or is there several times, a position does not exist, or
            the pattern is no mask of this size.
    """
    if (pattern is None) == (key is None) or (pattern is not None and query is not None):
        message = "find takes key (and query, all of them when left out), or pattern: for instance find(query='it', key='cat')."
        raise ValueError(message)
    n_query, n_key = len(stream.query_positions), len(stream.key_positions)
    if pattern is None:
        queries = (
            tuple(range(n_query))
            if query is None
            else resolve("query", query, stream.query_positions)
        )
        keys = resolve("key", key, stream.key_positions)  # type: ignore[arg-type]  # not None without a pattern
        row = torch.zeros(n_key, dtype=torch.bool)
        row[list(keys)] = True
        return Links(Axis(queries), row.expand(len(queries), n_key), n_query)
    whole = pattern_mask(stream, pattern)
    rows = whole.any(1).nonzero()[:, 0].tolist()
    if not rows:
        message = f"the pattern marks no link of these {n_query} queries × {n_key} keys."
        raise ValueError(message)
    return Links(Axis(tuple(rows)), whole[rows], n_query)


def pattern_mask(stream: StreamAxes, pattern: Pattern) -> Tensor:
    """Return a pattern as a boolean mask ``[query, key]`` on the CPU.

    Raises:
        ValueError: If it is no mask of this size.
    """
    expected = (len(stream.query_positions), len(stream.key_positions))
    if callable(pattern):
        given = pattern
        try:
            pattern = given(stream.query_positions, stream.key_positions)
        except TypeError as error:
            message = (
                f"pattern must be a 0/1 mask, or a function from query positions and key positions to one, got {shown(given)},"
                f" which raised TypeError: {error}."
            )
            raise ValueError(message) from error
    if isinstance(pattern, torch.Tensor):
        pattern = check_tensor("pattern", pattern).float().cpu()
    try:
        mask = np.asarray(pattern)
    except (
        ValueError,
        TypeError,
        RuntimeError,
        AttributeError,
    ) as error:  # rows of different lengths
        message = f"pattern must give 0 or 1 for each [query, key], shape {list(expected)}, got {shown(pattern)}: {error}."
        raise ValueError(message) from error
    # Of anything but numbers nothing is compared.
    correct = mask.shape == expected and mask.dtype.kind in "biufc"
    if not correct or not np.isin(mask, (0, 1)).all():
        message = (
            f"pattern must give 0 or 1 for each [query, key], shape {list(expected)}, got shape {list(mask.shape)}, dtype"
            f" {mask.dtype}."
        )
        raise ValueError(message)
    return torch.from_numpy(mask.astype(bool))


def link_weights(
    stream: Stream, asked: Links, measure: str = "weights", aside: Sequence[int] = ()
) -> list[NDArray[np.float64]]:
    """Return for each layer the mean over queries of the weight on their keys, float64 ``[head]``.

    For other measures than ``"weights"`` each row is divided by its sum first. With keys set aside it is divided by what
    remains, a row with nothing left is left out, and a head with no other has NaN.
    """
    return finish(link_weights_slices(stream, asked, measure, aside))


def link_weights_slices(
    stream: Stream, asked: Links, measure: str = "weights", aside: Sequence[int] = ()
) -> Slices[list[NDArray[np.float64]]]:
    """Return `link_weights` as a computation in slices."""
    found = []
    for place, layer in enumerate(stream):
        work = _of_layer(layer, asked, row_factors(layer, measure), aside)
        found.append((yield from share_of(work, place / len(stream), (place + 1) / len(stream))))
    return found


def _of_layer(
    layer: Layer, asked: Links, factors: Factors | None, aside: Sequence[int]
) -> Slices[NDArray[np.float64]]:
    found = torch.zeros(layer.num_heads, dtype=torch.float64)
    rows = torch.full((layer.num_heads,), len(asked.queries), dtype=torch.float64)
    every = Axis(range(layer.num_heads))
    kept = torch.ones(layer.n_key, dtype=torch.bool, device=layer.device)
    kept[list(aside)] = False
    for some in query_blocks(layer.num_heads, len(asked.queries), layer.n_key):
        with exact(layer):
            mask = some.take(asked.mask, 0).to(layer.device)
            queries = Axis(tuple(asked.queries.indices[place] for place in some.indices))
            for block in weight_blocks(layer, queries):
                weights = block.weights
                if factors is not None:
                    weights.mul_(factors.of(block, every, queries))
                    weights.div_(weights.sum(-1, keepdim=True).clamp(min=1e-30))
                some_keys = mask[block.queries, block.keys]
                marked = (weights * some_keys).sum(-1)
                if aside:
                    parts = [
                        weights * (some_keys & kept[block.keys]),
                        weights * (~some_keys & kept[block.keys]),
                    ]
                    sums = torch.stack([part.sum(-1) for part in parts], -1).double()
                    shares, empty = without_aside(sums)
                    marked = shares[..., 0]
                    rows[block.heads] -= empty.double().sum(-1).cpu()
                found[block.heads] += marked.double().sum(-1).cpu()
        yield (some.indices[-1] + 1) / len(asked.queries)
    mean: NDArray[np.float64] = (found / rows).numpy()
    return mean
