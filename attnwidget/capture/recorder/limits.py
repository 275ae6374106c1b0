"""`Limits`: ``streams=``, ``layers=`` and ``positions=``, parsed and applied, while the model runs and afterwards.

A call has to be kept or dropped while the model runs; which stream and layer it makes is certain only afterwards, from all
calls. So each limit is applied twice: while the model runs to what `static_layers` is certain of, generously, and exactly
when the record is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnwidget.capture.architecture.static_layout import static_layers
from attnwidget.compute.checks import integer, listed, shown
from attnwidget.record.stream import number_ranges

if TYPE_CHECKING:
    from torch import nn

    from attnwidget.capture.architecture.static_layout import StaticLayer


__all__ = ["Limits", "PositionRange", "RunningLimits"]


@dataclass(frozen=True, slots=True)
class PositionRange:
    """A range of consecutive positions, not yet applied to a sequence.

    Attributes:
        start: The first, negative from the end; ``None`` for the first there is.
        stop: One past the last, in the same way.
        strict: Whether all of them have to be there.
        given: What the caller gave.
    """

    start: int | None
    stop: int | None
    strict: bool
    given: Any

    @property
    def counts_back(self) -> bool:
        """Whether a bound counts from the last position."""
        return any(bound is not None and bound < 0 for bound in (self.start, self.stop))

    def clipped(self, count: int) -> range:
        """Return which of ``count`` positions are in the range."""
        start, stop, _ = slice(self.start, self.stop).indices(max(count, 0))
        return range(start, max(start, stop))

    def within(self, count: int) -> range | None:
        """Return which of ``count`` positions are in the range, or ``None`` if none is or some are missing."""
        kept = self.clipped(count)
        if not len(kept):
            return None
        if self.strict:
            bounds = [bound for bound in (self.start, self.stop) if bound is not None]
            if any(not -count <= bound <= count for bound in bounds):
                return None
        return kept


def _read_position_range(value: Any) -> PositionRange:
    """Read consecutive positions off a slice, a range, an integer or several.

    Raises:
        ValueError: If they do not follow each other, or are none of these.
    """
    if isinstance(value, slice):
        bounds = [None if b is None else integer(b) for b in (value.start, value.stop)]
        asked = [b for b in (value.start, value.stop) if b is not None]
        if integer(1 if value.step is None else value.step) == 1 and len(asked) == sum(
            b is not None for b in bounds
        ):
            return PositionRange(bounds[0], bounds[1], strict=False, given=value)
    elif integer(value) is not None:
        return _run([integer(value)], value)
    elif hasattr(value, "__len__") and listed(value) is not None:
        numbers = [integer(number) for number in listed(value) or ()]
        run = (
            numbers
            and numbers[0] is not None
            and list(range(numbers[0], numbers[0] + len(numbers)))
        )
        if run and run == numbers:
            return _run(numbers, value)
    message = (
        "positions must be query positions that follow each other: a slice or range without steps, an integer or a run "
        f"of integers, or such for each stream by its name, got {shown(value)}. Pass positions=slice(0, 512), for instance, "
        "and pick from the record, layer.weights(queries=[3, 17])."
    )
    raise ValueError(message)


def _run(numbers: Sequence[int | None], given: Any) -> PositionRange:
    first, last = numbers[0], numbers[-1]
    assert first is not None and last is not None  # noqa: S101, PT018  (the callers have looked)
    return PositionRange(first, None if last == -1 else last + 1, strict=True, given=given)


def _choose_layers(value: Any, numbers: Sequence[int]) -> set[int]:
    """Return those of the layers there are that ``value`` asks for; negative ones count from the end.

    A slice is one of the model's numbers, whether or not there is a layer of each.
    """
    there = sorted(numbers)
    if isinstance(value, slice):
        return set(range(there[-1] + 1)[value] if there else ()) & set(there)
    one = integer(value)
    asked = [one] if one is not None else [int(number) for number in value]
    return {
        number if number >= 0 else there[number]
        for number in asked
        if number in there or -len(there) <= number < 0
    }


def _may_become(name: str, expected: str) -> bool:
    """Tell whether a stream of this name may be part of what is called ``expected`` before the run."""
    return name == expected or name.startswith(f"{expected} ")


@dataclass(frozen=True, slots=True)
class Limits:
    """What is recorded.

    Attributes:
        streams: Names of the streams, or ``None`` for all.
        layers: For each stream's name, or for ``""`` where the same holds for all, the layers; empty for all layers.
        positions: The query positions in the same way.
        single: Whether only one forward pass runs, so that its positions are all there will be.
    """

    streams: tuple[str, ...] | None = None
    layers: Mapping[str, Any] = field(default_factory=dict)
    positions: Mapping[str, PositionRange] = field(default_factory=dict)
    single: bool = False

    @classmethod
    def of(
        cls, streams: Any = None, layers: Any = None, positions: Any = None, *, single: bool = False
    ) -> Limits:
        """Read what a caller gave.

        Raises:
            ValueError: If something is given that can name no stream, layer or positions.
        """
        names = [streams] if isinstance(streams, str) else streams
        if names is not None and (
            not isinstance(names, Sequence)
            or not names
            or not all(isinstance(n, str) for n in names)
        ):
            message = f"streams must be the name of a stream or several, got {shown(streams)}: pass streams=['decoder'], for instance."
            raise ValueError(message)
        chosen = _by_stream("layers", layers)
        for value in chosen.values():
            _check_layers(value)
        return cls(
            None if names is None else tuple(names),
            chosen,
            {
                name: _read_position_range(value)
                for name, value in _by_stream("positions", positions).items()
            },
            single,
        )

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return self.streams is not None or bool(self.layers) or bool(self.positions)

    def while_running(self, model: nn.Module) -> RunningLimits:
        """Return what can be decided while the model runs."""
        return RunningLimits(self, static_layers(model) if self else {})

    def kept_streams(self, names: Sequence[str]) -> list[str]:
        """Return the recorded ones of all streams.

        Raises:
            ValueError: If one is named that is not there.
        """
        asked = [("streams", name) for name in self.streams or ()]
        asked += [("layers", name) for name in self.layers if name]
        asked += [("positions", name) for name in self.positions if name]
        for option, name in asked:
            if name not in names:
                message = f"{option} names stream {name!r}, the model has {', '.join(map(repr, names))}: attnwidget.inspect(model) lists them."
                raise ValueError(message)
        return [name for name in names if self.streams is None or name in self.streams]

    def kept_layers(self, numbers: Mapping[str, Sequence[int]]) -> dict[str, set[int]]:
        """Return the recorded ones of all layers, by stream.

        Args:
            numbers: The numbers of the layers that the recorded streams have.

        Raises:
            ValueError: If a number is named that none of the streams it is named for has.
        """
        found: dict[str, set[int]] = {}
        everywhere = self.layers.get("")
        for name, there in numbers.items():
            own = self.layers.get(name, everywhere)
            found[name] = set(there) if own is None else _choose_layers(own, there)
        for name, value in self.layers.items():
            those = [name] if name else list(numbers)
            some = {stream: numbers[stream] for stream in those if stream in numbers}
            wrong = [
                n for n in _named(value) if not any(_choose_layers([n], t) for t in some.values())
            ]
            if wrong or not any(found[stream] for stream in some):
                has = "; ".join(f"stream {s!r} has {_layer_list(t)}" for s, t in some.items())
                what = f"layer {wrong[0]}" if wrong else "no layer there is"
                message = f"layers={_layers_repr(self.layers)} asks for {what}: {has or 'streams= leaves that stream out'}."
                raise ValueError(message)
        return found

    def kept_positions(self, stream: str, count: int) -> range | None:
        """Return which queries of a stream are recorded, or ``None`` for all.

        Raises:
            ValueError: If there are not as many, or none is left.
        """
        asked = self.positions.get(stream, self.positions.get(""))
        if asked is None:
            return None
        kept = asked.within(count)
        if kept is None:
            message = (
                f"positions={asked.given!r} is not within the {count} query positions of stream {stream!r}, 0..{count - 1}: pass "
                f"positions={{{stream!r}: slice(0, {count})}} or a part of it."
            )
            raise ValueError(message)
        return kept


@dataclass(frozen=True, slots=True)
class RunningLimits:
    """What limits say of a module while the model runs.

    Attributes:
        limits: The limits.
        layout: What is known of each module by its path.
    """

    limits: Limits
    layout: Mapping[str, StaticLayer]

    def wants(self, path: str) -> bool:
        """Tell whether a module's calls may be part of the record."""
        limits, known = self.limits, self.layout.get(path)
        if known is None:
            return True
        if known.stream is None:  # which stream it is shows when it runs
            return limits.layers.keys() != {""} or self._wants_layer(limits.layers[""], known)
        streams = {one.stream for one in self.layout.values() if one.stream is not None}
        if (
            limits.streams is not None
            and all(any(_may_become(name, stream) for stream in streams) for name in limits.streams)
            and not any(_may_become(name, known.stream) for name in limits.streams)
        ):
            return False
        if any(
            name and name != known.stream and _may_become(name, known.stream)
            for name in limits.layers
        ):
            return True  # a part of what is one stream before the run
        value = limits.layers.get(known.stream, limits.layers.get(""))
        return value is None or self._wants_layer(value, known)

    def _wants_layer(self, value: Any, known: StaticLayer) -> bool:
        return known.number is None or known.number in _choose_layers(value, known.numbers)

    def rows(self, path: str, count: int, padding: int) -> slice:
        """Return which queries of a module's first call may be part of the record.

        Args:
            path: The module's path.
            count: Number of queries.
            padding: How many of them may be padding, which a record does not count.
        """
        positions, known = self.limits.positions, self.layout.get(path)
        if not positions or known is None or known.windowed:
            return slice(0, count)
        if any(positions):  # there are some for streams by their names
            if known.stream is None or any(
                name and name != known.stream and _may_become(name, known.stream)
                for name in positions
            ):
                return slice(0, count)
            asked = positions.get(known.stream, positions.get(""))
        else:
            asked = positions[""]
        if asked is None or (asked.counts_back and not self.limits.single):
            return slice(0, count)
        found = [asked.clipped(count), asked.clipped(count - padding)]
        kept = [part for part in found if len(part)]
        if not kept:
            return slice(0, count)
        return slice(min(p.start for p in kept), min(count, max(p.stop for p in kept) + padding))


def _by_stream(option: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            message = f"{option} must name each stream by text, got {shown(dict(value))}: pass {option}={{'decoder': 0}}, for instance."
            raise ValueError(message)
        return dict(value)
    return {"": value}


def _check_layers(value: Any) -> None:
    if isinstance(value, slice):
        bounds = (value.start, value.stop, value.step)
        good = all(bound is None or integer(bound) is not None for bound in bounds)
        good = good and (value.step is None or integer(value.step) != 0)
    elif integer(value) is not None:
        good = True
    else:
        numbers = listed(value)
        good = bool(numbers) and all(integer(number) is not None for number in numbers or ())
    if not good:
        message = (
            f"layers must be a layer's number, several, a slice or a range, or such for each stream by its name, got {shown(value)}: "
            "pass layers=[0, 5], layers=slice(0, 4) or layers={'decoder': [0, 5]}, for instance."
        )
        raise ValueError(message)


def _named(value: Any) -> list[int]:
    """Return the numbers that are named one by one, and therefore have to be there."""
    if isinstance(value, slice):
        return []
    one = integer(value)
    return [one] if one is not None else [int(number) for number in value]


def _layers_repr(layers: Mapping[str, Any]) -> str:
    return repr(layers[""] if layers.keys() == {""} else dict(layers))


def _layer_list(numbers: Sequence[int]) -> str:
    there = sorted(numbers)
    return f"layers {number_ranges(there) if len(there) > 1 else there[0]}"
