"""Look inside attention: any Hugging Face model, three linked views, in one notebook cell.

Example:
    >>> import attnwidget as aw
    >>> model, tokenizer = aw.pocket()
    >>> aw.view(model, "The cat sat on the mat because it was tired", tokenizer=tokenizer)  # doctest: +SKIP
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from attnwidget.analysis.score_definitions import SCORES, Score
from attnwidget.api import head_view, model_view, neuron_view, view
from attnwidget.attention import Attention
from attnwidget.attribution.agreement import Agreement
from attnwidget.attribution.attribute import attribute
from attnwidget.attribution.directions import directions
from attnwidget.attribution.found_directions import Directions
from attnwidget.attribution.methods import METHODS, Method
from attnwidget.attribution.residual_stream.lens_result import LogitLens
from attnwidget.attribution.residual_stream.logit_lens import logit_lens
from attnwidget.attribution.result import Attribution
from attnwidget.attribution.trace import trace
from attnwidget.attribution.trace_links import TraceLink
from attnwidget.attribution.trace_result import Trace
from attnwidget.comparison.comparison import Comparison, compare
from attnwidget.comparison.series import ComparisonSeries
from attnwidget.edits.edits import Edits, ablate, cut, mask, patch, remove_directions, replace
from attnwidget.intervene.effect import Effect
from attnwidget.intervene.effects import effects
from attnwidget.intervene.effects_table import Effects
from attnwidget.intervene.intervening import intervening
from attnwidget.intervene.several_texts import EffectsOverTexts
from attnwidget.intervene.what_if import what_if
from attnwidget.pocket import pocket
from attnwidget.record.layer import Layer
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.recordings import capture, from_weights, load, recording
from attnwidget.surveys.comparing import SurveyComparison
from attnwidget.surveys.gold_links.scores import LinkScores
from attnwidget.surveys.run import survey
from attnwidget.surveys.survey import Survey
from attnwidget.widget.widget import AttentionWidget

if TYPE_CHECKING:
    from attnwidget.capture.inspect import inspect

__all__ = [
    "METHODS",
    "SCORES",
    "Agreement",
    "Attention",
    "AttentionWidget",
    "Attribution",
    "Comparison",
    "ComparisonSeries",
    "Directions",
    "Edits",
    "Effect",
    "Effects",
    "EffectsOverTexts",
    "Layer",
    "LinkScores",
    "LogitLens",
    "Method",
    "Position",
    "Score",
    "Stream",
    "Survey",
    "SurveyComparison",
    "Trace",
    "TraceLink",
    "ablate",
    "attribute",
    "capture",
    "compare",
    "cut",
    "directions",
    "effects",
    "from_weights",
    "head_view",
    "inspect",
    "intervening",
    "load",
    "logit_lens",
    "mask",
    "model_view",
    "neuron_view",
    "patch",
    "pocket",
    "recording",
    "remove_directions",
    "replace",
    "survey",
    "trace",
    "view",
    "what_if",
]
__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Import `inspect` when it is asked for: it brings transformers, which reading a saved record has no use for."""
    if name == "inspect":
        from attnwidget.capture.inspect import inspect  # noqa: PLC0415

        return inspect
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    """List the public names, those included that are not imported yet."""
    return sorted({*globals(), *__all__})
