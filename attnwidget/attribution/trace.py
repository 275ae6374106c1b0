"""`trace`: from what a model says back to the input, over the links that matter, each checked by cutting it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import check_count, check_flag, number, shown
from attnwidget.compute.resumable import finish

if TYPE_CHECKING:
    from torch import nn

    from attnwidget.attribution.trace_result import Trace

__all__ = ["check_threshold", "trace"]


def trace(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    *,
    metric: Any = None,
    position: int = -1,
    threshold: float = 0.02,
    budget: int = 48,
    stream: str | None = None,
    renormalise: bool = True,
    at_once: int = 12,
    **options: Any,
) -> Trace:
    """Trace what a model says back to its input: the links, over all layers and heads, that it depends on.

    A link of a head is the weight ``w_ij`` with which query ``i`` reads key ``j``. To first order the metric ``m`` loses
    ``w_ij · ∂m/∂w_ij`` without it; of all links that takes one pass forward and one back, as with output ``o_i = Σ_j w_ij v_j``
    of the head ``∂m/∂w_ij = ∂m/∂o_i · v_j``. From the last layer to the first those links are kept that are at least
    ``threshold`` of the largest and whose query is reached: it is where the metric is read, or a key of a link kept in a
    later layer. (A position that is reached stays so below, as the residual stream carries it on.)

    An estimate of a weight near 1 says little, so the links, the largest estimate first, are then cut, one by one, and
    the change of the metric is measured by running the model: ``m(without the link) − m``, as `what_if` of `cut` does it.
    Several links of a layer run in one pass, each in a row of its batch, where the model's batch allows it and the rows
    prove right (see `effects`). The change replaces the estimate: links that turn out to be less than ``threshold`` of the
    largest are left out, and so is what is reached through them alone.

    Args:
        model: A Hugging Face model.
        inputs: What `capture` takes.
        tokenizer: As for `capture`.
        metric: As for `what_if`; a difference of answers of several tokens, of which each takes a pass of its own, has no
            gradients.
        position: As for `what_if`.
        threshold: Least size of a link, as a share of the largest, above 0 and at most 1.
        budget: How many links are cut at most; those after them keep their estimates. Each takes a pass of the model, or
            its share of one. 0 for estimates alone.
        stream: Name of the stream, as records call it; may be left out where there is one only.
        renormalise: As for `cut`: whether the weights that are left are made to add up to what all of them did.
        at_once: How many links of a layer may be cut in one pass, at most: fewer need less memory.
        **options: Passed on to `capture` (``target``, ``batch``, ``store`` …).

    Returns:
        The links, the largest first, with the effect of cutting them all at once.

    Raises:
        TypeError, IndexError: As `what_if` raises.
        ValueError: If the model has several streams and none is named, queries and keys of the stream are not the same
            positions, its layers have no gradients, the model has no logits and no ``metric`` is given, or a number is not what it must be.

    Warns:
        UserWarning: If links of a layer cannot be cut: they keep their estimates.

    Example:
        >>> import attnwidget as aw
        >>> model, tokenizer = pocket()
        >>> found = aw.trace(model, "the cat sat on the mat because it", tokenizer, metric="purred")
        >>> link = found.links[0]
        >>> (link.layer, link.head), found.labels[link.query], found.labels[link.key]
        ((3, 3), 'it', 'cat')
        >>> round(link.change, 2)
        -4.97
    """
    from attnwidget.attribution.runs import Call  # noqa: PLC0415  brings transformers
    from attnwidget.attribution.sliced_trace import SlicedTrace  # noqa: PLC0415

    sliced = SlicedTrace(
        threshold=check_threshold(threshold),
        budget=check_count("budget", budget, least=0),
        stream=stream,
        renormalise=check_flag("renormalise", renormalise),
        at_once=check_count("at_once", at_once, least=1),
    )
    try:
        finish(sliced.work(Call(model, inputs, tokenizer, metric, position, options)))
    except KeyboardInterrupt:
        # Before the links are known there is nothing to return.
        if sliced.trace is None:
            raise
    found = sliced.trace
    assert found is not None  # noqa: S101  (its work has ended)
    for note in sliced.notes:
        warnings.warn(note, stacklevel=2)
    return found


def check_threshold(threshold: object) -> float:
    """Return a share of the largest link, which others must have at least.

    Raises:
        ValueError: If it is none.
    """
    found = number(threshold)
    if found is None or not 0 < found <= 1:
        message = f"threshold must be a share of the largest link, above 0 and at most 1, got {shown(threshold)}: pass threshold=0.02."
        raise ValueError(message)
    return float(found)
