"""How much of a record is the prompt, and how much was generated after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream

__all__ = ["num_steps", "prompt_sizes", "sizes_at"]


def num_steps(record: Record) -> int:
    """Return how many tokens were generated after the prompt, the last one, which has no position, included."""
    expected = record.next_tokens
    if expected is None or expected.stream not in record.streams:
        return 0
    count = len(record[expected.stream].query_positions)
    return count - expected.prompt + 1 if expected.prompt < count else 0


def prompt_sizes(record: Record, stream: Stream) -> dict[str, int | None] | None:
    """Return how many positions a stream had when the first token was generated, if it grew with the others.

    Returns:
        ``queries`` and ``keys``; the latter None where the keys are those of another sequence, which does not grow.
        None of a stream that did not grow.
    """
    expected = record.next_tokens
    if expected is None or not num_steps(record):
        return None
    queries, keys = len(stream.query_positions), len(stream.key_positions)
    generated = len(record[expected.stream].query_positions) - expected.prompt
    if len(record[expected.stream].query_positions) != queries or generated >= queries:
        return None
    if stream.name == expected.stream:
        there = keys if stream.first_query is None else stream.first_query + queries
        return {"queries": queries - generated, "keys": there - generated}
    return {"queries": queries - generated, "keys": None} if stream.name == "cross" else None


def sizes_at(record: Record, stream: Stream, step: int | None) -> tuple[int, int]:
    """Return how many queries and keys of a stream there were when the token of a step was about to be chosen; None: all."""
    queries, keys = len(stream.query_positions), len(stream.key_positions)
    prompt = None if step is None else prompt_sizes(record, stream)
    if prompt is None or step is None:
        return queries, keys
    of_queries, of_keys = prompt["queries"], prompt["keys"]
    return (
        queries if of_queries is None else min(queries, of_queries + step),
        keys if of_keys is None else min(keys, of_keys + step),
    )
