"""`ForwardPasses`: the forward passes of a recording, and the token positions each read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.plan import CAPTURE_INSTEAD, PassPlan
from attnwidget.capture.taps.generate import GenerateOptions, is_cache, self_attention_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


__all__ = ["ForwardPass", "ForwardPasses"]

_UNKNOWN = (
    -1
)  # a position whose token id is not known: it came as a vector, or was in the cache before


@dataclass(frozen=True, slots=True)
class ForwardPass:
    """One forward pass of the model that generates.

    Attributes:
        number: Its number among all forward passes, from 1.
        rows: Rows of its batch that are recorded.
        start: Number of positions before its own, which it finds in the cache.
        count: Number of its own positions.
        ids: Their token ids, ``[row, position]``, or ``None``.
        parents: For each row the row of the pass before it that the cache holds.
    """

    number: int
    rows: tuple[int, ...]
    start: int
    count: int
    ids: Tensor | None
    parents: tuple[int, ...]


class ForwardPasses:
    """Follows the forward passes of a recording.

    Attributes:
        root: Path of the module whose passes are counted: the model, or the part of it that generates.
        options: Those of the generation that is or was running, or ``None``.
        num_rewound: How many positions the cache has dropped since the last pass.
        restarted: Whether the present pass reads everything from its beginning again.
        replaced: Whether the present pass goes on from a cache in which nothing is left of the passes so far: a copy of
            the one they began with, or one that was cropped.
    """

    def __init__(self) -> None:
        self.root = ""
        self.options: GenerateOptions | None = None
        self.num_rewound = 0
        self.restarted = False
        self.replaced = False
        self.all: list[ForwardPass] = []
        self.cache: Any = None
        self.failure: str | None = None
        self.running = False
        self.surrounded = (
            False  # by a model's own `generate`, which may do more than call that of all models
        )
        self._sequences: Tensor | None = None
        self._order: Tensor | None = None
        self._first = 0  # where the first of the passes that count begins

    def begin(self, root: str, options: GenerateOptions) -> None:
        """Start to follow a generation."""
        self.running = True
        self.root, self.options = root, options

    def forget(self) -> None:
        """Drop the passes so far: ``generate`` ran them to prepare."""
        self.all.clear()
        self.failure = None

    def end(self, result: Any) -> None:
        """Take what the generation returned."""
        found = getattr(result, "sequences", result)
        if isinstance(found, torch.Tensor) and found.ndim == 2 and not found.is_floating_point():
            self._sequences = found.detach().cpu()

    def reorder(self, cache: Any, rows: Tensor) -> None:
        """Note that the cache's rows were put in another order."""
        if self.cache is None or self_attention_cache(self.cache) is not cache:
            return
        rows = rows.detach().cpu()
        self._order = rows if self._order is None else self._order[rows]

    def enter(self, number: int, inputs: dict[str, Any], names: tuple[str, str], rows: Any) -> None:
        """Note a pass that is about to run; ``names`` are those of its token ids and their vectors."""
        ids, vectors = (inputs.get(name) for name in names)
        given = ids if ids is not None else vectors
        if isinstance(ids, torch.Tensor) and ids.ndim != 2:
            ids = None  # several at a position, one of each codebook: they are no text
        if not isinstance(given, torch.Tensor) or given.ndim < 2:
            return
        before = self.all[-1] if self.all else None
        end = 0 if before is None else before.start + before.count
        kept = None if ids is None else ids.detach()[[min(r, len(ids) - 1) for r in rows]].cpu()
        self.cache = inputs.get("past_key_values")
        start = self._start(end, kept, given.shape[1])
        self.restarted = before is not None and start == 0
        by_hand = self.options is None
        self.replaced = before is not None and 0 < start <= self._first
        if before is None or self.replaced:
            self._first = start
        if not by_hand and not self.running and (self.restarted or not self.surrounded):
            self.failure = "another forward pass ran after generate"
        self.num_rewound = 0 if self.restarted or before is None else max(0, end - start)
        order, self._order = self._order, None
        parents = tuple(r if order is None or r >= len(order) else int(order[r]) for r in rows)
        anew = before is not None and (self.restarted or (self.replaced and not by_hand))
        if anew and before is not None and kept is not None:
            # There is no cache to be reordered: a row goes on with what it reads anew.
            parents = tuple(
                _parent_row(before, ids, row) for ids, row in zip(kept, rows, strict=True)
            )
        elif anew and len(rows) > 1 and not by_hand:
            self.failure = "it cannot be told which beam was returned, as vectors were read anew for every token"
        self.all.append(ForwardPass(number, tuple(rows), start, given.shape[1], kept, parents))

    def goes_on(self, inputs: dict[str, Any]) -> bool | None:
        """Tell whether a further forward pass goes on from these, or ``None`` if that cannot be told from its inputs."""
        if self.options is not None:
            # A model's own `generate` may do more than call that of all models.
            return self.surrounded
        cache = inputs.get("past_key_values")
        if cache is None or not is_cache(cache):
            return None
        try:
            return int(cache.get_seq_length()) > 0
        except ValueError:  # no layer of it knows
            return True

    def _start(self, end: int, ids: Tensor | None, count: int) -> int:
        """Number of positions that the cache holds, or without one those of all passes so far."""
        if is_cache(self.cache):
            try:
                return int(self.cache.get_seq_length())
            except ValueError:  # no layer of it knows
                return end
        if self.options is None or not self.all:
            return end
        # Without a cache, a generation reads its text anew for every token.
        before = self.all[-1].ids
        if ids is None:
            return 0 if before is None and count > self.all[-1].count else end
        if before is None or before.shape[1] > ids.shape[1]:
            return end
        same = any(torch.equal(row, ids[0, : before.shape[1]]) for row in before)
        return 0 if same else end

    def plan(self, row: int) -> PassPlan | None:
        """Return which rows and positions are those of the returned sequence.

        Args:
            row: Its row among the returned ones.

        Returns:
            The plan, or ``None`` where there is nothing to choose: a single pass, or none.

        Raises:
            ValueError: If it cannot be told.
        """
        if self.failure is not None:
            raise ValueError(_cannot(self.failure))
        if not self.all or (self.options is None and len(self.all) == 1):
            return None
        if self._sequences is None:
            if any(len(each.rows) > 1 for each in self.all):
                raise ValueError(_cannot("it cannot be told which beam was returned"))
            plan = self.full_plan()
            first = next(each for each in self.all if each.number in plan.rows)
            return replace(plan, prompt=first.start + plan.counts[first.number])
        return self._plan_of(self._sequences[min(row, len(self._sequences) - 1)].tolist())

    def full_plan(self) -> PassPlan:
        """Plan for the first row of the last pass, by which the order of the cache can be checked."""
        last = self.all[-1]
        ids = (*self._history(len(self.all) - 1, last.rows[0]), _UNKNOWN)
        return self._planned(len(self.all) - 1, last.rows[0], ids, len(ids))

    def _plan_of(self, sequence: list[int]) -> PassPlan:
        """Look for the pass and the row that read all of ``sequence`` but its last token."""
        options, first = self.options or GenerateOptions(), self.all[0]
        # What is returned may leave out what was in the cache before, and what was given as vectors.
        offset = first.start if first.ids is not None else first.start + first.count
        prompt = first.start + first.count
        if options.prompt_length is not None and first.ids is not None:
            offset = 0 if options.prompt_length != first.count else first.start
            prompt = offset + options.prompt_length
        elif options.prompt_length is not None:
            # Vectors in place of all ids that were given, and of a learned prompt before them.
            offset = max(0, prompt - options.prompt_length)
        wanted = [_UNKNOWN] * offset + sequence
        ended = next(
            (i for i in range(prompt, len(wanted)) if wanted[i] in options.eos_token_ids), None
        )
        wanted = wanted if ended is None else wanted[: ended + 1]
        for index, each in enumerate(self.all):
            if each.start + each.count < len(wanted) - 1:
                continue
            for row in each.rows:
                history = self._history(index, row)
                if _same_ids(history, wanted[:-1]):
                    return self._planned(index, row, tuple(wanted), prompt)
        what = "what generate returned is not what its forward passes read"
        raise ValueError(_cannot(f"{what} (a decoding strategy that cannot be followed)"))

    def _ancestors(self, index: int, row: int) -> Iterator[tuple[ForwardPass, int]]:
        """Go back from a pass to the ones its cache came from."""
        for at in range(index, -1, -1):
            each = self.all[at]
            yield each, row
            row = each.parents[each.rows.index(row)]
            if row not in self.all[at - 1].rows:
                row = self.all[at - 1].rows[0]

    def _history(self, index: int, row: int) -> list[int]:
        """Token ids that a row has read at the end of a pass, by way of its cache."""
        read: list[int] = []
        end = self.all[index].start + self.all[index].count
        for each, at in self._ancestors(index, row):
            count = min(each.count, end - each.start)
            if count > 0:
                ids = None if each.ids is None else each.ids[each.rows.index(at), :count].tolist()
                read = ([_UNKNOWN] * count if ids is None else ids) + read
                end = each.start
        return [_UNKNOWN] * end + read

    def _planned(self, index: int, row: int, ids: tuple[int, ...], prompt: int) -> PassPlan:
        total = len(ids) - 1
        rows: dict[int, int] = {}
        line: dict[int, int] = {}
        counts: dict[int, int] = {}
        cut: dict[int, int] = {}
        end = total
        for each, at in self._ancestors(index, row):
            count = min(each.count, end - each.start)
            line[each.number] = at
            if count > 0:
                rows[each.number], counts[each.number] = at, count
                end = each.start
                if count < each.count:
                    cut[each.number] = each.count
        return PassPlan(rows, line, counts, cut, total, min(prompt, total), ids)


def _parent_row(before: ForwardPass, ids: Tensor, row: int) -> int:
    """Find the row of the pass before that read the beginning of ``ids``."""
    if before.ids is not None:
        for other, read in zip(before.rows, before.ids, strict=True):
            if torch.equal(read, ids[: len(read)]):
                return other
    return row


def _same_ids(history: list[int], wanted: list[int]) -> bool:
    return all(
        _UNKNOWN in (one, other) or one == other
        for one, other in zip(history, wanted, strict=False)
    )


def _cannot(why: str) -> str:
    return (
        f"the forward passes in the block are no single record: {why}. Record one generation (or one forward pass) at "
        f"a time, or {CAPTURE_INSTEAD}."
    )
