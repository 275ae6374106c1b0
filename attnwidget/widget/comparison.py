"""`ComparisonWidget`: the heads that changed most between records, and one head of each side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from attnwidget.comparison.comparison import Comparison
from attnwidget.serve.comparison import ComparisonSource
from attnwidget.serve.python_call import call_of_source
from attnwidget.widget.widget import AttentionWidget

if TYPE_CHECKING:
    from attnwidget.comparison.series import ComparisonSeries

__all__ = ["ComparisonWidget"]


class ComparisonWidget(AttentionWidget):
    """Records in one widget: two inputs to one model, two models on one input, or a series of more than two.

    The model view ranks the heads by how much their attention changed; the compare view shows the first selected head
    in each record, and of two the difference, second minus first. Positions are places on the common axes.

    Example:
        >>> view = aw.compare(first, second).view()  # doctest: +SKIP
    """

    made_again_by = "view.comparison.view()"

    def __init__(
        self, comparison: Comparison | ComparisonSeries, *, frozen: bool = False, **state: Any
    ) -> None:
        """Make a widget over a comparison; `Comparison.view` describes the arguments."""
        self._comparison = comparison
        groups = state.pop("groups", None)
        source = ComparisonSource(comparison, groups)
        if groups is not None:
            state["_call"] = call_of_source(source, {"groups": groups})
        super().__init__(source, frozen=frozen, **state)

    @property
    def comparison(self) -> Comparison | ComparisonSeries:
        """What is on show."""
        return self._comparison

    @property
    def attention(self) -> NoReturn:
        """Several records are on show, not one.

        Raises:
            AttributeError: Always.
        """
        message = (
            "a comparison shows two records: view.comparison.a and view.comparison.b."
            if isinstance(self._comparison, Comparison)
            else "a comparison shows several records: view.comparison.records."
        )
        raise AttributeError(message)

    def __repr__(self) -> str:
        kind = type(self._comparison).__name__
        return repr(self._comparison).replace(f"{kind}(", "ComparisonWidget(", 1)
