"""`inspect`: streams, layers and heads that a recording would have, without running the model."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from attnwidget.capture.architecture.advice import check_model
from attnwidget.capture.architecture.attention_modules import code_mentions
from attnwidget.capture.architecture.head_sizes import head_sizes
from attnwidget.capture.architecture.stacks import stack_layer_numbers
from attnwidget.capture.architecture.static_layout import (
    INTERFACE_NAMES,
    MAY_LOOK_AHEAD,
    find_attention,
    open_questions,
    static_stacks,
)
from attnwidget.capture.architecture.stream_names import describe_modules, stem
from attnwidget.capture.architecture.submodels import enclosing
from attnwidget.capture.architecture.wrappers import called_module, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from attnwidget.capture.architecture.stacks import Stack
    from attnwidget.capture.architecture.submodels import Submodel

__all__ = ["InspectedLayer", "InspectedStream", "Inspection", "inspect"]

_WHEN_RUN = "when run"


@dataclass(frozen=True, slots=True)
class InspectedLayer:
    """One attention module.

    Attributes:
        layer: The number a record gives it.
        module_path: Where it sits in the model.
        num_heads: Number of query heads, or ``None`` if that shows only when it runs.
        num_key_value_heads: Number of key and value heads, or ``None``.
        head_dim: Length of a query vector, or ``None``.
        has_vectors: Whether query and key will be there; ``None`` if that shows only when it runs.
    """

    layer: int
    module_path: str
    num_heads: int | None
    num_key_value_heads: int | None
    head_dim: int | None
    has_vectors: bool | None


@dataclass(frozen=True, slots=True)
class InspectedStream:
    """The attention modules that a record would put into one stream.

    Attributes:
        name: The stream's name.
        layers: Its layers, in order.
        kind: Class of the modules.
        open: What shows only when the model runs, in a few words each: then the stream may have another name, or other
            layers.
    """

    name: str
    layers: tuple[InspectedLayer, ...]
    kind: str
    open: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[InspectedLayer]:
        return iter(self.layers)


@dataclass(frozen=True, slots=True, repr=False)
class Inspection:
    """What a recording of a model would hold.

    Attributes:
        model_name: Class of the model.
        streams: Stream name to what it would hold; read-only.
        unknown: Modules that are called attention and show only when they run whether it is any that can be recorded.
    """

    model_name: str
    streams: Mapping[str, InspectedStream]
    unknown: str = ""

    def __post_init__(self) -> None:
        """Freeze the streams."""
        object.__setattr__(self, "streams", MappingProxyType(dict(self.streams)))

    def __getitem__(self, name: str) -> InspectedStream:
        """Return a stream by name.

        Raises:
            KeyError: If there is no such stream.
        """
        try:
            return self.streams[name]
        except KeyError:
            message = f"no stream {name!r}; available: {list(self.streams)}"
            raise KeyError(message) from None

    def __repr__(self) -> str:
        """Write a table, and below it what shows only when the model runs."""
        if not self.streams and not self.unknown:
            return f"{self.model_name}: no attention"
        head = ("stream", "layers", "heads", "head_dim", "vectors", "modules")
        rows = [head, *(_row(stream) for stream in self.streams.values())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.model_name}"] if self.streams else [f"{self.model_name}: nothing is sure"]
        if self.streams:
            lines += [
                "  ".join(
                    cell.ljust(width) for cell, width in zip(row, widths, strict=True)
                ).rstrip()
                for row in rows
            ]
        for stream in self.streams.values():
            lines += [f"{stream.name}: {open_}" for open_ in stream.open]
        if self.unknown:
            lines.append(f"may attend, or not: {self.unknown}")
        return "\n".join(lines)


def inspect(model: Any) -> Inspection:
    """Say which streams, layers and heads a recording of ``model`` would have, without running it.

    What is read are the configuration and the modules. Modules that attend through transformers' interface hand over
    their vectors; for those that do their own attention, whether query and key can be told shows when they run. What depends
    on the input is not in it: a tower that is given nothing leaves no stream behind, and a module that attends to several
    sequences in one pass leaves several.

    Args:
        model: A Hugging Face model, or a module that holds one.

    Returns:
        A frozen value, which prints as a table.

    Raises:
        TypeError: If ``model`` is no module.

    Example:
        >>> model, tokenizer = pocket()
        >>> inspect(model)["decoder"].layers[0].num_heads
        4
    """
    check_model(model)
    whole, name = called_module(model), type(unwrapped(model)).__name__
    submodels, sure, others = find_attention(whole)
    streams = {
        stack.name: _stream(stack, whole, submodels)
        for stack in static_stacks(whole, submodels, sure)
    }
    return Inspection(name, streams, describe_modules(whole, others))


def _stream(stack: Stack, model: nn.Module, submodels: dict[str, Submodel]) -> InspectedStream:
    numbers, _ = stack_layer_numbers(stack.members)
    layers = []
    for number, member in zip(numbers, stack.members, strict=True):
        submodel = next(enclosing(submodels, member.path)).module
        heads, shared, head_dim = head_sizes(member.module, getattr(submodel, "config", None))
        through = code_mentions(type(member.module), INTERFACE_NAMES)
        layers.append(
            InspectedLayer(number, member.path, heads, shared, head_dim, True if through else None)
        )
    kinds = dict.fromkeys(type(member.module).__name__ for member in stack.members)
    return InspectedStream(
        name=stack.name,
        layers=tuple(sorted(layers, key=lambda layer: layer.layer)),
        kind=", ".join(kinds),
        open=tuple(open_questions(stack, model, submodels)),
    )


def _row(stream: InspectedStream) -> tuple[str, ...]:
    heads = _number_range({layer.num_heads for layer in stream})
    shared = {layer.num_key_value_heads for layer in stream}
    if shared != {layer.num_heads for layer in stream}:
        heads += f" ({_number_range(shared)} key-value)"
    vectors = {layer.has_vectors for layer in stream}
    vectors_known = "yes" if vectors == {True} else _WHEN_RUN
    return (
        stream.name + "?" * (MAY_LOOK_AHEAD in stream.open),
        _layer_range([layer.layer for layer in stream]),
        heads,
        _number_range({layer.head_dim for layer in stream}),
        vectors_known,
        f"{stream.kind}  {', '.join(dict.fromkeys(stem(one.module_path) for one in stream))}",
    )


def _number_range(values: set[int | None]) -> str:
    numbers = sorted(value for value in values if value is not None)
    if not numbers or None in values:
        return _WHEN_RUN
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}"


def _layer_range(numbers: list[int]) -> str:
    if len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}..{numbers[-1]}"
    return ", ".join(map(str, numbers))
