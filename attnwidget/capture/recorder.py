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
from attnwidget.capture.calls import Calls, drops, unsupported
from attnwidget.capture.flex import flexed, heard_at
from attnwidget.capture.functional import FunctionTap
from attnwidget.capture.generating import Search, following
from attnwidget.capture.interface import is_listening, listening, silenced
from attnwidget.capture.modules import blocks_around, may_attend, watching
from attnwidget.capture.naming import attention_like, is_cross
from attnwidget.capture.passes import Passes
from attnwidget.capture.pieces import cut, join, join_trouble, ordered
from attnwidget.capture.places import lie
from attnwidget.capture.predictions import Predictions, can_predict
from attnwidget.capture.projections import Projections
from attnwidget.capture.settle import settled
from attnwidget.capture.solve import UnreadableError, solve
from attnwidget.capture.towers import (
    Tower,
    batch_size,
    enclosing,
    named,
    sequence_length,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from attnwidget.capture.frames import Frame, WeightedSum
    from attnwidget.capture.interface import Arguments
    from attnwidget.capture.passes import Plan
    from attnwidget.capture.pieces import Pieces

__all__ = ["Recorder"]

_log = logging.getLogger(__name__)


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
        self.passes = Passes()
        self.predictions = Predictions(self.passes)
        self.rows: tuple[int, ...] = (batch or 0,)
        self.row = batch or 0
        self.ran: set[str] = set()
        self.forward_passes = 0
        self.broken: dict[str, str] = {}
        self.undropped: dict[str, None] = {}
        self._rows: int | None = None
        self._beams: dict[int, dict[str, Calls]] = {}
        self._preparing = False
        self._blocks: dict[str, tuple[nn.Module, Tensor]] = {}
        self._tap = FunctionTap(self, frozenset(p.data_ptr() for p in model.parameters()))
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
                            (tower.module, self._enter(tower), self._leave(tower))
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
            for _ in self._each_row():
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
                for _ in self._each_row():
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
                for _ in self._each_row():
                    self._keep(frame.path, flexed(frame.module, args, kwargs, self.row))
            except Exception as error:  # noqa: BLE001  the model is about to run all the same
                self.failed(frame, error)
        return self._tap.paused()  # compiled code must not meet the tap

    def called(self, frame: Frame, arguments: Arguments) -> None:
        """Keep a call of one of PyTorch's own attention functions."""
        for _ in self._each_row():
            self._keep(frame.path, arguments)
        if drops(arguments):
            self.undropped[frame.path] = None

    def summed(self, frame: Frame, weighted_sum: WeightedSum) -> None:
        """Keep a call that was recognised by its arithmetic."""
        for _ in self._each_row():
            self._read(frame, weighted_sum)

    def _each_row(self) -> Iterator[None]:
        """Turn to each row that is recorded, and back to the first."""
        for row in self.rows:
            self.row = row
            yield
        self.row = self.rows[0]

    def _read(self, frame: Frame, weighted_sum: WeightedSum) -> None:
        """Read one row of such a call."""
        try:
            arguments, rows, piecewise = solve(weighted_sum, frame, self._rows, self.row)
        except UnreadableError as error:
            if weighted_sum.softmaxed.product is None:
                # No scores of queries and keys: a convolution whose kernel is a softmax, say.
                self.broken.setdefault(frame.path, str(error))
            else:
                self._calls(frame.path, frame.module).give_up(str(error))
            return
        if arguments is None:
            return
        if piecewise and weighted_sum.softmaxed.product is None:
            self.broken.setdefault(frame.path, "mixes neighbours with a softmax of something else")
            return
        self._add(frame.path, arguments, rows if self._rows is None else None, piecewise=piecewise)

    def failed(self, frame: Frame, error: Exception) -> None:
        """Remember that reading a module's operations failed."""
        _log.debug("%s could not be read", frame.path, exc_info=error)
        self.broken.setdefault(frame.path, f"could not be read ({type(error).__name__}: {error})")

    def _keep(self, path: str, arguments: Arguments) -> None:
        """Keep a call of the whole batch."""
        rows = arguments.query.shape[0]
        known = self._rows
        if known is None or rows in {1, known}:
            self._add(path, arguments, rows if known is None else None)
        elif rows % known:
            self._calls(path, arguments.module).give_up(
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
        calls = self._calls(path, arguments.module)
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
        passes = self.passes
        if calls.calls and calls.calls[-1].forward_pass != self.forward_passes:
            if passes.restarted and passes.search is None:
                calls.give_up("ran more than once from the start of its input")
            elif passes.restarted:
                calls.go_back(None, keep=len(self.rows) > 1)
            else:
                calls.go_back(passes.back, keep=True)
        calls.add(arguments, self.forward_passes, self.row, self.device, pieces)
        if self.row == self.rows[0]:
            self.projections.after(path, arguments, self.row)

    def _laid_out(
        self, path: str, arguments: Arguments, pieces: Pieces
    ) -> tuple[Arguments, Pieces]:
        """Put windows where they lie in the whole, if that can be found out."""
        frame, rows = self._tap.frame, self._rows or 1
        states = None if frame is None else frame.states
        if states is None or pieces.queries != pieces.keys or len(states) != pieces.count * rows:
            return arguments, pieces
        own = states[self.row * pieces.count : (self.row + 1) * pieces.count]
        around = [block for parent, block in self._blocks.items() if path.startswith(f"{parent}.")]
        found = lie(own, around, self.row)
        if found is None or len(found[0]) != arguments.query.shape[2]:
            return arguments, pieces
        return ordered(arguments, pieces, *found)

    def _calls(self, path: str, module: nn.Module) -> Calls:
        first = self.row == self.rows[0]
        own = self.calls if first else self._beams.setdefault(self.row, {})
        if path not in own:
            own[path] = Calls(path, module, is_cross(path, module))
        return own[path]

    def settle(self) -> Plan | None:
        """Keep what makes up the record of a generation; nothing is to be done after a single forward pass.

        Raises:
            ValueError: If it cannot be told.
        """
        plan = self.passes.plan(self.batch or 0)
        if plan is None:
            return None
        for tower in self.towers.values():
            tower.settle(plan)
        whole = self.passes.whole()
        for path, calls in self.calls.items():
            beams = {row: own[path] for row, own in self._beams.items() if path in own}
            self.calls[path] = settled(calls, {self.rows[0]: calls} | beams, plan, whole)
        self.row = plan.rows[max(plan.rows)]
        return plan

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
            if root or self._rows is None:
                self._check_batch(batch_size(inputs), root=root)
            if root:
                self.forward_passes += 1
                names = tower.own("input_ids", "decoder"), tower.own("inputs_embeds", "decoder")
                self.passes.enter(self.forward_passes, inputs, names, self.rows)
            tower.keep(inputs, self.rows, self.forward_passes)

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
                    for _ in self._each_row():
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
        calls = self._calls(frame.path, frame.module)
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

    def _leave(self, tower: Tower) -> Any:
        if not can_predict(tower.module, self.model):
            return None

        def hook(output: Any) -> None:
            if tower.path == self.passes.root and is_listening(self):
                self.predictions.take(output)

        return hook

    @contextmanager
    def generating(
        self, module: nn.Module, search: Search, *, inner: bool
    ) -> Iterator[Callable[[Any], None]]:
        """Follow a generation of this model; one within another drafts for it, and is none of ours."""
        path = self.paths.get(id(module))
        if path is None or not is_listening(self):
            yield lambda _: None
        elif not inner:
            self._preparing = not self.forward_passes
            try:
                yield lambda _: None
            finally:
                self._preparing = False
        elif self.passes.search is not None:
            self.passes.generations += not self.passes.running
            with silenced(self):
                yield lambda _: None
        else:
            if self._preparing:
                self._forget()
            self.passes.begin(path, search)
            try:
                yield self.passes.end
            finally:
                self.passes.running = False

    def reordered(self, cache: Any, rows: Tensor) -> None:
        """Hear that the rows of a cache changed places."""
        if is_listening(self):
            self.passes.reorder(cache, rows)

    def _forget(self) -> None:
        """Leave out what ``generate`` ran to prepare, such as to find out the language."""
        self.passes.forget()
        self.predictions.forget()
        self.calls = {
            path: calls
            for path, calls in self.calls.items()
            if all(call.forward_pass == 0 for call in calls.calls)
        }
        for tower in self.towers.values():
            tower.forget()
        self.forward_passes = 0
        self._rows = None

    def _check_batch(self, rows: int | None, *, root: bool) -> None:
        """Refuse to choose between the rows of a batch, before anything is computed."""
        if rows is None:
            return
        self._rows = rows
        search = self.passes.search or Search()
        self.rows = search.rows(rows, self.batch, expanded=root)
        self.row = self.rows[0]
