"""`LogitTarget`: the logit, or difference of two, that is attributed, as the output embedding gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.attribution.residual_stream.residual import gradients_of
from attnwidget.compute.checks import listed, shown
from attnwidget.metrics.metrics import choice_of, labels_of

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.attribution.residual_stream.residual import ResidualPass, Through
    from attnwidget.capture.forward import Ran
    from attnwidget.metrics.outputs import Reading

__all__ = ["LogitTarget", "choices_of", "find_target"]


@dataclass(frozen=True, slots=True)
class LogitTarget:
    """What is attributed.

    Attributes:
        name: What it is, in words.
        value: The number, a part of the graph: what the output embedding gives, times the factor.
        head: The output embedding.
        row: Which row of what the output embedding puts out, all its rows counted through.
        factor: How much a logit grows for each unit that the output embedding gives more.
        offset: What the model adds to the logit, or the difference, after its output embedding.
        capped: Whether what the model makes of it is curved: then the number is what it was before, and the factor is 1.
    """

    name: str
    value: Tensor
    head: Through
    row: int
    factor: float
    offset: float
    capped: bool


def choices_of(ran: Ran, reading: Reading, metric: Any) -> tuple[tuple[int, float], ...]:
    """Return the choices whose logits are attributed, each with its sign.

    Args:
        ran: The run.
        reading: How its output is read.
        metric: Nothing (the likeliest choice), a token or label, or a pair of these.

    Raises:
        TypeError: If it is none of these.
        ValueError: If there is no such token or label, or the model has no logits.
    """
    if reading.kind not in {"token", "label"}:
        msg = (
            f"{type(ran.model).__name__} returns no logits, so none can be attributed: attnwidget.effects(model, inputs, "
            "tokenizer) measures an embedding without each head."
        )
        raise ValueError(msg)
    if callable(metric):
        msg = (
            f"direct attribution is of a logit, or the difference of two: metric={shown(metric)} is a function. Pass a token, a "
            "label, or a pair such as metric=('purred', 'barked'), or another method."
        )
        raise TypeError(msg)
    if metric is None:
        return ((int(reading.logits(ran.output).argmax()), 1.0),)
    pair = listed(metric)
    if pair is None:
        return ((choice_of(ran, reading, metric), 1.0),)
    if len(pair) != 2:
        msg = f"a metric of several choices is the difference of two, got {shown(metric)}: pass metric=('purred', 'barked')."
        raise ValueError(msg)
    first, second = (choice_of(ran, reading, one) for one in pair)
    return ((first, 1.0), (second, -1.0))


def find_target(
    ran: Ran, reading: Reading, passed: ResidualPass, choices: tuple[tuple[int, float], ...]
) -> LogitTarget:
    """Find the output embedding of a model, and what becomes of what it puts out, by gradients of the logits.

    Raises:
        ValueError: If no linear map gives the logits.
    """
    logits = reading.logits(passed.output)
    heads = [one for one in passed.through if one.linear and one.value.shape[-1] == len(logits)]
    if not heads or not logits.requires_grad:
        raise ValueError(_no_head(ran, "no linear map after its blocks puts out its logits"))
    head = heads[-1]
    before = head.value.reshape(-1, len(logits))
    found = [_behind(ran, logits, head, number) for number, _ in choices]
    (row, first, _), curved = found[0], any(bent for _, _, bent in found)
    alike = all(
        one == row and (curved or abs(factor - first) <= 1e-5 * abs(first))
        for one, factor, _ in found
    )
    if not alike:
        raise ValueError(
            _no_head(ran, "its logits are made of its output embedding each in another way")
        )
    factor = 1.0 if curved else first
    offset = 0.0
    if not curved:
        offset = sum(
            sign * _added_after(ran, reading, passed.output, before, (number, row, factor))
            for number, sign in choices
        )
    parts = [sign * before[row, number].float().cpu() for number, sign in choices]
    value = factor * torch.stack(parts).sum()
    quoted = [f"“{label}”" for label in labels_of(ran, reading, [number for number, _ in choices])]
    name = " − ".join(f"logit({label})" for label in quoted)
    return LogitTarget(
        name=f"{name} before the model's cap" if curved else name,
        value=value,
        head=head,
        row=row,
        factor=factor,
        offset=offset,
        capped=curved,
    )


def _behind(ran: Ran, logits: Tensor, head: Through, number: int) -> tuple[int, float, bool]:
    """Return of which row of the output embedding a logit is made, how it grows with that, and whether it does so in a curve."""
    (gradient,) = gradients_of(logits[number], [head.value], again=True)
    # Of a cap that has no slope left here, other logits tell the row.
    (whole,) = gradients_of(logits.sum(), [head.value])
    found = (
        [] if whole is None else whole.reshape(-1, len(logits)).any(dim=-1).nonzero()[:, 0].tolist()
    )
    own = None if gradient is None else gradient.reshape(-1, len(logits))
    places = [] if own is None else own.detach().nonzero().tolist()
    if own is None or len(found) != 1 or any(place != [found[0], number] for place in places):
        raise ValueError(
            _no_head(ran, f"a logit is not made of one number that {head.path} puts out")
        )
    row = found[0]
    slope = own[row, number]
    bent = not places
    if slope.requires_grad and not bent:
        (second,) = gradients_of(slope, [head.value])
        bent = second is not None and bool(second.any())
    return row, float(slope.detach()), bent


def _added_after(
    ran: Ran, reading: Reading, output: Any, before: Tensor, at: tuple[int, int, float]
) -> float:
    """Return the constant that a model adds to a logit after its output embedding.

    Raises:
        ValueError: If it is not seen to be the same at all positions.
    """
    number, row, factor = at
    own = reading.logits(output).detach()[number]
    added = own - factor * before[row, number].detach().float()
    scale = max(float(own.abs()), float(before[row].detach().abs().max()) * abs(factor))
    tolerance = 1e-5 * scale if before.dtype in {torch.float32, torch.float64} else 2e-2 * scale
    if float(added.abs()) <= tolerance:
        return 0.0
    logits = output["logits"] if isinstance(output, dict) else output.logits
    whole = logits.detach().reshape(-1, logits.shape[-1])
    others = None
    if len(whole) == len(before) > 1:
        others = whole[:, number].float() - factor * before[:, number].detach().float()
    if others is None or float((others - added).abs().max()) > tolerance:
        raise ValueError(_no_head(ran, "it adds to its logits what is no constant"))
    return float(added)


def _no_head(ran: Ran, why: str) -> str:
    return (
        f"{type(ran.model).__name__} has no direct attribution: {why}. attnwidget.effects(model, inputs, tokenizer) runs it "
        "without each head, which works for every model."
    )
