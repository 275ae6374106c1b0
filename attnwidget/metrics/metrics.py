"""`Metric`: the number in which an effect is measured: a log-probability, a difference of logits, a cosine, or the caller's own."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from attnwidget.capture.positions.labels import token_labels
from attnwidget.capture.positions.vocabulary import is_tokenizer
from attnwidget.compute.checks import integer, listed, shown
from attnwidget.metrics.answers import Answer, answer_inputs, spelled
from attnwidget.metrics.outputs import mask_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from attnwidget.capture.forward import Ran
    from attnwidget.metrics.outputs import Reading

__all__ = ["Metric", "choice_of", "labels_of", "make_metric", "words_of"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that is read off what a model returns.

    Attributes:
        name: What it is, in words.
        inputs: For each pass that it takes, what the model is given by name beside, or in place of, what it was given.
        value: The number, a scalar tensor, of what these passes returned.
        short: The same number, but for rounding, off a pass that computes less, where there may be one.
    """

    name: str
    value: Callable[[list[Any]], Tensor]
    inputs: tuple[Mapping[str, Any], ...] = field(default=({},))
    short: Metric | None = None

    @property
    def takes_the_pass(self) -> bool:
        """Whether it is read off a pass on the very inputs."""
        return self.inputs == ({},)

    def measure(self, ran: Ran) -> Tensor:
        """Run the model for it, as it is at present, and return the number."""
        outputs = [ran.model(*ran.args, **{**ran.kwargs, **one}) for one in self.inputs]
        return self.value(outputs)


def make_metric(ran: Ran, reading: Reading, metric: Any) -> Metric:
    """Make a metric of what a caller gave.

    Args:
        ran: The unedited run.
        reading: How its output is read.
        metric: Nothing, a token or label, a pair, an answer, or a function of the model's output.

    Raises:
        ValueError: If the model's output has nothing of the kind, or a function returns no single number.
        TypeError: If it is none of these.
    """
    if callable(metric):
        return _own(ran, metric)
    if reading.kind in {"embedding", "nothing"}:
        if metric is not None or reading.kind == "nothing":
            msg = (
                f"{type(ran.model).__name__} returns no logits, so metric={shown(metric)} cannot be read off it: it returns "
                f"{_named(ran.output)}. Pass metric=lambda output: ..., a function that returns one number"
                f"{', or leave it out for the cosine of its embedding' if reading.kind == 'embedding' else ''}."
            )
            raise ValueError(msg)
        return _cosine(ran, reading)
    if metric is None:
        best = int(reading.logits(ran.output).argmax())
        return _log_probability(ran, reading, Answer((best,)))
    pair = listed(metric)
    if pair is None:
        return _log_probability(ran, reading, _answer(ran, reading, metric))
    if len(pair) != 2:
        msg = f"a metric of several choices is the difference of two, got {shown(metric)}: pass metric=('purred', 'barked')."
        raise ValueError(msg)
    return _difference(ran, reading, *(_answer(ran, reading, one) for one in pair))


def choice_of(ran: Ran, reading: Reading, given: Any) -> int:
    """Return the number of one token or label that a caller named.

    Raises:
        TypeError: If it names none.
        ValueError: If there is no such, or it is several tokens.
    """
    answer = _answer(ran, reading, given)
    if len(answer.ids) > 1:
        msg = f"{answer.text!r} is {len(answer.ids)} tokens, {token_labels(list(answer.ids), words_of(ran))}: name one of them."
        raise ValueError(msg)
    return answer.ids[0]


def labels_of(ran: Ran, reading: Reading, numbers: list[int]) -> list[str]:
    """Return how choices are called, tokens as records label them; each once."""
    if reading.kind == "label":
        found = [reading.names[number] for number in numbers]
    else:
        found = token_labels(numbers, words_of(ran))
    twice = {label for label in found if found.count(label) > 1}
    return [
        f"{label} ({number})" if label in twice else label
        for label, number in zip(found, numbers, strict=True)
    ]


def words_of(ran: Ran) -> Any:
    """Return the tokenizer of a run that says what tokens read, or ``None``."""
    words = getattr(ran.tokenizer, "tokenizer", ran.tokenizer)
    return words if is_tokenizer(words) else None


def _answer(ran: Ran, reading: Reading, given: Any) -> Answer:
    """Return the choice, or the tokens of an answer, that a caller named."""
    count = len(reading.logits(ran.output))
    number = integer(given)
    if number is not None:
        if not 0 <= number < count:
            msg = f"metric {number} is none of the {count} {reading.kind}s, 0 .. {count - 1}."
            raise ValueError(msg)
        return Answer((number,))
    if not isinstance(given, str):
        msg = f"metric must be nothing, a {reading.kind}, a pair of such, or a function of the model's output, got {shown(given)}."
        raise TypeError(msg)
    if reading.kind == "label":
        if given not in reading.names:
            msg = f"no label {given!r}; the model's labels are {list(reading.names[:20])}."
            raise ValueError(msg)
        return Answer((reading.names.index(given),))
    return spelled(words_of(ran), given, reading.logits(ran.output))


def _log_probability(ran: Ran, reading: Reading, answer: Answer) -> Metric:
    def made(reading: Reading, given: Mapping[str, Any], short: Metric | None = None) -> Metric:
        return Metric(name, lambda outputs: _summed(reading, answer, outputs[0]), (given,), short)

    name = f"log p({_quoted(ran, reading, answer)})"
    extra = _extra(ran, reading, answer)
    return made(reading, extra, None if extra else _short(ran, reading, made))


def _difference(ran: Ran, reading: Reading, first: Answer, second: Answer) -> Metric:
    names = _quoted(ran, reading, first), _quoted(ran, reading, second)
    if len(first.ids) == len(second.ids) == 1:

        def made(reading: Reading, given: Mapping[str, Any], short: Metric | None = None) -> Metric:
            def logits(outputs: list[Any]) -> Tensor:
                found = reading.logits(outputs[0])
                return found[first.ids[0]] - found[second.ids[0]]

            return Metric(f"logit({names[0]}) − logit({names[1]})", logits, (given,), short)

        return made(reading, {}, _short(ran, reading, made))

    def summed(outputs: list[Any]) -> Tensor:
        return _summed(reading, first, outputs[0]) - _summed(reading, second, outputs[1])

    extra = tuple(_extra(ran, reading, answer) for answer in (first, second))
    return Metric(f"log p({names[0]}) − log p({names[1]})", summed, extra)


def _short(
    ran: Ran, reading: Reading, made: Callable[[Reading, Mapping[str, Any]], Metric]
) -> Metric | None:
    """Return a metric off a pass that computes the logits of one position, where the model can be asked for that."""
    known = inspect.signature(ran.model.forward).parameters
    if reading.kind != "token" or reading.at is None or "logits_to_keep" not in known:
        return None
    if "logits_to_keep" in ran.kwargs or ran.kwargs.get("labels") is not None:
        return None
    device = reading.logits(ran.output).device
    return made(
        replace(reading, at=0), {"logits_to_keep": torch.tensor([reading.at], device=device)}
    )


def _extra(ran: Ran, reading: Reading, answer: Answer) -> dict[str, Any]:
    return {} if len(answer.ids) == 1 else answer_inputs(ran, reading, answer)


def _summed(reading: Reading, answer: Answer, output: Any) -> Tensor:
    """Sum the log-probabilities of an answer's tokens, each after those before it."""
    if len(answer.ids) == 1:
        return reading.logits(output).log_softmax(dim=-1)[answer.ids[0]]
    assert reading.at is not None  # noqa: S101  (of tokens)
    logits = output["logits"][reading.row, reading.at : reading.at + len(answer.ids)].float()
    ids = torch.tensor(answer.ids, device=logits.device)
    summed: Tensor = logits.log_softmax(dim=-1).gather(-1, ids[:, None]).sum()
    return summed


def _quoted(ran: Ran, reading: Reading, answer: Answer) -> str:
    parts = (labels_of(ran, reading, [number])[0] for number in answer.ids)
    return f"“{answer.text or ' '.join(parts)}”"


def _cosine(ran: Ran, reading: Reading) -> Metric:
    mask = mask_of(ran)
    clean = reading.vector(ran.output, mask).detach()

    def cosine(outputs: list[Any]) -> Tensor:
        return functional.cosine_similarity(reading.vector(outputs[0], mask), clean, dim=0)

    return Metric(f"cosine of {reading.embedding} to the unedited one", cosine)


def _own(ran: Ran, metric: Callable[[Any], Any]) -> Metric:
    name = getattr(metric, "__name__", "metric")

    def value(outputs: list[Any]) -> Tensor:
        found = torch.as_tensor(metric(outputs[0]))
        if found.numel() != 1 or found.dtype == torch.bool or found.is_complex():
            msg = f"metric must return one number, such as output.logits[0, -1, 5], got {shown(found)}."
            raise ValueError(msg)
        return found.reshape(())

    value([ran.output])
    return Metric(name if name != "<lambda>" else "metric", value)


def _named(output: Any) -> str:
    keys = list(output) if isinstance(output, dict) else [type(output).__name__]
    return ", ".join(map(str, keys))
