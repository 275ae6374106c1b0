"""`survey`: run a model over many inputs, in this process or on Ray."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm  # type: ignore[import-untyped]

from attnwidget.compute.checks import check_choice, check_count, shown
from attnwidget.compute.measures import MEASURES
from attnwidget.surveys import workers as ray_workers
from attnwidget.surveys.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from attnwidget.surveys.reader import PartialSurvey
    from attnwidget.surveys.survey import Survey

__all__ = ["survey"]


def survey(
    model: Any,
    texts: Iterable[Any],
    tokenizer: Any = None,
    *,
    examples: int = 5,
    measure: str = "weights",
    progress: bool = True,
    workers: int | None = None,
    worker_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Survey:
    """Score every head of a model over many inputs, keeping running sums only.

    Inputs are run one by one; memory does not grow with their number. Ctrl-C, or the notebook's stop button, ends it
    early: what was done is returned, with ``interrupted`` set.

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
        tokenizer: The model's tokenizer; found through the model's name when left out.
        examples: How many typical inputs to keep for each head and score.
        measure: What to score: ``"weights"``, ``"value"`` or ``"norm"``; see `Layer.measure`.
        progress: Whether to show a progress bar.
        workers: How many processes on Ray; ``None`` for this process alone.
        worker_options: What each of them is given, as ``ray.data.Dataset.map_batches`` takes it; by default a GPU
            (``{"num_gpus": 1}``) if the model is on one, else a processor.
        **options: Passed on to `capture` (``target``, ``layers``, ``store`` …).

    Returns:
        The survey. Surveys of parts of a corpus, run anywhere, add up: ``first + second``.

    Raises:
        TypeError: If ``texts`` is one text, or the model cannot be sent to workers.
        ValueError: If there is no input, or none of the first ten could be recorded; the reason is that of the first.
        ImportError: If ``workers`` are asked for and Ray is not installed.

    Warns:
        UserWarning: If some inputs could not be recorded; `Survey.skipped` says which and why.

    Example:
        >>> survey(model, ["the cat sat .", "it was tired ."], tokenizer, progress=False)
        Survey(GPT2LMHeadModel, decoder: 16 heads, 2 inputs)
        >>> survey(pocket, corpus, workers=4)  # doctest: +SKIP
        Survey(GPT2LMHeadModel, decoder: 16 heads, 20000 inputs)
    """
    if isinstance(texts, (str, bytes)):
        message = (
            f"texts must be several inputs, got one text: call survey(model, [{texts[:20]!r}])."
        )
        raise TypeError(message)
    given: object = texts
    alone = not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0
    if alone and not hasattr(given, "iter_rows"):
        message = f"texts must be several inputs, got {shown(texts)}: call survey(model, ['some text', 'another'])."
        raise TypeError(message)
    kept = check_count("examples", examples, least=0)
    check_choice("measure", measure, MEASURES, said=f"one of {', '.join(MEASURES)}")
    reader = Reader(model, tokenizer, kept, measure, options)
    if workers is None:
        ray_workers.refuse(texts, worker_options)
        reader = reader.with_model()
        parts = _one_by_one(reader, texts)
    else:
        parts = ray_workers.spread(reader, texts, workers, worker_options)
    so_far = reader.nothing()
    bar = tqdm(total=_length(texts), disable=not progress, desc="survey", unit="input")
    try:
        for part in parts:
            # One assignment: an interrupt leaves either all of a part or nothing.
            so_far = so_far.then(part)
            bar.update(part.survey.read)
            if so_far.hopeless:
                break
    except KeyboardInterrupt:
        return replace(so_far.survey, interrupted=True)
    finally:
        parts.close()
        bar.close()
    return _complete(so_far)


def _one_by_one(reader: Reader, texts: Iterable[Any]) -> Generator[PartialSurvey, None, None]:
    for one in texts:
        yield reader.read(one)


def _length(texts: Any) -> int | None:
    try:
        return len(texts)
    except (TypeError, AttributeError):  # the latter of a Ray Dataset, which would have to be read
        return None


def _complete(so_far: PartialSurvey) -> Survey:
    """Say what is not in a survey."""
    found = so_far.survey
    if not found.count:
        raise so_far.error or ValueError("texts holds no input: pass at least one.")
    if found.skipped:
        index, reason = found.skipped[0]
        warnings.warn(
            f"{len(found.skipped)} of {found.read} inputs could not be recorded; the first, input {index}: {reason}",
            stacklevel=3,
        )
    return found
