"""Which positions lie where in which image or spectrogram."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attnwidget.capture.media.audio import spectrogram
from attnwidget.capture.media.images import find_images, to_display
from attnwidget.capture.positions.grids import fit_grid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from attnwidget.capture.media.images import InputImage
    from attnwidget.record.media import Medium
    from attnwidget.record.positions import Position, Positions
    from attnwidget.record.stream import Stream

__all__ = ["with_media"]

_log = logging.getLogger(__name__)


def with_media(
    streams: Mapping[str, Stream],
    given: Mapping[str, Tensor],
    model: nn.Module,
    *,
    row: int,
    num_rows: int,
    processor: Any,
    originals: Sequence[Any] = (),
) -> tuple[dict[str, Stream], tuple[Medium, ...]]:
    """Find the images and the audio that went into a model, and say which positions lie in them.

    Args:
        streams: The streams that were recorded.
        given: Inputs of the model by name.
        model: The model.
        row: Row of the batch that was recorded.
        num_rows: Rows of the batch.
        processor: The processor, tokenizer or ``None`` that the caller gave.
        originals: The images as the caller gave them, of Pillow's, where they are known.

    Returns:
        The same streams, with other positions, and the media.
    """
    config = getattr(model, "config", None)
    folder = getattr(model, "name_or_path", "") or ""
    images: list[InputImage] = []
    media: list[Medium] = []
    audio: Medium | None = None
    try:
        found = find_images(given, config, row, num_rows)
        media = to_display(found, processor, folder, originals)
        images = found
        audio = spectrogram(given, config, processor, row, num_rows)
    except Exception:  # noqa: BLE001  inputs of an unknown kind: the attention is recorded all the same
        _log.debug("what went in could not be shown", exc_info=True)
    length = None
    if audio is not None and audio.seconds is not None:
        length = len(media), audio.seconds
        media.append(audio)
    return _place_positions(streams, images, length), tuple(media)


def _place_positions(
    streams: Mapping[str, Stream], images: Sequence[InputImage], audio: tuple[int, float] | None
) -> dict[str, Stream]:
    """Set for every patch and frame the medium it is part of.

    Args:
        streams: The streams as they were assembled.
        images: The images, which are the record's first media.
        audio: Index of the audio among the media and its length in seconds, if there is any.

    Returns:
        The same streams, with other positions.
    """
    known: dict[int, Positions] = {}

    def again(positions: Positions) -> Positions:
        if id(positions) not in known:
            known[id(positions)] = _with_audio(_with_images(positions, images), audio)
        return known[id(positions)]

    return {
        name: replace(
            stream,
            query_positions=again(stream.query_positions),
            key_positions=again(stream.key_positions),
        )
        for name, stream in streams.items()
    }


def _with_images(positions: Positions, images: Sequence[InputImage]) -> Positions:
    where = [index for index, position in enumerate(positions) if position.kind == "patch"]
    if not where:
        return positions
    own = [positions[index] for index in where]
    if all(position.row is not None for position in own):
        found = _place_patches(own, len(images))
    else:
        found = _place_placeholders(own, images)
    changed = dict(zip(where, found, strict=True))
    return tuple(changed.get(index, position) for index, position in enumerate(positions))


def _place_patches(patches: list[Position], count: int) -> list[Position]:
    """Give patches with a row and a column their image; several images follow one another."""
    numbers = [patch.medium or 0 for patch in patches]
    if max(numbers) >= count:
        return [replace(patch, medium=None) for patch in patches]
    several = count > 1
    return [
        # A label that the user gave stays.
        replace(patch, medium=number, label=_label(row, column, number, several))
        if patch.label
        == _label(row := patch.row or 0, column := patch.column or 0, 0, several=False)
        else replace(patch, medium=number)
        for patch, number in zip(patches, numbers, strict=True)
    ]


def _place_placeholders(tokens: list[Position], images: Sequence[InputImage]) -> list[Position]:
    """Set the place of tokens that represent patches in a text; as they are where it is not known."""
    own = {number: image for number, image in enumerate(images) if image.own}
    grids = {number: image.grid for number, image in own.items()}
    if None in grids.values() and len(tokens) % len(own) == 0:
        share = len(tokens) // len(own)
        grids = {number: fit_grid(share, *image.pixels.shape[1:]) for number, image in own.items()}
    cells = [
        (number, row, column, grid)
        for number, grid in grids.items()
        if grid is not None
        for row in range(grid[0])
        for column in range(grid[1])
    ]
    if len(cells) != len(tokens):
        return [replace(token, kind="special", medium=None) for token in tokens]
    # Videos come after images among the media, wherever they are in the text.
    order = sorted(range(len(tokens)), key=lambda place: tokens[place].medium or 0)
    found = dict(zip(order, cells, strict=True))
    several = len(images) > 1
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


def _with_audio(positions: Positions, audio: tuple[int, float] | None) -> Positions:
    where = [index for index, position in enumerate(positions) if position.kind == "frame"]
    if not where or audio is None:
        return positions
    medium, seconds = audio
    changed: dict[int, Position] = {}
    for number, index in enumerate(where):
        position = positions[index]
        if position.time is None:
            start = round(seconds * number / len(where), 6)
            position = replace(position, time=start, label=f"{start:.2f} s")
        changed[index] = replace(position, medium=medium)
    return tuple(changed.get(index, position) for index, position in enumerate(positions))
