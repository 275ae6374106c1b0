"""Figures of a record, a comparison or a survey as SVG, PDF, PNG and tables of the numbers that are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.comparison.comparison import Comparison
from attnwidget.figures.from_source import figure
from attnwidget.record import viewers
from attnwidget.serve.comparison import ComparisonSource
from attnwidget.serve.survey import SurveySource
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from attnwidget.figures.figure import Figure
    from attnwidget.serve.source import Source

# Parts of the selection that are arguments of their own.
_SELECTED = ("query", "key", "stream", "measure", "score", "other_score")


def _figure(source: Source, kind: Any, options: dict[str, Any]) -> Figure:
    given = {name: options.pop(name) for name in _SELECTED if name in options}
    return figure(source, kind, given=given, **options)


def _of_comparison(comparison: Comparison, kind: Any = None, **options: Any) -> Figure:
    return _figure(ComparisonSource(comparison), kind, options)


def _of_survey(survey: Survey, kind: Any = None, **options: Any) -> Figure:
    return _figure(SurveySource(survey), kind, options)


viewers.register(Comparison, "figure", _of_comparison)
viewers.register(Survey, "figure", _of_survey)
