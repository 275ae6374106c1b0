"""`RowsEditor`: edit another head of one layer in each row of a batch, so that one pass tells of several heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.calls.output_projection import linear_maps_near
from attnwidget.capture.edits.editor import Editor
from attnwidget.capture.sparse.registry import adapter_of
from attnwidget.capture.taps.dispatch import unread
from attnwidget.capture.taps.listeners import ModuleHooks
from attnwidget.edits.edits import Edits

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.edits.resolve import EditedLayer

__all__ = ["RowsEditor", "RowsNotEditedError"]


class RowsNotEditedError(RuntimeError):
    """A model whose rows cannot be edited each on its own in one pass."""


class RowsEditor(Editor):
    """Edits one head of a layer in each row of a batch, and none in the first row.

    The batch is given to the model as it is, or it grows: then the model is given a batch of one, and what the layer
    hands to its output projection, told by its value, is put there once for each row. What runs before that runs once.

    Attributes:
        rows: How many rows there are, the first included.
        grew: Whether the batch has grown.
    """

    def __init__(self, model: nn.Module, layer: EditedLayer, *, grow: bool) -> None:
        """Prepare; nothing is installed yet.

        Args:
            model: The model.
            layer: The layer, and what is put in the place of each head; row ``n`` edits the ``n``-th of them.
            grow: Whether the batch grows.

        Raises:
            RowsNotEditedError: If the layer's module runs for several layers, or attends in a sparse layout.
        """
        super().__init__(model, Edits(), [layer])
        if adapter_of(layer.module) is not None:
            msg = f"{layer.place.path} attends in a sparse layout, and is edited where its output is projected"
            raise RowsNotEditedError(msg)
        if layer.place.call is not None:
            msg = f"{layer.place.path} runs several times in one pass"
            raise RowsNotEditedError(msg)
        self.rows = 1 + len(layer.heads)
        self.grew = False
        self._grow = grow
        self._waiting: tuple[Tensor, int] | None = (
            None  # the layer's output, and its number of keys
        )

    def start(self) -> None:
        """Install everything."""
        super().start()
        if self._grow:
            maps = linear_maps_near(self.model, [self.layers[0].place.path])
            changes = [(module, self._grown) for module in maps.values()]
            self.module_hooks = ModuleHooks(self._hooks(), changes)

    def check_applied(self) -> None:
        """Raise unless the rows were edited."""
        super().check_applied()
        if self._ran and self._grow and not self.grew:
            msg = f"no linear map of {self.layers[0].place.path} was given just its output"
            raise RowsNotEditedError(msg)

    def _replaced(self, layer: EditedLayer, output: Tensor, keys: int) -> Tensor:
        expected = 1 if self._grow else self.rows
        if output.ndim != 4 or len(output) != expected or self._waiting is not None or self.grew:
            msg = f"{layer.place.path} puts out {list(output.shape)}, not once {expected} rows"
            raise RowsNotEditedError(msg)
        layer.applied = True
        if self._grow:
            # A copy: what the model writes into the output before it is projected is no part of it.
            self._waiting = output.clone(), keys
            return output
        return self._edited_rows(layer, output.clone(), keys)

    def _edited_rows(self, layer: EditedLayer, output: Tensor, keys: int) -> Tensor:
        """Edit one head in each row but the first of ``[row, head, query, value_dim]``, which is written into."""
        *_, queries, width = output.shape
        # All rows are the same input.
        real = self._real(layer, output[:1], keys)
        places = real[0].queries if real else None
        for row, (head, replacement) in enumerate(layer.heads.items(), start=1):
            output[row, head] = replacement.rows(queries, keys, width, real=places).to(output)
        return output

    def _grown(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what a linear map is to be given: rows, if it was given the layer's output."""
        if self._waiting is None or not args or not isinstance(args[0], torch.Tensor):
            return args, kwargs
        output, keys = self._waiting
        given = args[0]
        _, heads, queries, width = output.shape
        with unread():
            if given.shape != (1, queries, heads * width):
                return args, kwargs
            if not torch.equal(given, output.movedim(1, 2).flatten(2).to(given.dtype)):
                return args, kwargs
            self._waiting, self.grew = None, True
            rows = given.repeat(self.rows, 1, 1)
            view = rows.view(self.rows, queries, heads, width).movedim(2, 1)
            self._edited_rows(self.layers[0], view, keys)
        return (rows, *args[1:]), kwargs
