"""`Editor`: replace what heads put out, while a model runs, through the taps that also record."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.attention_modules import possible_attention_modules
from attnwidget.capture.architecture.submodels import named_arguments
from attnwidget.capture.calls.call import num_used_keys, read_mask_view
from attnwidget.capture.edits.links import changed_call, changed_sum, no_change, no_source
from attnwidget.capture.edits.padding import Padding, cached_positions
from attnwidget.capture.edits.replacement import gated, replaced
from attnwidget.capture.edits.resolve import NotEditableError
from attnwidget.capture.edits.sparse_heads import SparseHeads
from attnwidget.capture.edits.windows import Windows, used_keys
from attnwidget.capture.reconstruct.attention_call import (
    UnreadableError,
    reconstruct_call,
    split_heads,
    split_sum,
)
from attnwidget.capture.sparse.registry import adapter_of
from attnwidget.capture.taps.attention_interface import listening
from attnwidget.capture.taps.dispatch import make_dispatch_tap, unread
from attnwidget.capture.taps.events import ModuleTrace
from attnwidget.capture.taps.flex_attention import listening_to_flex_attention
from attnwidget.capture.taps.fused_ops import FUSED_LAYERS
from attnwidget.capture.taps.listeners import ModuleHooks, Turn, listeners, suspended
from attnwidget.capture.tensor_tools import parameter_addresses, tensors_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.edits.padding import RealPositions
    from attnwidget.capture.edits.resolve import EditedLayer
    from attnwidget.capture.edits.windows import Window
    from attnwidget.capture.taps.events import RunningModule, WeightedSum
    from attnwidget.capture.taps.listeners import Enter, Leave
    from attnwidget.edits.edits import Edits

__all__ = ["Editor", "NotEditedError", "active_editors"]

_FUSED = (
    "PyTorch computes the whole layer in one operation, in which no head can be edited: call "
    "torch.backends.mha.set_fastpath_enabled(False) before, for the unedited run too."
)


class NotEditedError(RuntimeError):
    """Heads that were to be edited and were not seen."""


class Editor:
    """Replaces the output of heads of one model between `start` and `stop`.

    At tap 1 that is what an attention function returns, ``[batch, query, head, value_dim]``: gradients flow through it. At
    tap 2 it is what the weighted sum, or PyTorch's fused operation, comes to; that lies below autograd, so gradients that
    reach it raise. In a sparse layout it is what the output projection is given (`SparseHeads`). What is put there is a new tensor, in which every number of the other heads stands.

    Attributes:
        model: The model.
        edits: What is done, as the caller said it.
        layers: The layers whose heads are edited.
        module_hooks: What is called before and after modules.
        turn: Which thread is edited, where several have this editor in their context.
    """

    def __init__(self, model: nn.Module, edits: Edits, layers: list[EditedLayer]) -> None:
        """Prepare; nothing is installed yet."""
        self.model = model
        self.edits = edits
        self.layers = layers
        self.module_hooks = ModuleHooks()
        self.turn = Turn()
        self._of: dict[int, list[EditedLayer]] = {}
        for layer in layers:
            self._of.setdefault(id(layer.module), []).append(layer)
        sparse = [layer for layer in layers if adapter_of(layer.module) is not None]
        self._sparse = SparseHeads(model, sparse)
        self._calls: dict[int, int] = {}  # of each module in the present pass
        self._windows = Windows()
        self._padding = Padding(model)  # of the present pass
        self._before: int | None = None  # positions that the model had read before it
        self._below: set[int] = set()  # modules edited below autograd, whose output needs gradients
        self._ran = False
        self._depth = 0
        self._addresses = frozenset(parameter_addresses(model)) if layers else frozenset[int]()
        self.tap = make_dispatch_tap(self, self._addresses, self)
        self._stack = ExitStack()

    def start(self) -> None:
        """Install everything."""
        with ExitStack() as stack:
            if self.layers:
                stack.enter_context(listening(self, self.model.modules()))
                modules = [layer.module for layer in self.layers]
                stack.enter_context(listening_to_flex_attention(modules))
                stack.callback(self.tap.close)
                self.module_hooks = ModuleHooks(self._hooks(), self._sparse.changes())
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Remove everything."""
        self._stack.close()

    def check_applied(self) -> None:
        """Raise `RuntimeError` if the model ran and some head was not edited."""
        missed = [layer for layer in self.layers if not layer.applied]
        if self._ran and missed:
            paths = ", ".join(layer.place.path for layer in missed)
            msg = (
                f"not edited: {'; '.join(map(str, missed))}. {type(self.model).__name__} ran, and no attention call of {paths} was "
                "seen: it did not run, or attends in a way that was not recognised."
            )
            raise NotEditedError(msg)

    def edits_of(self, module: nn.Module, call: int | None) -> EditedLayer | None:
        """Return the edited layer that one call of a module is."""
        return next(
            (each for each in self._of.get(id(module), ()) if each.place.call in {None, call}), None
        )

    def on_passed_by(self, reason: str) -> None:
        """Refuse a call in which nothing could be edited."""
        msg = f"{type(self.model).__name__} cannot be edited: it {reason}."
        raise RuntimeError(msg)

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Edit nothing of another recording that begins in the middle of a pass of this model."""
        if not self._depth:
            yield
            return
        with suspended(self), self.tap.paused():
            yield

    def on_attention_call(self, arguments: AttentionArguments) -> AbstractContextManager[None]:
        """Read no operations of a call whose result is edited."""
        del arguments
        return self.tap.paused() if self.tap.active else nullcontext()

    def edited(self, arguments: AttentionArguments, result: Any) -> Any:
        """Edit what an attention function returned."""
        layer = self._layer_now(arguments.module)
        if layer is None:
            return result
        output = result[0] if isinstance(result, tuple) else result
        query, value = arguments.query, arguments.value
        heads, queries = query.shape[1:3]
        # Learned queries may be there once, for all rows.
        whole = (output.shape[0], queries, heads, value.shape[-1])
        self._check_heads(layer, heads)
        if layer.changes.taken or any(each.at is not None for each in layer.heads.values()):
            why = no_source(arguments)
            if why is not None:
                raise NotEditableError(str(self._refused(layer, f"it {why}")))
        if output.shape == whole:
            split = self._changed_call(layer, output.movedim(2, 1), arguments)
            edited = self._replaced(layer, split, arguments.key.shape[2]).movedim(1, 2)
        elif output.shape[1:] == (queries, heads * value.shape[-1]):
            split = output.unflatten(-1, (heads, -1)).movedim(2, 1)
            split = self._changed_call(layer, split, arguments)
            edited = self._replaced(layer, split, arguments.key.shape[2]).movedim(1, 2).flatten(2)
        else:
            raise self._refused(
                layer, f"its attention function returned {list(output.shape)}, not {list(whole)}"
            )
        return (edited, *result[1:]) if isinstance(result, tuple) else edited

    def on_flex_attention(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AbstractContextManager[None]:
        """Refuse a compiled call that the module makes itself."""
        del args, kwargs
        running = self.tap.running
        if running is not None and self.tap.active and id(running.module) in self._of:
            raise self._refused(
                self._of[id(running.module)][0], "it calls flex_attention itself, which is compiled"
            )
        return nullcontext()

    def on_fused_call(self, running: RunningModule, arguments: AttentionArguments) -> None:
        """Take no note of what is only read."""

    def on_weighted_sum(self, running: RunningModule, weighted_sum: WeightedSum) -> None:
        """Take no note of what is only read."""

    def on_error(self, running: RunningModule, error: Exception) -> None:
        """Refuse to go on where the operations of an edited module cannot be read."""
        layers = self._of.get(id(running.module))
        if layers:
            raise self._refused(layers[0], f"{type(error).__name__}: {error}") from error

    def edited_fused_call(
        self, running: RunningModule, name: str, arguments: AttentionArguments | None, result: Any
    ) -> Any:
        """Edit what a fused operation returned: ``[batch, head, query, value_dim]``."""
        if name in FUSED_LAYERS:
            inside = {id(module) for module in running.module.modules()}
            if inside & self._of.keys():
                raise NotEditableError(_FUSED)
            return result
        if arguments is None:
            return result
        layer = self._layer_now(running.module)
        if layer is None:
            return result
        output = result[0] if isinstance(result, tuple) else result
        heads, queries = arguments.query.shape[1:3]
        if layer.gates is not None:
            layer.applied = layer.below = True
            return result  # gradients do not come so far
        self._check_heads(layer, heads)
        if output.ndim != 4 or output.shape[1:3] != (heads, queries):
            raise self._refused(layer, f"its fused operation returned {list(output.shape)}")
        changed = self._changed_call(layer, output, arguments)
        edited = self._replaced(layer, changed, arguments.key.shape[2])
        self._note_below(running.module, arguments.query, arguments.key, arguments.value)
        return (edited, *result[1:]) if isinstance(result, tuple) else edited

    def edited_weighted_sum(
        self, running: RunningModule, weighted_sum: WeightedSum, result: Tensor, *, kept: bool
    ) -> Tensor:
        """Edit what a weighted sum came to."""
        if running.trace is not None or id(running.module) not in self._of:
            return result
        several = self._of[id(running.module)]
        layer, heads = several[0], several[0].place.num_heads
        if heads is None:
            raise self._refused(layer, "how many heads it has is not known before it ran once")
        edited = result.clone()
        try:
            with unread():
                view = split_heads(weighted_sum, running, edited, heads)
        except (UnreadableError, RuntimeError) as error:
            raise self._refused(layer, f"it {error}") from error
        if view is None:  # no sum over keys
            return result
        now = self._layer_now(running.module)
        if now is None:
            return result
        if now.gates is not None:
            now.applied = now.below = True
            return result  # gradients do not come so far
        if kept:
            raise self._refused(now, "its weighted sum is written into a tensor that it keeps")
        changed = view
        if now.changes:
            with unread():
                changed = self._changed_sum(now, view, weighted_sum, running)
        view.copy_(self._replaced(now, changed, weighted_sum.weights.shape[-1]))
        self._note_below(running.module, weighted_sum.weights, weighted_sum.value)
        return edited

    def _changed_call(
        self, layer: EditedLayer, output: Tensor, arguments: AttentionArguments
    ) -> Tensor:
        """Return ``[batch, head, query, value_dim]`` with the rows computed anew that the edit names."""
        if not layer.changes:
            return output
        why = no_change(arguments)
        if why is not None:
            raise self._refused(layer, f"it {why}")
        used = num_used_keys(read_mask_view(arguments, 0))
        with unread():
            try:
                windows = self._windows_of(
                    layer, len(output), output.shape[2], used, arguments.key.shape[2]
                )
                return self._changed(layer, output, windows, partial(changed_call, arguments))
            except ValueError as error:
                raise self._refused(layer, str(error)) from error

    def _changed_sum(
        self, layer: EditedLayer, view: Tensor, weighted_sum: WeightedSum, running: RunningModule
    ) -> Tensor:
        """Return ``[..., head, query, value_dim]`` with the rows computed anew that the edit names."""
        *lead, heads, queries, width = view.shape
        seen = split_sum(weighted_sum, running, heads)
        keys = seen.weights.shape[-1]
        rows = view.reshape(-1, heads, queries, width)
        try:
            calls = self._calls_behind(layer, weighted_sum, running, len(rows))
            used = used_keys(seen.weights)
            windows = self._windows_of(layer, len(rows), queries, used, keys)
            change = partial(changed_sum, seen, calls=calls)
            changed = self._changed(layer, rows, windows, change)
        except ValueError as error:
            raise self._refused(layer, str(error)) from error
        return changed.view(*lead, heads, queries, width)

    def _calls_behind(
        self, layer: EditedLayer, weighted_sum: WeightedSum, running: RunningModule, rows: int
    ) -> list[AttentionArguments]:
        """Return the call behind each row of a weighted sum, where its scores are to be computed from query and key."""
        if not layer.changes.directions:
            return []
        calls = []
        for row in range(rows):
            call, _, _ = reconstruct_call(weighted_sum, running, rows, row)
            if call is None or call.reason is not None:
                why = "" if call is None else f": {call.reason}"
                raise self._refused(layer, f"the queries and keys of its scores are not known{why}")
            calls.append(call)
        return calls

    def _windows_of(
        self, layer: EditedLayer, rows: int, queries: int, used: int, keys: int
    ) -> list[Window]:
        """Return what the queries and keys of each row of a call are, and count them.

        Raises:
            ValueError: If there is padding, and the rows are not those of the batch.
        """
        window = self._windows.of(layer, queries, used, keys, before=self._before)
        real = self._padding.of(
            layer.place.path,
            layer.module,
            rows,
            queries=(window.query or 0) + queries,
            keys=window.key + window.keys,
        )
        return [replace(window, real=each) for each in real] or [window] * rows

    def _changed(
        self,
        layer: EditedLayer,
        output: Tensor,
        windows: Sequence[Window],
        change: Callable[..., Tensor],
    ) -> Tensor:
        """Return what a layer puts out with all that is done to it link by link, or row by row.

        Args:
            layer: The layer.
            output: ``[row, head, query, value_dim]``.
            windows: Which positions the queries and keys of each row are.
            change: Computes rows anew: takes an output, ``windows=`` and ``changes=``.
        """
        return change(output, windows=windows, changes=layer.changes)

    def _replaced(self, layer: EditedLayer, output: Tensor, keys: int) -> Tensor:
        first = self._windows.first_of_chunk(layer)
        self._windows.end_call(layer, output.shape[-2], keys)
        try:
            real = self._real(layer, output, keys)
            if layer.gates is not None:
                edited = gated(output, layer.heads, keys, layer.gates, first=first, real=real)
            else:
                edited = replaced(output, layer.heads, keys, first=first, real=real)
        except ValueError as error:
            raise self._refused(layer, str(error)) from error
        layer.applied = True
        return edited

    def _real(self, layer: EditedLayer, output: Tensor, keys: int) -> tuple[RealPositions, ...]:
        """Return which positions of each row of ``[..., head, query, value_dim]`` are no padding, where that matters."""
        *lead, _, queries, _ = output.shape
        if queries != keys or all(each.at is None for each in layer.heads.values()):
            return ()
        path, rows = layer.place.path, math.prod(lead)
        return self._padding.of(path, layer.module, rows, queries=queries, keys=keys)

    def _layer_now(self, module: nn.Module) -> EditedLayer | None:
        """Count a call of a module, and return the edited layer that it is."""
        own = self._of.get(id(module))
        if own is None:
            return None
        place = own[0].place
        if place.call is None:
            return own[0]
        number = self._calls.get(id(module), 0)
        if number >= place.calls:
            raise self._refused(
                own[0], f"it ran more often than the {place.calls} layers that it is"
            )
        self._calls[id(module)] = number + 1
        return next((each for each in own if each.place.call == number), None)

    def _check_heads(self, layer: EditedLayer, heads: int) -> None:
        known = layer.place.num_heads
        if known is not None and heads != known:
            raise self._refused(layer, f"it puts out {heads} of its {known} heads at a time")

    def _refused(self, layer: EditedLayer, why: str) -> ValueError:
        return ValueError(f"{layer} cannot be edited in {layer.place.path}: {why.rstrip('.')}.")

    def _note_below(self, module: nn.Module, *given: Tensor) -> None:
        """Note that a module was edited below autograd, where gradients will be asked for."""
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
            self._below.add(id(module))

    def _hooks(self) -> list[tuple[nn.Module, Enter | None, Leave | None]]:
        edited = {layer.place.path: layer.module for layer in self.layers}
        inside = {
            path: module
            for path, module in possible_attention_modules(self.model).items()
            if any(path.startswith(f"{parent}." if parent else "") for parent in edited)
        }
        around = self._fused_layers_around(edited)
        return [
            (self.model, self._enter_model, self._leave_model),
            *(
                (module, self._enter_attention(path, module), self._leave_attention(module))
                for path, module in {**around, **edited, **inside}.items()
            ),
            *self._sparse.hooks(lambda: self.tap.running),
        ]

    def _fused_layers_around(self, edited: dict[str, nn.Module]) -> dict[str, nn.Module]:
        """Return PyTorch's own layers around edited modules: their fast path does not call these."""
        return {
            path: module
            for path, module in self.model.named_modules()
            if isinstance(module, (torch.nn.TransformerEncoderLayer,))
            and any(each.startswith(f"{path}." if path else "") for each in edited)
        }

    def _enter_model(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._ran = True
        self._depth += 1
        with unread():
            self._padding = Padding(self.model, args, kwargs)
        self._before = cached_positions(self.model, args, kwargs)
        self._calls.clear()
        self._windows.begin_pass()

    def _leave_model(self, _output: Any) -> None:
        self._depth -= 1

    def _enter_attention(self, path: str, module: nn.Module) -> Enter:
        adapted = adapter_of(module) is not None

        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._ran = True
            trace = ModuleTrace(named_arguments(module, args, kwargs)) if adapted else None
            layer = None if trace is None else self._layer_now(module)
            if trace is not None and layer is not None:
                self._sparse.enter(layer, trace)
            self.tap.enter(path, module, (*args, *kwargs.values()), trace)

        return hook

    def _leave_attention(self, module: nn.Module) -> Leave:
        def hook(output: Any) -> None:
            self.tap.leave()
            if id(module) in self._below:
                self._below.discard(id(module))
                for tensor in tensors_in(output):
                    if tensor.requires_grad:
                        tensor.register_hook(_refuse_gradient)  # type: ignore[no-untyped-call]

        return hook


def _refuse_gradient(_gradient: Tensor) -> Tensor:
    msg = (
        "gradients cannot be computed through this edit: the model computes its attention by itself, and is edited below "
        "autograd, which would give the gradients of the unedited head."
    )
    raise RuntimeError(msg)


def active_editors(model: nn.Module) -> tuple[Editor, ...]:
    """Return the editors of the current context that edit modules of a model, the oldest first."""
    own = {id(module) for module in model.modules()}
    return tuple(
        listener
        for listener in listeners()
        if isinstance(listener, Editor) and own & {id(layer.module) for layer in listener.layers}
    )
