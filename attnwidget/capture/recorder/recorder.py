"""`Recorder`: install taps and hooks on a model for the length of a recording, and remove them again."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PreTrainedModel

from attnwidget.capture.architecture.attention_modules import blocks_around
from attnwidget.capture.architecture.own_inputs import own_modules
from attnwidget.capture.architecture.submodels import batch_size, named_arguments
from attnwidget.capture.edits.editor import active_editors
from attnwidget.capture.generation.tracker import Tracker
from attnwidget.capture.media.images import MEDIA_INPUTS
from attnwidget.capture.recorder.collector import Collector
from attnwidget.capture.sparse.registry import adapter_of, watched_children
from attnwidget.capture.taps.attention_interface import listening
from attnwidget.capture.taps.events import ModuleTrace
from attnwidget.capture.taps.flex_attention import listening_to_flex_attention
from attnwidget.capture.taps.generate import listening_to_generate
from attnwidget.capture.taps.listeners import ModuleHooks, Turn, suspended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.edits.editor import Editor
    from attnwidget.capture.edits.places import Places
    from attnwidget.capture.gradients.gradients import Gradients
    from attnwidget.capture.recorder.limits import Limits
    from attnwidget.capture.store import Store
    from attnwidget.capture.taps.events import RunningModule
    from attnwidget.capture.taps.listeners import Change, Enter, Leave, Run
    from attnwidget.compute.layer_tensors import Exact

__all__ = ["Recorder"]


class Recorder:
    """Records what the attention modules of one model compute between `start` and `stop`.

    Attributes:
        model: The model.
        limits: What is recorded.
        store: Where the vectors are kept.
        exact: How the record's weights are computed.
        tracker: The forward passes, the rows that are recorded, and the calls kept of them.
        collector: Decides for each call whether and how to keep it.
        module_hooks: What is called before and after the modules of the model.
        turn: Which thread is recorded, where several have this recording in their context.
        passed_by: Why some calls of the model were not recorded.
        gradients: Follows what attention puts out, where gradients with regard to that are wanted.
        editors: What edits the model while it is recorded, from `start` on.
        places: Where the layers of the record are computed, once it is assembled.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        batch: int | None,
        store: Store,
        limits: Limits,
        which: int | None = None,
        exact: Exact = "float32",
        gradients: Gradients | None = None,
    ) -> None:
        """Prepare a recording; nothing is installed yet.

        Args:
            model: The model.
            batch: Row of the batch to keep, or ``None`` to insist on a batch of one.
            store: Where the vectors are kept.
            limits: What is recorded.
            which: Number of the pass to record, negative from the end, or ``None`` for the last.
            exact: ``"model"`` to have the weights as the model computes them.
            gradients: Follows what attention puts out, where gradients with regard to that are wanted.
        """
        self.model = model
        self.limits = limits
        self.store = store
        self.tracker = Tracker(model, batch=batch, listener=self, which=which)
        self.exact = exact
        self.gradients = gradients
        self.collector = Collector(
            self.tracker,
            limits=limits,
            store=store,
            own_weights=exact == "model",
            gradients=gradients,
        )
        self.module_hooks = ModuleHooks()
        self.turn = Turn()
        self.passed_by: dict[str, None] = {}
        self.editors: tuple[Editor, ...] = ()
        self.places: Places = {}
        self._stack = ExitStack()

    @property
    def media_inputs(self) -> dict[str, Tensor]:
        """Inputs of the model that hold images or audio, by name."""
        return self.tracker.current.media_inputs

    def start(self) -> None:
        """Install everything."""
        collector = self.collector
        modules = collector.attention_modules
        self.editors = active_editors(self.model)
        with ExitStack() as stack:
            stack.enter_context(listening(self, self.model.modules()))
            stack.enter_context(listening_to_flex_attention(modules.values()))
            stack.enter_context(listening_to_generate(self.tracker, self.model))
            stack.callback(collector.blocks.clear)
            stack.callback(collector.tap.close)
            changes = () if self.gradients is None else self._with_states(self.gradients)
            instead = () if self.gradients is None else self._with_vectors(self.gradients)
            self.module_hooks = ModuleHooks(self._hooks(), changes, instead)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Remove everything and leave the model as it was."""
        self._stack.close()

    def on_passed_by(self, reason: str) -> None:
        """Note why a call of the model was not recorded."""
        self.passed_by[reason] = None

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Take no notice of another recording that begins in the middle of a pass or a generation of this one."""
        if not self.tracker.is_running:
            yield
            return
        with suspended(self), self.collector.tap.paused():
            yield

    def on_attention_call(self, arguments: AttentionArguments) -> AbstractContextManager[None]:
        """Keep one call of the attention interface."""
        return self.collector.on_attention_call(arguments)

    def edited(self, arguments: AttentionArguments, result: Any) -> Any:
        """Return what a call returned; where gradients are wanted, plus a zero with regard to which they are computed."""
        return result if self.gradients is None else self.gradients.with_zero(arguments, result)

    def on_flex_attention(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AbstractContextManager[None]:
        """Keep one call of ``flex_attention``."""
        return self.collector.on_flex_attention(args, kwargs)

    def _running_module(self) -> RunningModule | None:
        return self.collector.tap.running

    def _hooks(self) -> list[tuple[nn.Module, Enter | None, Leave | None]]:
        """Return what is called before and after each module."""
        modules = self.collector.attention_modules
        holding = {"", *self.tracker.submodels, *modules}
        for path in modules:
            parts = path.split(".")
            holding |= {".".join(parts[:count]) for count in range(1, len(parts))}
        return [
            *(
                (self.model.get_submodule(path), self._enter_module(path), self._leave_module(path))
                for path in sorted(holding)
            ),
            *(
                (
                    submodel.module,
                    self._enter_submodel(submodel.path),
                    self.tracker.logits_hook(submodel),
                )
                for submodel in self.tracker.submodels.values()
            ),
            *(
                (self.model.get_submodule(path), self._enter_scope(path), self._leave_scope(path))
                for path in dict.fromkeys(self.collector.scopes.values())
            ),
            *(
                (module, self._enter_attention(path, module), self._leave_attention)
                for path, module in modules.items()
            ),
            *watched_children(modules.values(), self._running_module),
            *(
                (module, self._enter_block(path, module), self._leave_block(path))
                for path, module in blocks_around(self.model, modules).items()
            ),
            *self.collector.projections.hooks(),
            *self._own_input_hooks(),
        ]

    def _with_states(self, gradients: Gradients) -> list[tuple[nn.Module, Change]]:
        return [
            (module, gradients.with_states) for module in self.collector.attention_modules.values()
        ]

    def _with_vectors(self, gradients: Gradients) -> list[tuple[nn.Module, Run]]:
        return [
            (module, gradients.with_vectors)
            for attention in self.collector.attention_modules.values()
            for module in attention.modules()
            if isinstance(module, (nn.Embedding, nn.EmbeddingBag))
        ]

    def _enter_module(self, path: str) -> Enter:
        def hook(_args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
            self.tracker.enter_module(path)

        return hook

    def _leave_module(self, path: str) -> Callable[[Any], None]:
        def hook(output: Any) -> None:
            self.tracker.leave_module(path, output)

        return hook

    def _own_input_hooks(self) -> Iterator[tuple[nn.Module, Enter | None, Leave | None]]:
        """Yield hooks on what looks up token ids and cuts pictures in a model that is not transformers'."""
        if self.tracker.submodels[""].own is None:
            return
        for path, module in own_modules(self.model, nn.Embedding):
            yield module, self._enter_embedding(path), None
        for path, module in own_modules(self.model, nn.Conv2d):
            yield module, *self._around_convolution(path, module)

    def _enter_embedding(self, path: str) -> Enter:
        tracker = self.tracker

        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            own = tracker.submodels[""].own
            if own is not None:
                given = args[0] if args else kwargs.get("input")
                number = tracker.num_forward_passes
                own.note_embedding(path, given, number, tracker.row, tracker.num_rows)

        return hook

    def _around_convolution(self, path: str, module: Any) -> tuple[Enter, Leave]:
        tracker, given = self.tracker, [None]

        def enter(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given[0] = args[0] if args else kwargs.get("input")

        def leave(made: Any) -> None:
            own = tracker.submodels[""].own
            if own is not None:
                own.note_convolution(path, module, given[0], made)
            given[0] = None

        return enter, leave

    def _enter_submodel(self, path: str) -> Enter:
        """Return a hook that notes the inputs of a submodel, and with those of the whole model a forward pass."""
        tracker = self.tracker

        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            submodel = tracker.submodels[path]
            inputs = named_arguments(submodel.module, args, kwargs)
            root = path == tracker.passes.root
            if root:
                cached = isinstance(submodel.module, PreTrainedModel) and submodel.takes(
                    "past_key_values"
                )
                tracker.place_pass(inputs, cached=cached)
                submodel = tracker.submodels[path]
            if root or tracker.num_rows is None or self._is_other_batch(inputs):
                # The inputs of modules of another kind may have the sequence first.
                guess = isinstance(submodel.module, PreTrainedModel)
                tracker.choose_rows(batch_size(inputs, guess=guess), root=root)
            if root:
                names = (
                    submodel.input_name("input_ids", "decoder"),
                    submodel.input_name("inputs_embeds", "decoder"),
                )
                tracker.enter_pass(inputs, names)
            submodel.keep_inputs(inputs, tracker.rows, tracker.num_forward_passes)
            if submodel.own is not None:
                number = tracker.num_forward_passes
                submodel.own.note_arguments(inputs, number, tracker.row, tracker.num_rows)
            for name in MEDIA_INPUTS:  # the whole model runs first, on these as they were given
                if isinstance(inputs.get(name), torch.Tensor):
                    self.media_inputs.setdefault(name, inputs[name])

        return hook

    def _is_other_batch(self, inputs: dict[str, Any]) -> bool:
        """Tell whether a text is encoded in other rows than ``generate`` was given: with one that says nothing, say."""
        tracker, ids = self.tracker, inputs.get("input_ids")
        if (
            not tracker.current.generates
            or tracker.num_forward_passes
            or not isinstance(ids, torch.Tensor)
        ):
            return False
        return ids.ndim == 2 and len(ids) != tracker.num_rows

    def _enter_attention(self, path: str, module: nn.Module) -> Enter:
        collector = self.collector
        adapted = adapter_of(module) is not None

        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.tracker.current.ran.add(path)
            trace = ModuleTrace(named_arguments(module, args, kwargs)) if adapted else None
            outer = collector.tap.running
            if outer is None or outer.path == collector.scopes.get(path):
                collector.tap.sources.give((*args, *kwargs.values()))
            collector.tap.enter(path, module, (*args, *kwargs.values()), trace)

        return hook

    def _leave_attention(self, output: Any) -> None:
        left = self.collector.tap.leave()
        self.collector.tap.sources.give([output])  # what compiled code put together
        if left is not None and left.trace is not None and output is not None:
            left.trace.result = output
            self.collector.on_sparse_attention(left, left.trace)

    def _enter_scope(self, path: str) -> Enter:
        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.collector.tap.enter_scope(path, (*args, *kwargs.values()))

        return hook

    def _leave_scope(self, path: str) -> Callable[[Any], None]:
        def hook(output: Any) -> None:
            self.collector.tap.leave_scope(path, output)

        return hook

    def _enter_block(self, path: str, module: nn.Module) -> Enter:
        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = next(
                (v for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor)), None
            )
            if given is not None and not given.is_nested:
                self.collector.blocks[path] = module, given

        return hook

    def _leave_block(self, path: str) -> Callable[[Any], None]:
        def hook(_output: Any) -> None:
            self.collector.blocks.pop(path, None)

        return hook
