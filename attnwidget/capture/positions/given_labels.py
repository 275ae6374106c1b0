"""Labels that the user gives for positions: read, compared with what there is, put in place of what was found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attnwidget.capture.positions.axes import PositionAxis
from attnwidget.compute.checks import listed, shown
from attnwidget.record.positions import Position, positions_from_tokens

if TYPE_CHECKING:
    from attnwidget.record.positions import Positions

__all__ = ["GivenLabels", "StreamAxes", "read_labels", "with_given_labels"]

GivenLabels = Mapping[str, "Positions"]

_ANY = ""  # key of labels that were given without a stream


@dataclass(frozen=True, slots=True)
class StreamAxes:
    """The axes of one stream.

    Attributes:
        queries: Positions of the queries.
        keys: Positions of the keys.
        side: Whose positions they are, such as ``"decoder"``.
        cross: Whether queries and keys are different sequences.
    """

    queries: PositionAxis
    keys: PositionAxis
    side: str
    cross: bool

    def lengths(self) -> set[int]:
        """Return how many labels fit: for all positions, without padding, for those that no cache held."""
        lengths = {len(self.keys.positions), int(self.keys.real.sum())}
        return lengths if self.cross else lengths | {len(self.queries.positions)}

    def describe(self) -> str:
        """Say how many positions there are."""
        count, real = len(self.keys.positions), int(self.keys.real.sum())
        return f"{count} positions" + (f", {real} without padding" if real < count else "")


def read_labels(tokens: Any, batch: int | None = None) -> GivenLabels | None:
    """Read the argument ``tokens`` of `attnwidget.capture`.

    Args:
        tokens: A sequence of labels, a mapping of streams to such, or ``None``.
        batch: Which of several sequences is meant.

    Returns:
        Positions by stream; by the empty name where no stream was named.

    Raises:
        ValueError: If they are no labels.
    """
    if tokens is None:
        return None
    if isinstance(tokens, Mapping):
        return {str(name): _read(labels, batch) for name, labels in tokens.items()}
    return {_ANY: _read(tokens, batch)}


def _read(tokens: Any, batch: int | None) -> Positions:
    labels = listed(tokens)
    if labels is None:
        msg = (
            "tokens must be a sequence of labels, one for each position, or a mapping of streams to such, got "
            f"{shown(tokens)}: pass tokenizer.convert_ids_to_tokens(ids)."
        )
        raise ValueError(msg)
    if labels and all(isinstance(each, (list, tuple)) for each in labels):
        # Of each row of a batch.
        if len(labels) > 1 and (batch is None or not 0 <= batch < len(labels)):
            msg = f"tokens holds {len(labels)} sequences; give that of the row which is recorded, tokens[{batch or 0}]."
            raise ValueError(msg)
        labels = list(labels[batch or 0] if len(labels) > 1 else labels[0])
    return positions_from_tokens(labels)


def with_given_labels(
    streams: Mapping[str, StreamAxes], given: GivenLabels
) -> dict[str, StreamAxes]:
    """Label positions as the user says.

    Args:
        streams: The axes of each stream.
        given: What `read_labels` returned.

    Returns:
        The same axes with other positions. What looks at the positions of a stream, or from them, gets its labels too.

    Raises:
        ValueError: If a stream does not exist, or there are not as many labels as positions.
    """
    chosen = {
        name: labels
        for key, labels in given.items()
        for name in ([key] if key else _fitting(streams, labels))
    }
    unknown = [name for name in chosen if name not in streams]
    if unknown:
        msg = f"tokens names no stream of the record: {', '.join(unknown)}; there is {_list(streams)}."
        raise ValueError(msg)
    changed = {name: _relabelled(name, streams, labels) for name, labels in chosen.items()}
    found = dict(streams) | changed
    for name, axes in streams.items():
        if not axes.cross:
            continue
        keys, queries = found[name].keys, axes.queries
        for other, new in changed.items():
            old = streams[other]
            if other == name or old.cross:
                continue
            if old.keys is axes.keys:
                keys = keys if name in changed else new.keys
            elif old.queries.positions == axes.queries.positions:
                queries = new.queries
        found[name] = replace(axes, queries=queries, keys=keys)
    return found


def _fitting(streams: Mapping[str, StreamAxes], labels: Positions) -> list[str]:
    """Return the streams that labels without a name are for: all of one side with as many positions."""
    fit = [name for name, axes in streams.items() if len(labels) in axes.lengths()]
    fit = [name for name in fit if not streams[name].cross] or fit
    if not fit:
        msg = (
            f"tokens has {_count(labels)}, and there is {_list(streams)}: give one for each position, or say for which "
            f"stream, tokens={{{next(iter(streams), 'decoder')!r}: [...]}}."
        )
        raise ValueError(msg)
    if len({(streams[name].side, streams[name].keys.positions) for name in fit}) > 1:
        msg = f"tokens has {_count(labels)}, which fit {' and '.join(fit)}: say for which, tokens={{{fit[0]!r}: [...]}}."
        raise ValueError(msg)
    return fit


def _relabelled(name: str, streams: Mapping[str, StreamAxes], labels: Positions) -> StreamAxes:
    axes = streams[name]
    if len(labels) not in axes.lengths():
        msg = f"tokens[{name!r}] has {_count(labels)}, and there is {_list(streams)}: give one for each position."
        raise ValueError(msg)
    old, real = axes.keys.positions, axes.keys.real.tolist()
    if len(labels) == len(old):
        places = list(range(len(old)))
    elif len(labels) == sum(real):
        places = [place for place, is_real in enumerate(real) if is_real]
    else:
        places = list(range(len(old) - len(labels), len(old)))
    new = dict(zip(places, labels, strict=True))
    positions = tuple(
        _with_label(position, new[place]) if place in new else position
        for place, position in enumerate(old)
    )
    keys, queries = PositionAxis(positions, axes.keys.real), axes.queries
    count = len(queries.positions)
    if not axes.cross and queries.positions == old[len(old) - count :]:
        queries = PositionAxis(positions[len(old) - count :], queries.real)
    return replace(axes, queries=queries, keys=keys)


def _with_label(old: Position, new: Position) -> Position:
    """Keep where a patch or a frame lies, and what is known of a token's place in a pair or a chat."""
    if old.kind in {"patch", "frame"}:
        return replace(old, label=new.label)
    return replace(new, segment=old.segment, role=old.role)


def _list(streams: Mapping[str, StreamAxes]) -> str:
    return ", ".join(f"{name} with {axes.describe()}" for name, axes in streams.items())


def _count(labels: Positions) -> str:
    return f"{len(labels)} label" + "s" * (len(labels) != 1)
