"""`NumberedPass`: what is kept of one pass of a recording; `NumberedPasses`: which of several are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnwidget.capture.generation.forward_passes import ForwardPasses
from attnwidget.capture.generation.next_tokens import Predictions
from attnwidget.compute.checks import integer, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from attnwidget.capture.architecture.submodels import Submodel
    from attnwidget.capture.calls.module_calls import ModuleCalls
    from attnwidget.capture.calls.output_projection import Candidate

__all__ = ["NumberedPass", "NumberedPasses", "check_which"]


def _overlap(one: str, other: str) -> bool:
    """Tell whether one of two modules is the other, or lies in it."""
    return (
        not one
        or not other
        or f"{one}.".startswith(f"{other}.")
        or f"{other}.".startswith(f"{one}.")
    )


def _inside(path: str, entries: Iterable[str]) -> bool:
    return any(f"{path}.".startswith(f"{entry}.") for entry in entries)


@dataclass(slots=True)
class NumberedPass:
    """One pass: a forward pass or a generation, and what goes on from its cache; what a record is made of.

    Attributes:
        submodels: The models inside the model and the inputs each received, by their path.
        rows: Rows of the batch that are recorded: one, or all beams of one input.
        row: The one that is being read.
        num_rows: Rows of the batch that is being read, where that is known.
        num_forward_passes: Number of its forward passes.
        passes: Its forward passes.
        calls: Attention calls by the path of their module; of the first of the rows.
        beams: The same for each further row.
        media_inputs: Inputs that hold pictures or sounds or say whose they are, by name, and all that ``generate`` was given:
            some of it is encoded before the first forward pass.
        generates: Whether ``generate`` ran.
        num_inputs: Number of inputs that the rows of the batch belong to: beams of one input share it.
        input_row: The one that is recorded.
        projections: Candidates for the output projection of each attention module.
        ran: Paths of the attention modules that ran.
        entries: Paths of the modules that were called from outside of the model, in order.
        broken: Whether its last forward pass raised.
        reads_shared: Whether it may go on from what ran once for several passes.
        shared: What did so before it.
        encoded: The run of an encoder whose output it was given, where that was recorded.
    """

    submodels: dict[str, Submodel]
    rows: tuple[int, ...]
    row: int
    num_rows: int | None = None
    num_forward_passes: int = 0
    passes: ForwardPasses = field(default_factory=ForwardPasses)
    predictions: Predictions = field(init=False)
    calls: dict[str, ModuleCalls] = field(default_factory=dict)
    beams: dict[int, dict[str, ModuleCalls]] = field(default_factory=dict)
    media_inputs: dict[str, Tensor] = field(default_factory=dict)
    generates: bool = False
    num_inputs: int = 1
    input_row: int = 0
    projections: dict[str, list[Candidate]] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    entries: list[str] = field(default_factory=list)
    reads_shared: bool = True
    shared: NumberedPass | None = None
    encoded: NumberedPass | None = None
    broken: bool = False

    def __post_init__(self) -> None:
        """Predict from its own forward passes."""
        self.predictions = Predictions(self.passes)

    def new(self, row: int) -> NumberedPass:
        """Return the pass after this one, of which nothing has run yet."""
        fresh = {path: each.fresh() for path, each in self.submodels.items()}
        return NumberedPass(fresh, (row,), row, input_row=row)

    def has_run(self, path: str) -> bool:
        """Tell whether a module, a part of it or what holds it was called from outside."""
        return any(_overlap(path, entry) for entry in self.entries)

    def shared_with(self, entries: list[str]) -> NumberedPass | None:
        """Return what ran once for several passes: an encoder whose output is decoded several times.

        Args:
            entries: Those of the next pass. What was called before the first of them belongs to both.
        """
        shared = []
        for entry in self.entries:
            if not entry or any(own and _overlap(entry, own) for own in entries):
                break
            shared.append(entry)
        return self.part(shared) if shared else None

    def part(self, shared: list[str]) -> NumberedPass:
        """Return what ran inside of these modules."""
        part = self.new(self.row)
        part.calls = {path: each for path, each in self.calls.items() if _inside(path, shared)}
        part.projections, part.ran, part.entries = self.projections, set(part.calls), shared
        part.media_inputs = dict(self.media_inputs)
        for path, submodel in self.submodels.items():
            if _inside(path, shared):
                part.submodels[path] = submodel
        return part

    def take_shared(self) -> None:
        """Add what ran once for this pass and others, but for what ran here too."""
        encoded, self.encoded = self.encoded, None
        shared, self.shared = encoded or self.shared, None
        if shared is None or not self.reads_shared:
            return
        if encoded is not None:  # another run of the encoder may stand before this pass
            self.calls = {
                path: each
                for path, each in self.calls.items()
                if not _inside(path, encoded.entries)
            }
            self.projections = {
                path: each
                for path, each in self.projections.items()
                if not _inside(path, encoded.entries)
            }
            self.media_inputs = self.media_inputs | encoded.media_inputs
        added = {path: each for path, each in shared.calls.items() if path not in self.calls}
        if encoded is not None:  # it may have run inside of the forward pass before
            for each in added.values():
                each.renumber(0)
        self.calls, self.ran = added | self.calls, self.ran | set(added)
        self.projections = shared.projections | self.projections
        self.media_inputs = shared.media_inputs | self.media_inputs
        self.entries = shared.entries + self.entries
        for path, submodel in shared.submodels.items():
            if _inside(path, shared.entries) and (encoded or not self.submodels[path].passes):
                self.submodels[path] = submodel.before_all()

    def absorb(self, later: NumberedPass, *, keep: bool) -> None:
        """Take what ran in a pass that turned out to go on from this one, as its next forward pass.

        Args:
            later: That pass.
            keep: Whether the vectors of this pass are kept.
        """
        self.num_forward_passes += 1
        number = self.num_forward_passes
        for path, calls in later.calls.items():
            if path in self.calls:
                self.calls[path].absorb(calls, number, keep=keep)
            else:
                self.calls[path] = calls
                calls.renumber(number)
        for path, submodel in later.submodels.items():
            self.submodels[path].absorb(submodel, number)
        for name, tensor in later.media_inputs.items():
            self.media_inputs.setdefault(name, tensor)
        for path, found in later.projections.items():
            self.projections.setdefault(path, found)
        self.ran |= later.ran
        self.num_rows, self.rows, self.row = later.num_rows, later.rows, later.row
        self.num_inputs, self.input_row = later.num_inputs, later.input_row


class NumberedPasses:
    """The passes that are over, as far as they may be asked for.

    Attributes:
        which: The number of the wanted pass, negative from the end, or ``None`` for the last.
        count: How many are over.
    """

    def __init__(self, which: int | None) -> None:
        """Start before the first."""
        self.which = which
        self.count = 0
        self._kept: dict[int, NumberedPass] = {}

    def wants(self, number: int) -> bool:
        """Tell whether the pass of this number may be asked for, as far as is known while the model runs."""
        return self.which is None or self.which < 0 or self.which == number

    @property
    def keeps_last(self) -> bool:
        """Whether a pass is kept when the next has begun."""
        return self.which is not None and (self.which < -1 or self.which == self.count)

    def add(self, ended: NumberedPass) -> None:
        """Take a pass that is over, and drop those that nobody can ask for any more."""
        if self.keeps_last:
            self._kept[self.count] = ended
        self.count += 1
        if self.which is not None and self.which < 0:
            self._kept.pop(self.count + self.which, None)

    def forget(self) -> None:
        """Leave out the passes so far: they turned out to be parts of later ones."""
        self.count = 0
        self._kept.clear()

    def select(self, last: NumberedPass) -> tuple[NumberedPass, int, int]:
        """Return the wanted pass, its number and how many there are.

        Args:
            last: The last of them.

        Raises:
            ValueError: If there is none of that number.
        """
        total = self.count + 1
        number = total - 1 if self.which is None else self.which
        if not -total <= number < total:
            fix = (
                "leave it out"
                if total == 1
                else f"pass which=0 .. which={total - 1}, or leave it out for the last"
            )
            msg = f"which must be in {-total}..{total - 1}, got {number}: the block ran {_number(total)}; {fix}."
            raise ValueError(msg)
        number %= total
        return (last if number == total - 1 else self._kept[number]), number, total


def check_which(which: Any) -> int | None:
    """Return the number of a pass, or ``None``.

    Raises:
        TypeError: If it is neither.
    """
    number = integer(which)
    if which is None or number is not None:
        return number
    msg = (
        f"which must be the number of one pass, got {shown(which)}: pass which=0 for the first, which=-1 for the last. Each "
        "recording holds one pass; run the block again for another."
    )
    raise TypeError(msg)


def _number(count: int) -> str:
    return "one pass" if count == 1 else f"{count} passes"
