"""From recorded calls to the record: streams, layers, compact masks, no padding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.attention import Stream
from attnwidget.capture.grids import reduced
from attnwidget.capture.labels import index_positions
from attnwidget.capture.projections import value_norms
from attnwidget.capture.sources import Source, grouped, sources_of
from attnwidget.capture.stages import labelled
from attnwidget.capture.stitch import read_bias, read_mask, read_weights, sees_any
from attnwidget.capture.towers import Axis, Hints, describe_axis, enclosing, real_positions
from attnwidget.layer import Layer
from attnwidget.positions import Position

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.call import Call
    from attnwidget.capture.pieces import Pieces
    from attnwidget.capture.recorder import Recorder
    from attnwidget.masks import Band
    from attnwidget.positions import Positions

__all__ = ["assemble"]


def assemble(
    recorder: Recorder, tokenizer: Any, hints: Hints
) -> tuple[dict[str, Stream], dict[str, str], dict[str, Tensor]]:
    """Make streams of everything ``recorder`` heard.

    Args:
        recorder: What was heard.
        tokenizer: Labels tokens, or ``None``.
        hints: What is known about the tokens beyond their ids.

    Returns:
        The streams by name; for each module that could not be made part of one the reason; and for each stream the
        indices of its queries that are no padding.
    """
    streams: dict[str, Stream] = {}
    kept: dict[str, Tensor] = {}
    axes: dict[str, Axis] = {}
    failed: dict[str, str] = {}
    for stack in grouped(recorder):
        for label, sources in labelled(sources_of(stack.members, recorder.row, failed)):
            name = f"{stack.name} {label}".strip()
            builder = _StreamBuilder(recorder, name, stack.side, sources)
            streams[name] = builder.build(tokenizer, hints, axes)
            kept[name] = builder.queries
    return streams, failed, kept


class _StreamBuilder:
    """Builds one stream; layers share masks, so what was read for one is kept for the next."""

    def __init__(self, recorder: Recorder, name: str, side: str, sources: list[Source]) -> None:
        self.recorder = recorder
        self.name = name
        self.side = side
        self.sources = sources
        self.queries = torch.empty(0, dtype=torch.long)
        # Keyed by the ids of tensors, which the calls in `sources` keep alive.
        self._masks: dict[Any, tuple[Band | None, Tensor | None]] = {}
        self._biases: dict[Any, Tensor | None] = {}

    def build(self, tokenizer: Any, hints: Hints, axes: dict[str, Axis]) -> Stream:
        """Build the stream; ``axes`` has the axes of the streams before it and takes its own."""
        first = self.sources[0]
        if first.pieces is not None and not first.pieces.placed:
            query_axis, key_axis = (
                Axis(self._pieces(first.pieces, size), _all(count))
                for size, count in (
                    (first.pieces.queries, first.num_queries),
                    (first.pieces.keys, first.num_keys),
                )
            )
            axes[self.name] = key_axis
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
        self.queries = queries
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
        own = first.num_queries != first.num_keys and first.has_own_queries(self.side)
        known = placed or (first.num_keys if own else 0)
        axis = describe_axis(
            list(enclosing(self.recorder.towers, first.path)),
            (known, known) if known else (first.num_queries, first.num_keys),
            tokenizer,
            hints,
            side=self.side,
        )
        if (
            placed and placed < first.num_keys
        ):  # an image made larger, to be cut into whole windows; tokens that everybody sees
            extra = "edge" if first.pieces is None else first.pieces.extra
            edge = tuple(
                Position(label=f"{extra} {index}", kind="latent")
                for index in range(first.num_keys - placed)
            )
            real = torch.cat([axis.real, torch.ones(len(edge), dtype=torch.bool)])
            axis = Axis(axis.positions + edge, real)
        if placed == first.num_queries:
            return Axis(axis.positions[:placed], axis.real[:placed]), axis
        start = first.num_keys - first.num_queries
        if own:
            # No tokens of which the first are in a cache: patches whose keys were merged, queries that were learned, or
            # stand for groups.
            tower = next(enclosing(self.recorder.towers, first.path))
            count = first.num_queries
            return Axis(reduced(tower, count) or index_positions(count), _all(count)), axis
        return Axis(axis.positions[start:], axis.real[start:]), axis

    def _pieces(self, pieces: Pieces, size: int) -> Positions:
        """Name the positions of pieces whose place is not known: patches where each piece is an image of its own."""
        towers = list(enclosing(self.recorder.towers, self.sources[0].path))[:1]
        axis = describe_axis(towers, (size, size), None, Hints(), side=self.side)
        if not any(position.kind == "patch" for position in axis.positions):
            return pieces.positions(size)
        return tuple(
            replace(position, medium=image if position.kind == "patch" else None)
            for image in range(pieces.count)
            for position in axis.positions
        )

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

    def _layer(self, source: Source, queries: Tensor, keys: Tensor) -> Layer:
        query = torch.cat([call.query for call in source.calls], dim=1)
        band, mask = self._mask(source.calls, queries, keys)
        call = source.calls[0]
        if call.recorded is not None:
            return self._normed(self._weights_only(source, queries, keys), source, queries)
        layer = Layer(
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
        return self._normed(layer, source, queries)

    def _normed(self, layer: Layer, source: Source, queries: Tensor) -> Layer:
        """Add the lengths of the values behind the output projection."""
        # It was looked at in the first pass; queries that were drafted there and refused are gone.
        first = queries[queries < source.calls[0].query.shape[1]]
        norms, reason = value_norms(
            self.recorder.projections.of(source.path),
            layer,
            first,
            windows=source.pieces is not None,
        )
        return replace(layer, value_norms=norms, norm_reason=reason)

    def _weights_only(self, source: Source, queries: Tensor, keys: Tensor) -> Layer:
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


def _all(count: int) -> Tensor:
    return torch.ones(count, dtype=torch.bool)


def _take(tensor: Tensor, positions: Tensor) -> Tensor:
    """Keep ``positions`` of ``[head, position, dim]``."""
    if len(positions) == tensor.shape[1]:
        return tensor
    return tensor[:, positions.to(tensor.device)].contiguous()
