"""Inputs that are rows with columns, such as those of a data set: which column is the input, which its links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import shown
from attnwidget.surveys.gold_links.given import Linked

if TYPE_CHECKING:
    from attnwidget.surveys.gold_links.given import LinksAsked

__all__ = ["check_column", "of_row"]


def check_column(column: object) -> str | None:
    """Return the name of a column, None for None.

    Raises:
        TypeError: If it is no text.
    """
    if column is None or isinstance(column, str):
        return column
    message = f"column must be the name of a column, such as 'text', got {shown(column)}."
    raise TypeError(message)


def of_row(one: Any, column: str | None, links: LinksAsked | None) -> Any:
    """Return the input that a row holds, with its links where these are a column; what is no row is returned as it is.

    Args:
        one: An input, or a row.
        column: The column of the input; None for the only one besides the links, or where inputs are no rows.
        links: How links are given.

    Raises:
        TypeError: If columns are named and it is no row.
        ValueError: If it has no such column, or several of which none is named.
    """
    beside = links.of if links is not None and isinstance(links.of, str) else None
    if isinstance(one, Linked):
        return one._replace(one=of_row(one.one, column, None))
    if column is None and beside is None:
        return one
    if not isinstance(one, Mapping):
        named = f"column={column!r}" if column is not None else f"links={beside!r}"
        message = f"{named} names a column of rows, such as {{{(column or beside)!r}: …}}, got {shown(one)}."
        raise TypeError(message)
    others = [name for name in one if name != beside]
    chosen = column if column is not None else others[0] if len(others) == 1 else None
    missing = [name for name in (chosen, beside) if name is not None and name not in one]
    if chosen is None or missing:
        message = (
            f"a row has the columns {', '.join(map(repr, one))}"
            + (f", not {missing[0]!r}" if missing else "")
            + f": say which is the input, column={next((str(name) for name in others if name in one), 'text')!r}."
        )
        raise ValueError(message)
    return one[chosen] if beside is None else Linked(one[chosen], one[beside])
