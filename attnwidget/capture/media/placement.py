"""The pictures and the sound that went into a model, and which positions lie where in them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attnwidget.capture.media.audio import spectrogram
from attnwidget.capture.media.images import developed, stills
from attnwidget.capture.positions.grids import even

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnwidget.capture.media.images import Still
    from attnwidget.capture.recorder.recorder import Recorder
    from attnwidget.record.media import Medium
    from attnwidget.record.positions import Position, Positions
    from attnwidget.record.stream import Stream

__all__ = ["placed", "with_media"]

_log = logging.getLogger(__name__)


def with_media(
    recorder: Recorder,
    streams: Mapping[str, Stream],
    processor: Any,
    originals: Sequence[Any] = (),
) -> tuple[dict[str, Stream], tuple[Medium, ...]]:
    """Find the pictures and the sound that were recorded, and say which positions lie in them.

    Args:
        recorder: What was heard.
        streams: The streams made of it.
        processor: The processor, tokenizer or ``None`` that the caller gave.
        originals: The pictures as the caller gave them, of Pillow's, where they are known.
    """
    config = getattr(recorder.model, "config", None)
    row, rows = recorder.row, recorder.num_rows or 1
    folder = getattr(recorder.model, "name_or_path", "") or ""
    found: list[Still] = []
    media: list[Medium] = []
    sound: Medium | None = None
    try:
        shown = stills(recorder.given, config, row, rows)
        media = developed(shown, processor, folder, originals)
        found = shown
        sound = spectrogram(recorder.given, config, processor, row, rows)
    except Exception:  # noqa: BLE001  inputs of a kind nobody thought of: the attention is recorded all the same
        _log.debug("what went in could not be shown", exc_info=True)
    length = None
    if sound is not None and sound.seconds is not None:
        length = len(media), sound.seconds
        media.append(sound)
    return placed(streams, found, length), tuple(media)


def placed(
    streams: Mapping[str, Stream], stills: Sequence[Still], sound: tuple[int, float] | None
) -> dict[str, Stream]:
    """Say of every patch and frame which medium it lies in.

    Args:
        streams: The streams as they were assembled.
        stills: The pictures, which are the record's first media.
        sound: Index of the sound among the media and its length in seconds, if there is one.

    Returns:
        The same streams, with other positions.
    """
    known: dict[int, Positions] = {}

    def again(positions: Positions) -> Positions:
        if id(positions) not in known:
            known[id(positions)] = _with_sound(_with_pictures(positions, stills), sound)
        return known[id(positions)]

    return {
        name: replace(
            stream,
            query_positions=again(stream.query_positions),
            key_positions=again(stream.key_positions),
        )
        for name, stream in streams.items()
    }


def _with_pictures(positions: Positions, stills: Sequence[Still]) -> Positions:
    where = [index for index, position in enumerate(positions) if position.kind == "patch"]
    if not where:
        return positions
    own = [positions[index] for index in where]
    if all(position.row is not None for position in own):
        found = _counted(own, len(stills))
    else:
        found = _stand_ins(own, stills)
    changed = dict(zip(where, found, strict=True))
    return tuple(changed.get(index, position) for index, position in enumerate(positions))


def _counted(patches: list[Position], count: int) -> list[Position]:
    """Give patches with a row and a column their image; several images follow one another."""
    numbers = [patch.medium or 0 for patch in patches]
    if max(numbers) >= count:
        return [replace(patch, medium=None) for patch in patches]
    several = count > 1
    return [
        replace(
            patch, medium=number, label=_label(patch.row or 0, patch.column or 0, number, several)
        )
        for patch, number in zip(patches, numbers, strict=True)
    ]


def _stand_ins(tokens: list[Position], stills: Sequence[Still]) -> list[Position]:
    """Give the tokens that stand for patches in a text their place; as they are where it is not known."""
    own = {number: still for number, still in enumerate(stills) if still.own}
    grids = {number: still.grid for number, still in own.items()}
    if None in grids.values() and len(tokens) % len(own) == 0:
        share = len(tokens) // len(own)
        grids = {number: even(share, *still.pixels.shape[1:]) for number, still in own.items()}
    cells = [
        (number, row, column, grid)
        for number, grid in grids.items()
        if grid is not None
        for row in range(grid[0])
        for column in range(grid[1])
    ]
    if len(cells) != len(tokens):
        return [replace(token, kind="special", medium=None) for token in tokens]
    # Films come after pictures among the media, wherever they stand in the text.
    order = sorted(range(len(tokens)), key=lambda place: tokens[place].medium or 0)
    found = dict(zip(order, cells, strict=True))
    several = len(stills) > 1
    return [
        replace(
            token,
            label=_label(row, column, number, several),
            row=row,
            column=column,
            grid=grid,
            medium=number,
        )
        for token, (number, row, column, grid) in (
            (token, found[place]) for place, token in enumerate(tokens)
        )
    ]


def _label(row: int, column: int, image: int, several: bool) -> str:  # noqa: FBT001  (private, and read with its name)
    return f"{f'image {image} ' if several else ''}r{row} c{column}"


def _with_sound(positions: Positions, sound: tuple[int, float] | None) -> Positions:
    where = [index for index, position in enumerate(positions) if position.kind == "frame"]
    if not where or sound is None:
        return positions
    medium, seconds = sound
    changed: dict[int, Position] = {}
    for number, index in enumerate(where):
        position = positions[index]
        if position.time is None:
            start = round(seconds * number / len(where), 6)
            position = replace(position, time=start, label=f"{start:.2f} s")
        changed[index] = replace(position, medium=medium)
    return tuple(changed.get(index, position) for index, position in enumerate(positions))
