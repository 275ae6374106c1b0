"""What compared records are called where the caller does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnwidget.record.record import Record

__all__ = ["names_of"]

# Words that texts may share at their beginning before a title leaves them out.
_SHARED = 3


def names_of(records: Sequence[Record]) -> tuple[str, ...]:
    """Return what tells records apart: their texts from about where these part, or their models' names, or their number."""
    texts = [record.text for record in records]
    known = [text for text in texts if text]
    if len(known) == len(records) and len(set(known)) > 1:
        words = [text.split() for text in known]
        same = 0
        while same < min(map(len, words)) and len({each[same] for each in words}) == 1:
            same += 1
        # Of a long common beginning one word is kept: a title would cut off what follows the rest.
        start = same - 1 if same > _SHARED else 0
        return tuple("… " * (start > 0) + " ".join(each[start:]) for each in words)
    models = tuple(record.model_name for record in records)
    if len(set(models)) > 1:
        return models
    if len(records) == 2:
        return "first", "second"
    return tuple(f"record {number}" for number in range(1, len(records) + 1))
