"""`Collector`: decide for each attention call that a tap reports whether and how to keep it."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.architecture.attention_modules import (
    possible_attention_modules,
    scopes_around,
)
from attnwidget.capture.architecture.stream_names import attention_like
from attnwidget.capture.architecture.submodels import enclosing
from attnwidget.capture.calls.call import CallSelection, has_dropout, unsupported
from attnwidget.capture.calls.output_projection import OutputProjections
from attnwidget.capture.calls.windows import (
    batch_slice,
    expand_rows,
    join_failure,
    join_windows,
    locate_windows,
    reorder,
)
from attnwidget.capture.media.shares import read_shares
from attnwidget.capture.positions.axes import sequence_length
from attnwidget.capture.reconstruct.attention_call import UnreadableError, reconstruct_call
from attnwidget.capture.sparse.densify import SharedTensors, densify
from attnwidget.capture.sparse.registry import adapter_of
from attnwidget.capture.sparse.rows import CannotDensifyError
from attnwidget.capture.taps.dispatch import make_dispatch_tap
from attnwidget.capture.taps.flex_attention import read_flex_call
from attnwidget.capture.tensor_tools import parameter_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.calls.module_calls import ModuleCalls
    from attnwidget.capture.calls.windows import Windows
    from attnwidget.capture.generation.tracker import Tracker
    from attnwidget.capture.gradients.gradients import Gradients
    from attnwidget.capture.media.shares import Shares
    from attnwidget.capture.recorder.limits import Limits
    from attnwidget.capture.store import Store
    from attnwidget.capture.taps.events import ModuleTrace, RunningModule, WeightedSum
    from attnwidget.capture.taps.sources import Origin

__all__ = ["Collector"]

NOT_ITS_PICTURES = (
    "attends within pictures of several inputs, none of which is known to belong to the recorded one; "
    "give the model that input alone"
)

_log = logging.getLogger(__name__)


class Collector:
    """Keeps the attention calls of one model that its limits ask for, in its tracker.

    Attributes:
        tracker: Which rows are recorded, and the calls kept so far.
        limits: What is recorded.
        store: Where the vectors are kept.
        own_weights: Whether the weights that the model computes are kept beside query and key.
        gradients: Follows what the calls put out, where gradients with regard to that are wanted.
        running_limits: What the limits say of a module before it has run.
        candidates: Modules that are called attention, by their path.
        attention_modules: Modules in which attention may be computed, by their path.
        scopes: Path of the block that calls each of them, where it tells queries from keys.
        projections: Collects the output projection of each.
        tap: Recognises attention by its operations.
        unreadable: Why calls of a module could not be read, by its path.
        before_dropout: Paths of modules whose weights are recorded as they were before dropout.
        blocks: The blocks that are running, and what each was given, by their path.
    """

    def __init__(
        self,
        tracker: Tracker,
        *,
        limits: Limits,
        store: Store,
        own_weights: bool = False,
        gradients: Gradients | None = None,
    ) -> None:
        """Read off the model what its limits mean; nothing is installed on it."""
        model = tracker.model
        self.tracker = tracker
        self.limits = limits
        self.store = store
        self.own_weights = own_weights
        self.gradients = gradients
        self.running_limits = limits.while_running(model)
        self.candidates = attention_like(model)
        self.attention_modules = possible_attention_modules(model)
        self.scopes = scopes_around(model, self.attention_modules)
        self.projections = OutputProjections(
            model, self.attention_modules, lambda: tracker.current.projections
        )
        self.tap = make_dispatch_tap(self, frozenset(parameter_addresses(model)))
        self.unreadable: dict[str, str] = {}
        self.before_dropout: dict[str, None] = {}
        self.blocks: dict[str, tuple[nn.Module, Tensor]] = {}
        self._origin: Origin | None = None
        self._shared = SharedTensors()
        self._known_shares: tuple[Tensor | None, Shares] | None = None
        # About how many calls there will be: modules called attention are alike enough to tell.
        store.layers = max(1, sum(self.running_limits.wants(path) for path in self.candidates))

    def on_attention_call(self, arguments: AttentionArguments) -> AbstractContextManager[None]:
        """Keep one call of the attention interface if a module of this model makes it.

        Returns:
            A context for the call: the tap does not read operations that are kept already.
        """
        path = self.tracker.paths.get(id(arguments.module))
        if path is None:
            return nullcontext()
        failure = unsupported(arguments)
        if failure is not None and self.tap.active:
            # Its operations may be readable all the same.
            self.unreadable.setdefault(path, failure)
            return nullcontext()
        if self.gradients is not None:
            arguments = replace(arguments, output=self.gradients.of_interface(arguments))
        if has_dropout(arguments):
            return self._keep_with_dropout(path, arguments)
        if self.own_weights:
            return self._keep_with_weights(path, arguments)
        with self.tap.paused(), self._from(path, arguments.query, arguments.key):
            for _ in self.tracker.each_row():
                self._keep(path, arguments)
        return self.tap.paused()

    @contextmanager
    def _from(self, path: str, query: Tensor | None, key: Tensor | None) -> Iterator[None]:
        """Note, for the call that is kept inside the block, where its queries and keys come from."""
        scope = self.scopes.get(path)
        if scope is not None and query is not None and key is not None:
            self._origin = self.tap.sources.origin(scope, query, key)
        try:
            yield
        finally:
            self._origin = None

    @contextmanager
    def _keep_with_dropout(self, path: str, arguments: AttentionArguments) -> Iterator[None]:
        """Read a call with dropout from its operations, as its arguments do not say which weights are dropped.

        A fused kernel draws them inside, where no operation shows them; then the weights before dropout are kept.
        """
        before = self._num_calls(path)
        yield
        if self._num_calls(path) == before:
            with self.tap.paused(), self._from(path, arguments.query, arguments.key):
                for _ in self.tracker.each_row():
                    self._keep(path, arguments)
            self.before_dropout[path] = None

    @contextmanager
    def _keep_with_weights(self, path: str, arguments: AttentionArguments) -> Iterator[None]:
        """Keep a call and the weights that its function returns."""
        with self.tap.paused():
            # The function may write into what it was given.
            before = replace(
                arguments,
                query=arguments.query.detach().clone(),
                key=arguments.key.detach().clone(),
                value=arguments.value.detach().clone(),
            )
            yield
        with self.tap.paused(), self._from(path, arguments.query, arguments.key):
            whole = replace(before, own_weights=arguments.returned_weights)
            for _ in self.tracker.each_row():
                self._keep(path, whole)

    def _num_calls(self, path: str) -> int:
        return len(self.tracker.calls[path].calls) if path in self.tracker.calls else 0

    def on_flex_attention(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AbstractContextManager[None]:
        """Keep one call of ``flex_attention`` that the running module makes."""
        running = self.tap.running
        if running is None or not self.tap.active:
            return nullcontext()
        query, key = (args[at] if len(args) > at else None for at in (0, 1))
        with self.tap.paused(), self._from(running.path, query, key):
            try:
                for _ in self.tracker.each_row():
                    self._keep(
                        running.path, read_flex_call(running.module, args, kwargs, self.tracker.row)
                    )
            except Exception as error:  # noqa: BLE001  the model is about to run all the same
                self.on_error(running, error)
        return self.tap.paused()  # compiled code must not meet the tap

    def on_fused_call(self, running: RunningModule, arguments: AttentionArguments) -> None:
        """Keep a call of one of PyTorch's own attention functions."""
        if self.gradients is not None:
            arguments = replace(arguments, output=self.gradients.of_fused_call(arguments))
        with self._from(running.path, arguments.query, arguments.key):
            for _ in self.tracker.each_row():
                self._keep(running.path, arguments)
        if has_dropout(arguments):
            self.before_dropout[running.path] = None

    def on_weighted_sum(self, running: RunningModule, weighted_sum: WeightedSum) -> None:
        """Keep a call that was recognised by its operations."""
        product = weighted_sum.softmax.product
        query, key = (None, None) if product is None else (product.left, product.right)
        with self._from(running.path, query, key):
            for _ in self.tracker.each_row():
                self._reconstruct(running, weighted_sum)

    def _reconstruct(self, running: RunningModule, weighted_sum: WeightedSum) -> None:
        """Keep the call behind a weighted sum, of the current row."""
        count, row = self.tracker.num_rows, self.tracker.row
        items = 1 if running.states is None else len(running.states)
        pictures = self._own_pictures(running.path, items)
        if pictures is not None:
            first, share = pictures.start or 0, pictures.stop - (pictures.start or 0)
            if not share or items % share or first % share:
                self.tracker.calls_of(running.path, running.module).fail(NOT_ITS_PICTURES)
                return
            count, row = items // share, first // share
        try:
            arguments, rows, windowed = reconstruct_call(weighted_sum, running, count, row)
        except UnreadableError as error:
            if weighted_sum.softmax.product is None:
                # No scores of queries and keys: a convolution whose kernel is a softmax, say.
                self.unreadable.setdefault(running.path, str(error))
            else:
                self.tracker.calls_of(running.path, running.module).fail(str(error))
            return
        if arguments is None:
            return
        if self.gradients is not None:
            output = self.gradients.of_sum(running, weighted_sum, count, row)
            arguments = replace(arguments, output=output)
        if windowed and weighted_sum.softmax.product is None:
            self.unreadable.setdefault(
                running.path, "mixes neighbours with a softmax of something else"
            )
            return
        self._add(
            running.path,
            arguments,
            rows if self.tracker.num_rows is None else None,
            windowed=windowed,
        )

    def on_sparse_attention(self, running: RunningModule, trace: ModuleTrace) -> None:
        """Keep a call of a module with an adapter for sparse attention, once the module has run."""
        with self.tap.paused(), torch.no_grad():
            try:
                for _ in self.tracker.each_row():
                    self._densify(running, trace)
            except Exception as error:  # noqa: BLE001  whatever it is, the model goes on
                self.on_error(running, error)

    def _densify(self, running: RunningModule, trace: ModuleTrace) -> None:
        """Keep the current row of such a call."""
        adapter = adapter_of(running.module)
        if adapter is None:
            return
        length = sequence_length(enclosing(self.tracker.submodels, running.path), "encoder")
        calls = self.tracker.calls_of(running.path, running.module)
        try:
            # An encoder runs once for all rows of a beam search.
            sparse = adapter.read(running.module, trace, min(self.tracker.row, trace.rows - 1))
        except CannotDensifyError as error:
            calls.fail(str(error))
            return
        found = densify(running.module, sparse, length, self._shared)
        if isinstance(found, str):
            calls.fail(found)
            return
        arguments, windows = found
        self._add(running.path, arguments, None, windows=windows)

    def on_error(self, running: RunningModule, error: Exception) -> None:
        """Note that reading a module's operations failed."""
        _log.debug("%s could not be read", running.path, exc_info=error)
        self.unreadable.setdefault(
            running.path, f"could not be read ({type(error).__name__}: {error})"
        )

    def _keep(self, path: str, arguments: AttentionArguments) -> None:
        """Keep the current row of a call whose batch is that of the model's inputs, a part of it, or windows of each."""
        arguments = expand_rows(arguments)
        rows = arguments.query.shape[0]
        known = self.tracker.num_rows
        pictures = self._own_pictures(path, rows)
        if pictures is not None:
            self._keep_pictures(path, arguments, pictures)
        elif known is None or rows in {1, known}:
            self._add(path, arguments, rows if known is None else None)
        elif known % rows == 0:
            # Several inputs make one: the frames of a video.
            self._add(path, batch_slice(arguments, self.tracker.row * rows // known, 1), None)
        elif rows % known:
            self.tracker.calls_of(path, arguments.module).fail(
                f"attends within {rows} pieces of {known} inputs"
            )
        else:
            count = rows // known
            self._add(
                path, batch_slice(arguments, self.tracker.row * count, count), None, windowed=True
            )

    def _shares(self) -> Shares:
        """Whose the pictures of the batch are."""
        tracker = self.tracker
        ids = tracker.current.media_inputs.get("input_ids")
        if self._known_shares is None or self._known_shares[0] is not ids:
            row, rows = tracker.current.input_row, tracker.current.num_inputs
            self._known_shares = (
                ids,
                read_shares(tracker.current.media_inputs, tracker.model, row, rows),
            )
        return self._known_shares[1]

    def _own_pictures(self, path: str, rows: int) -> slice | None:
        """Say which rows of a call are pictures of the recorded input, where inputs have not all as many.

        Returns:
            The part, which is empty where it has none or it cannot be told; ``None`` where a batch is one of inputs.
        """
        tracker = self.tracker
        if tracker.current.num_inputs == 1 or rows == 1 or not self._reads_pictures(path):
            return None
        shares = self._shares()
        if shares.even:
            return None
        same = (
            tracker.num_rows == tracker.current.num_inputs
        )  # else pictures are repeated for beams
        return (shares.of(rows) if same else None) or slice(0)

    def _reads_pictures(self, path: str) -> bool:
        """Tell whether the innermost model around a module that was given ids or media was given media alone."""
        for submodel in enclosing(self.tracker.submodels, path):
            kinds = submodel.input_kinds()
            if kinds & {"input_ids", "decoder_input_ids"}:
                return False
            if kinds & {"pixel_values", "input_features", "input_values"}:
                return True
        return False

    def _keep_pictures(self, path: str, arguments: AttentionArguments, part: slice) -> None:
        """Keep of a call whose batch is pictures those of the recorded input."""
        count = part.stop - (part.start or 0)
        if not count:
            self.tracker.calls_of(path, arguments.module).fail(NOT_ITS_PICTURES)
            return
        self._add(path, batch_slice(arguments, part.start, count), None, windowed=count > 1)

    def learned_queries(self) -> frozenset[int]:
        """Return how many learned queries look at a picture: resamplers make as many vectors of it, of no place in it."""
        found = set()
        for path, calls in self.tracker.calls.items():
            around = enclosing(self.tracker.submodels, path)
            if calls.calls and not any(
                "decoder_input_ids" in each.input_kinds() for each in around
            ):
                call = calls.calls[0]
                pieces = 1 if call.windows is None else call.windows.count
                if call.num_queries < call.mask_view.num_keys:
                    found.add(call.num_queries // pieces)
        return frozenset(found)

    def _add(
        self,
        path: str,
        arguments: AttentionArguments,
        rows: int | None,
        *,
        windowed: bool = False,
        windows: Windows | None = None,
    ) -> None:
        """Keep a call of one row.

        Args:
            path: Path of the module.
            arguments: The call.
            rows: Rows of the batch it is taken from, if none of them may have been chosen yet; else ``None``.
            windowed: Whether its batch is the windows of one row, to be joined.
            windows: What is known of its windows, if they are joined already.
        """
        calls = self.tracker.calls_of(path, arguments.module)
        if not self.own_weights and arguments.own_weights is not None:
            arguments = replace(arguments, own_weights=None)
        seen = None if self._origin is None else self._origin.cross
        if seen is not None and not calls.calls:
            calls.cross = seen  # whatever its name is
        if rows is not None and rows > 1 and self.tracker.batch is None:
            calls.fail(
                f"attends within {rows} inputs or pieces; say which to record with batch=0 .. {rows - 1}"
            )
        if windowed:
            failure = unsupported(arguments) or join_failure(arguments)
            if failure is None:
                arguments, windows = self._place_windows(path, *join_windows(arguments))
            else:
                calls.fail(failure)
        self.tracker.rewind_calls(calls)
        selection = self._selection(path, arguments, calls)
        calls.add(arguments, self.tracker.num_forward_passes, self.tracker.row, selection, windows)
        if calls.calls and self._origin is not None:
            calls.calls[-1] = replace(calls.calls[-1], origin=self._origin)
        self.tracker.note_call(calls)
        if self.tracker.row == self.tracker.rows[0] and selection.store is not None:
            self.projections.expect(path, arguments, self.tracker.row, selection.rows)

    def _selection(
        self, path: str, arguments: AttentionArguments, calls: ModuleCalls
    ) -> CallSelection:
        """Say what is kept of a call: nothing but its shapes, or which of its queries."""
        if not self.running_limits.wants(path) or not self.tracker.keeps_vectors:
            return CallSelection(None)
        if calls.calls or not self.limits.positions:
            return CallSelection(self.store)  # later passes of a generation read few positions
        padding = 0
        for submodel in enclosing(self.tracker.submodels, path):
            for name in ("attention_mask", "decoder_attention_mask"):
                mask = submodel.last(name)
                padding = max(padding, 0 if mask is None else int((mask == 0).sum()))
        return CallSelection(
            self.store, self.running_limits.rows(path, arguments.query.shape[2], padding)
        )

    def _place_windows(
        self, path: str, arguments: AttentionArguments, windows: Windows
    ) -> tuple[AttentionArguments, Windows]:
        """Put the positions of joined windows in the order of the whole input, if that can be found out."""
        running, rows = self.tap.running, self.tracker.num_rows or 1
        states = None if running is None else running.states
        if states is None or windows.queries != windows.keys or len(states) != windows.count * rows:
            return arguments, windows
        own = states[self.tracker.row * windows.count : (self.tracker.row + 1) * windows.count]
        around = [
            block
            for parent, block in self.blocks.items()
            # What was given more rows than went in reads images of their own, not windows of one.
            if path.startswith(f"{parent}.") and len(block[1]) == rows
        ]
        found = locate_windows(own, around, self.tracker.row)
        if found is None or len(found[0]) != arguments.query.shape[2]:
            return arguments, windows
        return reorder(arguments, windows, *found)

    def unrecognised(self) -> list[str]:
        """Return paths of modules that ran and are called attention, yet of which no call was read."""
        read = [f"{path}." for path in self.tracker.calls]
        return [
            path
            for path in self.candidates
            if path in self.tracker.current.ran
            and path not in self.tracker.calls
            and self.running_limits.wants(path)
            and not any(
                other.startswith(f"{path}.") or f"{path}.".startswith(other) for other in read
            )
        ]
