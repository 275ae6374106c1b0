"""`LinkRowsEditor`: cut another link of one layer in each row of a batch, so that one pass tells of several links."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from attnwidget.capture.edits.changes import Changes
from attnwidget.capture.edits.rows import RowsEditor, RowsNotEditedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from attnwidget.capture.edits.resolve import EditedLayer
    from attnwidget.capture.edits.windows import Window

__all__ = ["LinkRowsEditor"]


class _CutRows(NamedTuple):
    """Rows of a layer's output without some links: of heads, at queries, ``[head, query, value_dim]``."""

    heads: list[int]
    queries: list[int]
    output: Tensor


class LinkRowsEditor(RowsEditor):
    """Cuts one part of an edit's links in each row of a batch, and none in the first row.

    Up to the layer all rows are the same, so what each is to be there is computed from the first of them.
    """

    def __init__(self, model: nn.Module, layer: EditedLayer, *, grow: bool) -> None:
        """Prepare; nothing is installed yet.

        Args:
            model: The model.
            layer: The layer and its links; row ``n`` does without the ``n``-th of them.
            grow: Whether the batch grows, as of `RowsEditor`.

        Raises:
            RowsNotEditedError: If the layer's module runs for several layers.
        """
        super().__init__(model, layer, grow=grow)
        self.rows = 1 + len(layer.changes.links)
        self._cut: list[_CutRows] = []

    def _changed(
        self,
        layer: EditedLayer,
        output: Tensor,
        windows: Sequence[Window],
        change: Callable[..., Tensor],
    ) -> Tensor:
        if self._cut:
            msg = f"{layer.place.path} attends more than once in a pass"
            raise RowsNotEditedError(msg)
        first = output[:1]
        for link in layer.changes.links:
            heads = list(range(output.shape[1]) if link.heads is None else link.heads)
            queries = windows[0].rows(link.queries)
            changed = change(first, windows=windows[:1], changes=Changes([link]))[0]
            self._cut.append(_CutRows(heads, queries, changed[heads][:, queries]))
        return output

    def _edited_rows(self, layer: EditedLayer, output: Tensor, keys: int) -> Tensor:
        del layer, keys
        for row, cut in enumerate(self._cut, start=1):
            for head, put in zip(cut.heads, cut.output, strict=True):
                output[row, head, cut.queries] = put.to(output)
        return output
