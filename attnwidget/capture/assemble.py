"""From recorded calls to the record: streams, layers, compact masks, no padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.attention import Stream
from attnwidget.capture.naming import layer_numbers, split_stems, stem, stream_name
from attnwidget.capture.stitch import read_bias, read_mask, read_weights, sees_any
from attnwidget.capture.towers import Axis, Hints, describe_axis, enclosing, real_positions
from attnwidget.layer import Layer
from attnwidget.positions import Position

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.calls import Call, Calls
    from attnwidget.capture.pieces import Pieces
    from attnwidget.capture.recorder import Recorder
    from attnwidget.masks import Band

__all__ = ["assemble"]


@dataclass(frozen=True, slots=True)
class _Source:
    """What one layer is made of.

    Attributes:
        number: Its layer number.
        path: Path of the module.
        cross: Whether it looks at another sequence.
        part: Which of the attention calls it is that the module makes in one pass.
        calls: The calls that make it up.
        key: All keys, ``[key_value_head, key, head_dim]``.
        value: All values, ``[key_value_head, key, value_dim]``.
        pieces: The pieces it attends within.
    """

    number: int
    path: str
    cross: bool
    part: int
    calls: list[Call]
    key: Tensor
    value: Tensor
    pieces: Pieces | None = None

    @property
    def num_queries(self) -> int:
        return sum(call.query.shape[1] for call in self.calls)

    @property
    def num_keys(self) -> int:
        return self.key.shape[1]


def assemble(
    recorder: Recorder, tokenizer: Any, hints: Hints
) -> tuple[dict[str, Stream], dict[str, str]]:
    """Make streams of everything ``recorder`` heard.

    Args:
        recorder: What was heard.
        tokenizer: Labels tokens, or ``None``.
        hints: What is known about the tokens beyond their ids.

    Returns:
        The streams by name, and for each module that could not be made part of one the reason.
    """
    streams: dict[str, Stream] = {}
    axes: dict[str, Axis] = {}
    failed: dict[str, str] = {}
    for name, group in _grouped(recorder).items():
        for number, sources in enumerate(_alike(_sources(group, recorder.row, failed)), start=1):
            # Stages that make the sequence shorter and shorter: each is a stream of its own.
            own = name if number == 1 else f"{name} {number}"
            builder = _StreamBuilder(recorder, own, name, sources)
            streams[own] = builder.build(tokenizer, hints, axes)
    return streams, failed


def _grouped(recorder: Recorder) -> dict[str, list[Calls]]:
    """Sort modules into streams, in calling order, cross-attention after what it reads."""
    groups: dict[str, dict[str, list[Calls]]] = {}
    for calls in recorder.calls.values():
        tower = next(enclosing(recorder.towers, calls.path))
        name = stream_name(
            calls.path, calls.module, recorder.model, tower.module, looks_back=calls.looks_back()
        )
        groups.setdefault(name, {}).setdefault(stem(calls.path), []).append(calls)
    apart: dict[str, list[Calls]] = {}
    for name, stems in groups.items():
        numbered = [set(_numbers(members)) for members in stems.values()]
        collide = len(set[int]().union(*numbered)) < sum(len(numbers) for numbers in numbered)
        names = split_stems(name, list(stems)) if collide else dict.fromkeys(stems, name)
        for path, members in stems.items():
            apart.setdefault(names[path], []).extend(members)
    return dict(sorted(apart.items(), key=lambda item: item[0] == "cross"))


def _numbers(group: list[Calls]) -> list[int]:
    return layer_numbers([calls.path for calls in group], [calls.module for calls in group])


def _sources(group: list[Calls], row: int, failed: dict[str, str]) -> list[_Source]:
    """Put each module's calls together; ``failed`` takes the reasons where that cannot be done."""
    found: list[_Source] = []
    for number, calls in zip(_numbers(group), group, strict=True):
        passes = {call.forward_pass for call in calls.calls}
        shapes = {(call.query.shape, call.key.shape) for call in calls.calls}
        if calls.trouble is None and len(passes) < len(calls.calls):
            if (
                len(group) == len(shapes) == len(passes) == 1
            ):  # layers that share one module's weights (ALBERT)
                found.extend(
                    _Source(
                        index,
                        calls.path,
                        calls.cross,
                        0,
                        [call],
                        call.key,
                        call.value,
                        calls.pieces,
                    )
                    for index, call in enumerate(calls.calls)
                )
                continue
            if len(passes) == 1:  # it attends in more ways than one: two texts to each other, say
                found.extend(
                    _Source(
                        number,
                        calls.path,
                        calls.cross,
                        part,
                        [call],
                        call.key,
                        call.value,
                        calls.pieces,
                    )
                    for part, call in enumerate(calls.calls)
                )
                continue
            calls.trouble = f"was called {len(calls.calls)} times in one forward pass"
        if calls.trouble is None:
            parts = calls.calls[:1] if calls.cross else calls.calls
            key = torch.cat([call.key for call in parts], dim=1)
            value = torch.cat([call.value for call in parts], dim=1)
            if calls.keys_agree(key, row):
                found.append(
                    _Source(
                        number, calls.path, calls.cross, 0, calls.calls, key, value, calls.pieces
                    )
                )
            else:
                calls.trouble = (
                    "had its key/value cache rewritten between forward passes (as beam search does)"
                )
        if calls.trouble is not None:
            failed[calls.path] = calls.trouble
    return found


def _alike(sources: list[_Source]) -> list[list[_Source]]:
    """Sort the layers by the number of positions they attend over: a stream has one set of them."""
    groups: dict[tuple[int, int, int, Pieces | None], list[_Source]] = {}
    for source in sources:
        kind = (source.part, source.num_queries, source.num_keys, source.pieces)
        groups.setdefault(kind, []).append(source)
    return list(groups.values())


class _StreamBuilder:
    """Builds one stream; layers share masks, so what was read for one is kept for the next."""

    def __init__(self, recorder: Recorder, name: str, side: str, sources: list[_Source]) -> None:
        self.recorder = recorder
        self.name = name
        self.side = side
        self.sources = sources
        # Keyed by the ids of tensors, which the calls in `sources` keep alive.
        self._masks: dict[Any, tuple[Band | None, Tensor | None]] = {}
        self._biases: dict[Any, Tensor | None] = {}

    def build(self, tokenizer: Any, hints: Hints, axes: dict[str, Axis]) -> Stream:
        """Build the stream; ``axes`` has the axes of the streams before it and takes its own."""
        first = self.sources[0]
        if first.pieces is not None and not first.pieces.placed:
            query_axis, key_axis = (
                Axis(first.pieces.positions(size), torch.ones(count, dtype=torch.bool))
                for size, count in (
                    (first.pieces.queries, first.num_queries),
                    (first.pieces.keys, first.num_keys),
                )
            )
        elif first.cross:
            query_axis, key_axis = self._cross_axes(tokenizer, axes)
        else:
            query_axis, key_axis = self._self_axes(tokenizer, hints)
            axes[self.name] = key_axis
        queries, keys = query_axis.real.nonzero()[:, 0], key_axis.real.nonzero()[:, 0]
        padding = (~key_axis.real).nonzero()[:, 0]
        if (
            not len(queries)
            or not len(keys)
            or any(sees_any(source.calls, queries, padding) for source in self.sources)
        ):
            # The model does attend to padding; then it belongs in the record.
            keys = torch.arange(first.num_keys)
            if not first.cross or not len(queries):
                queries = torch.arange(first.num_queries)
        layers = [self._layer(source, queries, keys) for source in self.sources]
        return Stream(
            name=self.name,
            layers=tuple(sorted(layers, key=lambda layer: layer.layer)),
            query_positions=tuple(query_axis.positions[index] for index in queries.tolist()),
            key_positions=tuple(key_axis.positions[index] for index in keys.tolist()),
        )

    def _self_axes(self, tokenizer: Any, hints: Hints) -> tuple[Axis, Axis]:
        first = self.sources[0]
        config = getattr(self.recorder.model, "config", None)
        if getattr(config, "is_encoder_decoder", False) and self.side == "decoder":
            hints = Hints()  # they speak of what the encoder reads
        placed = 0 if first.pieces is None else first.pieces.placed
        axis = describe_axis(
            list(enclosing(self.recorder.towers, first.path)),
            (placed, placed) if placed else (first.num_queries, first.num_keys),
            tokenizer,
            hints,
            side=self.side,
        )
        if (
            placed and placed < first.num_keys
        ):  # the image was made larger, to be cut into whole windows
            edge = tuple(
                Position(label=f"edge {index}", kind="latent")
                for index in range(first.num_keys - placed)
            )
            real = torch.cat([axis.real, torch.ones(len(edge), dtype=torch.bool)])
            axis = Axis(axis.positions + edge, real)
        start = first.num_keys - first.num_queries
        return Axis(axis.positions[start:], axis.real[start:]), axis

    def _cross_axes(self, tokenizer: Any, axes: dict[str, Axis]) -> tuple[Axis, Axis]:
        first = self.sources[0]
        towers = list(enclosing(self.recorder.towers, first.path))
        count = (first.num_queries, first.num_queries)
        query_axis = describe_axis(towers, count, tokenizer, Hints(), side="decoder")
        for name, axis in axes.items():
            if name != "decoder" and len(axis.positions) == first.num_keys:
                return query_axis, axis
        # What it reads was not recorded itself; the model that feeds both sides may tell.
        both = [tower for tower in towers if tower.own("input_ids", "decoder") != "input_ids"]
        count = (first.num_keys, first.num_keys)
        axis = describe_axis(both, count, tokenizer, Hints(), side="encoder")
        real = real_positions(towers, "encoder_attention_mask", first.num_keys, side="encoder")
        return query_axis, Axis(axis.positions, axis.real & real)

    def _layer(self, source: _Source, queries: Tensor, keys: Tensor) -> Layer:
        query = torch.cat([call.query for call in source.calls], dim=1)
        band, mask = self._mask(source.calls, queries, keys)
        call = source.calls[0]
        if call.recorded is not None:
            return self._weights_only(source, queries, keys)
        return Layer(
            stream=self.name,
            layer=source.number,
            module_path=source.path,
            num_heads=query.shape[0],
            query=_take(query, queries),
            key=_take(source.key, keys),
            value=_take(source.value, keys),
            scaling=call.scaling,
            band=band,
            bias=self._bias(source.calls, mask, queries, keys),
            softcap=call.softcap,
            sinks=call.sinks,
        )

    def _weights_only(self, source: _Source, queries: Tensor, keys: Tensor) -> Layer:
        recorded = read_weights(source.calls, source.num_keys)
        return Layer(
            stream=self.name,
            layer=source.number,
            module_path=source.path,
            num_heads=len(recorded),
            value=_take(source.value, keys),
            recorded=_take(_take(recorded, queries).mT, keys).mT.contiguous(),
            reason=source.calls[0].reason,
        )

    def _mask(
        self, calls: list[Call], queries: Tensor, keys: Tensor
    ) -> tuple[Band | None, Tensor | None]:
        signature = tuple(
            (id(view.mask), call.first_key, view.num_keys, view.causal, view.offset, view.window)
            for call, view in ((call, call.view) for call in calls)
        )
        if signature not in self._masks:
            band, mask = read_mask(calls, queries, keys)
            self._masks[signature] = band, None if mask is None else mask.to(self.recorder.device)
        return self._masks[signature]

    def _bias(
        self, calls: list[Call], mask: Tensor | None, queries: Tensor, keys: Tensor
    ) -> Tensor | None:
        """Add the position bias to the mask; layers that were passed one tensor share one."""
        signature = (id(mask), *(id(call.position_bias) for call in calls))
        if all(call.position_bias is None for call in calls):
            return mask
        if signature not in self._biases:
            bias = read_bias(calls, queries, keys, self.recorder.device)
            if bias is not None and mask is not None:
                bias = bias + mask.to(bias.dtype)
            self._biases[signature] = mask if bias is None else bias
        return self._biases[signature]


def _take(tensor: Tensor, positions: Tensor) -> Tensor:
    """Keep ``positions`` of ``[head, position, dim]``."""
    if len(positions) == tensor.shape[1]:
        return tensor
    return tensor[:, positions.to(tensor.device)].contiguous()
