"""What is kept of the attention calls of one model, in whatever way they were heard."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from attnwidget.capture.architecture.attention_modules import may_attend
from attnwidget.capture.architecture.stream_names import attention_like
from attnwidget.capture.architecture.submodels import enclosing
from attnwidget.capture.calls.call import Wanted, drops, unsupported
from attnwidget.capture.calls.output_projection import Projections
from attnwidget.capture.calls.windows import alike, cut, join, join_trouble, lie, ordered
from attnwidget.capture.generation.tracker import Course
from attnwidget.capture.reconstruct.attention_call import UnreadableError, solve
from attnwidget.capture.taps.dispatch import FunctionTap
from attnwidget.capture.taps.flex_attention import flexed
from attnwidget.capture.tensor_tools import addresses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from attnwidget.capture.arguments import Arguments
    from attnwidget.capture.calls.module_calls import Calls
    from attnwidget.capture.calls.windows import Pieces
    from attnwidget.capture.recorder.limits import Limits
    from attnwidget.capture.store import Store
    from attnwidget.capture.taps.events import Frame, WeightedSum

__all__ = ["Keeping"]

_log = logging.getLogger(__name__)


class Keeping(Course):
    """Keeps the attention calls of one model, within limits.

    Args:
        model: The model.
        batch: Row of the batch to keep, or ``None`` to insist on a batch of one.
        store: Where the vectors are kept.
        limits: What is recorded.
    """

    def __init__(
        self, model: nn.Module, *, batch: int | None, store: Store, limits: Limits
    ) -> None:
        super().__init__(model, batch=batch)
        self.store = store
        self.limits = limits
        self.ahead = limits.ahead(model)
        self.candidates = attention_like(model)
        self.ran: set[str] = set()
        self.broken: dict[str, str] = {}
        self.undropped: dict[str, None] = {}
        self.attending = may_attend(model)
        self.projections = Projections(model, self.attending)
        self.tap = FunctionTap(self, frozenset(addresses(model)))
        self.blocks: dict[str, tuple[nn.Module, Tensor]] = {}
        # What is alike enough to tell how much there will be: whatever is called attention.
        store.layers = max(1, sum(self.ahead.wants(path) for path in self.candidates))

    def heard(self, arguments: Arguments) -> AbstractContextManager[None]:
        """Keep one call of the attention interface if it is one of this model's."""
        path = self.paths.get(id(arguments.module))
        if path is None:
            return nullcontext()
        trouble = unsupported(arguments)
        if trouble is not None and self.tap.reads:
            # What the arguments do not say, the arithmetic may.
            self.broken.setdefault(path, trouble)
            return nullcontext()
        if drops(arguments):
            return self._dropping(path, arguments)
        with self.tap.paused():
            for _ in self.each_row():
                self._keep(path, arguments)
        return self.tap.paused()

    @contextmanager
    def _dropping(self, path: str, arguments: Arguments) -> Iterator[None]:
        """Read a call with dropout from its arithmetic, as its arguments do not say which weights are dropped.

        A fused kernel draws them inside and shows nobody; then the weights before dropout have to do.
        """
        before = self._count(path)
        yield
        if self._count(path) == before:
            with self.tap.paused():
                for _ in self.each_row():
                    self._keep(path, arguments)
            self.undropped[path] = None

    def _count(self, path: str) -> int:
        return len(self.calls[path].calls) if path in self.calls else 0

    def flexed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AbstractContextManager[None]:
        """Keep one call of ``flex_attention`` that the running module makes."""
        frame = self.tap.frame
        if frame is None or not self.tap.reads:
            return nullcontext()
        with self.tap.paused():
            try:
                for _ in self.each_row():
                    self._keep(frame.path, flexed(frame.module, args, kwargs, self.row))
            except Exception as error:  # noqa: BLE001  the model is about to run all the same
                self.failed(frame, error)
        return self.tap.paused()  # compiled code must not meet the tap

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
        self.add(
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
            self.add(path, arguments, rows if known is None else None)
        elif known % rows == 0:
            # Several inputs make one: the frames of a video.
            self.add(path, cut(arguments, self.row * rows // known, 1), None)
        elif rows % known:
            self.calls_of(path, arguments.module).give_up(
                f"attends within {rows} pieces of {known} inputs"
            )
        else:
            count = rows // known
            self.add(path, cut(arguments, self.row * count, count), None, piecewise=True)

    def add(
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
        wanted = self._wanted(path, arguments, calls)
        calls.add(arguments, self.forward_passes, self.row, wanted, pieces)
        if self.row == self.rows[0] and wanted.store is not None:
            self.projections.after(path, arguments, self.row, wanted.rows)

    def _wanted(self, path: str, arguments: Arguments, calls: Calls) -> Wanted:
        """Tell what is kept of a call."""
        if not self.ahead.wants(path):
            return Wanted(None)
        if calls.calls or not self.limits.positions:
            return Wanted(self.store)  # later passes of a generation read few positions
        padding = 0
        for tower in enclosing(self.towers, path):
            for name in ("attention_mask", "decoder_attention_mask"):
                mask = tower.last(name)
                padding = max(padding, 0 if mask is None else int((mask == 0).sum()))
        return Wanted(self.store, self.ahead.rows(path, arguments.query.shape[2], padding))

    def _laid_out(
        self, path: str, arguments: Arguments, pieces: Pieces
    ) -> tuple[Arguments, Pieces]:
        """Put windows where they lie in the whole, if that can be found out."""
        frame, rows = self.tap.frame, self.num_rows or 1
        states = None if frame is None else frame.states
        if states is None or pieces.queries != pieces.keys or len(states) != pieces.count * rows:
            return arguments, pieces
        own = states[self.row * pieces.count : (self.row + 1) * pieces.count]
        around = [
            block
            for parent, block in self.blocks.items()
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
            and self.ahead.wants(path)
            and not any(
                seen.startswith(f"{path}.") or f"{path}.".startswith(seen) for seen in heard
            )
        ]
