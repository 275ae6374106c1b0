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
from attnwidget.surveys.batches import batches_of, why_not_padded
from attnwidget.surveys.checkpoint import Checkpoint
from attnwidget.surveys.contexts.queries import contexts_kept
from attnwidget.surveys.endings import carry, ending_signals
from attnwidget.surveys.fingerprints import settings
from attnwidget.surveys.gold_links.given import asked_links, with_links
from attnwidget.surveys.inputs import inputs_after
from attnwidget.surveys.lengths import length_of
from attnwidget.surveys.progress import is_watched
from attnwidget.surveys.reader import Reader
from attnwidget.surveys.rows import check_column

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
    links: Any = None,
    links_as: str = "tokens",
    links_stream: str | None = None,
    column: str | None = None,
    batch_size: int = 1,
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
        texts: The inputs, each what `capture` takes; a list or anything else that can be iterated, such as a generator, of
            which one is held at a time. With ``workers`` they are all read first, but for a Ray Dataset, which is streamed:
            its rows have one column, the model's inputs by name, or a ``column``.
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
        links: Gold links to measure every head by, such as coreference, dependencies or alignments: a sequence with a list
            for each input, a function that makes it of an input, the name of a column of the rows, or ``True`` where each
            input is ``(input, links)``. A link is ``(query, key)`` or ``(query, key, "label")``, each end an integer or
            ``(start, end)``. `Survey.links` names the best heads, `Survey.link_scores` has all.
        links_as: What the numbers of links count: ``"tokens"``: positions of the record, special tokens among them, negative
            from the end; ``"words"``: words of an input that is a list of words, or those that spaces separate in a text;
            ``"characters"``: ``(start, end)`` in the text, the words there (`Attention.words`). A word's weight is the sum over
            its pieces as a key, and the mean over them as a query (Clark et al. 2019).
        links_stream: The stream that links are of; the first of text when left out. Links of ``"cross"`` go from a token of
            the target to one of the source.
        column: The column that is the input, where ``texts`` are rows: dicts, or a Ray Dataset of several columns.
        batch_size: How many texts go through the model together, padded: two to four times as many a second with short
            texts and 8 to 32 together. Texts of similar length are put together out of eight times as many, which are held;
            results stand in the order of the inputs. What is found is compared with what each text gives alone, for all of
            the first batch, and for each text longer than those before: where anything differs by more than 1e-5, or the
            model has several streams, a position bias or inputs that are no text, they are read one by one, as with 1, and
            a warning says so. Ctrl-C loses what is held.
        progress: Whether to show a progress bar, with the inputs per second and, where their number is known, the time that
            is left; on a terminal and in a notebook, never in a log.
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
            written on the way. If inputs are read one by one in spite of ``batch_size``, with the reason.

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
    besides = _kept_besides(groups, contexts, outputs=outputs)
    if check_column(column) is not None:
        besides["column"] = column
    linked = asked_links(links, links_as, links_stream)
    if linked is not None and linked.of is None and ray_workers.is_dataset(texts):
        message = "links of a Ray Dataset are a column of it: pass the column's name, such as links='gold'."
        raise TypeError(message)
    if linked is not None:
        besides |= linked.described()
        texts = with_links(texts, links, linked)
    asked = {"measure": measure, "examples": kept, **besides, **options}
    size = _batch_size(batch_size, measure, options)
    file = Checkpoint.of(save, every, settings(asked))
    reader = Reader(
        model, tokenizer, kept, measure, options, groups, outputs,
        links=linked, column=column, batch_size=size, contexts=besides.get("contexts", 0),
    )  # fmt: skip
    if workers is None:
        if ray_workers.is_dataset(texts):
            texts = ray_workers.DatasetRows(texts, reader.columns)
        ray_workers.refuse(texts, worker_options, "survey(model, texts")
        reader = reader.with_model()
    begun = _begun(reader, file)
    if workers is None:
        inputs = inputs_after(begun, texts, file)
        several = batches_of(reader)
        parts = _one_by_one(reader, inputs) if several is None else several.read(inputs)
    else:
        parts = ray_workers.spread(reader, texts, workers, worker_options, begun=begun, file=file)
    seen = check_flag("progress", progress) and is_watched()
    bar = tqdm(
        total=length_of(texts), initial=begun.survey.read, disable=not seen, desc="survey", unit="input"
    )  # fmt: skip
    try:
        so_far = _collected(parts, begun, file, bar)
    finally:
        parts.close()
        bar.close()
    found = so_far.survey if so_far.survey.interrupted else _complete(so_far)
    return found.settled()


def _batch_size(asked: Any, measure: str, options: Mapping[str, Any]) -> int:
    """Return how many inputs are read together, at most.

    Raises:
        ValueError: If it is no positive integer.

    Warns:
        UserWarning: If these settings are for one by one.
    """
    size = check_count("batch_size", asked, "1 to read one by one")
    why = why_not_padded(measure, options)
    if size > 1 and why is not None:
        warnings.warn(f"batch_size={size}: the inputs are read one by one ({why}).", stacklevel=3)
        return 1
    return size


def _kept_besides(groups: By | None, contexts: bool | int, *, outputs: bool) -> dict[str, Any]:  # noqa: FBT001
    """Return what is kept besides scores, as files say it: those of surveys without have no such setting.

    Raises:
        TypeError: If it is said by something else.
        ValueError: As for `survey`.
    """
    kept: dict[str, Any] = {}
    if groups is not None:
        check_by(groups, "groups")
        kept["groups"] = _described(groups)
    if check_flag("outputs", outputs):
        kept["outputs"] = True
    if places := contexts_kept(contexts):
        kept["contexts"] = places
    return kept


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
