"""`over_texts`: the effects of every head on one text after the other, of which running sums are kept."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from traceback import format_exception_only
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm  # type: ignore[import-untyped]

from attnwidget.intervene.several_texts import EffectsOverTexts, StreamMoments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attnwidget.intervene.effects_table import Effects

__all__ = ["over_texts"]

_OWN = "log p of each text's likeliest choice"
_REASON_LENGTH = 500


@dataclass(slots=True)
class _Sums:
    """What is kept of the texts so far.

    Attributes:
        streams: The moments of each.
        names: What was measured, in words.
        total: Sum of the metric with all heads.
        count: Number of texts.
        ways: How many heads were run in which way.
    """

    streams: dict[str, StreamMoments] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    total: float = 0.0
    count: int = 0
    ways: dict[str, int] = field(default_factory=dict)

    def with_text(self, one: Effects) -> _Sums:
        """Return these and one text more; these stand as they are, so that an interrupt leaves all of a text or nothing.

        Raises:
            ValueError: If its heads are not those of the texts before.
        """
        streams = {name: StreamMoments.of(stream) for name, stream in one.streams.items()}
        if self.count and streams.keys() != self.streams.keys():
            message = (
                f"it has the streams {list(streams)}, and those before it {list(self.streams)}"
            )
            raise ValueError(message)
        if self.count:
            streams = {name: self.streams[name].merge(new) for name, new in streams.items()}
        ways = {
            way: self.ways.get(way, 0) + one.ways.get(way, 0) for way in {**self.ways, **one.ways}
        }
        names = self.names | {one.metric}
        return _Sums(streams, names, self.total + one.value, self.count + 1, ways)


def over_texts(
    texts: Sequence[Any], how: str, run: Callable[[Any], Effects], *, progress: bool
) -> EffectsOverTexts:
    """Run the heads on one text after the other.

    Args:
        texts: The texts.
        how: As of `effects`.
        run: Returns the effects on one text; raises ``KeyboardInterrupt`` where that was ended early.
        progress: Whether to show a progress bar.

    Raises:
        Exception: What the first text raises: the call itself may be wrong.
        KeyboardInterrupt: If it was ended before the end of the first text.

    Warns:
        UserWarning: If later texts could not be run.
    """
    sums, skipped, interrupted = _Sums(), [], False
    bar = tqdm(total=len(texts), disable=not progress, desc="effects", unit="text")
    try:
        for index, text in enumerate(texts):
            try:
                sums = sums.with_text(run(text))
            except Exception as error:
                if not sums.count:
                    raise
                skipped.append((index, _reason(error)))
            bar.update()
    except KeyboardInterrupt:
        if not sums.count:
            raise
        interrupted = True
    finally:
        bar.close()
    if skipped:
        index, reason = skipped[0]
        warnings.warn(
            f"{len(skipped)} of {len(texts)} texts could not be run; the first, text {index}: {reason}",
            stacklevel=3,
        )
    name = next(iter(sums.names)) if len(sums.names) == 1 else _OWN
    return EffectsOverTexts(
        name,
        how,
        sums.total / sums.count,
        sums.streams,
        sums.count,
        tuple(skipped),
        interrupted,
        sums.ways,
    )


def _reason(error: Exception) -> str:
    text = "".join(format_exception_only(error)).strip()
    return text if len(text) <= _REASON_LENGTH else f"{text[:_REASON_LENGTH]}…"
