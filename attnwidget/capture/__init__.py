"""Model and inputs in, `Attention` out; the only room that imports transformers."""

from __future__ import annotations

from attnwidget.capture.options import check_options
from attnwidget.capture.recording import Recording, capture, recording

__all__ = ["Recording", "capture", "check_options", "recording"]
