"""The inputs of a survey that are still to be read, each with a digest of all up to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.surveys.fingerprints import digest, following
from attnwidget.surveys.gold_links.given import Linked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from attnwidget.surveys.checkpoint import Checkpoint
    from attnwidget.surveys.reader import PartialSurvey

__all__ = ["inputs_after"]


def inputs_after(
    begun: PartialSurvey | None, texts: Iterable[Any], file: Checkpoint | None
) -> Iterator[tuple[Any, str]]:
    """Yield the inputs after those that were read, each with the digest of all up to it.

    Args:
        begun: What was read.
        texts: All inputs.
        file: The file of the survey; without one there are no digests, and nothing was read.

    Raises:
        ValueError: If the first inputs are not those that were read, or there are fewer.
    """
    if file is None or begun is None:
        yield from ((one, "") for one in texts)
        return
    read, inputs = 0, ""
    for one in texts:
        if read == begun.survey.read:
            file.check_inputs(begun.inputs, inputs, read)
        inputs = following(inputs, digest(tuple(one) if isinstance(one, Linked) else one))
        read += 1
        if read > begun.survey.read:
            yield one, inputs
    if read < begun.survey.read:
        file.refuse_fewer(begun.survey.read, read)
    if read == begun.survey.read:
        file.check_inputs(begun.inputs, inputs, read)
