"""Model and inputs in, `Attention` out; the only room that imports transformers."""

from __future__ import annotations

from attnwidget.capture.inspection import Inspection, inspect
from attnwidget.capture.options import check_options
from attnwidget.capture.recording import Recording, capture, recording

__all__ = ["Inspection", "Recording", "capture", "check_options", "inspect", "recording"]
