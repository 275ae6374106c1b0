"""`survey`: run a model over many inputs and keep what its heads do."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm  # type: ignore[import-untyped]  # transformers brings it

from attnwidget.capture import capture
from attnwidget.finding.corpus import Survey
from attnwidget.finding.scores import score_stream
from attnwidget.selection import integer

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["survey"]

# So many may fail, with nothing scored, before it is taken for a mistake in the call.
_PATIENCE = 10


def survey(
    model: Any,
    texts: Iterable[Any],
    tokenizer: Any = None,
    *,
    examples: int = 5,
    measure: str = "weights",
    progress: bool = True,
    **options: Any,
) -> Survey:
    """Score every head of a model over many inputs, keeping running sums only.

    Inputs are run one by one; memory does not grow with their number. Ctrl-C, or the notebook's stop button, ends it
    early: what was done is returned, with ``interrupted`` set.

    Args:
        model: A Hugging Face model.
        texts: The inputs, each what `capture` takes; a list or anything else that can be iterated.
        tokenizer: The model's tokenizer; found through the model's name when left out.
        examples: How many typical inputs to keep for each head and score.
        measure: What to score: ``"weights"``, ``"value"`` or ``"norm"``; see `Layer.measure`.
        progress: Whether to show a progress bar.
        **options: Passed on to `capture` (``target``, ``device`` …).

    Returns:
        The survey. Surveys of parts of a corpus, run anywhere, add up: ``first + second``.

    Raises:
        TypeError: If ``texts`` is one text.
        ValueError: If there is no input, or none of the first ten could be recorded; the reason is that of the first.

    Warns:
        UserWarning: If some inputs could not be recorded; `Survey.skipped` says which and why.

    Example:
        >>> survey(model, ["the cat sat .", "it was tired ."], tokenizer, progress=False)
        Survey(GPT2LMHeadModel, decoder: 16 heads, 2 inputs)
    """
    if isinstance(texts, (str, bytes)):
        message = (
            f"texts must be several inputs, got one text: call survey(model, [{texts[:20]!r}])."
        )
        raise TypeError(message)
    kept = integer(examples)
    if kept is None or kept < 0:
        message = f"examples must be an integer, 0 or more, got {examples!r}."
        raise ValueError(message)
    found = Survey(type(model).__name__, {}, 0, examples_kept=kept)
    first: Exception | None = None
    bar = tqdm(texts, disable=not progress, desc="survey", unit="input")
    try:
        for one in bar:
            try:
                attention = capture(model, one, tokenizer, **options)
                scores = [score_stream(s, None, measure) for s in attention.streams.values()]
            except (ValueError, IndexError, RuntimeError) as error:
                first = first or error
                found = replace(found, skipped=(*found.skipped, (found.read, str(error))))
                if not found.count and len(found.skipped) >= _PATIENCE:
                    break
                continue
            # One assignment: an interrupt leaves either all of an input or nothing.
            found = found.merge(Survey.of(attention.model_name, scores, attention.text, keep=kept))
    except KeyboardInterrupt:
        return replace(found, interrupted=True)
    finally:
        bar.close()
    if not found.count:
        raise first or ValueError("texts holds no input: pass at least one.")
    if found.skipped:
        index, reason = found.skipped[0]
        warnings.warn(
            f"{len(found.skipped)} of {found.read} inputs could not be recorded; the first, input {index}: {reason}",
            stacklevel=2,
        )
    return found
