"""Record and score one input of a survey, and add up what was read so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from attnwidget.analysis.head_scores import score_stream
from attnwidget.surveys.contexts.gathered import StreamContexts, watchers
from attnwidget.surveys.fingerprints import model_digest, tokenizer_digest
from attnwidget.surveys.gold_links.reading import input_and_links, link_counts
from attnwidget.surveys.group_means import group_means
from attnwidget.surveys.head_means import head_means
from attnwidget.surveys.made_models import HasModel
from attnwidget.surveys.reasons import reason_of
from attnwidget.surveys.rows import of_row
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.analysis.position_groups import By
    from attnwidget.compute.not_numbers import Head
    from attnwidget.record.record import Record
    from attnwidget.surveys.gold_links.given import LinksAsked
    from attnwidget.surveys.gold_links.reading import InputAndLinks

__all__ = ["PartialSurvey", "Reader"]

# After so many failures, with nothing scored, the call itself is taken to be wrong.
_PATIENCE = 10


@dataclass(frozen=True, slots=True)
class PartialSurvey:
    """The survey of some inputs.

    Attributes:
        survey: Its scores.
        error: Why the first of the inputs could not be recorded, as long as none could.
        inputs: Digest of the inputs, ``""`` where nobody asked for it.
        made_by: Digests of model and tokenizer, where they are known, with their names.
        not_numbers: Heads that had NaN as a score.
    """

    survey: Survey
    error: Exception | None = None
    inputs: str = ""
    made_by: Mapping[str, str] = field(default_factory=dict)
    not_numbers: frozenset[Head] = frozenset()

    @property
    def read(self) -> int:
        """How many inputs it is of, those that could not be recorded among them."""
        return self.survey.read

    @property
    def hopeless(self) -> bool:
        """Whether so many failed, with nothing scored, that the rest would not be better."""
        return not self.survey.count and len(self.survey.skipped) >= _PATIENCE

    def then(self, other: PartialSurvey) -> PartialSurvey:
        """Return this and the inputs after it.

        Inputs whose heads are not those of the inputs before, such as a picture after texts, are skipped.
        """
        found, part = self.survey, other.survey
        # Only inputs that were scored know the model's name.
        if not found.count:
            found = replace(found, model_name=part.model_name)
        elif not part.count:
            part = replace(part, model_name=found.model_name)
        try:
            merged = found.merge(part)
        except ValueError as error:
            reason = reason_of(error)
            skipped = tuple((index, reason) for index in range(part.read))
            part = Survey(found.model_name, {}, 0, skipped, found.examples_kept)
            merged = found.merge(part)
        # An error holds the tensors of its input: it is let go as soon as it will not be raised.
        first = None if merged.count else self.error or other.error
        return PartialSurvey(
            merged,
            first,
            other.inputs,
            self.made_by or other.made_by,
            self.not_numbers | other.not_numbers,
        )

    def fits(self, other: PartialSurvey) -> bool:
        """Whether none of the inputs after it would be skipped for their heads."""
        streams = self.survey.streams
        return all(
            name not in streams or streams[name].moments.layers == found.moments.layers
            for name, found in other.survey.streams.items()
        )


@dataclass(frozen=True, slots=True)
class Reader(HasModel):
    """How each input is read.

    Attributes:
        model: The model, or a function that makes it, or it and its tokenizer.
        tokenizer: Its tokenizer, or ``None``.
        keep: How many typical inputs are kept.
        measure: What is scored.
        options: Passed on to `capture`.
        groups: The grouping whose shares are kept; None for none.
        outputs: Whether the outputs of heads are kept.
        links: How gold links are given; None for none.
        column: The column of a row that is the input; None where inputs are no rows.
        batch_size: Inputs that are read together where they can be.
        contexts: How many contexts are kept for each head and score; 0 for none, and no deciles and counts either.
    """

    model: Any
    tokenizer: Any
    keep: int
    measure: str
    options: Mapping[str, Any]
    groups: By | None = None
    outputs: bool = False
    links: LinksAsked | None = None
    column: str | None = None
    batch_size: int = 1
    contexts: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read of a row, none where inputs are no rows, or rows of one column."""
        linked = self.links is not None and isinstance(self.links.of, str)
        named = (self.column, self.links.of if linked and self.links is not None else None)
        return tuple(name for name in named if name is not None)

    def made_by(self) -> dict[str, str]:
        """Return the digests of model and tokenizer, with their names."""
        return {
            "model": f"{type(self.model).__name__} {model_digest(self.model)}",
            "tokenizer": f"{type(self.tokenizer).__name__} {tokenizer_digest(self.tokenizer)}",
        }

    def nothing(self) -> PartialSurvey:
        """Return the survey of no input."""
        return PartialSurvey(Survey(type(self.model).__name__, {}, 0, examples_kept=self.keep))

    def read(self, one: Any) -> PartialSurvey:
        """Record and score one input; whatever error this meets, the input is skipped."""
        from attnwidget.capture.forward import run_forward  # noqa: PLC0415  brings transformers

        try:
            given = self.given(one)
            record = run_forward(self.model, given.one, self.tokenizer, **self.options)
            return self.of_record(record, given)
        except Exception as error:  # noqa: BLE001  models, tokenizers and inputs raise what they like
            return self.skip(error)

    def given(self, one: Any) -> InputAndLinks:
        """Return an input, out of its row, and its links."""
        return input_and_links(of_row(one, self.column, self.links), self.links)

    def of_record(self, record: Record, given: InputAndLinks) -> PartialSurvey:
        """Score the record of one input.

        Raises:
            Exception: Whatever scoring meets.
        """
        finders = watchers(record, self.contexts)
        scores = [
            score_stream(each, None, self.measure, watcher=finders.get(each.name))
            for each in record.streams.values()
        ]
        shares = group_means(record, self.groups, self.measure)
        using = (self.model, self.tokenizer)
        gold = link_counts(record, self.links, given, using, self.measure)
        found = Survey.of(
            record.model_name,
            scores,
            record.text,
            keep=self.keep,
            groups=shares,
            outputs=head_means(record, wanted=self.outputs),
            links=gold,
            contexts={
                one.stream: StreamContexts.of(record, finders[one.stream], one, self.contexts)
                for one in scores
                if finders
            },
        )
        wrong = frozenset(head for one in scores for head in one.not_numbers)
        return PartialSurvey(found, not_numbers=wrong)

    def skip(self, error: Exception) -> PartialSurvey:
        """Return the survey of an input that could not be recorded."""
        nothing = self.nothing().survey
        return PartialSurvey(replace(nothing, skipped=((0, reason_of(error)),)), error)
