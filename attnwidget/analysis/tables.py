"""Tidy tables: a pandas ``DataFrame``, or a list of dicts without pandas."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from attnwidget.protocol.text import well_formed

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Records", "has_pandas", "table"]

_SHOWN = 20


class Records(list[dict[str, Any]]):
    """A list of dicts with the same keys, shown as a table of its first 20 rows."""

    def __repr__(self) -> str:
        if not self:
            return "no rows"
        names = list(self[0])
        lines = [names, *([_text(row[name]) for name in names] for row in self[:_SHOWN])]
        widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
        shown = [
            "  ".join(
                cell.ljust(width) if place == 0 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        more = len(self) - _SHOWN
        return "\n".join([*shown, f"… {more} more rows"] if more > 0 else shown)


def table(rows: Iterable[dict[str, Any]]) -> Any:
    """Return rows as a ``DataFrame`` if pandas is installed, else as `Records`."""
    records = Records(rows)
    if not has_pandas():
        return records
    import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: ICN001, PLC0415

    return pandas.DataFrame(records)


def has_pandas() -> bool:
    """Tell whether pandas can be imported, without importing it."""
    return importlib.util.find_spec("pandas") is not None


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else well_formed(str(value))
