"""The form ``trace`` in figures: its table, and what such a figure cannot be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.record.options import FigureOptions

__all__ = ["check_trace_options", "is_of_trace", "trace_rows"]

_NUMBERS = ("layer", "head", "query", "key")


def is_of_trace(state: Mapping[str, Any]) -> bool:
    """Tell whether a trace is drawn."""
    return state["form"] == "trace" and state["view"] in {"all", "head"}


def check_trace_options(options: FigureOptions) -> None:
    """Refuse what a figure of a trace has no use for.

    Raises:
        ValueError: If positions or a grid are asked for.
    """
    for name in ("positions", "queries", "keys", "grid"):
        if options.get(name) not in (None, False):
            message = (
                f"figure('trace') is of all heads and of the positions that its links lead to, got {name}= besides: leave it "
                "out, or call find_trace(threshold=…) for fewer links."
            )
            raise ValueError(message)


def trace_rows(traced: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a row for each link, the largest first; none where no trace was found.

    Args:
        traced: See ``TraceOfView`` in the schema.
    """
    trace = (traced or {}).get("trace") or {"links": [], "labels": [], "stream": ""}
    links, labels = trace["links"], trace["labels"]

    def column(name: str, kind: type) -> Any:
        values = [link[name] for link in links]
        return np.array([np.nan if value is None else value for value in values], kind)

    def named(name: str) -> Any:
        return np.array([labels[link[name]] for link in links], dtype=object)

    return {
        "stream": np.full(len(links), trace["stream"], dtype=object),
        **{name: column(name, int) for name in _NUMBERS},
        "query_label": named("query"),
        "key_label": named("key"),
        **{name: column(name, float) for name in ("weight", "estimate", "change")},
    }
