"""The selection carried over to another source: what fits of it stays, pins follow their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.comparison.alignment import align
from attnwidget.serve.selection import SelectionError, check, nearest_layer
from attnwidget.serve.selection_parts import DEFAULTS, STATE, as_pins
from attnwidget.serve.shown_groups import fitting_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnwidget.comparison.comparison import Comparison
    from attnwidget.record.positions import Positions
    from attnwidget.serve.source import Source
    from attnwidget.serve.streams import ShownStream

    Places = Callable[[int], int | None]

__all__ = ["fitting", "from_common_axes", "to_another_text", "to_common_axes", "token_places"]


def fitting(source: Source, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole selection of a source, each part as in ``state`` where the source has it.

    Args:
        source: What is to be shown.
        state: A whole selection, of another source perhaps.
    """
    first = next(iter(source.streams.values()))
    stream = source.streams.get(state["stream"], first)
    layer = nearest_layer(stream, state["layer"])
    heads = [head for head in state["heads"] if head < stream[layer].num_heads] or [0]
    found = {
        "stream": stream.name,
        "layer": layer,
        "heads": heads,
        **fitting_groups(source, stream.name, state),
    }
    kept = {**DEFAULTS, **found}
    # A score may be the ranking, which has to be known first.
    for name in sorted(STATE, key=lambda name: name in {"score", "other_score"}):
        if name in found:
            continue
        try:
            kept[name] = check(source, name, state[name], kept)
        except SelectionError:
            # What the other text, or two records, do not have: the part is as if nobody had chosen it.
            continue
    return kept


def to_another_text(
    state: Mapping[str, Any], old: Mapping[str, ShownStream], new: Mapping[str, ShownStream]
) -> dict[str, Any]:
    """Return a selection whose pins, ranked links and keys set aside are at the same tokens of another text, where it has them.

    Args:
        state: A whole selection of ``old``.
        old: The streams that are shown, by name.
        new: Those that are to be shown.
    """
    name = state["stream"]
    if name not in new:
        aside = None if isinstance(state["aside"], list) else state["aside"]
        return {**state, "query": None, "key": None, "ranking": None, "aside": aside}
    before, after = old[name], new[name]
    return _moved(
        state,
        lambda: token_places(before.query_positions, after.query_positions),
        lambda: token_places(before.key_positions, after.key_positions),
    )


def to_common_axes(state: Mapping[str, Any], comparison: Comparison) -> dict[str, Any]:
    """Return a selection of the second record whose pins are at its places on a comparison's axes."""
    compared = comparison.streams.get(state["stream"])
    queries, keys = (compared.queries, compared.keys) if compared else ((), ())
    return _moved(
        state,
        lambda: {pair.b: place for place, pair in enumerate(queries) if pair.b is not None}.get,
        lambda: {pair.b: place for place, pair in enumerate(keys) if pair.b is not None}.get,
    )


def from_common_axes(state: Mapping[str, Any], comparison: Comparison) -> dict[str, Any]:
    """Return a selection of a comparison whose pins are positions of its second record."""
    compared = comparison.streams[state["stream"]]
    return _moved(
        state, lambda: lambda at: compared.queries[at].b, lambda: lambda at: compared.keys[at].b
    )


def _moved(
    state: Mapping[str, Any], queries: Callable[[], Places], keys: Callable[[], Places]
) -> dict[str, Any]:
    """Return a selection with its pins, ranked links and keys set aside at other places; those without one are dropped.

    Args:
        state: The selection.
        queries: Makes what tells where a query is; not called where no query is named.
        keys: The same of keys.
    """
    moved = dict(state)
    for name, places in (("query", queries), ("key", keys)):
        pins = state[name] if isinstance(state[name], list) else [state[name]]
        if state[name] is not None:
            where = places()
            moved[name] = as_pins([at for at in map(where, pins) if at is not None])
    if isinstance(state["aside"], list):
        moved["aside"] = [at for at in map(keys(), state["aside"]) if at is not None] or None
    ranking = state["ranking"]
    if ranking is None:
        return moved
    moved["ranking"] = None
    # A pattern is a mask over the positions of one text.
    if "keys" in ranking:
        linked = {
            name: sides if sides is None else list(map(places(), sides))
            for name, sides, places in (
                ("queries", ranking["queries"], queries),
                ("keys", ranking["keys"], keys),
            )
        }
        if all(None not in (sides or ()) for sides in linked.values()):
            moved["ranking"] = linked
    return moved


def token_places(before: Positions, after: Positions) -> Places:
    """Return what tells where the token at a position of one text is in another."""
    # Texts are mostly edited in one place: what is the same around it need not be searched, which takes long.
    first = _same(before, after)
    least = min(len(before), len(after)) - first
    last = min(_same(before[::-1], after[::-1]), least)
    middle = align(before[first : len(before) - last], after[first : len(after) - last])
    moved = {
        first + pair.a: first + pair.b
        for pair in middle
        if pair.a is not None and pair.b is not None
    }

    def place(at: int) -> int | None:
        if at < first:
            return at
        return at + len(after) - len(before) if at >= len(before) - last else moved.get(at)

    return place


def _same(before: Positions, after: Positions) -> int:
    """Return how many positions at the beginning are the same token."""
    return next(
        (
            at
            for at, (one, other) in enumerate(zip(before, after, strict=False))
            if (one.kind, one.text, one.label) != (other.kind, other.text, other.label)
        ),
        min(len(before), len(after)),
    )
