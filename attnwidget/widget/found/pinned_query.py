"""`PinnedQuery`: whether somebody pinned the query on show, or the view opened on it by itself."""

from __future__ import annotations

from typing import Any

import anywidget

from attnwidget.protocol.messages import MessageError, check_state
from attnwidget.serve.source import RecordSource, Source

__all__ = ["PinnedQuery"]


class PinnedQuery(anywidget.AnyWidget):
    """A widget that knows where its model's output is read.

    Attributes:
        source: What is shown.
        stream, query, key: Parts of the selection.
    """

    source: Source
    stream: str
    query: Any
    key: Any
    chosen: Any
    _recipe: Any
    _unedited: Any
    # Whether the caller or the reader named the query; not where the view opened on it by itself.
    _query_is_pinned = True

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a trait or attribute. A query that is set is pinned, also where it is the one on show already."""
        if name != "query" or self._query_is_pinned:
            super().__setattr__(name, value)
            return
        self._query_is_pinned = True
        try:
            super().__setattr__(name, value)
        except BaseException:
            self._query_is_pinned = False
            raise
        self._query_was_pinned()

    def set_state(self, sync_data: Any) -> None:
        """Take what the page has set; a query that its reader pinned is one."""
        before = self._query_is_pinned
        if isinstance(sync_data, dict) and "query" in sync_data:
            self._query_is_pinned = before or self._is_another(sync_data["query"])
        try:
            super().set_state(sync_data)
        except BaseException:
            self._query_is_pinned = before
            raise

    def _is_another(self, query: Any) -> bool:
        """Tell whether a query is not that on show: some hosts send the whole state back, of which a reader changed a part."""
        try:
            check_state("query", query)
        except MessageError:
            return False
        return bool(query != self.query)

    def _query_was_pinned(self) -> None:
        """Bring what is read at the pinned query to it."""

    def _chosen_link(self) -> tuple[str, ...]:
        """Return what of query and key the view opened on by itself, where its model can be measured: not what a call names."""
        if self._query_is_pinned or self._recipe is None:
            return ()
        return ("query", "key") if self.chosen and self.key == self.chosen["key"] else ("query",)

    def _position(self) -> int:
        """Return the position whose choice is measured: the pinned query where the stream is causal, else the last.

        A query that the view opened on by itself says where to look, not where to measure.
        """
        shown = self.source if self._unedited is None else self._unedited.source
        stream = shown.streams.get(self.stream)
        query = self.query[0] if isinstance(self.query, list) else self.query
        if query is None or not self._query_is_pinned:
            return -1
        if not isinstance(shown, RecordSource) or stream is None:
            return -1
        bands = [layer.band for layer in shown.record[self.stream]]
        if not all(band is not None and band.causal for band in bands):
            return -1
        return int(query + (shown.record[self.stream].first_query or 0))
