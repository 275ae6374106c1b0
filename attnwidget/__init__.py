"""Look inside attention: any Hugging Face model, three linked views, in one notebook cell.

Example:
    >>> import attnwidget as aw
    >>> model, tokenizer = aw.pocket()
    >>> aw.view(model, "The cat sat on the mat because it was tired", tokenizer=tokenizer)  # doctest: +SKIP
"""

from __future__ import annotations

import logging

from attnwidget.api import (
    capture,
    compare,
    from_weights,
    head_view,
    inspect,
    load,
    model_view,
    neuron_view,
    pocket,
    recording,
    survey,
    view,
)
from attnwidget.attention import Attention, Stream
from attnwidget.finding.comparing import Comparison
from attnwidget.finding.corpus import Survey
from attnwidget.finding.kinds import SCORES, Score
from attnwidget.layer import Layer
from attnwidget.positions import Position
from attnwidget.widget import AttentionWidget

__all__ = [
    "SCORES",
    "Attention",
    "AttentionWidget",
    "Comparison",
    "Layer",
    "Position",
    "Score",
    "Stream",
    "Survey",
    "capture",
    "compare",
    "from_weights",
    "head_view",
    "inspect",
    "load",
    "model_view",
    "neuron_view",
    "pocket",
    "recording",
    "survey",
    "view",
]
__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())
