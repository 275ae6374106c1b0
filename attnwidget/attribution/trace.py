"""`trace`: from what a model says back to the input, over the links that matter, each checked by cutting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.attribution.trace_links import links_back, starts_of
from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.compute.checks import check_count, check_flag, number, shown
from attnwidget.intervene.random_state import same_random_numbers
from attnwidget.record.record import the_stream

if TYPE_CHECKING:
    from torch import nn

    from attnwidget.attribution.trace_result import Trace
    from attnwidget.capture.forward import Ran
    from attnwidget.record.stream import Stream

__all__ = ["trace"]


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
    from attnwidget.attribution.link_checks import LinkChecks  # noqa: PLC0415  brings transformers
    from attnwidget.capture.forward import check_numbers, run_recorded  # noqa: PLC0415
    from attnwidget.metrics.gradients import run_with_gradients  # noqa: PLC0415
    from attnwidget.metrics.metrics import make_metric  # noqa: PLC0415
    from attnwidget.metrics.outputs import read_output  # noqa: PLC0415

    share = _share(threshold)
    most = check_count("budget", budget, least=0)
    rows = check_count("at_once", at_once, least=1)
    kept = check_flag("renormalise", renormalise)
    check_numbers(model)
    with others_set_aside(), same_random_numbers() as restart:
        clean = run_recorded(model, inputs, tokenizer, **options)
        reading = read_output(clean, position)
        measured = make_metric(clean, reading, metric)
        if metric is None and reading.kind == "embedding":
            msg = (
                f"{type(clean.model).__name__} returns no logits, and the {measured.name} is largest as it is, so that its "
                "gradient is 0: pass metric=lambda output: ..., a function that returns one number."
            )
            raise ValueError(msg)
        restart()

        def run(given: Any, **more: Any) -> Ran:
            return run_recorded(model, given, tokenizer, **{**options, **more})

        graded = run_with_gradients(run, inputs, metric, position)
        traced = _stream(graded, stream)
        found = links_back(traced.layers, starts_of(traced.layers[-1]), share)
        checks = LinkChecks(model, clean, measured, restart, traced, kept, rows)
        return checks.run(found, share, most)


def _share(threshold: object) -> float:
    found = number(threshold)
    if found is None or not 0 < found <= 1:
        message = f"threshold must be a share of the largest link, above 0 and at most 1, got {shown(threshold)}: pass threshold=0.02."
        raise ValueError(message)
    return float(found)


def _stream(ran: Ran, name: str | None) -> Stream:
    """Return the stream that is traced.

    Raises:
        ValueError: If there is no such stream, or none that can be traced.
    """
    try:
        stream = the_stream(ran.record, name)
    except KeyError as error:
        raise ValueError(str(error.args[0])) from None
    if stream.query_positions != stream.key_positions:
        message = (
            f"a trace follows queries and keys that are the same positions, and those of stream {stream.name!r} are "
            f"{len(stream.query_positions)} queries and {len(stream.key_positions)} keys of its own: name another stream, and "
            "leave positions= and past_key_values out."
        )
        raise ValueError(message)
    return stream
