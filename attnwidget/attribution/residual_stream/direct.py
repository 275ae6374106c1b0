"""`direct_attribution`: what each head, and each other part of the residual stream, adds to a logit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from attnwidget.attribution.residual_stream.direct_result import (
    DirectAttribution,
    OtherPart,
    Promoted,
    StreamContributions,
)
from attnwidget.attribution.residual_stream.head_parts import HeadParts, head_parts
from attnwidget.attribution.residual_stream.logit_target import choices_of, find_target
from attnwidget.attribution.residual_stream.residual import ResidualPass, gradients_of
from attnwidget.attribution.residual_stream.stack import find_stack
from attnwidget.metrics.metrics import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnwidget.attribution.residual_stream.logit_target import LogitTarget
    from attnwidget.attribution.residual_stream.stack import Stack
    from attnwidget.capture.forward import Ran
    from attnwidget.metrics.outputs import Reading

__all__ = ["direct_attribution"]

# How far the parts may be from the logit, of the largest of them: what rounding makes of sums of the model's dtype.
_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-5}
_LOOSE = 5e-2


def direct_attribution(ran: Ran, reading: Reading, metric: Any = None) -> DirectAttribution:
    """Say what each part of the residual stream adds to a logit (direct logit attribution).

    The stream is a sum of its first state and of what each head and each other module adds to it. With the scale of each
    norm held at what it was, the logit is the sum of what each of them adds to it: for a head, ``W_U · norm · W_O,h · o_h``.
    That it is, for the model at hand, is checked by adding up.

    The model runs twice more. How its blocks are made is not asked: whatever multiplies by a matrix is cut off from what it
    was given, so that gradients of the logit flow along the stream alone, and norms are recognised by their numbers.

    Args:
        ran: A recorded run of the model.
        reading: How its output is read; the position that chooses.
        metric: Nothing (the likeliest choice), a token or label, or a pair of these, the difference of whose logits is
            attributed.

    Returns:
        What each part adds. It keeps the model, to answer `DirectAttribution.promotes`.

    Raises:
        TypeError: If ``metric`` is none of these.
        ValueError: If the parts do not add up to the logit, or a head's output cannot be told from what its projection is
            given.
    """
    choices = choices_of(ran, reading, metric)
    _check_run(ran)
    stack = find_stack(ran)
    passed = ResidualPass.of(ran, stack)
    target = find_target(ran, reading, passed, choices)
    ends = [part.value for part in passed.parts] + [one.value for one in passed.through]
    gradients = gradients_of(target.value, ends)
    of_parts = gradients[: len(passed.parts)]
    added = [
        0.0 if gradient is None else _product(gradient, part.value)
        for part, gradient in zip(passed.parts, of_parts, strict=True)
    ]
    biases = [
        _OfBias(one.path, _product(gradient, one.bias.detach().expand_as(gradient)))
        for one, gradient in zip(passed.through, gradients[len(passed.parts) :], strict=True)
        if gradient is not None and one.bias is not None
    ]
    if target.offset:
        biases.append(_OfBias("added to the logits", target.offset))
    total = float(target.value.detach()) + target.offset
    _check_sum(ran, stack, passed, target, [*added, *(one.value for one in biases)])
    heads = head_parts(ran, stack, passed.parts, of_parts)
    of_heads = {id(one.part) for one in heads}
    others = [
        OtherPart(part.kind, part.path, part.block, value)
        for part, value in zip(passed.parts, added, strict=True)
        if id(part) not in of_heads and value
    ]
    others += [OtherPart("bias", one.part.path, one.layer, one.bias) for one in heads if one.bias]
    others += [OtherPart("bias", one.path, None, one.value) for one in biases if one.value]
    return DirectAttribution(
        metric=target.name,
        value=total,
        position=heads[0].query,
        streams=_streams(heads),
        others=tuple(others),
        source=ran.record,
        # The logits of all positions are not kept.
        projected=_projecting(replace(ran, output=None), reading, target, heads),
    )


class _OfBias(NamedTuple):
    """What the bias of one module adds."""

    path: str
    value: float


def _check_run(ran: Ran) -> None:
    if ran.kwargs.get("past_key_values") is not None:
        msg = (
            "direct attribution runs the model again, and past_key_values are changed by each run: give it the whole text "
            "as input_ids."
        )
        raise ValueError(msg)


def _product(gradient: Tensor, value: Tensor) -> float:
    """Return the sum of products, in float64, of rows that have a gradient."""
    flat, other = (one.detach().reshape(-1, one.shape[-1]) for one in (gradient, value))
    rows = flat.any(dim=-1).nonzero()[:, 0]
    return float((flat[rows].cpu().double() * other[rows].cpu().double()).sum())


def _check_sum(
    ran: Ran, stack: Stack, passed: ResidualPass, target: LogitTarget, values: list[float]
) -> None:
    """Refuse where the parts are not the logit."""
    total = float(target.value.detach()) + target.offset
    scale = max(abs(total), *map(abs, values))
    tolerance = _TOLERANCE.get(target.head.value.dtype, _LOOSE)
    apart = abs(sum(values) - total)
    if apart <= tolerance * scale:
        return
    between = f"between {stack.calls[0]} and {target.head.path}"
    maps = [one.path for one in passed.through if one.linear and one is not target.head]
    where = f"after {' and '.join(maps)}, {between}" if maps else between
    msg = (
        f"the parts of {type(ran.model).__name__}'s residual stream do not add up to {target.name}: they come to "
        f"{sum(values):.6g}, and it is {total:.6g}. Something {where}, is neither a sum, nor a linear map, nor a norm, such as an "
        "activation, so no direct attribution can be made. attnwidget.effects(model, inputs, tokenizer) runs it without each "
        "head, which works for every model."
    )
    raise ValueError(msg)


def _streams(heads: list[HeadParts]) -> dict[str, StreamContributions]:
    found: dict[str, list[HeadParts]] = {}
    for one in heads:
        found.setdefault(one.stream, []).append(one)
    return {
        name: StreamContributions.of(
            {one.layer: one.contributions for one in each},
            {one.layer: one.gradient for one in each},
        )
        for name, each in found.items()
    }


def _projecting(
    ran: Ran, reading: Reading, target: LogitTarget, heads: list[HeadParts]
) -> Callable[[str, int, int, int], tuple[Promoted, ...]]:
    """Return what projects a head's output onto all tokens: those it promotes, or with a negative count suppresses."""
    by_name = {(one.stream, one.layer): one for one in heads}
    head, given = target.head.module, target.head.given
    at, factor = target.row, target.factor
    zero: Tensor | None = None

    def project(stream: str, layer: int, number: int, count: int) -> tuple[Promoted, ...]:
        nonlocal zero
        one = by_name[stream, layer]
        value = one.part.value
        with torch.inference_mode(mode=False), torch.enable_grad():
            # A map that is linear, applied by differentiating its transpose.
            seed = torch.zeros_like(given, requires_grad=True)
            (back,) = torch.autograd.grad(
                given, value, grad_outputs=seed, create_graph=True, retain_graph=True
            )
            rows = back.reshape(-1, back.shape[-1])
            (moved,) = torch.autograd.grad(
                (rows[one.row] * one.output_of(number).to(rows)).sum(), seed
            )
        with torch.no_grad():
            state = moved.reshape(-1, moved.shape[-1])[at]
            zero = head(torch.zeros_like(state)) if zero is None else zero
            logits = factor * (head(state) - zero).float()
        top = (logits if count > 0 else -logits).topk(min(abs(count), len(logits))).indices
        numbers = top.tolist()
        labels = labels_of(ran, reading, numbers)
        return tuple(
            Promoted(label, number, float(logits[number]))
            for label, number in zip(labels, numbers, strict=True)
        )

    return project
