"""Record and score one input of a survey, and add up what was read so far."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from attnwidget.analysis.head_scores import score_stream
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PartialSurvey", "Reader"]

# After so many failures, with nothing scored, the call itself is taken to be wrong.
_PATIENCE = 10


@dataclass(frozen=True, slots=True)
class PartialSurvey:
    """The survey of some inputs.

    Attributes:
        survey: Its scores.
        error: Why the first of the inputs that could not be recorded could not, if there are any.
    """

    survey: Survey
    error: Exception | None = None

    @property
    def hopeless(self) -> bool:
        """Whether so many failed, with nothing scored, that the rest would not be better."""
        return not self.survey.count and len(self.survey.skipped) >= _PATIENCE

    def then(self, other: PartialSurvey) -> PartialSurvey:
        """Return this and the inputs after it."""
        found, part = self.survey, other.survey
        # Only inputs that were scored know the model's name.
        if not found.count:
            found = replace(found, model_name=part.model_name)
        elif not part.count:
            part = replace(part, model_name=found.model_name)
        return PartialSurvey(found.merge(part), self.error or other.error)


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

    def with_model(self) -> Reader:
        """Return the reader whose model is there, by calling the function that makes it if it is one."""
        if not isinstance(self.model, (FunctionType, MethodType, functools.partial)):
            return self
        model = self.model()
        tokenizer = self.tokenizer
        if isinstance(model, tuple) and len(model) == 2:
            model, own = model
            tokenizer = tokenizer or own
        return replace(self, model=model, tokenizer=tokenizer)

    def nothing(self) -> PartialSurvey:
        """Return the survey of no input."""
        return PartialSurvey(Survey(type(self.model).__name__, {}, 0, examples_kept=self.keep))

    def read(self, one: Any) -> PartialSurvey:
        """Record and score one input."""
        from attnwidget.capture.forward import run_forward  # noqa: PLC0415  brings transformers

        try:
            record = run_forward(self.model, one, self.tokenizer, **self.options)
            scores = [score_stream(s, None, self.measure) for s in record.streams.values()]
        except (ValueError, IndexError, RuntimeError) as error:
            nothing = self.nothing()
            return PartialSurvey(replace(nothing.survey, skipped=((0, str(error)),)), error)
        return PartialSurvey(Survey.of(record.model_name, scores, record.text, keep=self.keep))
