"""`Passes`: run a model without each of some heads, links or tokens, as few times as it can be done and proves right."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from attnwidget.capture.architecture.wrappers import unwrapped
from attnwidget.capture.edited_runs import edited_by, prepare_edits
from attnwidget.capture.edits.key_rows import KeyRowsEditor
from attnwidget.capture.edits.link_rows import LinkRowsEditor
from attnwidget.capture.edits.rows import RowsEditor, RowsNotEditedError
from attnwidget.edits.cut import Cut
from attnwidget.edits.edits import Edits
from attnwidget.intervene.rows import alike, close, one_row, repeated, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

    from attnwidget.capture.edits.editor import Editor
    from attnwidget.capture.edits.resolve import EditedLayer
    from attnwidget.capture.forward import Ran
    from attnwidget.edits.ablation import Ablation
    from attnwidget.metrics.metrics import Metric

    _Kind = tuple["Way", str, type, type]

__all__ = ["WAYS", "Passes", "Proofs", "Way"]

_log = logging.getLogger(__name__)

Way = Literal["grown", "batched", "one by one"]
WAYS: tuple[Way, ...] = get_args(Way)
_MOST_BYTES = 2**30  # of what is returned for all rows of a batch together


class Proofs:
    """Which ways have proved right, or wrong, for a model: for the modules of one class in one stream, and a kind of edit, each.

    Of edits in all layers the class is that of the model.

    Attributes:
        right: Those where a head came out as in a pass of its own.
        wrong: Those that raised, or where it did not.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.right: set[tuple[Way, str, type, type]] = set()
        self.wrong: set[tuple[Way, str, type, type]] = set()


class Passes:
    """Runs of a model on one input.

    Several heads, or links, of a layer are run in one pass, each in a row of its own, beside a row in which nothing is edited:

    - ``"grown"``: the batch has one row as far as the layer's output projection, and there becomes one of several;
    - ``"batched"``: it has several rows from the start.

    Tokens that are hidden in all layers can be batched alone.

    A row is believed when that without an edit is the clean run, and when, the first time that a kind of layer is run, one
    head is that of a pass of its own, both to 1e-5 of the numbers that the model returns. Else the next way is tried, at
    last a pass for each head, ``"one by one"``.

    Attributes:
        value: The metric with all heads.
        noise: How far the metric was from that without any edit, at most.
        most: How many heads are run in one pass, at most.
    """

    def __init__(
        self,
        model: nn.Module,
        clean: Ran,
        metric: Metric,
        restart: Callable[[], None],
        *,
        proofs: Proofs,
        at_once: int,
    ) -> None:
        """Measure the metric with all heads, once more than the clean run has.

        Args:
            model: The model.
            clean: Its unedited run.
            metric: What is measured.
            restart: Puts the random generators back to where they were before that run.
            proofs: What is known of the model, and is added to.
            at_once: How many heads may be run in one pass, at most.
        """
        self._model, self._clean, self._restart, self._proofs = model, clean, restart, proofs
        self._metric, self._short = metric, metric
        outputs = [clean.output] if metric.takes_the_pass else self.alone(Edits())
        self.value = self._measured(outputs)
        self._outputs = self.alone(Edits())
        self.noise = abs(self._measured(self._outputs) - self.value)
        self._shorten()
        fit = _MOST_BYTES // max(1, size_of(self._outputs)) - 1
        self.most = max(1, min(at_once, fit))

    def _shorten(self) -> None:
        """Take passes that compute less, where they give the same number."""
        if self._metric.short is None:
            return
        self._short = self._metric.short
        try:
            outputs = self.alone(Edits())
            same = close(self._measured(outputs), self.value)
        except Exception:  # noqa: BLE001  models raise what they like about what they do not know
            same = False
        if same:
            self._outputs = outputs
        else:
            self._short = self._metric

    def alone(self, edits: Edits) -> list[Any]:
        """Run the passes of the metric under an edit, and return what the model returns."""
        return self._run(lambda: prepare_edits(self._model, edits), rows=1)

    def without(self, part: Ablation) -> Iterator[tuple[dict[tuple[int, int], float], Way]]:
        """Yield the metric without each of some heads, as they come, and how that was done.

        Args:
            part: The heads, all of one layer, at most `most`, and what is put in the place of each.

        Raises:
            NotEditableError, NotEditedError: If the heads cannot be edited.
        """
        alone = [replace(part, heads=(pair,)) for pair in part.heads]
        for found, way in self.each(alone):
            yield {part.heads[at]: value for at, value in found.items()}, way

    def each(self, parts: Sequence[Ablation | Cut]) -> Iterator[tuple[dict[int, float], Way]]:
        """Yield the metric under each of some edits of a layer by its place among them, as they come, and how that was done.

        Args:
            parts: Edits of one layer, at most `most`: of one head each, or cuts of links.

        Raises:
            NotEditableError, NotEditedError: If they cannot be applied.
        """
        layer = _layer(self._model, parts)
        edits = [Edits((part,)) for part in parts]
        if len(parts) > 1 and self._clean.kwargs.get("past_key_values") is None:
            for way in WAYS[:2]:
                kind = way, layer.stream, type(layer.module), type(parts[0])
                if kind in self._proofs.wrong:
                    continue
                values = self._tried(kind, _of_a_layer(self._model, parts, kind[0]), edits)
                if values is not None:
                    yield dict(enumerate(values)), way
                    return
        for at, edit in enumerate(edits):
            yield {at: self.under(edit)}, "one by one"

    def hidden(
        self, keys: Sequence[int], streams: Sequence[str]
    ) -> Iterator[tuple[dict[int, float], Way]]:
        """Yield the metric with each of some keys hidden from all queries in all layers, by its place, and how that was done.

        Args:
            keys: Positions of keys, at most `most`.
            streams: The streams, which share their keys.

        Raises:
            NotEditableError, NotEditedError: If links of the model cannot be cut.
        """
        edits = [
            Edits(tuple(Cut.of(None, key, heads=None, layers=None, stream=name, renormalise=True) for name in streams))
            for key in keys
        ]  # fmt: skip
        inner = unwrapped(self._model)
        kind: _Kind = "batched", streams[0], type(inner), Cut
        several = len(keys) > 1 and self._clean.kwargs.get("past_key_values") is None
        if several and kind not in self._proofs.wrong:

            def editor() -> Editor:
                return KeyRowsEditor(inner, prepare_edits(self._model, edits[0]).layers, keys)

            values = self._tried(kind, editor, edits)
            if values is not None:
                yield dict(enumerate(values)), kind[0]
                return
        for at, edit in enumerate(edits):
            yield {at: self.under(edit)}, "one by one"

    def _tried(
        self, kind: _Kind, editor: Callable[[], Editor], edits: Sequence[Edits]
    ) -> list[float] | None:
        """Return the metric under each edit, from one pass; ``None`` where that cannot be done, or proves wrong."""
        try:
            return self._in_rows(kind, editor, edits)
        except Exception as error:  # noqa: BLE001  models raise what they like about their batch
            _log.debug("%s of %s: %s", kind[0], kind[2].__name__, error)
            self._proofs.wrong.add(kind)
            return None

    def under(self, edits: Edits) -> float:
        """Return the metric under an edit, from passes of its own."""
        with self._whole():
            return self._measured(self.alone(edits))

    def _in_rows(
        self, kind: _Kind, editor: Callable[[], Editor], edits: Sequence[Edits]
    ) -> list[float]:
        """Return the metric under each edit, from one pass under an editor of all of them, each in a row of its own.

        Raises:
            Exception: What the model raises, or if what it returns is not what it must be.
        """
        rows = len(edits) + 1
        outputs = self._run(editor, rows=1 if kind[0] == "grown" else rows)
        each = [
            [one_row(one, clean, row, rows) for one, clean in zip(outputs, self._outputs, strict=True)]
            for row in range(rows)
        ]  # fmt: skip
        values = [self._measured(one) for one in each]
        if not alike(each[0], self._outputs) or not close(values[0], self.value):
            msg = "the row without an edit is not the clean run"
            raise RowsNotEditedError(msg)
        if kind not in self._proofs.right:
            self._prove(kind, edits, each, values)
        self.noise = max(self.noise, abs(values[0] - self.value))
        return values[1:]

    def _prove(
        self,
        kind: _Kind,
        edits: Sequence[Edits],
        each: list[list[Any]],
        values: list[float],
    ) -> None:
        """Compare the edit that does most with a pass of its own.

        Raises:
            RowsNotEditedError: If they are not the same.
        """
        row = max(range(1, len(values)), key=lambda row: abs(values[row] - values[0]))
        alone = self.alone(edits[row - 1])
        if not alike(each[row], alone) or not close(values[row], self._measured(alone)):
            msg = "an edit is not what it is in a pass of its own"
            raise RowsNotEditedError(msg)
        if not alike(alone, self._outputs):  # else it proves little: any edit would do
            self._proofs.right.add(kind)

    def _measured(self, outputs: list[Any]) -> float:
        with torch.no_grad():
            return float(self._short.value(outputs))

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Take the passes of the metric itself inside the block: a head alone is then what `what_if` says, to the last bit."""
        short, self._short = self._short, self._metric
        try:
            yield
        finally:
            self._short = short

    def _run(self, editor: Callable[[], Editor], *, rows: int) -> list[Any]:
        """Run the passes of the metric, each on so many rows and under a new editor."""
        self._restart()
        args, kwargs = self._clean.args, self._clean.kwargs
        outputs = []
        for more in self._short.inputs:
            given = {**kwargs, **more}
            if rows > 1:
                args = tuple(repeated(one, rows) for one in args)
                given = {name: repeated(one, rows) for name, one in given.items()}
            with torch.no_grad(), edited_by(editor(), self._model):
                outputs.append(self._clean.model(*args, **given))
        return outputs


def _layer(model: nn.Module, parts: Sequence[Ablation | Cut]) -> EditedLayer:
    (layer,) = prepare_edits(model, Edits(tuple(parts))).layers
    return layer


def _of_a_layer(
    model: nn.Module, parts: Sequence[Ablation | Cut], way: Way
) -> Callable[[], Editor]:
    """Return what makes an editor of edits of one layer, each in a row of its own."""

    def editor() -> Editor:
        layer = _layer(model, parts)
        made = LinkRowsEditor if layer.changes else RowsEditor
        return made(unwrapped(model), layer, grow=way == "grown")

    return editor
