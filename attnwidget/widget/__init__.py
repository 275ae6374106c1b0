"""The Jupyter widget; ipywidgets and anywidget are imported in this package only."""

from __future__ import annotations

from attnwidget.comparison.comparison import Comparison
from attnwidget.record import viewers
from attnwidget.surveys.survey import Survey
from attnwidget.widget.comparison import ComparisonWidget
from attnwidget.widget.survey import SurveyWidget

viewers.register(Comparison, "widget", ComparisonWidget)
viewers.register(Survey, "widget", SurveyWidget)
