"""Listens to one model for the length of a recording and touches nothing else."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from attnwidget.capture.adapters import adapter_of, children_of
from attnwidget.capture.adapters.scatter import Shared, scattered
from attnwidget.capture.adapters.strips import Notes, NotLaidOutError
from attnwidget.capture.call import drops, unsupported
from attnwidget.capture.course import Course
from attnwidget.capture.flex import flexed, heard_at
from attnwidget.capture.functional import FunctionTap
from attnwidget.capture.gallery import GIVEN
from attnwidget.capture.generating import following
from attnwidget.capture.interface import is_listening, listening
from attnwidget.capture.modules import blocks_around, may_attend, watching
from attnwidget.capture.naming import attention_like
from attnwidget.capture.pieces import alike, cut, join, join_trouble, ordered
from attnwidget.capture.places import lie
from attnwidget.capture.projections import Projections
from attnwidget.capture.solve import UnreadableError, solve
from attnwidget.capture.tensors import addresses
from attnwidget.capture.towers import (
    Tower,
    batch_size,
    enclosing,
    named,
    sequence_length,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from attnwidget.capture.frames import Frame, WeightedSum
    from attnwidget.capture.interface import Arguments
    from attnwidget.capture.pieces import Pieces

__all__ = ["Recorder"]

_log = logging.getLogger(__name__)


class Recorder(Course):
    """Collects what the attention modules of one model use.

    Args:
        model: The model.
        batch: Row of the batch to keep, or ``None`` to insist on a batch of one.
        device: Where the vectors are kept.
    """

    def __init__(self, model: nn.Module, *, batch: int | None, device: torch.device | str) -> None:
        super().__init__(model, batch=batch)
        self.device = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0"
        self.candidates = attention_like(model)
        self.ran: set[str] = set()
        self.given: dict[str, Tensor] = {}
        self.broken: dict[str, str] = {}
        self.undropped: dict[str, None] = {}
        self._blocks: dict[str, tuple[nn.Module, Tensor]] = {}
        self._tap = FunctionTap(self, frozenset(addresses(model)))
        self._shared = Shared()
        self._attending = may_attend(model)
        self.projections = Projections(model, self._attending)
        self._stack = ExitStack()

    def start(self) -> None:
        """Begin to listen."""
        attending = self._attending
        with ExitStack() as stack:
            stack.enter_context(listening(self))
            stack.enter_context(heard_at(attending.values()))
            stack.enter_context(following(self, self.model))
            stack.callback(self._blocks.clear)
            stack.callback(self._tap.close)
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
                            lambda: self._tap.frame if is_listening(self) else None,
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

    def heard(self, arguments: Arguments) -> AbstractContextManager[None]:
        """Keep one call of the attention interface if it is one of this model's."""
        path = self.paths.get(id(arguments.module))
        if path is None:
            return nullcontext()
        trouble = unsupported(arguments)
        if trouble is not None and self._tap.reads:
            # What the arguments do not say, the arithmetic may.
            self.broken.setdefault(path, trouble)
            return nullcontext()
        if drops(arguments):
            return self._dropping(path, arguments)
        with self._tap.paused():
            for _ in self.each_row():
                self._keep(path, arguments)
        return self._tap.paused()

    @contextmanager
    def _dropping(self, path: str, arguments: Arguments) -> Iterator[None]:
        """Read a call with dropout from its arithmetic, as its arguments do not say which weights are dropped.

        A fused kernel draws them inside and shows nobody; then the weights before dropout have to do.
        """
        before = self._count(path)
        yield
        if self._count(path) == before:
            with self._tap.paused():
                for _ in self.each_row():
                    self._keep(path, arguments)
            self.undropped[path] = None

    def _count(self, path: str) -> int:
        return len(self.calls[path].calls) if path in self.calls else 0

    def flexed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AbstractContextManager[None]:
        """Keep one call of ``flex_attention`` that the running module makes."""
        frame = self._tap.frame
        if frame is None or not self._tap.reads:
            return nullcontext()
        with self._tap.paused():
            try:
                for _ in self.each_row():
                    self._keep(frame.path, flexed(frame.module, args, kwargs, self.row))
            except Exception as error:  # noqa: BLE001  the model is about to run all the same
                self.failed(frame, error)
        return self._tap.paused()  # compiled code must not meet the tap

    def called(self, frame: Frame, arguments: Arguments) -> None:
        """Keep a call of one of PyTorch's own attention functions."""
        for _ in self.each_row():
            self._keep(frame.path, arguments)
        if drops(arguments):
            self.undropped[frame.path] = None

    def summed(self, frame: Frame, weighted_sum: WeightedSum) -> None:
        """Keep a call that was recognised by its arithmetic."""
        for _ in self.each_row():
            self._read(frame, weighted_sum)

    def _read(self, frame: Frame, weighted_sum: WeightedSum) -> None:
        """Read one row of such a call."""
        try:
            arguments, rows, piecewise = solve(weighted_sum, frame, self.num_rows, self.row)
        except UnreadableError as error:
            if weighted_sum.softmaxed.product is None:
                # No scores of queries and keys: a convolution whose kernel is a softmax, say.
                self.broken.setdefault(frame.path, str(error))
            else:
                self.calls_of(frame.path, frame.module).give_up(str(error))
            return
        if arguments is None:
            return
        if piecewise and weighted_sum.softmaxed.product is None:
            self.broken.setdefault(frame.path, "mixes neighbours with a softmax of something else")
            return
        self._add(
            frame.path, arguments, rows if self.num_rows is None else None, piecewise=piecewise
        )

    def failed(self, frame: Frame, error: Exception) -> None:
        """Remember that reading a module's operations failed."""
        _log.debug("%s could not be read", frame.path, exc_info=error)
        self.broken.setdefault(frame.path, f"could not be read ({type(error).__name__}: {error})")

    def _keep(self, path: str, arguments: Arguments) -> None:
        """Keep a call of the whole batch."""
        arguments = alike(arguments)
        rows = arguments.query.shape[0]
        known = self.num_rows
        if known is None or rows in {1, known}:
            self._add(path, arguments, rows if known is None else None)
        elif known % rows == 0:
            # Several inputs make one: the frames of a video.
            self._add(path, cut(arguments, self.row * rows // known, 1), None)
        elif rows % known:
            self.calls_of(path, arguments.module).give_up(
                f"attends within {rows} pieces of {known} inputs"
            )
        else:
            count = rows // known
            self._add(path, cut(arguments, self.row * count, count), None, piecewise=True)

    def _add(
        self,
        path: str,
        arguments: Arguments,
        rows: int | None,
        *,
        piecewise: bool = False,
        pieces: Pieces | None = None,
    ) -> None:
        """Keep a call; ``rows`` if it may be a batch nobody has chosen from, whether its batch is ``piecewise``."""
        calls = self.calls_of(path, arguments.module)
        if rows is not None and rows > 1 and self.batch is None:
            calls.give_up(
                f"attends within {rows} inputs or pieces; say which to record with batch=0 .. {rows - 1}"
            )
        if piecewise:
            trouble = unsupported(arguments) or join_trouble(arguments)
            if trouble is None:
                arguments, pieces = self._laid_out(path, *join(arguments))
            else:
                calls.give_up(trouble)
        self.announce(calls)
        calls.add(arguments, self.forward_passes, self.row, self.device, pieces)
        if self.row == self.rows[0]:
            self.projections.after(path, arguments, self.row)

    def _laid_out(
        self, path: str, arguments: Arguments, pieces: Pieces
    ) -> tuple[Arguments, Pieces]:
        """Put windows where they lie in the whole, if that can be found out."""
        frame, rows = self._tap.frame, self.num_rows or 1
        states = None if frame is None else frame.states
        if states is None or pieces.queries != pieces.keys or len(states) != pieces.count * rows:
            return arguments, pieces
        own = states[self.row * pieces.count : (self.row + 1) * pieces.count]
        around = [
            block
            for parent, block in self._blocks.items()
            # What was given more rows than went in reads images of their own, not windows of one.
            if path.startswith(f"{parent}.") and len(block[1]) == rows
        ]
        found = lie(own, around, self.row)
        if found is None or len(found[0]) != arguments.query.shape[2]:
            return arguments, pieces
        return ordered(arguments, pieces, *found)

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
                self._tap.enter(path, module, (*args, *kwargs.values()), notes)

        return hook

    def _ran(self, output: Any) -> None:
        if not is_listening(self):
            return
        frame = self._tap.leave()
        if frame is not None and frame.notes is not None and output is not None:
            frame.notes.result = output
            with self._tap.paused(), torch.no_grad():
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
        self._add(frame.path, arguments, None, pieces=pieces)

    def _begin(self, path: str, module: nn.Module) -> Any:
        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = next(
                (v for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor)), None
            )
            if given is not None and not given.is_nested and is_listening(self):
                self._blocks[path] = module, given

        return hook

    def _end(self, path: str) -> Any:
        def hook(_output: Any) -> None:
            if is_listening(self):
                self._blocks.pop(path, None)

        return hook
