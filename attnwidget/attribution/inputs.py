"""`HeadOfInputs`: one head of a model on one input after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import listed, shown
from attnwidget.compute.indexing import head_axis
from attnwidget.record.record import Record, the_stream
from attnwidget.recordings import capture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from attnwidget.record.layer import Layer
    from attnwidget.record.stream import Stream

__all__ = ["HeadOfInput", "HeadOfInputs"]


@dataclass(frozen=True, slots=True, eq=False)
class HeadOfInput:
    """One head on one input.

    Attributes:
        stream: The stream.
        layer: The layer.
        head: The head, counted from 0.
    """

    stream: Stream
    layer: Layer
    head: int


@dataclass(frozen=True, slots=True, eq=False)
class HeadOfInputs:
    """One head on each of some inputs, recorded when it is that one's turn.

    Attributes:
        model: The model; None where all inputs are records.
        inputs: Texts, or whatever else `capture` takes, and records.
        tokenizer: The model's tokenizer, or None.
        layer: The layer, as the caller named it.
        head: The head, likewise.
        stream: Name of the stream; None for the only one.
        options: Passed on to `capture`.
    """

    model: Any
    inputs: Sequence[Any]
    tokenizer: Any
    layer: Any
    head: Any
    stream: str | None
    options: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        model: Any,
        texts: Any,
        tokenizer: Any,
        *,
        head: tuple[Any, Any],
        stream: str | None,
        options: Mapping[str, Any],
    ) -> HeadOfInputs:
        """Check what a caller gave.

        Raises:
            ValueError: If no layer, head or input is given, or texts without a model.
        """
        layer, number = head
        if layer is None or number is None:
            message = f"directions are of one head, got layer={shown(layer)} and head={shown(number)}: pass layer=0, head=2, for instance."
            raise ValueError(message)
        alone = isinstance(texts, (str, Record)) or hasattr(texts, "keys")
        given = [texts] if alone else listed(texts)
        inputs = list(texts) if given is None else given
        if not inputs:
            message = "texts holds no input: pass at least one."
            raise ValueError(message)
        if model is None and not all(isinstance(one, Record) for one in inputs):
            message = "texts are run by a model, got model=None: pass the model, or records that attnwidget.capture returned."
            raise ValueError(message)
        return cls(model, inputs, tokenizer, layer, number, stream, options)

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[HeadOfInput]:
        for one in self.inputs:
            record: Record = (
                one
                if isinstance(one, Record)
                else capture(self.model, one, self.tokenizer, **self.options)
            )
            stream = the_stream(record, self.stream)
            layer = stream[self.layer]
            (head,) = head_axis([self.head], layer.num_heads).indices
            yield HeadOfInput(stream, layer, head)
