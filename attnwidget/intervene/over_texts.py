"""`over_texts`: the effects of every head on one text after the other, or on Ray, of which running sums are kept."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm  # type: ignore[import-untyped]

from attnwidget.surveys import workers as ray_workers
from attnwidget.surveys.lengths import length_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from attnwidget.intervene.effects_reader import EffectsReader
    from attnwidget.intervene.several_texts import EffectsOverTexts

__all__ = ["over_texts"]


def over_texts(
    reader: EffectsReader,
    texts: Iterable[Any],
    *,
    progress: bool,
    workers: int | None,
    worker_options: Mapping[str, Any] | None,
) -> EffectsOverTexts:
    """Run the heads on one text after the other.

    Args:
        reader: How each text is run.
        texts: The texts.
        progress: Whether to show a progress bar.
        workers: How many processes on Ray; ``None`` for this one alone.
        worker_options: What each of them is given.

    Raises:
        Exception: What the first text raises: the call itself may be wrong.
        KeyboardInterrupt: If it was ended before the end of the first text.
        ValueError: If there is no text.
        ImportError, TypeError: As `survey`, of workers.

    Warns:
        UserWarning: If later texts could not be run.
    """
    if workers is None:
        reader = reader.with_model()
        parts = (reader.read(text) for text in texts)
    else:
        parts = ray_workers.spread(reader, texts, workers, worker_options)
    so_far, interrupted = reader.nothing(), False
    bar = tqdm(total=length_of(texts), disable=not progress, desc="effects", unit="text")
    try:
        for part in parts:
            so_far = so_far.then(part)
            if so_far.error is not None:
                raise so_far.error
            bar.update(part.read)
    except KeyboardInterrupt:
        if not so_far.count:
            raise
        interrupted = True
    finally:
        parts.close()
        bar.close()
    if not so_far.count:
        message = "inputs hold no text: pass at least one."
        raise ValueError(message)
    if so_far.skipped:
        index, reason = so_far.skipped[0]
        warnings.warn(
            f"{len(so_far.skipped)} of {so_far.read} texts could not be run; the first, text {index}: {reason}",
            stacklevel=3,
        )
    return so_far.table(reader.how, interrupted=interrupted)
