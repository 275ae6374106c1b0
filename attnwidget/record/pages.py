"""`Pages`: a result as the text of a page that needs no kernel, for frames in pages that others make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnwidget.record import viewers
from attnwidget.record.options import ShownOptions
from attnwidget.record.vocabulary import lists_options

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Pages"]


class Pages:
    """What records, comparisons and surveys share: each is a page."""

    __slots__ = ()

    @lists_options(ShownOptions)
    def html(
        self,
        *,
        budget: int | str | None = None,
        choose: bool = True,
        **options: Unpack[ShownOptions],
    ) -> str:
        """Return the widget over a snapshot as the text of one page: no kernel, no network.

        It is the page that ``save("attention.html")`` writes, for programs that put pages into pages of their own, such as
        Streamlit, Gradio or a documentation build; `AttentionWidget.html` says how.

        Args:
            budget: Bytes that the page may take, or text such as ``"2 MB"``; as for `AttentionWidget.save`.
            choose: Open on the link that says most where the options name no layer, heads or query.
            **options: What ``view`` takes: a selection, such as ``layer=3, heads=[1, 3], query="it"``.

        Returns:
            The page, from ``<!doctype html>`` on.

        Raises:
            TypeError: If an option does not exist.
            ValueError: If an option is none of what is accepted, or the budget is too small for a page without any head.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
            >>> attention.html(layer=3, heads=[1, 3], budget="1 MB")[:15]
            '<!doctype html>'
        """
        # Frozen, so that it never connects to a browser: it is there for its page alone.
        view = viewers.make(self, "widget", frozen=True, choose=choose, **options)
        page: str = view.html(budget=budget)
        return page
