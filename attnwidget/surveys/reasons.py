"""Why an input was left out, in words that can be printed, kept and sent."""

from __future__ import annotations

from traceback import format_exception_only

__all__ = ["reason_of"]

# Characters that are kept of a reason: some errors hold the whole input.
_LENGTH = 500


def reason_of(error: Exception) -> str:
    """Return an error's type and message, also of one that cannot say its message."""
    text = "".join(format_exception_only(error)).strip()
    text = text.removeprefix(f"{type(error).__module__}.")
    # What is no text, such as half of a surrogate pair, could be neither printed nor sent.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"
