"""`effects`: what each head of a model is worth on one input, by running the model without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from attnwidget.compute.checks import check_choice, check_count, shown
from attnwidget.edits.ablation import HOW, check_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from attnwidget.edits.ablation import How
    from attnwidget.intervene.effects_table import Effects
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
    workers: int | None = None,
    worker_options: Mapping[str, Any] | None = None,
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
    after the first that cannot be run is skipped and listed in `EffectsOverTexts.skipped`. With ``workers``, as many
    processes on Ray share the texts among them, as in `survey`; the numbers are those of one process but for rounding.

    A head's output of zero may be one that the model never met, so that its effect says little of what the head is for
    (Wang et al. 2023, Interpretability in the Wild). With ``how="zero"`` and a ``source`` every head is also set to its
    mean over that, ``m(o_h ← mean) − m``, and heads where the two differ by more than a factor of 3, or in sign, are
    named; such as ``source=texts`` for the means over the very texts.

    Args:
        model: A Hugging Face model; of several texts also a function that returns one, or a model and its tokenizer, which
            each worker calls once.
        inputs: What `capture` takes, or a list of texts; with ``workers`` also a Ray Dataset.
        tokenizer: As for `capture`.
        metric: As for `what_if`.
        how: As for `ablate`: ``"zero"``, ``"mean"`` or ``"resample"``.
        source: As for `ablate`: texts, records or a survey that was made with ``outputs=True``. With ``how="zero"`` heads are
            set to their means over it, besides.
        position: As for `what_if`.
        at_once: How many heads of a layer may be run in one pass, at most: fewer need less memory. With 1 each head has a
            pass of its own.
        progress: Whether to show a progress bar, of several texts.
        workers: How many processes on Ray run several texts; ``None`` for this process alone.
        worker_options: What each of them is given, as for `survey`.
        **options: Passed on to `capture`; ``streams`` and ``layers`` say which heads are run.

    Returns:
        A table of the effects, the largest first; of a list of texts an `EffectsOverTexts`.

    Raises:
        TypeError, ValueError, IndexError: As `what_if` and `ablate` raise. If ``workers`` are asked for and ``inputs`` are not
            several texts, or the model cannot be sent to them.
        ImportError: If ``workers`` are asked for and Ray is not installed.

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
    from attnwidget.intervene.effects_reader import EffectsReader  # noqa: PLC0415  brings transformers
    from attnwidget.intervene.over_texts import over_texts  # noqa: PLC0415
    from attnwidget.surveys.workers import is_dataset, refuse  # noqa: PLC0415

    check_choice("how", how, HOW)
    if how != "zero" or source is not None:
        check_source("mean" if how == "zero" else how, source)
    most = check_count("at_once", at_once, least=1)
    reader = EffectsReader(model, tokenizer, metric, how, source, position, most, options)
    if workers is None:
        refuse(inputs, worker_options, "effects(model, texts")
    several = is_dataset(inputs) or (_several(inputs) and options.get("batch") is None)
    if several:
        return over_texts(
            reader, inputs, progress=progress, workers=workers, worker_options=worker_options
        )
    if workers is not None:
        message = (
            f"workers share several texts among them, got {shown(inputs)}: pass a list of texts, such as "
            "effects(model, ['a text', 'another'], workers=4), or leave workers out."
        )
        raise TypeError(message)
    return reader.effects(inputs)


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
