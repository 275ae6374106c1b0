"""`Tracker`: the rows, beams and forward passes of a recording as they happen."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attnwidget.capture.architecture.stream_names import is_cross
from attnwidget.capture.architecture.submodels import batch_size, find_submodels
from attnwidget.capture.calls.module_calls import RAN_AGAIN, ModuleCalls
from attnwidget.capture.generation.encoder_outputs import EncoderOutputs
from attnwidget.capture.generation.next_tokens import can_predict
from attnwidget.capture.generation.numbered_passes import NumberedPass, NumberedPasses
from attnwidget.capture.generation.select_calls import select_calls
from attnwidget.capture.taps.generate import GenerateOptions
from attnwidget.capture.taps.listeners import OTHER_THREAD, is_listening, suspended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from attnwidget.capture.architecture.submodels import Submodel
    from attnwidget.capture.generation.forward_passes import ForwardPasses
    from attnwidget.capture.generation.next_tokens import Predictions
    from attnwidget.capture.plan import PassPlan
    from attnwidget.capture.taps.listeners import Listener

__all__ = ["Tracker"]


def _ignore(_result: Any) -> None:
    """Take the result of a generation that is not recorded."""


class Tracker:
    """Follows the forward passes of one model, and keeps its attention calls by row and module.

    What goes on from one another is one pass of the record. A forward pass that is not known to go on from what ran
    before is kept apart, until one of its self-attention calls reads the keys of before (then it is joined to it), or
    until its end (then it is a pass of its own).

    Attributes:
        model: The model.
        batch: Which of the returned rows is to be recorded, or ``None`` to insist on a single one.
        paths: Path of each module, by its id.
        current: The pass that is running.
        numbered: The passes that are over.
        num_windows: Generations inside of the last ``generate`` of a model's own: one for each part of a long input.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        batch: int | None,
        listener: Listener,
        which: int | None = None,
    ) -> None:
        """Start before the first pass; nothing is followed where ``listener`` does not listen."""
        self.model = model
        self.batch = batch
        self.paths = {id(module): path for path, module in model.named_modules()}
        row = batch or 0
        self.current = NumberedPass(find_submodels(model), (row,), row, input_row=row)
        self.numbered = NumberedPasses(which)
        self._before: NumberedPass | None = None  # of which `current` may yet be a part
        self._inputs: tuple[dict[str, Any], tuple[str, str]] | None = None  # of its forward pass
        self._apart = False  # whether `current` is known to be none
        self._encoders = EncoderOutputs()
        self._decoded = False  # whether the whole model ran: what encoders did is a part of that
        self._in_root = False
        self._depth = 0
        self._listener = listener
        self._preparing = False
        self._surrounded = False  # by a model's own `generate`
        self.num_windows = 0  # generations inside of the last of those, for parts of a long input

    @property
    def submodels(self) -> dict[str, Submodel]:
        """The models inside the model, and what each was given in the present pass, by their path."""
        return self.current.submodels

    @property
    def calls(self) -> dict[str, ModuleCalls]:
        """Attention calls of the present pass by the path of their module; of the first of the rows."""
        return self.current.calls

    @property
    def passes(self) -> ForwardPasses:
        """The forward passes of the present pass so far."""
        return self.current.passes

    @property
    def predictions(self) -> Predictions:
        """The next tokens that they predict."""
        return self.current.predictions

    @property
    def num_forward_passes(self) -> int:
        """Their number."""
        return self.current.num_forward_passes

    @property
    def num_rows(self) -> int | None:
        """Rows of the batch that is being read, where that is known."""
        return self.current.num_rows

    @property
    def rows(self) -> tuple[int, ...]:
        """Those of them that are recorded: one, or all beams of one input."""
        return self.current.rows

    @property
    def row(self) -> int:
        """The one that is being read."""
        return self.current.row

    @property
    def is_running(self) -> bool:
        """Whether a part of the model runs, or a generation."""
        return self._depth > 0 or self._surrounded or self.passes.running

    @property
    def keeps_vectors(self) -> bool:
        """Whether the vectors of a call may be asked for; what runs before a pass may belong to several."""
        outside = not self._in_root and not self.passes.running
        first = self.numbered.count
        last = first + (self._before is not None)
        return outside or self._keeps(first) or self._keeps(last)

    def _keeps(self, number: int) -> bool:
        """Tell whether the vectors of a pass may be asked for: also what an encoder in it returns may be decoded later."""
        which = self.numbered.which
        earlier = which is not None and 0 <= number < which
        return self.numbered.wants(number) or (earlier and self._takes_encoded)

    @property
    def _takes_encoded(self) -> bool:
        """Whether the model may be given what its encoder returned before."""
        return self.submodels[self.passes.root].takes("encoder_outputs")

    def each_row(self) -> Iterator[None]:
        """Set `row` to each row that is recorded in turn, and back to the first."""
        for row in self.rows:
            self.current.row = row
            yield
        self.current.row = self.rows[0]

    def calls_of(self, path: str, module: nn.Module) -> ModuleCalls:
        """Return the calls of a module for the current row."""
        first = self.row == self.rows[0]
        own = self.calls if first else self.current.beams.setdefault(self.row, {})
        if path not in own:
            own[path] = ModuleCalls(path, module, is_cross(path, module))
        return own[path]

    def rewind_calls(self, calls: ModuleCalls) -> None:
        """Before a call of another pass is added: leave out what the cache of this pass no longer holds."""
        passes = self.passes
        if calls.calls and calls.calls[-1].forward_pass != self.num_forward_passes:
            if passes.restarted and passes.options is None:
                calls.fail(RAN_AGAIN)
            elif passes.replaced and passes.options is None:
                calls.rewind(None, keep=False)
            elif passes.restarted or passes.replaced:
                calls.rewind(None, keep=len(self.rows) > 1)
            else:
                calls.rewind(passes.num_rewound, keep=True)

    def enter_module(self, path: str) -> None:
        """Note that a module which attends, or holds one that does, is about to run."""
        self._depth += 1
        if self._depth > 1 or self._preparing or self.passes.running or path == self.passes.root:
            return
        if self.current.has_run(path):
            self._start_pass(apart=False)
        self.current.entries.append(path)

    def leave_module(self, path: str, output: Any) -> None:
        """Note that it has run, and what it returned: nothing if it raised."""
        self._depth -= 1
        if path == self.passes.root:
            self._in_root = False
            self.current.broken = output is None and sys.exc_info()[0] is not None
        elif self._takes_encoded and self._is_encoder(path):
            self._encoders.add(output, self.current.part([path]))

    def _is_encoder(self, path: str) -> bool:
        """Tell whether a module may be an encoder: a model that does not pass on what another encoder returned."""
        return path in self.submodels and not self.submodels[path].takes("encoder_outputs")

    def enter_pass(self, inputs: dict[str, Any], names: tuple[str, str]) -> None:
        """Note that a forward pass is about to run; ``names`` are those of its token ids and their vectors."""
        now = self.current
        now.num_forward_passes += 1
        if now.num_forward_passes == 1 and self._takes_encoded:
            given = inputs.get("encoder_outputs")
            now.encoded = self._encoders.behind(given)
            now.reads_shared = given is not None
        now.passes.enter(now.num_forward_passes, inputs, names, now.rows)
        self._inputs = inputs, names

    def place_pass(self, inputs: dict[str, Any], *, cached: bool) -> None:
        """Before a forward pass: begin with a pass of the record, unless it goes on from the one before.

        Args:
            inputs: Its inputs.
            cached: Whether the model takes a cache by the name that all of transformers' models have for it.
        """
        self._in_root = True
        if self._takes_encoded and not self._decoded:
            self._decoded = True
            self.numbered.forget()
        if self._preparing or self.passes.running:
            return
        earlier = self._before if not self.num_forward_passes else self.current
        goes_on = None
        if earlier is not None and earlier.num_forward_passes:
            goes_on = earlier.passes.goes_on(inputs)
        if goes_on is None and cached and inputs.get("past_key_values") is None:
            goes_on = False  # it has no cache to go on from
        if self.num_forward_passes and not goes_on:
            self._start_pass(apart=goes_on is False)
        elif self._before is not None and goes_on:
            self._join()
        elif self._before is not None and goes_on is False:
            self._apart = True
        elif self._before is not None and self.num_forward_passes:
            self._settle()
        if not self.num_forward_passes:
            self.current.entries.append(self.passes.root)

    def _start_pass(self, *, apart: bool) -> None:
        """Begin with a pass that may yet turn out to go on from the one before, unless it is ``apart``."""
        self._settle()
        if self.current.ran:
            self._before, self._inputs, self._apart = self.current, None, apart
        self.current = self.current.new(self.batch or 0)

    def _settle(self) -> None:
        """If the present pass did not turn out to go on from the one before, it is a pass of its own."""
        before, self._before = self._before, None
        if before is None:
            return
        if not self.current.ran:
            self.current = before
            return
        before.take_shared()
        self.current.shared = before.shared_with(self.current.entries)
        if before.num_forward_passes or not (self._takes_encoded and self._decoded):
            self.numbered.add(before)

    def _join(self) -> None:
        """Make the present pass a part of the one before, from which it goes on."""
        before, later, self._before = self._before, self.current, None
        if before is None:
            return
        before.absorb(later, keep=self._keeps(self.numbered.count))
        self.current = before
        if later.num_forward_passes and self._inputs is not None:
            inputs, names = self._inputs
            before.passes.enter(before.num_forward_passes, inputs, names, before.rows)

    def note_call(self, calls: ModuleCalls) -> None:
        """Note what a call that was added says of its pass: whether it goes on from the one before."""
        before = self._before
        if before is None:
            return
        if self._apart:
            self._settle()
            return
        earlier = before.calls.get(calls.path)
        if earlier is None or calls.cross or not calls.calls:
            return
        if earlier.goes_on(calls.calls[-1]):
            self._join()
        elif not self.numbered.keeps_last:
            earlier.fail(RAN_AGAIN)  # whatever the others do; its vectors are dropped here

    @property
    def num_left_out(self) -> int:
        """Number of passes, made by hand, in whose place later ones read other positions."""
        passes = self.passes
        if passes.options is not None or len(passes.all) < 2:
            return 0
        return len(passes.all) - len(passes.full_plan().rows)

    def select_pass(self) -> tuple[int, int]:
        """Make the wanted pass the current one, and return its number and how many there are.

        Raises:
            ValueError: If there is no such pass.
        """
        self._settle()
        self.current, number, total = self.numbered.select(self.current)
        self.current.take_shared()
        return number, total

    def select_returned(self) -> PassPlan | None:
        """Keep the calls and inputs of the sequence that a generation returned.

        Returns:
            Which passes and rows these are, or ``None`` after a single forward pass, of which everything is kept.

        Raises:
            ValueError: If it cannot be told.
        """
        plan = self.passes.plan(self.batch or 0)
        if plan is None:
            start = self.passes.all[0].start if self.passes.all else 0
            for submodel in self.submodels.values():
                submodel.cached = (-1,) * start
            return None
        start = plan.total - sum(plan.counts.values())
        for submodel in self.submodels.values():
            submodel.apply_plan(plan)
            submodel.cached = plan.ids[:start]
        self.submodels[self.passes.root].generated = plan.ids[: plan.total]
        full = self.passes.full_plan()
        for path, calls in self.calls.items():
            beams = {row: own[path] for row, own in self.current.beams.items() if path in own}
            self.calls[path] = select_calls(calls, {self.rows[0]: calls} | beams, plan, full)
        self.current.row = plan.rows[max(plan.rows)]
        return plan

    def logits_hook(self, submodel: Submodel) -> Callable[[Any], None] | None:
        """Return a hook that reads the logits a submodel returns, or ``None`` if it returns none of next tokens."""
        if not can_predict(submodel.module, self.model):
            return None

        def hook(output: Any) -> None:
            if submodel.path == self.passes.root:
                self.predictions.read_output(output)

        return hook

    @contextmanager
    def on_generate(
        self, module: nn.Module, options: GenerateOptions, *, inner: bool
    ) -> Iterator[Callable[[Any], None]]:
        """Follow a generation of this model; one inside another is assisted decoding's, and not recorded."""
        path = self.paths.get(id(module))
        if path is None or not is_listening(self._listener):
            yield _ignore
            return
        with self._listener.turn.taken() as own:
            if not own:
                self._listener.on_passed_by(OTHER_THREAD)
            following = self._following(path, options, inner=inner)
            with following if own else suspended(self._listener) as tell:
                yield tell or _ignore

    @contextmanager
    def _following(
        self, path: str, options: GenerateOptions, *, inner: bool
    ) -> Iterator[Callable[[Any], None]]:
        if not inner:
            outermost, self._surrounded = not self._surrounded, True
            if outermost:
                self.num_windows = 0
                self._start_generation()
            self._preparing = not self.num_forward_passes
            self.passes.surrounded = True
            self._note_given(options)
            try:
                yield _ignore
            finally:
                self._preparing = False
                self._surrounded = self.passes.surrounded = not outermost
        elif self.passes.running:  # assisted decoding's
            with suspended(self._listener):
                yield _ignore
        else:
            if self._preparing:
                self._discard_preparation()
            self._preparing = False
            self.num_windows += self._surrounded
            self._start_generation()
            self.passes.surrounded = self._surrounded
            self.passes.begin(path, options)
            self._note_given(options)
            try:
                yield self.passes.end
            finally:
                self.passes.running = False

    def _note_given(self, options: GenerateOptions) -> None:
        """Note what ``generate`` was given, and choose its rows: an encoder that runs first may count pictures, not inputs."""
        self.current.media_inputs |= options.inputs
        self.current.generates = True
        self.choose_rows(batch_size(dict(options.inputs)), root=False, options=options)

    def on_cache_reordered(self, cache: Any, rows: Tensor) -> None:
        """Note that the rows of a cache changed places."""
        if is_listening(self._listener):
            self.passes.reorder(cache, rows)

    def _start_generation(self) -> None:
        """Begin with a pass for a generation, beside what ran right before it, such as an encoder."""
        if self.num_forward_passes or self.passes.options is not None:
            self._start_pass(apart=True)
        else:
            self._apart = True

    def _discard_preparation(self) -> None:
        """Leave out what ``generate`` ran to prepare, such as to find out the language."""
        now = self.current
        now.passes.forget()
        now.predictions.forget()
        now.calls = {
            path: calls
            for path, calls in now.calls.items()
            if all(call.forward_pass == 0 for call in calls.calls)
        }
        for submodel in now.submodels.values():
            submodel.forget_passes()
        now.num_forward_passes = 0
        now.num_rows = None

    def choose_rows(
        self, num_rows: int | None, *, root: bool, options: GenerateOptions | None = None
    ) -> None:
        """Choose the rows of a batch to record, before anything is computed.

        Args:
            num_rows: Rows of the batch, or ``None`` where it is not known: then nothing is chosen.
            root: Whether it is the batch of the model that generates, in which inputs are repeated for beams.
            options: Those of a generation that is about to begin.

        Raises:
            ValueError: If there are several and ``batch`` does not say which, or not as many.
        """
        if num_rows is None:
            return
        now = self.current
        now.num_rows = num_rows
        options = now.passes.options or options or GenerateOptions()
        now.rows = options.recorded_rows(num_rows, self.batch, expanded=root)
        now.row = now.rows[0]
        now.num_inputs = num_rows // options.rows_per_input(num_rows, expanded=root)
        now.input_row = options.input_number(self.batch)
