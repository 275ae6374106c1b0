"""Types of which some head cannot be knocked out as a reference has it, by name, and why."""

from __future__ import annotations

__all__ = ["NOT_EDITED"]

NOT_EDITED: dict[str, str] = {}
