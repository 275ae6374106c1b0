"""`effects`: what each head of a model is worth on one input, by running the model without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.compute.checks import check_choice, check_count
from attnwidget.edits.ablation import HOW
from attnwidget.intervene.effects_table import Effects
from attnwidget.intervene.random_state import same_random_numbers

if TYPE_CHECKING:
    from torch import nn

    from attnwidget.edits.ablation import How

__all__ = ["effects"]


def effects(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    *,
    metric: Any = None,
    how: How = "zero",
    source: Any = None,
    position: int = -1,
    at_once: int = 12,
    **options: Any,
) -> Effects:
    """Run a model without each of its heads, and say how much a metric changes.

    The effect of head ``h`` is ``m(o_h ← o'_h) − m``: the metric under `ablate` of this head alone, less the metric without
    it; exact, but for rounding. A small one is no proof that a head is of no use: another may do the same. A change no
    larger than that between two runs without any edit is 0.

    Where the model's batch allows it, several heads of a layer run in one pass, each in a row of its own: the batch grows
    where the layer hands its output to the output projection, so that what comes before runs once, or has its rows from
    the start. Every such pass has a row with all heads, which must be the clean run, and of each kind of layer one head
    is compared with a pass of its own, both to 1e-5 of what the model returns; otherwise heads are run one by one.
    `Effects.ways` says which way was taken.

    The first-order estimate ``Σ_i (o'_h[i] − o_h[i]) · ∂m/∂o_h[i]`` (Michel, Levy & Neubig 2019; Nanda 2023, Attribution
    Patching) of all heads takes one pass forward and one back. It is there beside the effects, where the metric can be
    differentiated and the module attends through transformers' interface, and layers and heads are run in its order.
    Ctrl-C, or the notebook's stop button, ends the run early: what was done is returned.

    Args:
        model: A Hugging Face model.
        inputs: What `capture` takes.
        tokenizer: As for `capture`.
        metric: As for `what_if`.
        how: As for `ablate`: ``"zero"``, ``"mean"`` or ``"resample"``.
        source: As for `ablate`: texts or records.
        position: As for `what_if`.
        at_once: How many heads of a layer may be run in one pass, at most: fewer need less memory. With 1 each head has a
            pass of its own.
        **options: Passed on to `capture`; ``streams`` and ``layers`` say which heads are run.

    Returns:
        A table of the effects, the largest first.

    Raises:
        TypeError, ValueError, IndexError: As `what_if` and `ablate` raise.

    Warns:
        UserWarning: If the heads of a layer cannot be edited; their effect is not a number.

    Example:
        >>> import attnwidget as aw
        >>> model, tokenizer = pocket()
        >>> found = aw.effects(model, "the cat sat on the mat because it", tokenizer, metric="purred")
        >>> int(found.to_dataframe().iloc[0]["layer"]), found["decoder"].shape
        (3, (4, 4))
    """
    from attnwidget.capture.forward import check_numbers, run_recorded  # noqa: PLC0415  brings transformers
    from attnwidget.intervene.metrics import make_metric  # noqa: PLC0415
    from attnwidget.intervene.outputs import read_output  # noqa: PLC0415
    from attnwidget.intervene.sweep import Sweep  # noqa: PLC0415

    check_choice("how", how, HOW)
    most = check_count("at_once", at_once, least=1)
    check_numbers(model)
    with others_set_aside(), same_random_numbers() as restart:
        clean = run_recorded(model, inputs, tokenizer, **options)
        measured = make_metric(clean, read_output(clean, position), metric)
        sweep = Sweep(model, clean, measured, restart, at_once=most)
        found = sweep.begin(how, source)
        interrupted = False
        try:
            for _ in sweep.steps():
                pass
        except KeyboardInterrupt:
            interrupted = True
    return Effects(measured.name, how, sweep.value, found, interrupted, sweep.noise, sweep.ways)
