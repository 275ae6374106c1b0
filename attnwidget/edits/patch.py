"""`Patch`: what heads put out, where they look, or what they read, taken from another record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from attnwidget.compute.checks import check_choice, check_flag, integer, listed, shown
from attnwidget.edits.head_outputs import named_layers
from attnwidget.edits.places import Named, head_pairs, named_positions, stream_name, written
from attnwidget.record.position_lookup import resolve
from attnwidget.record.record import Record, the_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from attnwidget.record.layer import Layer

__all__ = ["WHAT", "Patch", "What"]

What = Literal["output", "pattern", "value"]
WHAT: tuple[What, ...] = get_args(What)

_READ: dict[str, Callable[[Layer, int], Any]] = {
    "output": lambda layer, head: layer.output(head),
    "pattern": lambda layer, head: layer.weights(head),
    "value": lambda layer, head: layer.value_vectors(head),
}


@dataclass(frozen=True, slots=True)
class Patch:
    """Heads that take something from another record.

    Attributes:
        heads: Pairs of a layer and a head, each once.
        what: ``"output"``, ``"pattern"`` or ``"value"``.
        positions: Where, by number; ``None`` for everywhere.
        stream: Name of their stream; ``None`` for the only one there is.
        numbers: What is taken, of each head: float32 ``[position, value_dim]``, or of a pattern ``[query, key]``, as bytes
            with their shape, so that the whole can be compared and hashed.
        of_tokens: Whether all positions that it is taken from are tokens of the input, so that another input's length is
            known before the model runs.
    """

    heads: tuple[tuple[int, int], ...]
    what: What
    positions: tuple[int, ...] | None
    stream: str | None
    numbers: tuple[tuple[bytes, tuple[int, int]], ...]
    of_tokens: bool = False

    @classmethod
    def of(cls, record: Any, heads: Any, positions: Any, what: Any, stream: Any) -> Patch:
        """Check what a caller gave, and read the record; `patch` describes the arguments.

        Raises:
            TypeError: If ``record`` is no record.
            ValueError: If one of them is not what it must be, or the record has not what is to be taken.
        """
        check_choice("what", what, WHAT)
        if not isinstance(record, Record):
            message = (
                f"record must be a record of attnwidget.capture, got {shown(record)}: call "
                "attnwidget.patch(attnwidget.capture(model, 'another text', tokenizer), heads=[(3, 3)])."
            )
            raise TypeError(message)
        pairs, stream = head_pairs(heads), stream_name(stream)
        layers = named_layers(record, pairs, stream)
        places = _places(named_positions("positions", positions), what, record, stream)
        taken = [_READ[what](layers[number], head) for number, head in pairs]
        return cls(
            pairs, what, places, stream, tuple(map(_packed, taken)), _of_tokens(record, stream)
        )

    def __bool__(self) -> bool:
        """Whether any head is meant."""
        return bool(self.heads)

    def __repr__(self) -> str:
        """Write the call that makes it; of the record its number of positions."""
        count = f"{self.numbers[0][1][0]} positions" if self.numbers else "no positions"
        parts = [f"<record of {count}>", f"heads={list(self.heads)}"]
        if self.positions is not None:
            parts.append(f"positions={written(self.positions)}")
        parts += [f"what={self.what!r}"] * (self.what != "output")
        parts += [f"stream={self.stream!r}"] * (self.stream is not None)
        return f"patch({', '.join(parts)})"

    def of_head(self, pair: tuple[int, int]) -> NDArray[np.float32]:
        """Return what is taken of one head, ``[position, value_dim]`` or ``[query, key]``."""
        data, shape = self.numbers[self.heads.index(pair)]
        return np.frombuffer(data, dtype="<f4").reshape(shape)

    def to_data(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return {
            "patch": [list(pair) for pair in self.heads],
            "what": self.what,
            "positions": None if self.positions is None else list(self.positions),
            "stream": self.stream,
            "numbers": [self.of_head(pair).tolist() for pair in self.heads],
            "tokens": self.of_tokens,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Patch:
        """Return what `to_data` made of one.

        Raises:
            ValueError: If it is not such.
        """
        expected = {"patch", "what", "positions", "stream", "numbers", "tokens"}
        if set(data) != expected:
            message = f"a patch has the entries {sorted(expected)}, got {sorted(map(str, data))}."
            raise ValueError(message)
        check_choice("what", data["what"], WHAT)
        pairs = head_pairs(data["patch"])
        given = data["positions"]
        numbers = [integer(place) for place in listed(given) or ()]
        places = tuple(place for place in numbers if place is not None)
        try:
            packed = tuple(_packed(np.array(one, dtype=np.float32)) for one in data["numbers"])
        except (TypeError, ValueError) as error:
            message = f"the numbers of a patch must be a matrix for each head ({error})."
            raise ValueError(message) from None
        if len(packed) != len(pairs) or (given is not None and (not places or None in numbers)):
            message = f"a patch of {len(pairs)} heads has a matrix for each, and numbers as positions, got {len(packed)} and {shown(given)}."
            raise ValueError(message)
        stream = stream_name(data["stream"])
        return cls(
            pairs,
            data["what"],
            None if given is None else places,
            stream,
            packed,
            check_flag("tokens", data["tokens"]),
        )


def _places(given: Named, what: str, record: Record, stream: str | None) -> tuple[int, ...] | None:
    """Return positions of the record by number, counted from 0."""
    if given is None:
        return None
    named = the_stream(record, stream)
    axis = named.key_positions if what == "value" else named.query_positions
    return tuple(place for one in given for place in resolve("positions", one, axis))


def _of_tokens(record: Record, stream: str | None) -> bool:
    named = the_stream(record, stream)
    both = (*named.query_positions, *named.key_positions)
    return all(position.kind in {"token", "special"} for position in both)


def _packed(array: Any) -> tuple[bytes, tuple[int, int]]:
    matrix = np.ascontiguousarray(array, dtype="<f4")
    if matrix.ndim != 2:
        message = f"got {matrix.ndim} axes"
        raise ValueError(message)
    return matrix.tobytes(), (matrix.shape[0], matrix.shape[1])
