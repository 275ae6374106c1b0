"""Whether an error explains itself to the one who made the mistake, and the tally of a run."""

from __future__ import annotations

import linecache
import re
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Tally", "unexplained"]

_PACKAGE = str(Path(__file__).parents[2] / "attnwidget") + "/"
_EXPECTED = (ValueError, TypeError, IndexError, KeyError, traitlets.TraitError)


def unexplained(error: BaseException, names: Iterable[str]) -> str | None:
    """Return what kind of unexplained error this is, or None for one that explains itself.

    It does if it is of an expected type, was raised by a statement of the package itself (not by an operation on a
    value that nobody checked) and names the argument; one of the system names its file.

    Args:
        error: The error.
        names: The argument, and other words that name it.
    """
    frame = traceback.extract_tb(error.__traceback__)[-1]
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    own = frame.filename.startswith(_PACKAGE) and line.startswith("raise ")
    said = str(error)
    named = any(name in said for name in names)
    if own and (isinstance(error, OSError) or (isinstance(error, _EXPECTED) and named)):
        return None
    # Numbers and values do not make another kind.
    words = re.sub(r"\d+|'[^']*'", "…", said)[:60]
    place = re.sub(r".*/(?=[^/]*/[^/]*$)", "", frame.filename)
    why = "raw" if not own else "no name" if not named else "type"
    return f"{why}: {type(error).__name__} at {place}:{frame.lineno}: {words!r}"


@dataclass
class Tally:
    """What a run came to.

    Attributes:
        cases: How many there were.
        accepted: How many were answered with a result.
        kinds: Kind of unexplained error to how often it came.
        examples: Kind to the first call that led to it.
        wrong: Results that are not what they should be.
    """

    cases: int = 0
    accepted: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def run(self, call: Callable[[], Any], shown: str, names: Iterable[str]) -> Any:
        """Make a call and count what came of it; return its result, or None."""
        self.cases += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = call()
        except Exception as error:  # noqa: BLE001  (any of them is what is looked for)
            kind = unexplained(error, names)
            if kind is not None:
                self.kinds[kind] += 1
                self.examples.setdefault(kind, shown)
            return None
        self.accepted += 1
        return result

    def report(self) -> str:
        """Return the tally in words, the most frequent kinds first."""
        lines = [
            f"{self.cases} cases, {self.accepted} accepted, {len(self.kinds)} unexplained kinds, {len(self.wrong)} wrong"
        ]
        lines += [
            f"{count:6d} {kind}\n         {self.examples[kind]}"
            for kind, count in self.kinds.most_common()
        ]
        return "\n".join(lines + self.wrong[:20])
