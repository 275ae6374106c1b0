"""`KeyRowsEditor`: hide another key in each row of a batch, in all layers, so that one pass tells of several keys."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from attnwidget.capture.edits.editor import Editor
from attnwidget.capture.edits.rows import RowsNotEditedError
from attnwidget.capture.edits.windows import Window
from attnwidget.edits.edits import Edits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from attnwidget.capture.edits.resolve import EditedLayer

__all__ = ["KeyRowsEditor"]


@dataclass(frozen=True, slots=True)
class _OwnKey(Window):
    """The window of one row of a batch, to which every link that is cut is one to its own key.

    Attributes:
        own: Position of the key; ``None`` for no link.
    """

    own: int | None = None

    @classmethod
    def of(cls, window: Window, own: int | None) -> _OwnKey:
        known = {one.name: getattr(window, one.name) for one in fields(window)}
        return cls(**known, own=own)

    def columns(self, positions: Sequence[int] | None) -> list[int]:
        """Return which columns of the call are its key, whatever is named."""
        del positions
        # Not super(): a class with slots is made anew.
        return [] if self.own is None else Window.columns(self, (self.own,))


class KeyRowsEditor(Editor):
    """Hides one key in each row of a batch but the first, from all queries of all layers that an edit names."""

    def __init__(
        self, model: nn.Module, layers: Sequence[EditedLayer], keys: Sequence[int]
    ) -> None:
        """Prepare; nothing is installed yet.

        Args:
            model: The model.
            layers: The layers, and the links of one key that they do without.
            keys: The keys; row ``n`` does without the ``n``-th of them in place of that.
        """
        super().__init__(model, Edits(), list(layers))
        self._keys = (None, *keys)

    def _changed(
        self,
        layer: EditedLayer,
        output: Tensor,
        windows: Sequence[Window],
        change: Callable[..., Tensor],
    ) -> Tensor:
        if len(output) != len(self._keys):
            msg = f"{layer.place.path} puts out {len(output)} rows, not {len(self._keys)}"
            raise RowsNotEditedError(msg)
        own = [_OwnKey.of(window, key) for window, key in zip(windows, self._keys, strict=True)]
        return change(output, windows=own, changes=layer.changes)
