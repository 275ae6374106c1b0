"""`what_if`: run a model with and without an edit, and compare what it says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from attnwidget.attention import Attention
from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.edits.edits import check_edits
from attnwidget.intervene.effect import Effect
from attnwidget.intervene.random_state import same_random_numbers
from attnwidget.intervene.zero_and_mean import with_means

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from attnwidget.capture.forward import Ran
    from attnwidget.edits.edits import Edits
    from attnwidget.metrics.metrics import Metric
    from attnwidget.metrics.outputs import Reading

__all__ = ["effect_of", "what_if"]

_MOST = 5  # choices that are listed of each run


def what_if(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    edit: Edits | None = None,
    *,
    metric: Any = None,
    position: int = -1,
    source: Any = None,
    **options: Any,
) -> Effect:
    """Say what a model would put out if some of its heads did nothing, or a token were another: run it without and with an edit.

    Both runs have the same inputs, but for tokens that the edit names (a target that the model writes itself is written without the edit) and draw the same
    random numbers; the generators are left as they were. Nothing is put on the model.

    Args:
        model: A Hugging Face model.
        inputs: What `capture` takes.
        tokenizer: As for `capture`.
        edit: What is changed: `attnwidget.ablate`, `attnwidget.cut`, `attnwidget.patch`, or tokens of the input,
            `attnwidget.replace` and `attnwidget.mask`.
        metric: What is measured, of the choice at ``position``:

            - left out: the log-probability of what the unedited model would choose: the next token, the masked token where
              a text has one, or its label. Of a model without logits the cosine of its embedding to the unedited one
              (``sentence_embedding``, ``text_embeds``, ``image_embeds``, or the mean of ``last_hidden_state``);
            - a token, its id, or a label: its log-probability. A token is named by the text that would follow, with or
              without its space, or as the tokenizer spells it. A text of several tokens follows the last position: the sum
              of their log-probabilities, each given those before it;
            - a pair of these: the difference of the two logits; of texts of several tokens, of log-probabilities;
            - a function of the model's output that returns one number.
        position: The position that chooses, counted without padding, negative from the end.
        source: Texts, records or a survey that was made with ``outputs=True``: heads that the edit zeroes are set to their
            means over these in a third run, since zero may be an output that the model never met. `Effect.by_mean` is what
            the metric changes by then, `Effect.differs` whether that is something else.
        **options: Passed on to `capture` (``target``, ``batch``, ``layers``, ``store`` …).

    Returns:
        The effect: the metric and the likeliest choices before and after, and both records.

    Raises:
        TypeError: If ``edit`` is no edit, or ``metric`` nothing that can be measured.
        ValueError: If the model has no such heads, they cannot be edited, its output has nothing for ``metric``, no head is
            zeroed that ``source`` could be of, or as `capture` raises.
        IndexError: If there is no such position.

    Example:
        >>> import attnwidget as aw
        >>> model, tokenizer = pocket()
        >>> text = "the cat sat on the mat because it"
        >>> effect = aw.what_if(model, text, tokenizer, aw.ablate(heads=[(3, 3)]), metric="purred")
        >>> effect.before["purred"] > 0.4, effect.after["purred"] < 0.01
        (True, True)
    """
    from attnwidget.capture.edited_runs import run_again, with_sources  # noqa: PLC0415  brings transformers
    from attnwidget.capture.edits.lengths import check_given_lengths  # noqa: PLC0415
    from attnwidget.capture.edits.resolve import with_positions  # noqa: PLC0415
    from attnwidget.capture.forward import check_numbers, run_recorded  # noqa: PLC0415
    from attnwidget.metrics.metrics import make_metric  # noqa: PLC0415
    from attnwidget.metrics.outputs import read_output  # noqa: PLC0415

    edits = check_edits("edit", edit)
    means = None if source is None else with_means(edits, source)
    check_numbers(model)
    with others_set_aside(), same_random_numbers() as restart:
        tokens = edits.of_tokens
        clean = run_recorded(
            model,
            inputs,
            tokenizer,
            token_edits=tokens,
            edited=False,
            check=partial(check_given_lengths, edits),
            **options,
        )
        reading = read_output(clean, position)
        measured = make_metric(clean, reading, metric)
        read = with_positions(with_sources(model, edits, clean.tokenizer), clean.record)
        restart()
        changed = run_again(clean, model, read, edits)
        # What is asked for follows the tokens of the run.
        asked = make_metric(changed, reading, metric) if tokens else measured
        found = effect_of(
            model,
            clean=clean,
            changed=changed,
            edits=edits,
            reading=reading,
            measured=measured,
            measured_changed=asked,
            sources=lambda: read,
            restart=restart,
        )
        if means is None:
            return found
        read = with_positions(with_sources(model, means, clean.tokenizer), clean.record)
        restart()
        ran = run_again(clean, model, read, means)
        value = _value(model, ran, asked, lambda: read, restart)
        return replace(found, by_mean=value - found.value_before)


def effect_of(
    model: nn.Module,
    *,
    clean: Ran,
    changed: Ran,
    edits: Edits,
    reading: Reading,
    measured: Metric,
    measured_changed: Metric | None = None,
    sources: Callable[[], Edits],
    restart: Callable[[], None],
) -> Effect:
    """Compare two runs.

    Args:
        model: The model, for a metric that takes passes of its own.
        clean: Its run without the edit.
        changed: Its run under it.
        edits: The edit.
        reading: How their outputs are read.
        measured: The metric.
        measured_changed: The same of the run under the edit, where its tokens are others.
        sources: Returns the edit with its sources read, where the model has to run again.
        restart: Puts the random generators back to where they were before both runs.
    """
    before_it = _value(model, clean, measured, None, restart)
    asked = measured if measured_changed is None else measured_changed
    under_it = _value(model, changed, asked, sources, restart)
    before, after, kl = _choices(clean, changed, reading)
    return Effect(
        edit=edits,
        metric=measured.name,
        value_before=before_it,
        value_after=under_it,
        kl=kl,
        before=before,
        after=after,
        clean=Attention.of(clean.record),
        changed=Attention.of(changed.record),
    )


def _value(
    model: nn.Module,
    ran: Ran,
    measured: Metric,
    sources: Callable[[], Edits] | None,
    restart: Callable[[], None],
) -> float:
    """Return the metric of a run: off what it returned, or off passes of its own under the edit that ``sources`` reads."""
    if measured.takes_the_pass:
        return float(measured.value([ran.output]))
    edits = None if sources is None else sources()
    restart()
    import torch  # noqa: PLC0415

    from attnwidget.capture.architecture.uncompiled import running_uncompiled  # noqa: PLC0415
    from attnwidget.capture.edited_runs import editing  # noqa: PLC0415

    with running_uncompiled(model), torch.no_grad():
        if edits is None:
            return float(measured.measure(ran))
        with editing(model, edits):
            return float(measured.measure(ran))


def _choices(
    clean: Ran, changed: Ran, reading: Reading
) -> tuple[dict[str, float], dict[str, float], float | None]:
    """Return the probabilities of the likeliest choices without and with the edit, and how far all of them moved."""
    from attnwidget.metrics.metrics import labels_of  # noqa: PLC0415

    if reading.kind not in {"token", "label"}:
        return {}, {}, None
    first, second = (_log_probabilities(reading, ran) for ran in (clean, changed))
    numbers = dict.fromkeys(
        number
        for one in (first, second)
        for number in one.topk(min(_MOST, len(one))).indices.tolist()
    )
    ordered = sorted(numbers, key=lambda number: -float(first[number]))
    labels = labels_of(clean, reading, ordered)
    before, after = (
        {label: float(one[number].exp()) for label, number in zip(labels, ordered, strict=True)}
        for one in (first, second)
    )
    moved = first.exp() * (first - second)
    return before, after, max(float(moved[first > -float("inf")].sum()), 0.0)


def _log_probabilities(reading: Reading, ran: Ran) -> Tensor:
    return reading.logits(ran.output).double().cpu().log_softmax(dim=-1)
