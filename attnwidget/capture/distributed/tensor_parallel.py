"""Tensor-parallel models: each process records its own heads, at the end all are gathered into one record."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from attnwidget.capture.distributed.barrier import RecordingBarrier
from attnwidget.capture.distributed.head_shards import HEAD_TENSORS, fill_value_norms, join_heads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from attnwidget.capture.store import Store
    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record

__all__ = ["shared_recording"]

# Of a tensor, so many positions and numbers of each are compared to tell whether two processes hold the same heads.
_SAMPLE = 8
_WIDTH = 64


@contextmanager
def shared_recording(model: nn.Module, store: Store) -> Iterator[Callable[[Record], Record]]:
    """Yield a function that gathers the heads of all processes which share ``model`` into one record.

    In a process that shares no model it returns its argument. If the block raises before that, the others are told. The
    gathered tensors are kept in ``store``.
    """
    ranks = _TensorParallelGroup.of(model, store)
    if ranks is None:
        yield lambda attention: attention
        return
    try:
        yield ranks.gather
    except BaseException as error:
        ranks.barrier.failed(error)
        raise


@dataclass(frozen=True, slots=True)
class _LayerShard:
    """Description of one process's part of a layer, sent to the others.

    Attributes:
        layer: The layer without its tensors.
        split: Whether parameters in or beside its module are split among the processes.
        shapes: Shape and dtype of each of its tensors.
        sample: Some of its numbers.
        bias: Place, among all biases of the record, of its own; layers share them.
        partial: Whether it lacks lengths of values that other processes know.
    """

    layer: tuple[str, int, str, int]
    split: bool
    shapes: Mapping[str, tuple[tuple[int, ...], torch.dtype]]
    sample: Tensor
    bias: int
    partial: bool


class _TensorParallelGroup:
    """The processes that share a model by tensor parallelism, seen from this one.

    Args:
        group: The processes.
        device: Where tensors have to be to travel between them.
        split: Paths of modules whose own parameters are split among them.
        store: Where the record is kept.
    """

    def __init__(self, group: Any, device: str, split: frozenset[str], store: Store) -> None:
        self._kept = store
        self._group = group
        self._device = torch.device(device)
        self._split = split
        self._ranks: list[int] = distributed.get_process_group_ranks(group)
        self._own = distributed.get_rank()
        self.barrier = RecordingBarrier(self._ranks)

    @classmethod
    def of(cls, model: nn.Module, store: Store) -> _TensorParallelGroup | None:
        """Return the processes that share a model, or ``None`` if this one has all of it."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return None
        group, device, split = None, "cpu", set()
        for path, parameter in model.named_parameters():
            mesh: Any = getattr(parameter, "device_mesh", None)
            axis = None if mesh is None else _axis(mesh, model)
            # The parameter is a DTensor, then.
            if axis is not None and parameter.placements[axis].is_shard():  # type: ignore[attr-defined]
                group, device = mesh.get_group(axis), mesh.device_type
                split.add(path.rpartition(".")[0])
        if group is None or distributed.get_world_size(group) == 1:
            return None
        return cls(group, device, frozenset(split), store)

    def gather(self, attention: Record) -> Record:
        """Wait until all have come to the end of the recording; make one record of theirs, which each of them gets.

        Raises:
            RuntimeError: If one of them failed, or does not come.
            ValueError: If they did not record the same input.
        """
        self.barrier.wait()
        return self._merged(attention)

    def _merged(self, attention: Record) -> Record:
        biases = _biases(attention)
        own = [
            self._part(layer, biases)
            for stream in attention.streams.values()
            for layer in stream.layers
        ]
        labels = [
            tuple(position.label for position in positions)
            for stream in attention.streams.values()
            for positions in (stream.query_positions, stream.key_positions)
        ]
        everyone = self._all_gather((labels, own))
        if any(
            other[0] != labels
            or [_kind(part) for part in other[1]] != [_kind(part) for part in own]
            for other in everyone
        ):
            message = (
                f"ranks {self._ranks} share one model but recorded different inputs, this one {attention!r}: give all of "
                "them the same."
            )
            raise ValueError(message)
        parts = iter(zip(*(other[1] for other in everyone), strict=True))
        found: dict[int, Tensor] = {}
        return replace(
            attention,
            streams={
                name: replace(
                    stream,
                    layers=tuple(self._layer(layer, next(parts), found) for layer in stream.layers),
                )
                for name, stream in attention.streams.items()
            },
        )

    def _layer(self, own: Layer, parts: Sequence[_LayerShard], biases: dict[int, Tensor]) -> Layer:
        """Make one layer of those of all processes; ``biases`` has those that layers before it had."""

        def gather(name: str) -> Sequence[Tensor]:
            return self._gathered(getattr(own, name), [part.shapes[name] for part in parts])

        normed = all("value_norms" in part.shapes for part in parts)
        if not parts[0].split or _same(parts):
            return (
                fill_value_norms(own, gather) if normed and any(p.partial for p in parts) else own
            )
        place = parts[0].bias

        def or_shared(name: str) -> Sequence[Tensor]:
            if name != "bias":
                return gather(name)
            if place not in biases:
                biases[place] = self._bias(own, parts, gather)
            return [biases[place]]

        if not normed:
            own = replace(own, value_norms=None)
        return join_heads(own, [part.layer[3] for part in parts], or_shared, self._kept.keep)

    def _bias(self, own: Layer, parts: Sequence[_LayerShard], gather: Any) -> Tensor:
        """Make one bias of those of all processes; a mask is the same for all heads, and travels only if it may not be."""
        assert own.bias is not None  # noqa: S101  (the caller has looked)
        ones = [part.layer[3] for part in parts if part.shapes["bias"][0][0] == 1]
        if max(ones, default=0) > 1:  # what one process has for several heads is for all
            return own.bias
        every = gather("bias")
        if len(ones) == len(parts) and all(torch.equal(every[0], one) for one in every):
            return own.bias
        return self._kept.keep({"bias": torch.cat(list(every))})["bias"]

    def _part(self, layer: Layer, biases: Mapping[int, int]) -> _LayerShard:
        tensors = {name: getattr(layer, name) for name in (*HEAD_TENSORS, "bias")}
        norms = layer.value_norms
        parent = layer.module_path.rpartition(".")[0]
        around = f"{parent}." if parent else ""
        return _LayerShard(
            layer=(layer.stream, layer.layer, layer.module_path, layer.num_heads),
            # Projections may lie beside the module that attends.
            split=any(f"{path}.".startswith(around) for path in self._split),
            shapes={
                name: (tuple(tensor.shape), tensor.dtype)
                for name, tensor in tensors.items()
                if tensor is not None
            },
            sample=_sample(layer),
            bias=biases.get(id(layer.bias), -1),
            partial=norms is not None and bool(norms.isnan().any()),
        )

    def _gathered(
        self, own: Tensor, shapes: Sequence[tuple[tuple[int, ...], torch.dtype]]
    ) -> list[Tensor]:
        """Fetch a tensor of every process, as bytes: no backend knows all dtypes."""
        found = []
        for rank, (shape, dtype) in zip(self._ranks, shapes, strict=True):
            if rank == self._own:
                sent = own.contiguous().to(self._device)
                distributed.broadcast(_bytes(sent), rank, group=self._group)
                found.append(own)
            else:
                arrived = torch.empty(shape, dtype=dtype, device=self._device)
                distributed.broadcast(_bytes(arrived), rank, group=self._group)
                found.append(arrived.to(own.device))
        return found

    def _all_gather(self, what: Any) -> list[Any]:
        found: list[Any] = [None] * len(self._ranks)
        distributed.all_gather_object(found, what, group=self._group)
        return found


def _axis(mesh: Any, model: nn.Module) -> int | None:
    """Find the axis of a device mesh along which heads are split; fully sharded data parallelism splits storage alone."""
    names = mesh.mesh_dim_names or ()
    if "tp" in names:
        return int(names.index("tp"))
    stored = any(type(part).__name__.startswith("FSDP") for part in model.modules())
    return 0 if mesh.ndim == 1 and not stored else None


def _kind(part: _LayerShard) -> Any:
    """Say what has to be alike in all processes."""
    return *part.layer[:3], part.split, part.bias, part.shapes.keys() - {"value_norms"}


def _same(parts: Sequence[_LayerShard]) -> bool:
    """Tell whether all processes hold the same heads, all of them: projections may be split and their results gathered."""
    first = parts[0]
    size = float(first.sample.abs().max())
    return all(
        part.layer == first.layer
        and part.sample.shape == first.sample.shape
        # Devices may differ in the last bits; other heads differ in the first.
        and float((part.sample - first.sample).abs().max()) <= 0.01 * size
        for part in parts
    )


def _sample(layer: Layer) -> Tensor:
    """Return some of a layer's numbers, ``[number]``."""
    taken = []
    for name in ("query", "recorded", "key", "value"):
        tensor: Tensor | None = getattr(layer, name)
        if tensor is not None:
            step = max(1, tensor.shape[1] // _SAMPLE)
            taken.append(tensor[:, ::step, :_WIDTH].float().cpu().flatten())
    return torch.cat(taken)


def _biases(attention: Record) -> dict[int, int]:
    """Number the biases of a record."""
    places: dict[int, int] = {}
    for stream in attention.streams.values():
        for layer in stream.layers:
            if layer.bias is not None:
                places.setdefault(id(layer.bias), len(places))
    return places


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1).view(torch.uint8)
