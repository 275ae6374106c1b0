"""`SparseHeads`: edit heads of attention in a sparse layout, in what its output projection is given.

Such a head is put together from windows, blocks or buckets, and has no weighted sum of its own that could be replaced. What
all of them put out stands side by side where the output is projected. That the numbers there are the heads' is proven in the
very pass that is edited: they are compared with what the adapter of the module read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.submodels import enclosing, find_submodels, named_arguments
from attnwidget.capture.edits.changes import Changes
from attnwidget.capture.edits.links import with_outputs
from attnwidget.capture.edits.replacement import Replacement, gated, replaced
from attnwidget.capture.edits.resolve import NotEditableError
from attnwidget.capture.edits.windows import Window
from attnwidget.capture.sparse.outputs import head_outputs
from attnwidget.capture.sparse.registry import adapter_of, watched_children
from attnwidget.capture.sparse.rows import CannotDensifyError, DenseWeights
from attnwidget.capture.taps.dispatch import unread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from attnwidget.capture.architecture.submodels import Submodel
    from attnwidget.capture.edits.changes import Taken
    from attnwidget.capture.edits.resolve import EditedLayer
    from attnwidget.capture.sparse.rows import SparseAttention
    from attnwidget.capture.taps.events import ModuleTrace, RunningModule
    from attnwidget.capture.taps.listeners import Change, Enter, Leave

    Read = SparseAttention | DenseWeights

__all__ = ["SparseHeads"]

_SAMPLED = 32  # rows in which what the projection is given is compared
# Of the length of the vector: float32 keeps seven digits, half precision two or three.
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
_LOOSE = 2e-2
_ZERO_ONLY = "use how='zero'"


@dataclass(slots=True)
class _Run:
    """A run of a module, until its output was projected.

    Attributes:
        layer: The layer that it is.
        trace: What the module computes.
        projected: How often its output projection has run: global tokens may be projected before the text.
        read: What its adapter read, once that was asked for.
    """

    layer: EditedLayer
    trace: ModuleTrace
    projected: int = 0
    read: Read | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """Which queries a run of the output projection is given.

    Attributes:
        first: The first of them, as the adapter counts.
        count: How many.
        is_extra: Whether they are none of the sequence.
    """

    first: int
    count: int
    is_extra: bool


class SparseHeads:
    """Edits the heads of some modules that have an adapter."""

    def __init__(self, model: nn.Module, layers: list[EditedLayer]) -> None:
        """Find the output projection of each.

        Raises:
            NotEditableError: If there is none where the adapter expects it.
        """
        self._layers = layers
        self._projections = {id(one.module): _projection(model, one) for one in layers}
        self._runs: dict[int, _Run] = {}  # by the id of the projection
        self._around: dict[int, list[Submodel]] = {}
        if layers:
            submodels = find_submodels(model)
            self._around = {
                id(one.module): list(enclosing(submodels, one.place.path)) for one in layers
            }
        self._lengths: dict[str, int] = {}

    def hooks(
        self, current: Callable[[], RunningModule | None]
    ) -> Iterator[tuple[nn.Module, Enter | None, Leave | None]]:
        """Yield what is called around modules: those whose input is as long as the sequence, and those that adapters read.

        Args:
            current: Returns the module that runs.
        """
        around = {each.path: each for several in self._around.values() for each in several}
        for each in around.values():
            yield each.module, self._note_length(each), None
        yield from watched_children((layer.module for layer in self._layers), current)

    def changes(self) -> Iterator[tuple[nn.Module, Change]]:
        """Yield the projections, and what makes other arguments of theirs."""
        for projection in self._projections.values():
            yield projection, self._change(projection)

    def enter(self, layer: EditedLayer, trace: ModuleTrace) -> None:
        """Begin a run of a module that is edited."""
        self._runs[id(self._projections[id(layer.module)])] = _Run(layer, trace)

    def _note_length(self, submodel: Submodel) -> Enter:
        names = [submodel.input_name(name, "encoder") for name in ("input_ids", "inputs_embeds")]

        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = named_arguments(submodel.module, args, kwargs)
            self._lengths.pop(submodel.path, None)
            for name in names:
                if isinstance(given.get(name), torch.Tensor):
                    self._lengths[submodel.path] = given[name].shape[1]
                    return

        return hook

    def _change(self, projection: nn.Module) -> Change:
        def change(
            args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            run = self._runs.get(id(projection))
            if run is None or not args or not isinstance(args[0], torch.Tensor):
                return args, kwargs
            with unread():
                edited = self._edited(run, args[0])
            return (edited, *args[1:]), kwargs

        return change

    def _edited(self, run: _Run, given: Tensor) -> Tensor:
        """Return what a projection is to be given."""
        layer = run.layer
        try:
            with torch.no_grad():
                read, part = self._checked(run, given.detach())
            if part.count == _positions(read) or not part.is_extra:  # the last of its runs
                self._runs.pop(id(self._projections[id(layer.module)]))
            heads = given.reshape(*given.shape[:2], _heads(read), -1).movedim(2, 1)
            edited = self._replaced(layer, heads, read, part)
        except NotEditableError as error:
            raise NotEditableError(_refused(layer, error)) from error
        except ValueError as error:
            raise ValueError(_refused(layer, error)) from error
        layer.applied = True
        return edited.movedim(1, 2).flatten(2)

    def _checked(self, run: _Run, given: Tensor) -> tuple[Read, _Part]:
        """Return what an adapter read, and which queries a projection is given.

        Raises:
            NotEditableError: If what it is given is not what the heads put out there.
        """
        module = run.layer.module
        if run.read is None:
            adapter = adapter_of(module)
            assert adapter is not None  # noqa: S101  (such modules alone are here)
            try:
                run.read = adapter.read(module, run.trace, 0)
            except CannotDensifyError as error:
                msg = f"it {error}"
                raise NotEditableError(msg) from error
            except Exception as error:  # code that is like the adapter's module, and is not
                msg = f"its layout could not be read ({type(error).__name__}: {error})"
                raise NotEditableError(msg) from error
        read, known = run.read, run.layer.place.num_heads
        if known is not None and _heads(read) != known:
            msg = f"it puts out {_heads(read)} of its {known} heads at a time"
            raise NotEditableError(msg)
        part = _part(read, run.projected)
        run.projected += 1
        if given.ndim != 3 or given.shape[1] != part.count or not _is_given(read, part, given[0]):
            msg = "what its output projection is given is not what its heads put out"
            raise NotEditableError(msg)
        return read, part

    def _replaced(self, layer: EditedLayer, output: Tensor, read: Read, part: _Part) -> Tensor:
        """Return ``[batch, head, query, value_dim]`` with what is put in the place of heads."""
        if not layer.changes and all(each.at is None for each in layer.heads.values()):
            return _put(layer, output, layer.heads)
        _check_is_recorded(read)
        extra = 0 if isinstance(read, DenseWeights) else read.extra_queries
        padding = 0 if isinstance(read, DenseWeights) else read.num_padding
        length = self._length(layer)
        whole = length + extra
        # Which positions of the record that sources are of, and where they stand here.
        here = slice(length, whole) if part.is_extra else slice(0, length)
        own = slice(0, extra) if part.is_extra else slice(padding, padding + length)
        count = own.stop - own.start
        if own.stop > part.count:
            msg = f"its input has {length} positions, it attends with {part.count}"
            raise NotEditableError(msg)
        taken = [_taken_of(each, here, whole) for each in layer.changes.taken]
        some = with_outputs(output[:, :, own], Window(0, 0, count, count), Changes(taken=taken))
        width = output.shape[-1]
        heads = {
            head: Replacement(_rows_of(each, whole, extra, width)[here])
            for head, each in layer.heads.items()
        }
        edited = output.clone()
        edited[:, :, own] = _put(layer, some, heads)
        return edited

    def _length(self, layer: EditedLayer) -> int:
        """Return how many positions the sequence has: modules make it longer to cut it up."""
        for submodel in self._around[id(layer.module)]:
            if submodel.path in self._lengths:
                return self._lengths[submodel.path]
        msg = f"how long its input is, is not known where it is given no ids and no embeddings: {_ZERO_ONLY}"
        raise NotEditableError(msg)


def _projection(model: nn.Module, layer: EditedLayer) -> nn.Module:
    """Return the linear map that is given what all heads put out."""
    adapter, path = adapter_of(layer.module), layer.place.path
    assert adapter is not None  # noqa: S101  (such modules alone are here)
    around = path.rpartition(".")[0]
    for name in adapter.projections:
        beside = name.startswith("../")
        whole = f"{around}.{name[3:]}".lstrip(".") if beside else f"{path}.{name}".lstrip(".")
        try:
            return model.get_submodule(whole)
        except AttributeError:
            continue
    msg = (
        f"no head of layer {layer.layer} of stream {layer.stream!r} can be edited: {path} attends in a sparse layout, and its "
        f"output projection is not at {' or '.join(adapter.projections)}."
    )
    raise NotEditableError(msg)


def _refused(layer: EditedLayer, error: Exception) -> str:
    return f"{layer} cannot be edited in {layer.place.path}: {str(error).rstrip('.')}."


def _heads(read: Read) -> int:
    return len(read.value)


def _positions(read: Read) -> int:
    """Return how many queries there are."""
    return read.weights.shape[1] if isinstance(read, DenseWeights) else read.query.shape[1]


def _part(read: Read, number: int) -> _Part:
    """Return which queries one run of the projection is given: queries that are none of the sequence come first."""
    count = _positions(read)
    extra = 0 if isinstance(read, DenseWeights) else read.extra_queries
    if not extra:
        return _Part(0, count, is_extra=False)
    return (
        _Part(0, count - extra, is_extra=False)
        if number
        else _Part(count - extra, extra, is_extra=True)
    )


def _is_given(read: Read, part: _Part, given: Tensor) -> bool:
    """Tell whether ``[row, head * value_dim]`` is what the heads put out; rows of padding may be made zeros."""
    rows = (given != 0).any(dim=-1).nonzero()[:, 0]
    picks = torch.linspace(0, len(rows) - 1, min(len(rows), _SAMPLED), device=rows.device).long()
    rows = rows[picks]
    expected = head_outputs(read, rows + part.first).flatten(1)
    seen = given[rows].float()
    if expected.shape != seen.shape:
        return False
    tolerance = _TOLERANCE.get(given.dtype, _LOOSE)
    return bool(((expected - seen).norm(dim=-1) <= tolerance * seen.norm(dim=-1)).all())


def _check_is_recorded(read: Read) -> None:
    """Refuse sources where what a record says of a head is not what the module goes on with."""
    if read.besides is not None:
        msg = f"it adds a convolution of its values to what a record has of a head: {_ZERO_ONLY}"
        raise NotEditableError(msg)
    if not isinstance(read, DenseWeights) and read.second_half is not None:
        msg = f"tokens with global attention have values of their own, so that a record has two outputs of a head: {_ZERO_ONLY}"
        raise NotEditableError(msg)


def _rows_of(replacement: Replacement, whole: int, extra: int, width: int) -> Tensor:
    """Return what is put at all positions of a record, ``[position, width]``."""
    if extra and replacement.elsewhere is not None:
        msg = f"its last {extra} queries are no positions of the input, over which outputs could be averaged: {_ZERO_ONLY}"
        raise NotEditableError(msg)
    if extra and replacement.at is not None:
        _check_length(len(replacement.at), whole)
    return replacement.rows(whole, whole, width).expand(whole, -1)


def _taken_of(taken: Taken, here: slice, whole: int) -> Taken:
    """Return what is taken from a record for some of its positions."""
    _check_length(len(taken.numbers), whole)
    named = taken.positions
    if named is not None:
        named = tuple(at - here.start for at in named if here.start <= at < here.stop)
    return replace(taken, numbers=taken.numbers[here], positions=named)


def _check_length(given: int, whole: int) -> None:
    if given != whole:
        msg = f"its source has {given} positions, the input {whole}: give a source that is as long"
        raise ValueError(msg)


def _put(layer: EditedLayer, output: Tensor, heads: dict[int, Replacement]) -> Tensor:
    count = output.shape[2]
    if layer.gates is not None:
        return gated(output, heads, count, layer.gates)
    return replaced(output, heads, count)
