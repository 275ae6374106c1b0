"""The widget over two records: the heads that changed most, and one head of both side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import traitlets

from attnwidget.serve.comparison import (
    DIVERGENCE,
    Divergences,
    describe_pair,
    paired,
)
from attnwidget.serve.selection import SelectionError
from attnwidget.widget.widget import AttentionWidget

if TYPE_CHECKING:
    from attnwidget.comparison.comparison import Comparison
    from attnwidget.record.record import Record
    from attnwidget.serve.head_numbers import HeadNumbers


__all__ = ["ComparisonWidget"]


class ComparisonWidget(AttentionWidget):
    """Two records in one widget: two inputs to one model, or two models on one input.

    The model view ranks the heads by how much their attention changed; the compare view shows the first selected head
    in both records and the difference, second minus first. Positions are places on the common axes.

    Example:
        >>> view = aw.compare(first, second).view()  # doctest: +SKIP
    """

    _score_names = (DIVERGENCE.name,)

    def __init__(self, comparison: Comparison, *, frozen: bool = False, **state: Any) -> None:
        """Make a widget over a comparison; `Comparison.view` describes the arguments."""
        self._comparison = comparison
        start: dict[str, Any] = {"score": DIVERGENCE.name, "arrange": "rank"}
        common = paired(comparison)
        first = comparison.streams[next(iter(common))]
        name = state.get("stream", first.stream)
        changed = comparison.streams.get(name, first)
        if "layer" not in state and "heads" not in state and name in common.streams:
            # The head that changed most is what one came for.
            layer = max(
                range(len(changed.layers)), key=lambda place: changed.divergence[place].max()
            )
            start["layer"] = changed.layers[layer]
            start["heads"] = [int(changed.divergence[layer].argmax())]
        super().__init__(common, frozen=frozen, **{**start, **state})

    @property
    def comparison(self) -> Comparison:
        """What is on show."""
        return self._comparison

    @property
    def attention(self) -> NoReturn:
        """Two records are on show, not one.

        Raises:
            AttributeError: Always.
        """
        message = "a comparison shows two records: view.comparison.a and view.comparison.b."
        raise AttributeError(message)

    def _numbers(self, attention: Record) -> HeadNumbers:
        return Divergences(self._comparison, attention)

    def _described(self, attention: Record) -> tuple[dict[str, Any], bytes]:
        return describe_pair(self._comparison, attention)

    @traitlets.validate("view")
    def _check_view(self, proposal: traitlets.Bunch) -> str:
        if proposal.value in {"head", "neuron"}:
            message = f"view must be 'all', 'model' or 'compare' of two records, got {proposal.value!r}: call view(view.comparison.a)."
            raise SelectionError(message)
        view: str = proposal.value
        return view

    @traitlets.validate("positions")
    def _check_positions(self, proposal: traitlets.Bunch) -> str:
        if proposal.value == "words":
            message = "positions of a comparison are those of its records: call compare(a.words(), b.words())."
            raise SelectionError(message)
        positions: str = proposal.value
        return positions

    @traitlets.validate("compare")
    def _check_compare(self, proposal: traitlets.Bunch) -> list[list[int]]:
        if proposal.value:
            message = f"a comparison shows one head of both records, got compare={proposal.value!r}: set layer and heads."
            raise SelectionError(message)
        return []

    def __repr__(self) -> str:
        return repr(self._comparison).replace("Comparison(", "ComparisonWidget(", 1)
