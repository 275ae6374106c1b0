"""`effects`: what each head of a model is worth on one input, by running the model without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.compute.checks import check_choice, check_count
from attnwidget.edits.ablation import HOW
from attnwidget.intervene.effects_table import Effects
from attnwidget.intervene.random_state import same_random_numbers

if TYPE_CHECKING:
    from torch import nn

    from attnwidget.edits.ablation import Ablation, How
    from attnwidget.intervene.several_texts import EffectsOverTexts

__all__ = ["effects"]


@overload
def effects(
    model: nn.Module,
    inputs: list[str],
    tokenizer: Any = None,
    *,
    batch: None = None,
    **options: Any,
) -> EffectsOverTexts: ...
@overload
def effects(model: nn.Module, inputs: Any, tokenizer: Any = None, **options: Any) -> Effects: ...
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
    progress: bool = True,
    **options: Any,
) -> Effects | EffectsOverTexts:
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

    A list of texts is several inputs: each is run on its own, and the table has mean, spread, confidence interval and sign
    of each head over them. Running sums are kept and no records, so that memory does not grow with their number. (To
    `capture` such a list is a batch of which ``batch=`` picks one; so it is here with ``batch=``. A tuple is a pair of
    texts that the model reads as one input, a list of messages is one chat; a list of chats is several inputs.) A text
    after the first that cannot be run is skipped and listed in `EffectsOverTexts.skipped`.

    Args:
        model: A Hugging Face model.
        inputs: What `capture` takes, or a list of texts.
        tokenizer: As for `capture`.
        metric: As for `what_if`.
        how: As for `ablate`: ``"zero"``, ``"mean"`` or ``"resample"``.
        source: As for `ablate`: texts or records.
        position: As for `what_if`.
        at_once: How many heads of a layer may be run in one pass, at most: fewer need less memory. With 1 each head has a
            pass of its own.
        progress: Whether to show a progress bar, of several texts.
        **options: Passed on to `capture`; ``streams`` and ``layers`` say which heads are run.

    Returns:
        A table of the effects, the largest first; of a list of texts an `EffectsOverTexts`.

    Raises:
        TypeError, ValueError, IndexError: As `what_if` and `ablate` raise.

    Warns:
        UserWarning: If the heads of a layer cannot be edited; their effect is not a number. If some of several texts could
            not be run.

    Example:
        >>> import attnwidget as aw
        >>> model, tokenizer = pocket()
        >>> found = aw.effects(model, "the cat sat on the mat because it", tokenizer, metric="purred")
        >>> int(found.to_dataframe().iloc[0]["layer"]), found["decoder"].shape
        (3, (4, 4))
        >>> texts = [f"the {one} sat on the mat because it" for one in ("cat", "dog", "bird")]
        >>> over = aw.effects(model, texts, tokenizer, progress=False)
        >>> over.count, list(over.to_dataframe())[6:]
        (3, ['sd', 'low', 'high', 'same_sign', 'texts'])
    """
    from attnwidget.capture.forward import check_numbers, run_recorded  # noqa: PLC0415  brings transformers
    from attnwidget.intervene.over_texts import over_texts  # noqa: PLC0415
    from attnwidget.intervene.passes import Proofs  # noqa: PLC0415
    from attnwidget.intervene.sweep import Sweep  # noqa: PLC0415
    from attnwidget.metrics.metrics import make_metric  # noqa: PLC0415
    from attnwidget.metrics.outputs import read_output  # noqa: PLC0415

    check_choice("how", how, HOW)
    most = check_count("at_once", at_once, least=1)
    check_numbers(model)
    shared: dict[str, Any] = {"at_once": most, "proofs": Proofs()}
    known: dict[
        str, Ablation
    ] = {}  # what is put in the place of heads, once it has been read off the source

    def run(one: Any) -> Effects:
        with others_set_aside(), same_random_numbers() as restart:
            clean = run_recorded(model, one, tokenizer, **options)
            measured = make_metric(clean, read_output(clean, position), metric)
            sweep = Sweep(model, clean, measured, restart, **shared)
            found = sweep.begin(how, source, known)
            interrupted = False
            try:
                for _ in sweep.steps():
                    pass
            except KeyboardInterrupt:
                interrupted = True
        return Effects(measured.name, how, sweep.value, found, interrupted, sweep.noise, sweep.ways)

    if not _several(inputs) or options.get("batch") is not None:
        return run(inputs)

    def whole(one: Any) -> Effects:
        found = run(one)
        if found.interrupted:
            raise KeyboardInterrupt
        return found

    return over_texts(inputs, how, whole, progress=progress)


def _several(inputs: Any) -> bool:
    """Tell whether inputs are a list of texts or of chats, each on its own: a tuple is a pair of texts, messages are one chat."""
    from attnwidget.capture.inputs.chat import is_chat  # noqa: PLC0415

    return (
        isinstance(inputs, list)
        and bool(inputs)
        and (
            all(isinstance(one, str) for one in inputs)
            or all(isinstance(one, list) and is_chat(one) for one in inputs)
        )
    )
