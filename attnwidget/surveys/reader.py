"""What a survey has so far: the scores of the inputs that were read, and what kept the others from being scored."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from attnwidget.analysis.head_scores import score_stream
from attnwidget.recordings import capture
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Reader", "Tally"]

# So many may fail, with nothing scored, before it is taken for a mistake in the call.
_PATIENCE = 10


@dataclass(frozen=True, slots=True)
class Tally:
    """The survey of some inputs.

    Attributes:
        found: What was found.
        first: Why the first of those that could not be recorded could not, if there are any.
    """

    found: Survey
    first: Exception | None = None

    @property
    def hopeless(self) -> bool:
        """Whether so many failed, with nothing scored, that the rest would not be better."""
        return not self.found.count and len(self.found.skipped) >= _PATIENCE

    def then(self, other: Tally) -> Tally:
        """Return this and the inputs after it."""
        found, part = self.found, other.found
        # Which model it is may be told by those alone that were scored.
        if not found.count:
            found = replace(found, model_name=part.model_name)
        elif not part.count:
            part = replace(part, model_name=found.model_name)
        return Tally(found.merge(part), self.first or other.first)


@dataclass(frozen=True, slots=True)
class Reader:
    """How each input is read.

    Attributes:
        model: The model, or a function that makes it, or it and its tokenizer.
        tokenizer: Its tokenizer, or ``None``.
        keep: How many typical inputs are kept.
        measure: What is scored.
        options: Passed on to `capture`.
    """

    model: Any
    tokenizer: Any
    keep: int
    measure: str
    options: Mapping[str, Any]

    def made(self) -> Reader:
        """Return the reader whose model is there, by calling the function that makes it if it is one."""
        if not isinstance(self.model, (FunctionType, MethodType, functools.partial)):
            return self
        model = self.model()
        tokenizer = self.tokenizer
        if isinstance(model, tuple) and len(model) == 2:
            model, own = model
            tokenizer = tokenizer or own
        return replace(self, model=model, tokenizer=tokenizer)

    def nothing(self) -> Tally:
        """Return the tally of no input."""
        return Tally(Survey(type(self.model).__name__, {}, 0, examples_kept=self.keep))

    def read(self, one: Any) -> Tally:
        """Record and score one input."""
        try:
            attention = capture(self.model, one, self.tokenizer, **self.options)
            scores = [score_stream(s, None, self.measure) for s in attention.streams.values()]
        except (ValueError, IndexError, RuntimeError) as error:
            nothing = self.nothing()
            return Tally(replace(nothing.found, skipped=((0, str(error)),)), error)
        return Tally(Survey.of(attention.model_name, scores, attention.text, keep=self.keep))
