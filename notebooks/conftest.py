"""What nbval compares of the notebooks' outputs: not the bytes of pictures, which are those of a machine's fonts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SANITIZE = Path(__file__).with_name("nbval.cfg")
FILES = ("application/pdf",)


def pytest_configure(config: pytest.Config) -> None:
    """Leave the pictures out of the notes beside views, unless another file says what to leave out."""
    if getattr(config.option, "nbval", False) and config.option.nbval_sanitize_with is None:
        config.option.nbval_sanitize_with = str(SANITIZE)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Leave out PDFs, as nbval itself leaves out PNGs."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += FILES
