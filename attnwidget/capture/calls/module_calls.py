"""`ModuleCalls`: all calls of one attention module, and which keys are new in each pass of a generation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.calls.call import (
    batch_row,
    num_used_keys,
    output_rows,
    read_call,
    read_mask_view,
    shape_only,
    unsupported,
)
from attnwidget.capture.plan import CAPTURE_INSTEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.calls.call import Call, CallSelection
    from attnwidget.capture.calls.windows import Windows

__all__ = ["BY_HAND", "NOT_CONTINUED", "RAN_AGAIN", "ModuleCalls", "looks_causal"]

RAN_AGAIN = "ran more than once from the start of its input (several forward passes)"

_READ_ELSEWHERE = "found keys in its cache that no forward pass in the block had put there, after those that it had read"
_OTHER_KEYS = (
    "was handed other keys than it had put into its cache (is the cache quantised?); generate with "
    f"cache_implementation='dynamic', or {CAPTURE_INSTEAD}"
)
_REWRITTEN = (
    "had its key/value cache rewritten between forward passes, rows in another order or other keys; generate with "
    f"num_beams=1, or {CAPTURE_INSTEAD}"
)

# What is said instead where passes were made by hand: there is no `generate` to call in another way.
BY_HAND = {
    _REWRITTEN: "was handed other keys than those that the forward passes before had left for it (another cache, or a branch "
    "of it?)"
}

# Reasons why the passes that a module ran in are no single sequence.
NOT_CONTINUED = frozenset({RAN_AGAIN, _READ_ELSEWHERE, _OTHER_KEYS, _REWRITTEN})


# How far apart two keys may be, of the largest number in them, to be taken for the same.
_LOOSE = 0.02


@dataclass(slots=True)
class ModuleCalls:
    """All calls of one attention module.

    Attributes:
        path: The module's path in the model.
        module: The module.
        cross: Whether it looks at another sequence.
        calls: Its calls in order.
        failure: Why they cannot be made into a record, or ``None``.
        last_key: The keys that the last call looked at, of all rows, as passed; nothing after the first call.
        last_first: Index, counted over the whole recording, of the first of them.
        layer_path: The path by which it is grouped and numbered, where numbers inside of names stand by themselves.
    """

    path: str
    module: nn.Module
    cross: bool
    calls: list[Call] = field(default_factory=list)
    failure: str | None = None
    last_key: Tensor | None = None
    last_first: int = 0
    layer_path: str = ""
    _num_keys: int = 0
    _new: slice = field(default_factory=lambda: slice(None))
    _restarting: bool = False

    def add(
        self,
        arguments: AttentionArguments,
        forward_pass: int,
        batch: int,
        selection: CallSelection,
        windows: Windows | None = None,
    ) -> None:
        """Keep what is new in one call, as far as it is selected.

        If its pass drops positions from the cache, `rewind` has to be called first.
        """
        self.failure = self.failure or unsupported(arguments)
        if self.failure is not None:
            self.calls.clear()
            return
        num_queries, num_keys = arguments.query.shape[2], arguments.key.shape[2]
        again = bool(self.calls) and forward_pass == self.calls[-1].forward_pass
        if again and self._merge_values(arguments, batch, selection):
            return
        # A module used several times within one pass: told apart when the streams are known.
        first_key, new = 0, slice(None)
        if self.calls and not again:
            first_key, new, self.failure = self._new_keys(
                arguments.query.shape[2],
                arguments.key.shape[2],
                lambda: num_used_keys(read_mask_view(arguments, batch)),
                lambda: self._same_keys(arguments.key, batch),
            )
        if self.failure is not None:
            self.calls.clear()
            return
        view = read_mask_view(arguments, batch)
        if not self.calls:
            self._num_keys = num_keys if self.cross else num_used_keys(view)
            new = slice(0, self._num_keys)
        elif not self.cross and forward_pass != self.calls[-1].forward_pass:
            self._num_keys += num_queries
        call = read_call(arguments, view, selection, new)
        self.calls.append(
            replace(call, forward_pass=forward_pass, first_key=first_key, windows=windows)
        )
        # The first call's own copy is enough; what a model passes may be part of something larger (one projection).
        compared = len(self.calls) > 1 and selection.store is not None
        self.last_key = arguments.key if compared else None
        self.last_first, self._new = first_key, new

    def rewind(self, count: int | None, *, keep: bool) -> None:
        """Before a pass: forget the last ``count`` positions, which its cache no longer holds, or all (``None``).

        Args:
            count: Their number.
            keep: Whether calls that read everything from the beginning are kept beside those before.
        """
        if count is not None:
            self._num_keys -= 0 if self.cross else count
        elif keep:
            self._restarting = True
        else:
            self.calls.clear()

    def fail(self, failure: str) -> None:
        """Drop the calls, and note why this module cannot be recorded."""
        self.failure = self.failure or failure
        self.calls.clear()

    def cache_mismatch(self, key: Tensor, batch: int) -> str | None:
        """Say what is wrong if the last call used other keys than these, put together from all calls."""
        if self.last_key is None or len(self.calls) == 1 or self.cross or key.is_meta:
            return None
        used = key[:, self.last_first :]
        given = self.last_key[min(batch, len(self.last_key) - 1)][:, : used.shape[1]].detach()
        given = given.to(used.device)
        if torch.equal(given, used):
            return None
        if given.shape == used.shape and torch.allclose(given, used, rtol=0.1, atol=0.1):
            return _OTHER_KEYS
        return _REWRITTEN

    def goes_on(self, later: Call) -> bool:
        """Tell whether a call of another pass read the keys of the calls here before its own, as from a cache."""
        used = later.key.shape[1]
        kept = used - later.num_queries
        if self.cross or not self.calls or kept <= 0 or kept > self._num_keys:
            return False
        if later.key.is_meta or any(call.key.is_meta for call in self.calls):
            return kept == self._num_keys
        parts: list[Tensor] = []
        missing = kept
        for call in reversed(self.calls):
            parts.insert(0, call.key[:, max(0, call.key.shape[1] - missing) :])
            missing -= parts[0].shape[1]
            if missing <= 0:
                break
        before = torch.cat([part.to(later.key.device) for part in parts], dim=1)
        read = later.key[:, :kept]
        if before.shape != read.shape:
            return False
        # A cache may hold what keys are made of, or hold them less exactly.
        return bool(((before - read).abs() <= _LOOSE * read.abs().max()).all())

    def absorb(self, later: ModuleCalls, forward_pass: int, *, keep: bool) -> None:
        """Take the calls of a pass that goes on from those here.

        Args:
            later: The calls, kept as if nothing had run before.
            forward_pass: The number of the pass among those here.
            keep: Whether their vectors are kept.
        """
        if later.failure is not None:
            self.fail(later.failure)
        for call in later.calls:
            if self.failure is None:
                self._absorb_call(call, later, forward_pass, keep=keep)

    def _absorb_call(
        self, call: Call, later: ModuleCalls, forward_pass: int, *, keep: bool
    ) -> None:
        first_key, new, failure = 0, slice(None), None
        if not self.calls:
            self._num_keys = later._num_keys
        elif self.calls[-1].forward_pass != forward_pass:
            num_keys = call.key.shape[1]
            first_key, new, failure = self._new_keys(
                call.num_queries,
                num_keys,
                lambda: num_keys,
                lambda: self._same_keys(call.key[None], 0),
            )
            self._num_keys += 0 if self.cross else call.num_queries
        if failure is not None:
            self.fail(failure)
            return
        # A part would keep all of the tensor.
        query, key, value = (
            tensor.clone() if keep else shape_only(tensor)
            for tensor in (call.query, call.key[:, new], call.value[:, new])
        )
        self.last_key = call.key[None] if self.calls and keep else None
        self.last_first, self._new = first_key, new
        self.calls.append(
            replace(
                call,
                query=query,
                key=key,
                value=value,
                forward_pass=forward_pass,
                first_key=first_key,
            )
        )

    def renumber(self, forward_pass: int) -> None:
        """Count the calls as those of another forward pass."""
        self.calls = [replace(call, forward_pass=forward_pass) for call in self.calls]

    def _new_keys(
        self,
        num_queries: int,
        num_keys: int,
        num_used: Callable[[], int],
        same_keys: Callable[[], bool],
    ) -> tuple[int, slice, str | None]:
        """In a later pass: the first key looked at, counted over the whole recording, which of them are new, and why it cannot be told.

        Args:
            num_queries: Queries of the call.
            num_keys: Keys of the call.
            num_used: How many of them are in use.
            same_keys: Whether they are those of the first call, if it looks at another sequence.
        """
        if self._restarting:
            self._restarting = False
            self._num_keys = num_keys if self.cross else num_keys - num_queries
            return 0, slice(None), None
        if self.cross:
            failure = None if same_keys() else "looked at another sequence in each forward pass"
            return 0, slice(0, 0), failure
        if num_keys <= num_queries:
            return 0, slice(0, 0), RAN_AGAIN
        if num_keys - num_queries > self._num_keys and num_used() - num_queries > self._num_keys:
            return 0, slice(0, 0), _READ_ELSEWHERE
        # A sliding-window cache returns the last keys only, a static one more than are used.
        start = min(self._num_keys, num_keys - num_queries)
        first_key = max(0, self._num_keys + num_queries - num_keys)
        return first_key, slice(start, start + num_queries), None

    def _merge_values(
        self, arguments: AttentionArguments, batch: int, selection: CallSelection
    ) -> bool:
        """Add to the last call if this one only applies the same weights to further values (differential attention)."""
        last = self.calls[-1]
        rows = slice(last.first_row, last.first_row + last.query.shape[1])
        kept = last.key.shape[1]  # without the unused end of a static cache
        query = batch_row(arguments.query, batch)[:, rows]
        key, value = (
            batch_row(tensor, batch)[:, self._new][:, :kept]
            for tensor in (arguments.key, arguments.value)
        )
        if (
            query.shape != last.query.shape
            or arguments.query.shape[2] != last.num_queries
            or arguments.key.shape[2] != last.mask_view.num_keys
            or value.shape[:2] != last.value.shape[:2]
        ):
            return False
        if last.query.is_meta or selection.store is None:
            return len(last.value.shape) == 3 and last.query.is_meta  # nothing is made of either
        equal = _equal(last.query, query) and _equal(last.key, key)
        if last.recorded is not None or arguments.weights is not None:
            weights = None if arguments.weights is None else arguments.weights[0][:, rows]
            equal = equal and _equal(last.recorded, weights)
        if equal:
            more = torch.cat([last.value, value.to(last.value.device)], dim=-1)
            self.calls[-1] = replace(
                last,
                value=selection.store.place({"value": more})["value"],
                outputs=(*last.outputs, *output_rows(arguments, batch, rows)),
            )
        return equal

    def _same_keys(self, key: Tensor, batch: int) -> bool:
        if key is self.last_key:
            return True
        first = self.calls[0].key
        row = key[min(batch, len(key) - 1)].detach()
        if row.shape != first.shape:
            return False
        if first.is_meta:
            return True  # not recorded
        # Rows of a batch that hold the same may differ in their last bits, and beams change places.
        apart = 16 * torch.finfo(first.dtype).eps * float(first.abs().max())
        return bool(((row.to(first.device) - first).abs() <= apart).all())


def looks_causal(calls: Sequence[Call]) -> bool:
    """Tell whether no query was seen to look at a later key."""
    call = next((call for call in calls if call.mask_view.num_queries > 1), None)
    if call is None:
        return False
    start = call.mask_view.num_keys - call.mask_view.num_queries
    return start >= 0 and not any(
        call.mask_view.sees_any(
            torch.tensor([row]), torch.arange(start + row + 1, call.mask_view.num_keys)
        )
        for row in (0, (call.mask_view.num_queries - 1) // 2)
    )


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    return one is not None and other is not None and torch.equal(one, other.to(one.device))
