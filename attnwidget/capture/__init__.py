"""Model and inputs in, `Attention` out; the only room that imports transformers."""

from __future__ import annotations

from attnwidget.capture.recording import OPTIONS, Recording, capture, recording

__all__ = ["OPTIONS", "Recording", "capture", "recording"]
