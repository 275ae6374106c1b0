"""Streams and layers from the kept calls: axes, masks, biases, padding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.stacks import Stack, make_stacks
from attnwidget.capture.architecture.stream_names import (
    stream_name,
)
from attnwidget.capture.architecture.submodels import enclosing
from attnwidget.capture.assemble.edited_layers import Axes, layer_places, with_edits
from attnwidget.capture.assemble.head_loops import with_joined_heads
from attnwidget.capture.assemble.layer_sources import LayerSource, layer_sources
from attnwidget.capture.assemble.own_weights import in_model_precision
from attnwidget.capture.assemble.stages import split_stages
from attnwidget.capture.calls.module_calls import BY_HAND, NOT_CONTINUED, looks_causal
from attnwidget.capture.calls.output_projection import value_norms
from attnwidget.capture.generation.concatenate import (
    read_bias,
    read_mask,
    read_rows,
    sees_any,
)
from attnwidget.capture.hints import Hints
from attnwidget.capture.positions.axes import PositionAxis, describe_axis, real_positions
from attnwidget.capture.positions.given_labels import StreamAxes, with_given_labels
from attnwidget.capture.positions.grids import reduced_grid
from attnwidget.capture.positions.labels import channel_positions, index_positions
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from attnwidget.capture.calls.call import Call
    from attnwidget.capture.calls.windows import Windows
    from attnwidget.capture.recorder.limits import Limits
    from attnwidget.capture.recorder.recorder import Recorder
    from attnwidget.compute.masks import Band
    from attnwidget.record.positions import Positions


__all__ = ["assemble"]


def _recorded_stacks(recorder: Recorder) -> list[Stack]:
    """Sort modules into streams, in calling order, cross-attention after what it reads."""
    sides = []
    tracker = recorder.tracker
    every = with_joined_heads(tracker.calls.values(), recorder.model, tracker.num_rows or 1)
    for calls in every:
        submodel = next(enclosing(recorder.tracker.submodels, calls.path))
        side = stream_name(
            calls.path,
            calls.module,
            recorder.model,
            submodel.module,
            looks_causal=looks_causal(calls.calls),
            reads=submodel.input_kinds(),
            cross=calls.cross,
        )
        sides.append((side, calls))
    return make_stacks(sides)


def assemble(
    recorder: Recorder, tokenizer: Any, hints: Hints
) -> tuple[dict[str, Stream], dict[str, str], dict[str, Tensor]]:
    """Make streams of the calls that ``recorder`` kept, within its limits.

    Args:
        recorder: The recorder, after its end.
        tokenizer: Labels tokens, or ``None``.
        hints: What is known about the tokens beyond their ids.

    Returns:
        The streams by name; for each module that could not be made part of one the reason; and for each stream the
        indices of its queries that are in the record.

    Raises:
        ValueError: If the limits name something that is not there.
    """
    failed: dict[str, str] = {}
    if recorder.gradients is not None:
        for calls in recorder.tracker.calls.values():
            calls.calls = [call.with_gradient() for call in calls.calls]
    builders: dict[str, _StreamBuilder] = {}
    for stack in _recorded_stacks(recorder):
        for label, sources in split_stages(
            layer_sources(stack.members, recorder.tracker.row, failed)
        ):
            name = _free_name(f"{stack.name} {label}".strip(), builders)
            builders[name] = _StreamBuilder(recorder, name, stack.side, sources)
    recorder.places = layer_places({name: one.sources for name, one in builders.items()})
    by_hand = recorder.tracker.passes.options is None
    if by_hand and not NOT_CONTINUED.isdisjoint(failed.values()):
        sources = [source for builder in builders.values() for source in builder.sources]
        several = [source for source in sources if source.num_passes > 1]
        # Whether passes go on from one another is one decision: self-attention tells it, not what looks at another sequence.
        if several and all(source.cross for source in several):
            builders = {}
        failed = {path: BY_HAND.get(why, why) for path, why in failed.items()}
    wanted = _recorded_layers(recorder.limits, builders) if builders else {}
    streams: dict[str, Stream] = {}
    kept: dict[str, Tensor] = {}
    _describe_axes(builders, tokenizer, hints)
    for name, builder in builders.items():
        if wanted.get(name):
            streams[name] = builder.build(wanted[name])
            kept[name] = builder.queries
        for source in builder.sources:
            source.release()
    return streams, failed, kept


def _describe_axes(builders: dict[str, _StreamBuilder], tokenizer: Any, hints: Hints) -> None:
    """Find out what the positions of all streams are, also of those not recorded: others may look at their positions."""
    axes: dict[str, PositionAxis] = {}
    for builder in builders.values():
        builder.describe_axes(tokenizer, hints, axes)
    if hints.labels is not None and builders:
        found = {name: builder.axes() for name, builder in builders.items()}
        for name, labelled in with_given_labels(found, hints.labels).items():
            builders[name].label(labelled)


def _free_name(name: str, taken: Collection[str]) -> str:
    """Return a name, or what sets it apart: stacks of two sides never become one stream."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} {number}", number + 1
    return free


def _recorded_layers(limits: Limits, builders: dict[str, _StreamBuilder]) -> dict[str, set[int]]:
    """Return the numbers of the recorded layers of each recorded stream."""
    names = limits.kept_streams(list(builders))
    return limits.kept_layers(
        {name: [source.number for source in builders[name].sources] for name in names}
    )


class _StreamBuilder:
    """Builds one stream; layers share masks, so what was read for one is kept for the next."""

    def __init__(
        self, recorder: Recorder, name: str, side: str, sources: list[LayerSource]
    ) -> None:
        self.recorder = recorder
        self.name = name
        self.side = side
        self.sources = sources
        self.queries = self.keys = torch.empty(0, dtype=torch.long)
        self.counted = self.queries, self.keys  # those that positions are counted by
        self._axes: tuple[PositionAxis, PositionAxis] | None = None
        # Keyed by the ids of tensors, which the calls in `sources` keep alive.
        self._masks: dict[Any, tuple[Band | None, Tensor | None]] = {}
        self._biases: dict[Any, Tensor | None] = {}

    def describe_axes(self, tokenizer: Any, hints: Hints, axes: dict[str, PositionAxis]) -> None:
        """Find out what the positions are; ``axes`` has the axes of the streams before, and gets this one's."""
        first = self.sources[0]
        channels = self._channel_positions()
        if channels is not None:
            query_axis = key_axis = PositionAxis(channels, _all(len(channels)))
            axes[self.name] = key_axis
        elif first.windows is not None and not first.windows.num_placed:
            query_axis, key_axis = (
                PositionAxis(self._window_positions(first.windows, size), _all(count))
                for size, count in (
                    (first.windows.queries, first.num_queries),
                    (first.windows.keys, first.num_keys),
                )
            )
            axes[self.name] = key_axis
        elif first.cross:
            query_axis, key_axis = self._cross_axes(tokenizer, axes)
        else:
            query_axis, key_axis = self._self_axes(tokenizer, hints)
            axes[self.name] = key_axis
        self._axes = query_axis, key_axis

    def axes(self) -> StreamAxes:
        """Return the axes, which `describe_axes` has found."""
        assert self._axes is not None  # noqa: S101  (the caller has looked)
        return StreamAxes(*self._axes, side=self.side, cross=self.sources[0].cross)

    def label(self, axes: StreamAxes) -> None:
        """Put other axes in place of those that were found."""
        self._axes = axes.queries, axes.keys

    def build(self, wanted: set[int]) -> Stream:
        """Build the stream from the layers of these numbers."""
        assert self._axes is not None  # noqa: S101  (the caller has looked)
        query_axis, key_axis = self._axes
        first = self.sources[0]
        sources = [source for source in self.sources if source.number in wanted]
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
        self.counted = queries, keys
        part = self.recorder.limits.kept_positions(self.name, len(queries))
        first_query = None
        if part is not None and len(part) < len(queries):
            first_query = None if first.cross else len(keys) - len(queries) + part.start
            queries = queries[part.start : part.stop]
        self.queries, self.keys = queries, keys
        layers = []
        for source in sources:
            try:
                layers.append(self._layer(source))
            except LookupError as error:
                raise ValueError(_dropped_layer(self.name, source)) from error
            source.release()
        return Stream(
            name=self.name,
            layers=tuple(sorted(layers, key=lambda layer: layer.layer)),
            query_positions=tuple(query_axis.positions[index] for index in queries.tolist()),
            key_positions=tuple(key_axis.positions[index] for index in keys.tolist()),
            first_query=first_query,
        )

    def _self_axes(self, tokenizer: Any, hints: Hints) -> tuple[PositionAxis, PositionAxis]:
        first = self.sources[0]
        config = getattr(self.recorder.model, "config", None)
        if getattr(config, "is_encoder_decoder", False) and self.side == "decoder":
            hints = Hints()  # they describe what the encoder reads
        placed = 0 if first.windows is None else first.windows.num_placed
        own = first.num_queries != first.num_keys and first.has_own_queries(self.side)
        known = placed or (first.num_keys if own else 0)
        axis = describe_axis(
            list(enclosing(self.recorder.tracker.submodels, first.path)),
            (known, known) if known else (first.num_queries, first.num_keys),
            tokenizer,
            hints,
            side=self.side,
            path=first.path,
            second=self.side == "decoder" and self._beside_encoder(),
        )
        if (
            placed and placed < first.num_keys
        ):  # an image made larger, to be cut into whole windows; global tokens
            extra = "edge" if first.windows is None else first.windows.extra
            edge = tuple(
                Position(label=f"{extra} {index}", kind="latent")
                for index in range(first.num_keys - placed)
            )
            real = torch.cat([axis.real, torch.ones(len(edge), dtype=torch.bool)])
            axis = PositionAxis(axis.positions + edge, real)
        if placed == first.num_queries:
            return PositionAxis(axis.positions[:placed], axis.real[:placed]), axis
        start = first.num_keys - first.num_queries
        if own:
            # Not tokens of which the first are in a cache: patches whose keys were merged, queries that were learned or
            # represent groups.
            submodel = next(enclosing(self.recorder.tracker.submodels, first.path))
            count = first.num_queries
            return PositionAxis(
                reduced_grid(submodel, count) or index_positions(count), _all(count)
            ), axis
        return PositionAxis(axis.positions[start:], axis.real[start:]), axis

    def _beside_encoder(self) -> bool:
        """Tell whether the model has an encoder and a decoder: some of its attention looks at another sequence."""
        return any(calls.cross for calls in self.recorder.tracker.calls.values())

    def _channel_positions(self) -> Positions | None:
        """Name the positions of a series whose channels, or pieces, are rows of the batch; ``None`` for all else."""
        first = self.sources[0]
        windows = first.windows
        if windows is None or windows.queries != windows.keys or first.cross:
            return None
        if windows.num_placed not in {0, first.num_keys}:
            return None
        for submodel in enclosing(self.recorder.tracker.submodels, first.path):
            class_token = bool(
                getattr(getattr(submodel.module, "config", None), "use_cls_token", False)
            )
            for channels in sorted(submodel.num_channels()):
                found = channel_positions(
                    windows.count,
                    windows.queries,
                    channels,
                    class_token=class_token,
                    across=first.part > 0,
                )
                if found is not None:
                    return found
        return None

    def _window_positions(self, windows: Windows, size: int) -> Positions:
        """Name the positions of windows whose place is not known: patches where each window is an image of its own."""
        submodels = list(enclosing(self.recorder.tracker.submodels, self.sources[0].path))[:1]
        axis = describe_axis(submodels, (size, size), None, Hints(), side=self.side)
        kinds = {position.kind for position in axis.positions}
        frames = "frame" in kinds and "token" not in kinds
        if not frames and not any(position.row is not None for position in axis.positions):
            return windows.positions(size)
        # A window may itself be several tiles of an image.
        within = 1 + max(position.medium or 0 for position in axis.positions)
        return tuple(
            replace(position, medium=image * within + (position.medium or 0))
            if position.kind in ("patch", "frame")
            else replace(position, medium=None)
            for image in range(windows.count)
            for position in axis.positions
        )

    def _cross_axes(
        self, tokenizer: Any, axes: dict[str, PositionAxis]
    ) -> tuple[PositionAxis, PositionAxis]:
        first = self.sources[0]
        submodels = list(enclosing(self.recorder.tracker.submodels, first.path))
        count = (first.num_queries, first.num_queries)
        query_axis = describe_axis(
            submodels,
            count,
            tokenizer,
            Hints(),
            side="decoder",
            path=first.path,
            second=self._beside_encoder(),
        )
        for name, axis in axes.items():
            if name != "decoder" and len(axis.positions) == first.num_keys:
                return query_axis, axis
        for axis in axes.values():
            # An encoder may take away again what it has padded its input with.
            inner = tuple(position for position in axis.positions if position.label != "[PAD]")
            if len(inner) == first.num_keys and any(p.row is not None for p in inner):
                return query_axis, PositionAxis(inner, _all(len(inner)))
        # What it reads was not recorded itself; the model that feeds both sides may tell.
        both = [
            submodel
            for submodel in submodels
            if submodel.input_name("input_ids", "decoder") != "input_ids"
        ]
        count = (first.num_keys, first.num_keys)
        axis = describe_axis(both, count, tokenizer, Hints(), side="encoder")
        real = real_positions(submodels, "encoder_attention_mask", first.num_keys, side="encoder")
        return query_axis, PositionAxis(axis.positions, axis.real & real)

    def _layer(self, source: LayerSource) -> Layer:
        call = source.calls[0]
        rows = read_rows(source.calls, self.queries, source.num_keys)
        tensors = {"value": _take(source.value, self.keys)}
        if call.recorded is not None:
            tensors["recorded"] = _take(rows.mT, self.keys).mT
            stored = self._store(tensors)
            layer = Layer(
                stream=self.name,
                layer=source.number,
                module_path=source.path,
                num_heads=len(rows),
                value=stored["value"],
                recorded=stored["recorded"],
                reason=call.reason,
            )
            return self._with_value_norms(layer, source)
        tensors |= {"query": rows, "key": _take(source.key, self.keys)}
        if call.sinks is not None:
            tensors["sinks"] = call.sinks
        stored = self._store(tensors)
        band, mask = self._mask(source.calls)
        layer = Layer(
            stream=self.name,
            layer=source.number,
            module_path=source.path,
            num_heads=len(rows),
            query=stored["query"],
            key=stored["key"],
            value=stored["value"],
            scaling=call.scaling,
            band=band,
            bias=self._bias(source.calls, mask),
            softcap=call.softcap,
            sinks=stored.get("sinks"),
            softmax_dtype="float32" if rows.dtype == torch.float32 else call.softmax_dtype,
        )
        if self.recorder.exact == "model":
            layer = in_model_precision(layer, self._own_weights(source), self.recorder.store)
        return self._with_value_norms(layer, source)

    def _with_gradient(self, layer: Layer, source: LayerSource) -> Layer:
        """Add the gradient of what the layer put out, where one was computed for all of its calls."""
        gradients = [call.output_gradient for call in source.calls]
        if layer.value is None or any(each is None for each in gradients):
            return layer
        calls = [
            replace(call, query=each, recorded=None)
            for call, each in zip(source.calls, gradients, strict=True)
            if each is not None
        ]
        rows = read_rows(calls, self.queries, source.num_keys)
        if (len(rows), rows.shape[2]) != (layer.num_heads, layer.value.shape[2]):
            return layer
        return replace(
            layer, output_gradient=self._store({"output_gradient": rows})["output_gradient"]
        )

    def _own_weights(self, source: LayerSource) -> Tensor | None:
        """Return the weights that the model computed, ``[head, query, key]``, if it has them for all calls."""
        if any(call.own_weights is None for call in source.calls):
            return None
        calls = [replace(call, recorded=call.own_weights) for call in source.calls]
        rows = read_rows(calls, self.queries, source.num_keys)
        return _take(rows.mT, self.keys).mT

    def _store(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        return self.recorder.store.place(whole)

    def _with_value_norms(self, layer: Layer, source: LayerSource) -> Layer:
        """Add what was put in the place of heads, gradients, and the lengths of values behind the output projection."""
        layer = self._with_gradient(layer, source)
        place = self.recorder.places.get((self.name, source.number))
        layer = with_edits(
            layer,
            source,
            place,
            self.recorder.editors,
            Axes(self.queries, self.keys, *self.counted),
        )
        # It was compared in the first pass; queries that were drafted there and refused are gone.
        first = self.queries[self.queries < source.calls[0].num_queries]
        norms, reason = value_norms(
            self.recorder.collector.projections.candidates(source.path),
            layer,
            first,
            windows=source.windows is not None,
        )
        return replace(layer, value_norms=norms, norm_reason=reason)

    def _mask(self, calls: list[Call]) -> tuple[Band | None, Tensor | None]:
        signature = tuple(
            (id(view.mask), call.first_key, view.num_keys, view.causal, view.offset, view.window)
            for call, view in ((call, call.mask_view) for call in calls)
        )
        if signature not in self._masks:
            band, mask = read_mask(calls, self.queries, self.keys)
            self._masks[signature] = band, self._place(mask)
        return self._masks[signature]

    def _place(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else self.recorder.store.place({"bias": tensor})["bias"]

    def _bias(self, calls: list[Call], mask: Tensor | None) -> Tensor | None:
        """Add the position bias to the mask; layers that were passed one tensor share one."""
        signature = (id(mask), *(id(call.position_bias) for call in calls))
        if all(call.position_bias is None for call in calls):
            return mask
        if signature not in self._biases:
            bias = read_bias(calls, self.queries, self.keys, self.recorder.store.device)
            if bias is not None and mask is not None:
                bias = bias + mask.to(bias.dtype)
            self._biases[signature] = mask if bias is None else self._place(bias)
        return self._biases[signature]


def _all(count: int) -> Tensor:
    return torch.ones(count, dtype=torch.bool)


def _take(tensor: Tensor, positions: Tensor) -> Tensor:
    """Keep ``positions`` of ``[head, position, dim]``."""
    if len(positions) == tensor.shape[1]:
        return tensor
    return tensor[:, positions.to(tensor.device)]


def _dropped_layer(stream: str, source: LayerSource) -> str:
    return (
        f"layer {source.number} of stream {stream!r} ({source.path}) was let go of while the model ran, as it was taken for "
        "another: record without layers=, streams= and positions=, and pick from the record."
    )
