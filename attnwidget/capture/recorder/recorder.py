"""Listens to one model for the length of a recording and touches nothing else."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from attnwidget.capture.architecture.attention_modules import blocks_around, watching
from attnwidget.capture.architecture.submodels import Tower, batch_size, enclosing, named
from attnwidget.capture.media.images import GIVEN
from attnwidget.capture.positions.axes import sequence_length
from attnwidget.capture.recorder.collector import Keeping
from attnwidget.capture.sparse.densify import Shared, scattered
from attnwidget.capture.sparse.registry import adapter_of, children_of
from attnwidget.capture.sparse.rows import NotLaidOutError
from attnwidget.capture.taps.attention_interface import is_listening, listening
from attnwidget.capture.taps.events import Notes
from attnwidget.capture.taps.flex_attention import heard_at
from attnwidget.capture.taps.generate import following

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.recorder.limits import Limits
    from attnwidget.capture.store import Store
    from attnwidget.capture.taps.events import Frame

__all__ = ["Recorder"]


class Recorder(Keeping):
    """Collects what the attention modules of one model use.

    Args:
        model: The model.
        batch: Row of the batch to keep, or ``None`` to insist on a batch of one.
        store: Where the vectors are kept.
        limits: What is recorded.
    """

    def __init__(
        self, model: nn.Module, *, batch: int | None, store: Store, limits: Limits
    ) -> None:
        super().__init__(model, batch=batch, store=store, limits=limits)
        self.given: dict[str, Tensor] = {}
        self._shared = Shared()
        self._stack = ExitStack()

    def start(self) -> None:
        """Begin to listen."""
        attending = self.attending
        with ExitStack() as stack:
            stack.enter_context(listening(self))
            stack.enter_context(heard_at(attending.values()))
            stack.enter_context(following(self, self.model))
            stack.callback(self.blocks.clear)
            stack.callback(self.tap.close)
            stack.enter_context(
                watching(
                    [
                        *(
                            (tower.module, self._enter(tower), self.leave(tower))
                            for tower in self.towers.values()
                        ),
                        *(
                            (module, self._run(path, module), self._ran)
                            for path, module in attending.items()
                        ),
                        *children_of(
                            attending.values(),
                            lambda: self.tap.frame if is_listening(self) else None,
                        ),
                        *(
                            (module, self._begin(path, module), self._end(path))
                            for path, module in blocks_around(self.model, attending).items()
                        ),
                        *self.projections.watched(lambda: is_listening(self)),
                    ]
                )
            )
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Cease to listen and leave the model as it was."""
        self._stack.close()

    def _enter(self, tower: Tower) -> Any:
        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not is_listening(self):
                return  # another thread runs the same model
            inputs = named(tower.module, args, kwargs)
            root = tower.path == self.passes.root
            if root or self.num_rows is None:
                # The inputs of modules of another kind may have the sequence first.
                guess = isinstance(tower.module, PreTrainedModel)
                self.choose(batch_size(inputs, guess=guess), root=root)
            if root:
                self.forward_passes += 1
                names = tower.own("input_ids", "decoder"), tower.own("inputs_embeds", "decoder")
                self.passes.enter(self.forward_passes, inputs, names, self.rows)
            tower.keep(inputs, self.rows, self.forward_passes)
            for name in GIVEN:  # the whole model is entered first, and has them as they were given
                if isinstance(inputs.get(name), torch.Tensor):
                    self.given.setdefault(name, inputs[name])

        return hook

    def _run(self, path: str, module: nn.Module) -> Any:
        adapted = adapter_of(module) is not None

        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if is_listening(self):
                self.ran.add(path)
                notes = Notes(named(module, args, kwargs)) if adapted else None
                self.tap.enter(path, module, (*args, *kwargs.values()), notes)

        return hook

    def _ran(self, output: Any) -> None:
        if not is_listening(self):
            return
        frame = self.tap.leave()
        if frame is not None and frame.notes is not None and output is not None:
            frame.notes.result = output
            with self.tap.paused(), torch.no_grad():
                try:
                    for _ in self.each_row():
                        self._adapted(frame, frame.notes)
                except Exception as error:  # noqa: BLE001  whatever it is, the model goes on
                    self.failed(frame, error)

    def _adapted(self, frame: Frame, notes: Notes) -> None:
        """Keep a call that an adapter puts together."""
        adapter = adapter_of(frame.module)
        if adapter is None:
            return
        towers = enclosing(self.towers, frame.path)
        length = sequence_length(towers, "encoder")
        calls = self.calls_of(frame.path, frame.module)
        try:
            # An encoder runs once for all rows of a search.
            sparse = adapter.read(frame.module, notes, min(self.row, notes.rows - 1))
        except NotLaidOutError as error:
            calls.give_up(str(error))
            return
        found = scattered(frame.module, sparse, length, self._shared)
        if isinstance(found, str):
            calls.give_up(found)
            return
        arguments, pieces = found
        self.add(frame.path, arguments, None, pieces=pieces)

    def _begin(self, path: str, module: nn.Module) -> Any:
        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = next(
                (v for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor)), None
            )
            if given is not None and not given.is_nested and is_listening(self):
                self.blocks[path] = module, given

        return hook

    def _end(self, path: str) -> Any:
        def hook(_output: Any) -> None:
            if is_listening(self):
                self.blocks.pop(path, None)

        return hook
