"""The page's requests, checked against the schema and against what is shown before any of them is worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import shown
from attnwidget.protocol.messages import check_request
from attnwidget.serve.blocks import BY_POSITION
from attnwidget.serve.jobs import MESSAGE_BYTES
from attnwidget.serve.selection import check_heads, check_layer, named
from attnwidget.serve.thumbnails import OVERVIEW_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnwidget.serve.jobs import Jobs
    from attnwidget.serve.source import Source
    from attnwidget.serve.streams import ShownStream

__all__ = ["reply"]


def reply(
    jobs: Jobs, source: Source, requests: Sequence[object]
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Answer the page's requests; see `Jobs.reply`. One that asks for what there is not takes nothing from the others.

    Args:
        jobs: What works on them.
        source: What is shown.
        requests: What came.

    Returns:
        A reply to each request, and the bytes of those with a block.
    """
    asked: list[Mapping[str, Any]] = []
    replies: list[dict[str, Any] | None] = []
    for request in requests:
        try:
            asked.append(_checked(source, request))
            replies.append(None)
        except ValueError as error:
            replies.append({"ok": False, "error": str(error)})
    # Labels alone are asked for when nothing else is: with a score, the scores come along. A sample is waited for: until
    # it is there, nothing is.
    quiet = {*OVERVIEW_KINDS, "head_labels"} - {"sample"}
    aside = all(request["what"] in quiet for request in asked)
    answers, buffers = jobs.reply(asked, source.work, aside=aside)
    rest = iter(answers)
    return [next(rest) if each is None else each for each in replies], buffers


def _checked(source: Source, request: object) -> Mapping[str, Any]:
    """Return a request whose stream, layer and head exist and whose ranges lie in the stream.

    Raises:
        ValueError: If there is anything else in it.
    """
    checked = check_request(request)
    stream = named(source, checked["stream"])
    if "layer" not in checked:
        return checked
    number = check_layer(stream, checked["layer"])
    check_heads(stream[number], [checked["head"]])
    if "together" in checked:
        _check_together(stream, number, checked["together"])
    last = max(len(stream.query_positions), len(stream.key_positions), 1).bit_length()
    if checked.get("level", 0) > last:
        message = f"level must be in 0..{last}, got {checked['level']}."
        raise ValueError(message)
    # Vectors come by position: "queries" are then positions of the side that they belong to.
    of_keys = checked["what"] in {"key_vectors", "value_vectors"}
    rows = stream.key_positions if of_keys else stream.query_positions
    for name, positions in (("queries", rows), ("keys", stream.key_positions)):
        start, stop = checked.get(name, (0, 1))
        if not start < stop <= max(1, len(positions)):
            message = f"{name} must be a range of 0..{len(positions)}, the first before the last, got [{start}, {stop}]."
            raise ValueError(message)
    if checked["what"] in BY_POSITION and "queries" not in checked:
        # Layers of compared records and of surveys have no vectors, which `work` says.
        dims = getattr(stream[number], "head_dim", None) or 1
        _check_size(checked["what"], len(rows), dims)
    return checked


def _check_size(what: str, count: int, dims: int) -> None:
    """Raise `ValueError` if the vectors of so many positions are more than what a message holds."""
    if 4 * count * dims > MESSAGE_BYTES:
        most = max(1, MESSAGE_BYTES // (4 * dims))
        message = (
            f"{what} of all {count:,} positions are more than one message holds: ask for up to {most:,} of them at a time,"
            f" for instance queries=[0, {most}]."
        )
        raise ValueError(message)


def _check_together(stream: ShownStream, number: int, together: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless heads that are to be one exist, each of them once.

    Args:
        stream: Their stream.
        number: Their layer, where they do not name one each.
        together: ``TogetherHeads`` in the schema.
    """
    heads = together["heads"]
    layers = together.get("layers", [number] * len(heads))
    if len(layers) != len(heads):
        message = f"together.layers must be the layer of each head, {len(heads)} of them, got {len(layers)}."
        raise ValueError(message)
    for layer, head in zip(layers, heads, strict=True):
        check_heads(stream[check_layer(stream, layer)], [head])
    if len(set(zip(layers, heads, strict=True))) < len(heads):
        message = (
            f"together.heads must be different heads, got {shown(heads)} of layers {shown(layers)}."
        )
        raise ValueError(message)
