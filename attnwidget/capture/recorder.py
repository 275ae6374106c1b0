"""Listens to one model for the length of a recording and touches nothing else."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from attnwidget.capture.calls import Calls
from attnwidget.capture.interface import is_listening, listening
from attnwidget.capture.naming import attention_like, is_cross
from attnwidget.capture.towers import Tower, batch_size

if TYPE_CHECKING:
    from torch import nn

    from attnwidget.capture.interface import Arguments

__all__ = ["Recorder"]


class Recorder:
    """Collects what the attention modules of one model use.

    Args:
        model: The model.
        batch: Row of the batch to keep, or ``None`` to insist on a batch of one.
        device: Where the vectors are kept.
    """

    def __init__(self, model: nn.Module, *, batch: int | None, device: torch.device | str) -> None:
        self.model = model
        self.batch = batch
        self.device = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0"
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.towers = {
            path: Tower(path, module)
            for path, module in model.named_modules()
            if path == "" or isinstance(module, PreTrainedModel)
        }
        self.candidates = attention_like(model)
        self.calls: dict[str, Calls] = {}
        self.ran: set[str] = set()
        self.forward_passes = 0
        self._rows: int | None = None
        self._stack = ExitStack()

    def start(self) -> None:
        """Begin to listen."""
        with ExitStack() as stack:
            stack.enter_context(listening(self))
            for tower in self.towers.values():
                stack.callback(
                    tower.module.register_forward_pre_hook(
                        self._enter(tower), with_kwargs=True
                    ).remove
                )
            for path, module in self.candidates.items():
                stack.callback(module.register_forward_pre_hook(self._run(path)).remove)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Cease to listen and leave the model as it was."""
        self._stack.close()

    def heard(self, arguments: Arguments) -> None:
        """Keep one attention call if it is one of this model's."""
        path = self.paths.get(id(arguments.module))
        if path is None:
            return
        if path not in self.calls:
            self.calls[path] = Calls(path, arguments.module, is_cross(path, arguments.module))
        calls = self.calls[path]
        rows = arguments.query.shape[0]
        if self._rows is not None and rows != self._rows and calls.trouble is None:
            calls.trouble = f"attends within {rows} pieces of {self._rows} inputs"
        calls.add(arguments, self.forward_passes, self.row, self.device)

    @property
    def row(self) -> int:
        """Row of the batch that is kept."""
        return self.batch or 0

    def missed(self) -> list[str]:
        """Paths of modules that ran and look like attention, yet made no call that was heard."""
        heard = [f"{path}." for path in self.calls]
        return [
            path
            for path in self.candidates
            if path in self.ran
            and path not in self.calls
            and not any(
                seen.startswith(f"{path}.") or f"{path}.".startswith(seen) for seen in heard
            )
        ]

    def _enter(self, tower: Tower) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not is_listening(self):
                return  # another thread runs the same model
            inputs = tower.named(args, kwargs)
            if tower.path == "" or self._rows is None:
                self._check_batch(batch_size(inputs))
            if tower.path == "":
                self.forward_passes += 1
            tower.keep(inputs, self.row)

        return hook

    def _run(self, path: str) -> Any:
        def hook(_module: nn.Module, _args: tuple[Any, ...]) -> None:
            if is_listening(self):
                self.ran.add(path)

        return hook

    def _check_batch(self, rows: int | None) -> None:
        """Refuse to choose between the rows of a batch, before anything is computed."""
        if rows is None:
            return
        self._rows = rows
        if self.batch is None and rows > 1:
            msg = (
                f"the model was given a batch of {rows}; say which row to record with batch=0 .. batch={rows - 1} "
                "(beam search makes batches too: generate with num_beams=1)."
            )
            raise ValueError(msg)
        if self.batch is not None and not 0 <= self.batch < rows:
            msg = f"batch must be in 0..{rows - 1}, got {self.batch}."
            raise ValueError(msg)
