"""Inputs of a survey that are read several at a time, in padded batches, where that finds what one by one finds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from attnwidget.capture.padded_batch import PaddedPass, Tokens
    from attnwidget.record.record import Record
    from attnwidget.surveys.gold_links.reading import InputAndLinks
    from attnwidget.surveys.reader import PartialSurvey, Reader
    from attnwidget.surveys.survey import Survey

__all__ = ["TOLERANCE", "Batches", "batches_of", "why_not_padded"]

TOLERANCE = 1e-5
"""How far anything that is kept of an input may differ from what it is one by one."""

# So many batches are put in order of length at a time: their inputs are held.
_BATCHES = 8

# Options of `capture` that change neither inputs nor positions.
_HARMLESS = frozenset({"layer", "layers"})


def why_not_padded(measure: str, options: Iterable[str]) -> str | None:
    """Return why a survey of these settings reads inputs one by one, if it does."""
    if measure == "norm":
        return "measure='norm' looks at the output projection of each"
    others = sorted(set(options) - _HARMLESS)
    return f"{others[0]}= is given" if others else None


@dataclass(slots=True)
class _Held:
    """An input that waits for its batch.

    Attributes:
        one: The input.
        digest: The digest of all inputs up to it.
        given: It and its links; None where it is read alone.
        tokens: Its tokens; None where it is read alone.
        found: What was found in it, once it was read.
    """

    one: Any
    digest: str
    given: InputAndLinks | None = None
    tokens: Tokens | None = None
    found: PartialSurvey | None = None


@dataclass(slots=True)
class Batches:
    """Reads inputs in batches of similar length; what is yielded is in the order of the inputs, and the same each time.

    The first batch is read one by one besides, and so is the longest text of each batch that is longer than all that were
    compared: where anything differs, all that are as long are read one by one.

    Attributes:
        reader: How one input is read.
        size: Inputs of a batch.
        why_not: Why inputs are read one by one, once they are.
        padded: How texts are read together, once one was read.
        alone: Why the first input was read alone that was not read in a batch; None where none was.
        told: Whether it was said that nothing can be padded.
        proved: Tokens of the longest text of which both ways were compared.
        most: Tokens of the longest text that is read with others.
    """

    reader: Reader
    size: int
    why_not: str | None = None
    padded: PaddedPass | None = None
    alone: str | None = None
    told: bool = False
    proved: int = 0
    most: float = field(default=float("inf"))

    def read(self, inputs: Iterable[tuple[Any, str]]) -> Generator[PartialSurvey, None, None]:
        """Read inputs, each with its digest; what they raise is raised after all inputs before are read."""
        held: list[_Held] = []
        error: Exception | None = None
        every = iter(inputs)
        while error is None:
            try:
                one, digest = next(every)
                held.append(_Held(one, digest))
            except Exception as found:  # noqa: BLE001  raised below, StopIteration aside
                error = found
            if held and (error is not None or len(held) == self.size * _BATCHES):
                yield from self._read(held)
                held = []
        if not isinstance(error, StopIteration):
            raise error

    def _read(self, held: Sequence[_Held]) -> Generator[PartialSurvey, None, None]:
        if self.why_not is None:
            for each in held:
                self._prepare(each)
            ready = [each for each in held if each.tokens is not None]
            if not ready:
                self._say_nothing_is_padded(len(held))
            ready.sort(key=lambda each: len(each.tokens or ()))
            for start in range(0, len(ready), self.size):
                self._batch(ready[start : start + self.size])
        for each in held:
            found = self.reader.read(each.one) if each.found is None else each.found
            each.found = None
            yield replace(found, inputs=each.digest)

    def _prepare(self, held: _Held) -> None:
        from attnwidget.capture.padded_batch import tokens_of  # noqa: PLC0415  brings transformers

        try:
            held.given = self.reader.given(held.one)
            tokens = tokens_of(self.reader.model, held.given.one, self.reader.tokenizer)
        except Exception:  # noqa: BLE001  read alone it says what is wrong
            return
        if isinstance(tokens, str):
            self.alone = self.alone or tokens
        else:
            held.tokens = tokens

    def _say_nothing_is_padded(self, count: int) -> None:
        """Warn once that none of so many inputs, the first of all, can be read with others."""
        if self.told or self.padded is not None or self.alone is None:
            return
        self.told = True
        first = f"the first {count} inputs are" if count > 1 else "the first input is"
        warnings.warn(
            f"batch_size={self.size}: {first} read one by one, as none can be padded: {self.alone}.",
            stacklevel=2,
        )

    def _batch(self, batch: Sequence[_Held]) -> None:
        """Read a batch, unless it is found out that it cannot be; what has nothing found then is read alone."""
        batch = [
            each for each in batch if each.tokens is not None and len(each.tokens) <= self.most
        ]
        if len(batch) < 2 or self.why_not is not None:
            return
        if self.padded is None and not self._begin(batch[-1]):
            return
        texts = [each.tokens for each in batch if each.tokens is not None]
        try:
            records = [] if self.padded is None else self.padded.read(texts)
        except Exception as error:  # noqa: BLE001  one by one says which it is of
            if not self.proved:
                self._end(f"{type(error).__name__}: {error}")
            return
        found = [self._found(record, each) for record, each in zip(records, batch, strict=True)]
        compared = range(len(batch)) if not self.proved else [len(batch) - 1] * (len(texts[-1]) > self.proved)  # fmt: skip
        for number in compared:
            alone = self.reader.read(batch[number].one)
            difference = _difference(found[number], alone)
            if difference is not None:
                if not self.proved:
                    self._end(f"{difference} differs by more than {TOLERANCE:g}")
                else:
                    self.most = self.proved
                return
        self.proved = max(self.proved, len(texts[-1]))
        for each, one in zip(batch, found, strict=True):
            each.found = one

    def _begin(self, held: _Held) -> bool:
        """Record the longest text alone, as the one that the others are read like."""
        from attnwidget.capture.forward import run_forward  # noqa: PLC0415  brings transformers
        from attnwidget.capture.padded_batch import padded_pass  # noqa: PLC0415

        reader = self.reader
        try:
            one = held.given.one if held.given is not None else held.one
            record = run_forward(reader.model, one, reader.tokenizer, **reader.options)
        except Exception:  # noqa: BLE001  another may do
            return False
        found = padded_pass(reader.model, record, reader.tokenizer)
        if isinstance(found, str):
            self._end(found)
            return False
        self.padded = found
        return True

    def _found(self, record: Record, held: _Held) -> PartialSurvey:
        try:
            assert held.given is not None  # noqa: S101  (it has tokens)
            return self.reader.of_record(record, held.given)
        except Exception as error:  # noqa: BLE001  as read alone
            return self.reader.skip(error)

    def _end(self, why: str) -> None:
        self.why_not = why
        warnings.warn(
            f"batch_size={self.size}: the inputs are read one by one ({why}).", stacklevel=2
        )


def batches_of(reader: Any) -> Batches | None:
    """Return what reads several inputs together, where a reader was asked to; it learns as it reads."""
    size = getattr(reader, "batch_size", 1)
    return None if size == 1 else Batches(reader, size)


def _difference(found: PartialSurvey, alone: PartialSurvey) -> str | None:
    """Return what differs between an input read in a batch and alone, if anything does."""
    first, second = found.survey, alone.survey
    if (first.model_name, first.count, first.skipped, dict(first.texts)) != (
        second.model_name, second.count, second.skipped, dict(second.texts)
    ):  # fmt: skip
        return "what can be recorded"
    every, others = _numbers(first), _numbers(second)
    if len(every) != len(others):
        return "what is there to score"
    for (name, one), (other_name, other) in zip(every, others, strict=True):
        if name != other_name or one.shape != other.shape:
            return "what is there to score"
        if not np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
            return name
    return None


def _numbers(survey: Survey) -> list[tuple[str, Any]]:
    """Return all numbers that are kept of an input, named."""
    named: list[tuple[str, Any]] = []
    for stream, found in survey.streams.items():
        moments = found.moments
        named += [
            (f"heads of {stream}", np.array(moments.layers)),
            (f"a score of {stream}", moments.mean),
        ]
        named += [(f"rows of {stream}", moments.rows), (f"inputs of {stream}", moments.count)]
        if found.groups is not None:
            named.append((f"a share of groups of {stream}", found.groups.mean))
        for each in () if found.outputs is None else found.outputs.at:
            named.append((f"an output of {stream}", each))
        if found.contexts is not None:
            # Their values alone: of two that are all but equal either may come first.
            named.append((f"contexts of {stream}", found.contexts.places.value))
        if found.links is not None:
            named += [
                (f"links of {stream}", found.links.counts),
                (f"weight of links of {stream}", found.links.weight),
            ]
    return named
