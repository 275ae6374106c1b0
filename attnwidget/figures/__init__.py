"""Figures of a record, a comparison or a survey as SVG, PDF, PNG and tables of the numbers that are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.comparison.comparison import Comparison
from attnwidget.figures.from_source import figure
from attnwidget.record import viewers
from attnwidget.record.record import Record
from attnwidget.serve.comparison import ComparisonSource
from attnwidget.serve.source import source_of
from attnwidget.serve.survey import SurveySource
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from attnwidget.analysis.position_groups import By
    from attnwidget.figures.figure import Figure


def _of_record(
    record: Record, kind: Any = None, *, groups: By | None = None, **options: Any
) -> Figure:
    return figure(source_of(record, groups), kind, own=groups, **options)


def _of_comparison(
    comparison: Comparison, kind: Any = None, *, groups: By | None = None, **options: Any
) -> Figure:
    return figure(ComparisonSource(comparison, groups), kind, own=groups, **options)


def _of_survey(
    survey: Survey, kind: Any = None, *, groups: By | None = None, **options: Any
) -> Figure:
    return figure(source_of(SurveySource(survey), groups), kind, **options)


viewers.register(Record, "figure", _of_record)
viewers.register(Comparison, "figure", _of_comparison)
viewers.register(Survey, "figure", _of_survey)
