"""Which positions lie where in which image or spectrogram."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attnwidget.capture.media.audio import spectrograms
from attnwidget.capture.media.images import find_images, to_display
from attnwidget.capture.media.packing import packing_module
from attnwidget.capture.media.pictures import Pictures, is_placeholder, own_cells
from attnwidget.capture.media.shares import Shares, read_shares

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
    generated: int = 0,
    learned: frozenset[int] = frozenset(),
) -> tuple[dict[str, Stream], tuple[Medium, ...], tuple[str, ...]]:
    """Find the images and the audio that went into a model, and say which positions lie in them.

    Args:
        streams: The streams that were recorded.
        given: Inputs of the model by name.
        model: The model.
        row: Row of the batch that was recorded.
        num_rows: Rows of the batch.
        processor: The processor, tokenizer or ``None`` that the caller gave.
        originals: The images as the caller gave them, of Pillow's, where they are known.
        generated: Number of tokens at the end that the model has written: none of them represents a medium.
        learned: Numbers of learned queries that look at pictures: tokens that represent those have no place.

    Returns:
        The same streams, with other positions; the media; and what is to be said of tokens without a place.
    """
    config = getattr(model, "config", None)
    folder = getattr(model, "name_or_path", "") or ""
    images: list[InputImage] = []
    media: list[Medium] = []
    sounds: list[tuple[Medium, float]] = []
    shares = Shares()
    try:
        shares = read_shares(given, model, row, num_rows)
        found = find_images(given, config, shares)
        media = to_display(found, processor, folder, originals)
        images = found
        sounds = spectrograms(given, config, processor, shares)
    except Exception:  # noqa: BLE001  inputs of an unknown kind: the attention is recorded all the same
        _log.debug("what went in could not be shown", exc_info=True)
    heard = [
        Sound(len(media) + number, sound.seconds, min(real, sound.seconds))
        for number, (sound, real) in enumerate(sounds)
        if sound.seconds is not None
    ]
    pictures = Pictures(images, own_cells(shares), learned)
    both = bool(getattr(config, "is_encoder_decoder", False))
    made = _Placer(pictures, heard, generated, encoder=both).streams(streams)
    said = pictures.unplaced(given, shares, packs=packing_module(model) is not None)
    return made, (*media, *(sound for sound, _ in sounds)), said


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound among the media.

    Attributes:
        medium: Its index among the media.
        seconds: Its length.
        real: Its length without padding.
    """

    medium: int
    seconds: float
    real: float


class _Placer:
    """Sets for every patch and frame the medium it is part of."""

    def __init__(
        self,
        pictures: Pictures,
        sounds: Sequence[Sound],
        generated: int,
        *,
        encoder: bool,
    ) -> None:
        """Start with nothing placed.

        Args:
            pictures: The images, which are the record's first media.
            sounds: The sounds, which come after them.
            generated: Number of tokens at the end that the model has written.
            encoder: Whether the model has an encoder, which reads none of these.
        """
        self.pictures = pictures
        self.sounds = sounds
        self.generated = generated
        self.encoder = encoder
        self._known: dict[tuple[int, bool, str], Positions] = {}

    def streams(self, streams: Mapping[str, Stream]) -> dict[str, Stream]:
        """Return the same streams, with other positions."""
        made = {}
        for name, stream in streams.items():
            keys = self._placed(stream.key_positions, name)
            first = stream.first_query
            if first is None:
                queries = self._placed(stream.query_positions, name)
            else:  # some of its positions: their tokens alone do not tell which patches they are
                queries = keys[first : first + len(stream.query_positions)]
            made[name] = replace(stream, query_positions=queries, key_positions=keys)
        return made

    def _placed(self, positions: Positions, name: str) -> Positions:
        text = any(position.kind == "token" for position in positions)
        written = text and self.generated > 0 and (not self.encoder or name.startswith("decoder"))
        key = (id(positions), written, self.pictures.part(positions, name))
        if key not in self._known:
            read = self._without_written(positions) if written else positions
            placed = self.pictures.placed(read, name)
            self._known[key] = _with_audio(placed, self.sounds, text=text)
        return self._known[key]

    def _without_written(self, positions: Positions) -> Positions:
        """Take what the model has written for text, also where it has written the token of an image."""
        first = len(positions) - self.generated
        return tuple(
            replace(position, kind="special", medium=None)
            if index >= first and is_placeholder(position)
            else position
            for index, position in enumerate(positions)
        )


def _with_audio(positions: Positions, sounds: Sequence[Sound], *, text: bool) -> Positions:
    """Spread frames evenly over the sounds, and tokens in a text over what of them is no padding.

    With several sounds each has as many, or it is not known which is whose.
    """
    where = [index for index, position in enumerate(positions) if position.kind == "frame"]
    if not where or not sounds or len(where) % len(sounds):
        return positions
    share = len(where) // len(sounds)
    changed: dict[int, Position] = {}
    for number, index in enumerate(where):
        position = positions[index]
        sound = sounds[number // share]
        seconds = sound.real if text else sound.seconds
        if position.time is None:
            start = round(seconds * (number % share) / share, 6)
            position = replace(position, time=start, label=f"{start:.2f} s")
        changed[index] = replace(position, medium=sound.medium)
    return tuple(changed.get(index, position) for index, position in enumerate(positions))
