"""Which heads the model view shows: the widget's traits that leave some of a large model out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import traitlets

from attnwidget.traits import HeadList, check_shown_layers

if TYPE_CHECKING:
    from attnwidget.attention import Stream

__all__ = ["Filters"]


class _Layers(HeadList):
    """Several layers: one integer, any iterable of them (list, range, array), or None for all."""

    allow_none = True


class Filters(traitlets.HasTraits):  # type: ignore[misc,unused-ignore]  # traitlets' own base, untyped in old versions
    """The part of the widget that leaves heads of the model view out; what is selected stays selected."""

    if TYPE_CHECKING:
        stream: str

        def _named(self, name: str) -> Stream:
            """Return a stream."""

    below_threshold = traitlets.Enum(("faint", "hidden"), "faint").tag(sync=True)
    """What becomes of heads below the threshold: drawn faint, or left out with the gaps closed. A ranking leaves them
    out either way.

    - Type: ``"faint" | "hidden"``
    - Default: ``"faint"``
    """

    show_layers = _Layers(None).tag(sync=True)
    """The layers that the model view shows, by the model's own numbers. The other views show any layer.

    - Type: ``list[int] | None``; a range or any other iterable is taken
    - Default: ``None``, all layers of the stream
    """

    @traitlets.validate("show_layers")
    def _check_show_layers(self, proposal: traitlets.Bunch) -> list[int] | None:
        return check_shown_layers(self._named(self.stream), proposal.value)

    @traitlets.observe("stream")
    def _keep_layers_of_the_stream(self, _change: traitlets.Bunch) -> None:
        """Let go of layers that the new stream does not have."""
        shown = self.show_layers
        if shown is None:
            return
        kept = [layer.layer for layer in self._named(self.stream) if layer.layer in shown]
        if kept != shown:
            self.show_layers = kept or None
