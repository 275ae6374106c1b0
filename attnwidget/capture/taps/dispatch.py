"""Tap 2: a ``TorchDispatchMode`` that recognises softmax attention by its operations.

It serves modules that do not go through transformers' interface. While an attention module of the recorded model runs,
every operation it makes is seen: a product of two tensors may be scores; what is scaled, added and hidden until a softmax
is followed; a product of what comes out of a softmax with something else is the weighted sum. Its left side is what the
model multiplies its values with, to the last bit.
"""

from __future__ import annotations

import functools
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode,
    _pop_mode,
    _push_mode,
)

from attnwidget.capture.taps import fused_ops
from attnwidget.capture.taps.dataflow import FOLLOWED, Product, SoftmaxOutput, follow
from attnwidget.capture.taps.events import (
    OperationEditor,
    OperationListener,
    RunningModule,
    SoftmaxCall,
    WeightedSum,
)
from attnwidget.capture.taps.sources import Sources
from attnwidget.capture.taps.transforms import outside_transforms, transforming
from attnwidget.capture.tensor_tools import address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch import Tensor, nn

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.taps.events import ModuleTrace


__all__ = ["DispatchTap", "make_dispatch_tap", "unread"]

_thread = threading.local()


@contextmanager
def unread() -> Iterator[None]:
    """Let all taps of this thread pass by what runs inside the block: what one of them does to read is no attention call."""
    before = getattr(_thread, "unread", False)
    _thread.unread = True
    try:
        yield
    finally:
        _thread.unread = before


@dataclass(slots=True)
class _Known:
    """A tensor that scores or weights were followed to; held, so that its memory, which is its key, is not used again."""

    tensor: Tensor
    node: Product | SoftmaxOutput
    probabilities: Tensor | None = None


class DispatchTap(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Reads the operations of attention modules while they run, and reports the attention calls among them.

    A dispatch mode, since that sees the same few operations behind ``@``, ``einsum`` and PyTorch's own layers, and leaves
    those layers their fast paths, which a function mode closes. It is pushed and popped without the flags that ``with``
    also sets: those are shared by all threads, and two recordings that end in another order than they began would leave
    them set.

    Args:
        listener: Is told of what is recognised.
        parameters: Addresses of the model's parameters: a product with one of them is no score.
        editor: Says what the attention calls are to return, where they are to be changed.
    """

    supports_higher_order_operators = True

    def __init__(
        self,
        listener: OperationListener,
        parameters: frozenset[int],
        editor: OperationEditor | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._active = False
        self._listener = listener
        self._parameters = parameters
        self._editor = editor
        self._running: list[RunningModule] = []
        self._known: dict[Any, _Known] = {}
        self.sources = Sources()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the wrapper that this asks for imports the compiler, which takes seconds

    @property
    def active(self) -> bool:
        """Whether operations are read: a module of the model is running, and the tap is not paused."""
        return self._active and bool(self._running)

    @property
    def running(self) -> RunningModule | None:
        """The module that is running."""
        return self._running[-1] if self._running else None

    def enter(
        self, path: str, module: nn.Module, given: Iterable[Any], trace: ModuleTrace | None = None
    ) -> None:
        """Begin to read: ``module`` starts to run on what is ``given``; with a ``trace``, operations are only noted in it."""
        states = next((tensor for tensor in given if isinstance(tensor, torch.Tensor)), None)
        # Nested tensors, which encoders make of padded batches, have no shape.
        sizes = frozenset(() if states is None or states.is_nested else states.shape)
        self._running.append(RunningModule(path, module, sizes, states, trace))
        self._push()

    def leave(self) -> RunningModule | None:
        """Stop to read: the module entered last has run."""
        left = self._running.pop() if self._running else None
        if not self._running:
            self._known.clear()
            if not self.sources:
                self.close()
        return left

    def enter_scope(self, path: str, given: Iterable[Any]) -> None:
        """Begin to follow sources: a block with attention in it starts to run on what is ``given``."""
        self.sources.enter(path, given)
        self._push()

    def leave_scope(self, path: str, output: Any) -> None:
        """Stop to follow sources: the block has run."""
        self.sources.leave(path, output)
        if not self.sources and not self._running:
            self.close()

    def close(self) -> None:
        """Stop to read, and forget everything."""
        self._pop()
        self._running.clear()
        self._known.clear()
        self.sources.clear()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Read nothing inside the block."""
        was = self._active
        self._pop()
        try:
            yield
        finally:
            if was:
                self._push()

    def _push(self) -> None:
        if not self._active:
            _push_mode(self)
            self._active = True

    def _pop(self) -> None:
        if not self._active:
            return
        self._active = False
        above = []
        while _get_current_dispatch_mode() is not None:
            mode = _pop_mode()
            if mode is self:
                break
            above.append(mode)
        for mode in reversed(above):
            _push_mode(mode)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation, and read it."""
        del types
        kwargs = kwargs or {}
        if getattr(_thread, "unread", False):
            return func(*args, **kwargs)
        handler = _handler(func) if self._running else None
        if handler is DispatchTap._run_decomposed:
            return self._run_decomposed(func, args, kwargs)
        if handler is DispatchTap._read_fused and fused_ops.has_dropout(_name(func), args, kwargs):
            return self._run_decomposed(func, args, kwargs)
        result = self._run_read(handler, func, args, kwargs)
        if self.sources:
            self._guarded(self.sources.follow, _name(func), args, kwargs, result)
        return result

    def _run_read(
        self, handler: Any, func: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Run an operation, and let its handler read it."""
        if handler is None:
            return func(*args, **kwargs)
        if handler is DispatchTap._read_fused:
            arguments = self._guarded(self._read_fused, func, args, kwargs)
            result = func(*args, **kwargs)
            if self._editor is None:
                return result
            return self._editor.edited_fused_call(self._running[-1], _name(func), arguments, result)
        # What is known of the arguments is read first: in-place operations write over them.
        note = self._guarded(handler.__get__(self), func, args, kwargs)
        result = func(*args, **kwargs)
        if isinstance(note, WeightedSum):
            if self._editor is None:
                return result
            kept = bool(func._schema.is_mutable)  # noqa: SLF001  as `_name` reads it
            return self._editor.edited_weighted_sum(self._running[-1], note, result, kept=kept)
        if note is not None:
            self._guarded(self._remember, result, note)
        return result

    def _run_decomposed(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an operation that is made of others, and read those: in inference mode it arrives in one piece."""
        _push_mode(self)
        try:
            result = func.decompose(*args, **kwargs)
        finally:
            _pop_mode()
        if result is not NotImplemented:
            return result
        result = func(*args, **kwargs)
        if self.sources:
            self._guarded(self.sources.follow, _name(func), args, kwargs, result)
        return result

    def _guarded(self, action: Callable[..., Any], *given: Any) -> Any:
        """Do something whose errors must never reach the model."""
        try:
            with torch.no_grad(), unread():
                if not transforming():
                    return action(*given)
                with outside_transforms():
                    return action(*given)
        except Exception as error:  # noqa: BLE001  whatever it is, the model goes on
            if self._running:
                self._listener.on_error(self._running[-1], error)
            return None

    def _read_fused(
        self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> AttentionArguments | None:
        """Read an operation that is a whole attention call."""
        running = self._running[-1]
        if running.trace is not None:
            return None
        arguments = fused_ops.read_call(_name(func), running.module, args, kwargs)
        if arguments is not None:
            path = fused_ops.attending_path(_name(func), running.path, running.module)
            self._listener.on_fused_call(RunningModule(path, arguments.module), arguments)
        return arguments

    def _read_product(
        self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Product | WeightedSum | None:
        """Read a matrix product: the scores, or the weighted sum."""
        if _name(func) == "baddbmm":
            left, right, scaling = args[1], args[2], float(kwargs.get("alpha", 1))
            added = kwargs.get("beta", 1) != 0
        else:
            (left, right), scaling, added = args[:2], 1.0, False
        if not left.is_floating_point() or left.ndim < 2 or right.ndim < 2:
            return None
        for weights, values, known, turned in (
            (left, right, self._find(left), False),
            (right.mT, left.mT, self._find(right), True),
        ):
            if known is not None and isinstance(known.node, SoftmaxOutput):
                if self._running[-1].trace is not None:
                    return None
                chance = _required(known.probabilities).movedim(known.node.dim, -1)
                found = WeightedSum(weights, values, known.node, chance, turned)
                self._listener.on_weighted_sum(self._running[-1], found)
                return found
        if right.data_ptr() in self._parameters:
            return None  # a projection
        return Product(left, right, scaling=scaling, added=added)

    def _read_softmax(
        self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> SoftmaxOutput | None:
        del func
        dim = kwargs.get("dim", args[1] if len(args) > 1 else -1)
        logits = args[0]
        if logits.ndim < 2:
            return None
        known = self._find(logits)
        product = known.node if known is not None and isinstance(known.node, Product) else None
        return SoftmaxOutput(logits, dim % logits.ndim, product)

    def _read_gather(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Note the indices of a gather, for an adapter."""
        del func, kwargs
        trace = self._running[-1].trace
        if trace is not None:
            trace.gather_indices.append(args[2])

    def _read_exponential(
        self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> SoftmaxOutput | None:
        """Note an exponential, for an adapter whose module writes its softmax down as one."""
        del func, kwargs
        return None if self._running[-1].trace is None else SoftmaxOutput(args[0], -1, None)

    def _follow_on(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Follow an operation that may lie between scores and softmax, or between softmax and weighted sum."""
        del kwargs
        if not self._known:
            return None
        softmaxed = []

        def find(value: Any) -> Product | SoftmaxOutput | None:
            known = self._find(value)
            if known is not None and isinstance(known.node, SoftmaxOutput):
                softmaxed.append(known)
            return None if known is None else known.node

        node = follow(_name(func), args, find)
        if isinstance(node, SoftmaxOutput):
            return node, next(known.probabilities for known in softmaxed if known.node is node)
        return node

    def _remember(self, result: Any, note: Any) -> None:
        node, probabilities = note if isinstance(note, tuple) else (note, None)
        if isinstance(result, (tuple, list)):
            result = result[0]
        if isinstance(result, torch.Tensor):
            trace = self._running[-1].trace
            if isinstance(node, SoftmaxOutput):
                if trace is not None:
                    _trace_softmax(trace, node, result, first=probabilities is None)
                if probabilities is None:
                    probabilities = result
            self._known[address(result)] = _Known(result, node, probabilities)

    def _find(self, value: Any) -> _Known | None:
        if not isinstance(value, torch.Tensor) or value.is_nested:
            return None
        return self._known.get(address(value))


def make_dispatch_tap(
    listener: OperationListener,
    parameters: frozenset[int],
    editor: OperationEditor | None = None,
) -> DispatchTap:
    """Make a tap; where the compiler is in use, one that it does not trace into."""
    kind = _untraced_tap() if "torch._dynamo" in sys.modules else DispatchTap
    return kind(listener, parameters, editor)


@functools.cache
def _untraced_tap() -> type[DispatchTap]:
    class UntracedTap(DispatchTap):  # type: ignore[no-untyped-call]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return True

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
        ) -> Any:
            return super().__torch_dispatch__(func, types, args, kwargs)

    return UntracedTap


def _trace_softmax(trace: ModuleTrace, node: SoftmaxOutput, result: Tensor, *, first: bool) -> None:
    """Note a softmax, or what its weights became before the values."""
    if first:
        trace.softmaxes.append(SoftmaxCall(node.logits, result))
        return
    for softmax in trace.softmaxes:
        if softmax.logits is node.logits and softmax.weights.shape == result.shape:
            softmax.weights = result


def _required(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        msg = "weights without a softmax"
        raise RuntimeError(msg)
    return tensor


_PRODUCTS = frozenset({"bmm", "matmul", "mm", "baddbmm"})

_SOFTMAXES = frozenset({"_softmax", "softmax", "_safe_softmax"})


@functools.cache
def _name(func: Any) -> str:
    """Name an operation, without the underscore of in-place ones; cached, as there are some hundred of them."""
    schema = getattr(func, "_schema", None)
    return "" if schema is None else str(schema.name).removeprefix("aten::").removesuffix("_")


@functools.cache
def _handler(func: Any) -> Any:
    """Say what to do with an operation."""
    name = _name(func)
    if name in fused_ops.FUSED_OPERATIONS:
        return DispatchTap._read_fused  # noqa: SLF001
    if name in {"einsum", fused_ops.SDPA_MATH}:
        return DispatchTap._run_decomposed  # noqa: SLF001
    if name == "gather":
        return DispatchTap._read_gather  # noqa: SLF001
    if name == "exp":
        return DispatchTap._read_exponential  # noqa: SLF001
    if name in _PRODUCTS:
        return DispatchTap._read_product  # noqa: SLF001
    if name in _SOFTMAXES:
        return DispatchTap._read_softmax  # noqa: SLF001
    return DispatchTap._follow_on if name in FOLLOWED else None  # noqa: SLF001
