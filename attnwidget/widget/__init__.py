"""The Jupyter widget; ipywidgets and anywidget are imported in this package only."""

from __future__ import annotations

from typing import Any

from attnwidget.attention import Attention
from attnwidget.comparison.comparison import Comparison
from attnwidget.comparison.series import ComparisonSeries
from attnwidget.record import viewers
from attnwidget.record.record import Record
from attnwidget.surveys.survey import Survey
from attnwidget.widget.comparison import ComparisonWidget
from attnwidget.widget.survey import SurveyWidget
from attnwidget.widget.widget import AttentionWidget


def _of_record(record: Record, *, frozen: bool = False, **state: Any) -> AttentionWidget:
    return AttentionWidget(Attention.of(record), frozen=frozen, **state)


viewers.register(Record, "widget", _of_record)
viewers.register(Comparison, "widget", ComparisonWidget)
viewers.register(ComparisonSeries, "widget", ComparisonWidget)
viewers.register(Survey, "widget", SurveyWidget)
