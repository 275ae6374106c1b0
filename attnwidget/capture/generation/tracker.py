"""The course of a recording over its forward passes: which rows it keeps, and what a generation makes of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel

from attnwidget.capture.architecture.stream_names import is_cross
from attnwidget.capture.architecture.submodels import Tower
from attnwidget.capture.calls.module_calls import Calls
from attnwidget.capture.generation.forward_passes import Passes
from attnwidget.capture.generation.next_tokens import Predictions, can_predict
from attnwidget.capture.generation.select_calls import settled
from attnwidget.capture.taps.attention_interface import is_listening, silenced
from attnwidget.capture.taps.generate import Search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from attnwidget.capture.plan import Plan

__all__ = ["Course"]


class Course:
    """What a recording knows of the forward passes it hears.

    Attributes:
        model: The model.
        batch: Which of the rows that come out is to be recorded, or ``None`` to insist on a single one.
        paths: Path of each module, by its id.
        towers: The models inside the model, by their path.
        calls: Attention calls by the path of their module; of the first of the rows.
        passes: The forward passes so far.
        predictions: What they predict.
        forward_passes: Their number.
        num_rows: Rows of the batch that is being read, where that is known.
        rows: Those of them that are recorded: one, or all beams of one input.
        row: The one that is in hand.
    """

    def __init__(self, model: nn.Module, *, batch: int | None) -> None:
        self.model = model
        self.batch = batch
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.towers = {
            path: Tower(path, module)
            for path, module in model.named_modules()
            if path == "" or isinstance(module, PreTrainedModel)
        }
        self.calls: dict[str, Calls] = {}
        self.passes = Passes()
        self.predictions = Predictions(self.passes)
        self.forward_passes = 0
        self.num_rows: int | None = None
        self.rows: tuple[int, ...] = (batch or 0,)
        self.row = batch or 0
        self._beams: dict[int, dict[str, Calls]] = {}
        self._preparing = False

    def each_row(self) -> Iterator[None]:
        """Turn to each row that is recorded, and back to the first."""
        for row in self.rows:
            self.row = row
            yield
        self.row = self.rows[0]

    def calls_of(self, path: str, module: nn.Module) -> Calls:
        """Return the calls of a module of the row in hand."""
        first = self.row == self.rows[0]
        own = self.calls if first else self._beams.setdefault(self.row, {})
        if path not in own:
            own[path] = Calls(path, module, is_cross(path, module))
        return own[path]

    def announce(self, calls: Calls) -> None:
        """Tell a module's calls, before another is added, what the present pass no longer finds in its cache."""
        passes = self.passes
        if calls.calls and calls.calls[-1].forward_pass != self.forward_passes:
            if passes.restarted and passes.search is None:
                calls.give_up("ran more than once from the start of its input")
            elif passes.restarted:
                calls.go_back(None, keep=len(self.rows) > 1)
            else:
                calls.go_back(passes.back, keep=True)

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

    def leave(self, tower: Tower) -> Any:
        """Return what takes the logits that a tower returns, or ``None`` if they are none of next tokens."""
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
        self.num_rows = None

    def choose(self, rows: int | None, *, root: bool) -> None:
        """Refuse to choose between the rows of a batch, before anything is computed."""
        if rows is None:
            return
        self.num_rows = rows
        search = self.passes.search or Search()
        self.rows = search.rows(rows, self.batch, expanded=root)
        self.row = self.rows[0]
