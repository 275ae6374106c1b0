"""`survey`: run a model over many inputs, in this process or on Ray."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm  # type: ignore[import-untyped]

from attnwidget.analysis.position_groups import check_by
from attnwidget.compute.checks import (
    check_choice,
    check_count,
    check_flag,
    check_tensor,
    shown,
)
from attnwidget.compute.not_numbers import warn_not_numbers
from attnwidget.protocol.constants import WEIGHTED_MEASURES
from attnwidget.surveys import workers as ray_workers
from attnwidget.surveys.checkpoint import Checkpoint
from attnwidget.surveys.contexts.queries import contexts_kept
from attnwidget.surveys.endings import carry, ending_signals
from attnwidget.surveys.fingerprints import settings
from attnwidget.surveys.inputs import inputs_after, length_of
from attnwidget.surveys.reader import Reader

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from attnwidget.analysis.position_groups import By
    from attnwidget.surveys.reader import PartialSurvey
    from attnwidget.surveys.survey import Survey

__all__ = ["survey"]

# Texts are recorded without the gradients of a metric.
_MEASURES = ("weights", *WEIGHTED_MEASURES)


def survey(
    model: Any,
    texts: Iterable[Any],
    tokenizer: Any = None,
    *,
    examples: int = 5,
    measure: str = "weights",
    groups: By | None = None,
    outputs: bool = False,
    contexts: bool | int = False,
    progress: bool = True,
    workers: int | None = None,
    worker_options: Mapping[str, Any] | None = None,
    save: str | os.PathLike[str] | None = None,
    every: int | None = None,
    **options: Any,
) -> Survey:
    """Score every head of a model over many inputs, keeping running sums only.

    Inputs are run one by one; memory does not grow with their number. An input that cannot be recorded, whatever the
    error, is skipped and listed in `Survey.skipped`. Ctrl-C, or the notebook's stop button, ends it early: what was done
    is returned, with ``interrupted`` set. Whatever else ends it (an error of ``texts`` itself, a worker's death, SIGTERM
    or SIGHUP, which raise ``SystemExit``) carries what was done as the attribute ``survey`` of the exception.

    With ``save`` the survey is written to a file as it grows, each time in one step, and the same call goes on where the
    file stands, after a crash too: ``texts`` is iterated from its beginning, and what was read is passed over. It ends
    with the same numbers. What has been written can be read by `Survey.load` at any time.

    With ``workers``, as many processes on Ray (``pip install "attnwidget[ray]"``) hold the model and share the inputs
    among them, on this machine or on a cluster. The result is that of one process but for rounding, whatever the order
    in which they finish, and also when one of them dies: another reads its inputs again. Without a running Ray one is
    started for the survey; ``ray.init()`` before keeps it for the next.

    Args:
        model: A Hugging Face model, or a function that returns one, or a model and its tokenizer; each worker calls it
            once.
        texts: The inputs, each what `capture` takes; a list or anything else that can be iterated. With ``workers``
            they are all read first, but for a Ray Dataset, which is streamed: its rows have one column, or the model's
            inputs by name.
        tokenizer: The model's tokenizer; found by the model's name among the files of this machine when left out.
        examples: How many typical inputs to keep for each head and score.
        measure: What to score: ``"weights"``, ``"value"`` or ``"norm"``; see `Layer.measure`.
        groups: Keep how much weight groups of positions give each other, too: ``"segment"``, ``"role"``, ``"special"`` …,
            a dict or a function, as `Attention.groups` takes them. Groups of one name are the same in all inputs;
            `Survey.group_shares` has the means over the inputs that have both.
        outputs: Keep the mean of what each head puts out, too, at each position that every input has, from the left, and over
            all: ``ablate(heads=…, how="mean", source=survey)`` puts that in its place.
        contexts: Keep where each head does something, too: for each head and score, and for its strongest links whatever
            the score, the 20 queries with the highest values, or as many as an integer says, with the tokens around
            (`Survey.contexts`); the deciles of each score over the inputs, with examples (`Survey.deciles`); and how often
            tokens and pairs of tokens are linked (`Survey.token_counts`). On short texts it takes a tenth (16 heads) to a
            quarter (72 heads) longer. Memory and file are bounded: 56 bytes for each head and each of up to 4,096 inputs,
            57 kB for each head beyond, and the tokens and texts of the inputs that are shown.
        progress: Whether to show a progress bar.
        workers: How many processes on Ray; ``None`` for this process alone.
        worker_options: What each of them is given, as ``ray.data.Dataset.map_batches`` takes it; by default a GPU
            (``{"num_gpus": 1}``) if the model is on one, else a processor.
        save: File that is written while the survey runs, and from which the same call goes on.
        every: With ``save``, the number of inputs after which it is written, 100 when left out: at most so many are
            lost, with ``workers`` besides those that these have at hand. Once a minute it is written in any case.
        **options: Passed on to `capture` (``target``, ``layers``, ``store`` …).

    Returns:
        The survey. Surveys of parts of a corpus, run anywhere, add up: ``first + second``.

    Raises:
        TypeError: If ``texts`` is one text, the model cannot be sent to workers, or ``every`` is given without ``save``.
        ValueError: If there is no input, or the file holds a survey of another model, tokenizer, settings or inputs.
        Exception: If none of the inputs, or of the first ten, could be recorded: what the first met.
        OSError: If the file cannot be written at the end.
        ImportError: If ``workers`` are asked for and Ray is not installed.

    Warns:
        UserWarning: If some inputs could not be recorded; `Survey.skipped` says which and why. If the file cannot be
            written on the way.

    Example:
        >>> survey(model, ["the cat sat .", "it was tired ."], tokenizer, progress=False)
        Survey(GPT2LMHeadModel, decoder: 16 heads, 2 inputs)
        >>> survey(pocket, corpus, workers=4)  # doctest: +SKIP
        Survey(GPT2LMHeadModel, decoder: 16 heads, 20000 inputs)
        >>> survey(model, corpus, tokenizer, save="corpus.safetensors")  # doctest: +SKIP
        Survey(GPT2LMHeadModel, decoder: 16 heads, 20000 inputs)
    """
    if isinstance(texts, (str, bytes)):
        message = (
            f"texts must be several inputs, got one text: call survey(model, [{texts[:20]!r}])."
        )
        raise TypeError(message)
    given: object = texts
    if isinstance(given, torch.Tensor):
        check_tensor("texts", given)
    alone = not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0
    if alone and not hasattr(given, "iter_rows"):
        message = f"texts must be several inputs, got {shown(texts)}: call survey(model, ['some text', 'another'])."
        raise TypeError(message)
    kept = check_count("examples", examples, least=0)
    check_choice("measure", measure, _MEASURES, said=f"one of {', '.join(_MEASURES)}")
    grouped: dict[str, Any] = {}
    if groups is not None:
        check_by(groups, "groups")
        # Files of surveys without groups have no such setting.
        grouped = {"groups": _described(groups)}
    if check_flag("outputs", outputs):
        grouped["outputs"] = True  # files of surveys without have no such setting either
    if places := contexts_kept(contexts):
        grouped["contexts"] = places
    asked = {"measure": measure, "examples": kept, **grouped, **options}
    file = Checkpoint.of(save, every, settings(asked))
    reader = Reader(model, tokenizer, kept, measure, options, groups, outputs, places)
    if workers is None:
        ray_workers.refuse(texts, worker_options, "survey(model, texts")
        reader = reader.with_model()
    begun = _begun(reader, file)
    if workers is None:
        parts = _one_by_one(reader, inputs_after(begun, texts, file))
    else:
        parts = ray_workers.spread(reader, texts, workers, worker_options, begun=begun, file=file)
    bar = tqdm(
        total=length_of(texts), initial=begun.survey.read, disable=not progress, desc="survey", unit="input"
    )  # fmt: skip
    try:
        so_far = _collected(parts, begun, file, bar)
    finally:
        parts.close()
        bar.close()
    found = so_far.survey if so_far.survey.interrupted else _complete(so_far)
    return found.settled()


def _described(groups: By) -> Any:
    """Return what a file says of groups: positions as they were written, a range by its ends."""
    if not isinstance(groups, Mapping):
        return groups
    return {name: repr(place) for name, place in groups.items()}


def _begun(reader: Reader, file: Checkpoint | None) -> PartialSurvey:
    """Return what there is before the first input: nothing, or what the file has."""
    if file is None:
        return reader.nothing()
    found = file.resumed()
    if reader.makes_model:  # its workers say later what they have made
        return found or reader.nothing()
    now = reader.made_by()
    if found is None:
        return replace(reader.nothing(), made_by=now)
    file.check_made_by(found.made_by, now)
    return found


def _one_by_one(
    reader: Reader, inputs: Iterator[tuple[Any, str]]
) -> Generator[PartialSurvey, None, None]:
    for one, read in inputs:
        yield replace(reader.read(one), inputs=read)


def _collected(
    parts: Iterable[PartialSurvey], begun: PartialSurvey, file: Checkpoint | None, bar: Any
) -> PartialSurvey:
    """Add parts up, and keep what there is whatever ends them."""
    so_far, complete = begun, False
    with ending_signals() as signals:
        try:
            for part in parts:
                if file is not None and part.made_by and so_far.made_by:
                    file.check_made_by(so_far.made_by, part.made_by)
                # One assignment: an interrupt leaves either all of a part or nothing.
                so_far = so_far.then(part)
                bar.update(part.survey.read)
                if so_far.hopeless:
                    break
                if file is not None:
                    with signals.waiting():
                        file.note(so_far)
                signals.check()
            complete = True
            if file is not None:
                with signals.waiting():
                    file.write(so_far)
            signals.check()
        except BaseException as error:
            ended = replace(so_far, survey=replace(so_far.survey, interrupted=not complete))
            grown = ended.survey.read > begun.survey.read
            saved = None
            if file is not None and grown:
                with signals.waiting():
                    saved = _saved(file, ended)
            if isinstance(error, KeyboardInterrupt):
                return ended
            carry(error, ended.survey.settled(), saved, say=grown)
            raise
    return so_far


def _saved(file: Checkpoint, ended: PartialSurvey) -> Path | None:
    """Write what there is, and return where, if the system lets us."""
    try:
        file.write(ended)
    except OSError as error:
        warnings.warn(f"the survey could not be saved: {error}.", stacklevel=4)
        return None
    return file.path


def _complete(so_far: PartialSurvey) -> Survey:
    """Say what is not in a survey."""
    found = so_far.survey
    if not found.count:
        error = so_far.error or ValueError("texts holds no input: pass at least one.")
        carry(error, found, None, say=False)
        raise error
    if found.skipped:
        index, reason = found.skipped[0]
        warnings.warn(
            f"{len(found.skipped)} of {found.read} inputs could not be recorded; the first, input {index}: {reason}",
            stacklevel=3,
        )
    warn_not_numbers(
        sorted(so_far.not_numbers),
        "their means leave out the inputs where that is so",
        stacklevel=3,
    )
    return found
