"""`Tracker`: the rows, beams and forward passes of a recording as they happen."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attnwidget.capture.architecture.stream_names import is_cross
from attnwidget.capture.architecture.submodels import find_submodels
from attnwidget.capture.calls.module_calls import RAN_AGAIN, ModuleCalls
from attnwidget.capture.generation.forward_passes import ForwardPasses
from attnwidget.capture.generation.next_tokens import Predictions, can_predict
from attnwidget.capture.generation.select_calls import select_calls
from attnwidget.capture.taps.attention_interface import is_listening, suspended
from attnwidget.capture.taps.generate import GenerateOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from attnwidget.capture.architecture.submodels import Submodel
    from attnwidget.capture.plan import PassPlan

__all__ = ["Tracker"]


class Tracker:
    """Follows the forward passes of one model, and keeps its attention calls by row and module.

    Attributes:
        model: The model.
        batch: Which of the returned rows is to be recorded, or ``None`` to insist on a single one.
        paths: Path of each module, by its id.
        submodels: The models inside the model, by their path.
        calls: Attention calls by the path of their module; of the first of the rows.
        passes: The forward passes so far.
        predictions: The next tokens that they predict.
        num_forward_passes: Their number.
        num_rows: Rows of the batch that is being read, where that is known.
        rows: Those of them that are recorded: one, or all beams of one input.
        row: The one that is being read.
    """

    def __init__(self, model: nn.Module, *, batch: int | None, listener: object) -> None:
        """Start before the first pass; nothing is followed where ``listener`` does not listen."""
        self.model = model
        self.batch = batch
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.submodels = find_submodels(model)
        self.calls: dict[str, ModuleCalls] = {}
        self.passes = ForwardPasses()
        self.predictions = Predictions(self.passes)
        self.num_forward_passes = 0
        self.num_rows: int | None = None
        self.rows: tuple[int, ...] = (batch or 0,)
        self.row = batch or 0
        self._listener = listener
        self._beams: dict[int, dict[str, ModuleCalls]] = {}
        self._preparing = False
        self._attended: set[int] = set()
        self._continued: set[int] = set()

    def each_row(self) -> Iterator[None]:
        """Set `row` to each row that is recorded in turn, and back to the first."""
        for row in self.rows:
            self.row = row
            yield
        self.row = self.rows[0]

    def calls_of(self, path: str, module: nn.Module) -> ModuleCalls:
        """Return the calls of a module for the current row."""
        first = self.row == self.rows[0]
        own = self.calls if first else self._beams.setdefault(self.row, {})
        if path not in own:
            own[path] = ModuleCalls(path, module, is_cross(path, module))
        return own[path]

    def rewind_calls(self, calls: ModuleCalls) -> None:
        """Before a call of another pass is added: leave out what the cache of this pass no longer holds."""
        passes = self.passes
        if calls.calls and calls.calls[-1].forward_pass != self.num_forward_passes:
            if passes.restarted and passes.options is None:
                calls.fail(RAN_AGAIN)
            elif passes.replaced:
                calls.rewind(None, keep=False)
            elif passes.restarted:
                calls.rewind(None, keep=len(self.rows) > 1)
            else:
                calls.rewind(passes.num_rewound, keep=True)

    def enter_pass(self, inputs: dict[str, Any], names: tuple[str, str]) -> None:
        """Note that a pass is about to run; ``names`` are those of its token ids and their vectors."""
        if not self._preparing:
            self._refuse_independent()  # before more is kept of what cannot become one record
        self.num_forward_passes += 1
        self.passes.enter(self.num_forward_passes, inputs, names, self.rows)
        if self.passes.continues:
            self._continued.add(self.num_forward_passes)

    def note_call(self, calls: ModuleCalls, num_queries: int, num_keys: int) -> None:
        """Note what a call that was added says of its pass: whether it goes on from earlier ones."""
        self._attended.add(self.num_forward_passes)
        if not calls.cross and len(calls.calls) > 1 and num_keys > num_queries:
            self._continued.add(self.num_forward_passes)

    def _refuse_independent(self) -> None:
        """Drop all calls if passes were made by hand, and the last does not go on from the ones before.

        One decision for the whole model: modules that look at another sequence, in each pass at the same, cannot tell.
        """
        last = self.num_forward_passes
        attended = {number for number in self._attended if number}
        if last in attended and last != min(attended) and last not in self._continued:
            for calls in (self.calls, *self._beams.values()):
                for each in calls.values():
                    each.fail(RAN_AGAIN)

    @property
    def num_left_out(self) -> int:
        """Number of passes, made by hand, in whose place later ones read other positions."""
        passes = self.passes
        if passes.options is not None or len(passes.all) < 2:
            return 0
        return len(passes.all) - len(passes.full_plan().rows)

    def select_returned(self) -> PassPlan | None:
        """Keep the calls and inputs of the sequence that a generation returned.

        Returns:
            Which passes and rows these are, or ``None`` after a single forward pass, of which everything is kept.

        Raises:
            ValueError: If it cannot be told.
        """
        self._refuse_independent()
        plan = self.passes.plan(self.batch or 0)
        if plan is None:
            return None
        for submodel in self.submodels.values():
            submodel.apply_plan(plan)
        full = self.passes.full_plan()
        for path, calls in self.calls.items():
            beams = {row: own[path] for row, own in self._beams.items() if path in own}
            self.calls[path] = select_calls(calls, {self.rows[0]: calls} | beams, plan, full)
        self.row = plan.rows[max(plan.rows)]
        return plan

    def logits_hook(self, submodel: Submodel) -> Callable[[Any], None] | None:
        """Return a hook that reads the logits a submodel returns, or ``None`` if it returns none of next tokens."""
        if not can_predict(submodel.module, self.model):
            return None

        def hook(output: Any) -> None:
            if submodel.path == self.passes.root and is_listening(self._listener):
                self.predictions.read_output(output)

        return hook

    @contextmanager
    def on_generate(
        self, module: nn.Module, options: GenerateOptions, *, inner: bool
    ) -> Iterator[Callable[[Any], None]]:
        """Follow a generation of this model; one inside another is assisted decoding's, and not recorded."""
        path = self.paths.get(id(module))
        if path is None or not is_listening(self._listener):
            yield lambda _: None
        elif not inner:
            self._preparing = not self.num_forward_passes
            outermost, self.passes.surrounded = not self.passes.surrounded, True
            try:
                yield lambda _: None
            finally:
                self._preparing = False
                self.passes.surrounded = not outermost
        elif self.passes.options is not None:
            self.passes.generations += not self.passes.running
            with suspended(self._listener):
                yield lambda _: None
        else:
            if self._preparing:
                self._discard_preparation()
            self.passes.begin(path, options)
            try:
                yield self.passes.end
            finally:
                self.passes.running = False

    def on_cache_reordered(self, cache: Any, rows: Tensor) -> None:
        """Note that the rows of a cache changed places."""
        if is_listening(self._listener):
            self.passes.reorder(cache, rows)

    def _discard_preparation(self) -> None:
        """Leave out what ``generate`` ran to prepare, such as to find out the language."""
        self.passes.forget()
        self.predictions.forget()
        self.calls = {
            path: calls
            for path, calls in self.calls.items()
            if all(call.forward_pass == 0 for call in calls.calls)
        }
        for submodel in self.submodels.values():
            submodel.forget_passes()
        self.num_forward_passes = 0
        self._attended.clear()
        self._continued.clear()
        self.num_rows = None

    def choose_rows(self, num_rows: int | None, *, root: bool) -> None:
        """Choose the rows of a batch to record, before anything is computed.

        Args:
            num_rows: Rows of the batch, or ``None`` where it is not known: then nothing is chosen.
            root: Whether it is the batch of the model that generates, in which inputs are repeated for beams.

        Raises:
            ValueError: If there are several and ``batch`` does not say which, or not as many.
        """
        if num_rows is None:
            return
        self.num_rows = num_rows
        options = self.passes.options or GenerateOptions()
        self.rows = options.recorded_rows(num_rows, self.batch, expanded=root)
        self.row = self.rows[0]
