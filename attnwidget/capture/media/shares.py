"""Which of the pictures, films and sounds of a batch belong to which of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnwidget.capture.media.packing import packed_pictures
from attnwidget.capture.positions.grids import merged_patches
from attnwidget.capture.positions.placeholders import placeholder_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from attnwidget.capture.media.packing import PackedPicture

__all__ = ["Shares", "read_shares"]


@dataclass(frozen=True, slots=True)
class Shares:
    """How many of a batch's media are whose.

    Attributes:
        row: The row that is recorded.
        rows: Number of rows.
        tokens: For each modality the number of its tokens in each row; empty where the token ids are not known.
        lengths: For each modality the number of tokens of each of its media, where the inputs tell.
        packed: The pictures that were cut into tiles.
        several: Whether pixels have an axis of rows and one of the pictures of each, made even by empty ones.
    """

    row: int = 0
    rows: int = 1
    tokens: Mapping[str, Sequence[int]] = field(default_factory=dict)
    lengths: Mapping[str, Sequence[int]] = field(default_factory=dict)
    packed: Sequence[PackedPicture] = ()
    several: bool = False

    @property
    def even(self) -> bool:
        """Whether all rows have as many tokens of each modality, so that nothing but equal parts makes sense."""
        return all(len(set(counts)) == 1 for counts in self.tokens.values())

    def of(self, count: int, modality: str | None = None) -> slice | None:
        """Say which of ``count`` media (or tiles of them) belong to the row.

        Args:
            count: How many there are of all rows.
            modality: Which kind they are, where that is known.

        Returns:
            The part, possibly empty, or ``None`` if it cannot be told.
        """
        if self.rows == 1:
            return slice(0, count)
        known = [name for name, found in self.tokens.items() if sum(found)]
        asked = known if modality is None else [name for name in known if name == modality]
        if not asked or (self.several and count % self.rows == 0):
            return self._equal(count)
        answers = [self._of(count, name) for name in asked]
        first = answers[0]
        return first if all(answer == first for answer in answers) else None

    def _of(self, count: int, modality: str) -> slice | None:
        tokens, total = self.tokens[modality], sum(self.tokens[modality])
        lengths = self.lengths.get(modality, ())
        parts = [1] * len(lengths)
        if modality == "image" and self.packed and count != len(lengths):
            parts = [picture.tiles for picture in self.packed]
        if sum(lengths) == total and sum(parts) == count:
            return _walked(lengths, parts, tokens, self.row)
        if total % count == 0:
            return _walked([total // count] * count, [1] * count, tokens, self.row)
        return self._equal(count) if len(set(tokens)) == 1 else None

    def _equal(self, count: int) -> slice | None:
        share, rest = divmod(count, self.rows)
        return None if rest else slice(self.row * share, (self.row + 1) * share)


def read_shares(given: Mapping[str, Tensor], model: nn.Module, row: int, rows: int) -> Shares:
    """Read off the inputs of a model whose its pictures, films and sounds are.

    Args:
        given: The inputs by name.
        model: The model.
        row: The row that is recorded.
        rows: Rows of the batch.
    """
    config = getattr(model, "config", None)
    ids = given.get("input_ids")
    tokens: dict[str, list[int]] = {}
    if ids is not None and ids.ndim == 2 and len(ids) == rows:
        for token, name in placeholder_tokens(config).items():
            found = (ids == token).sum(1).tolist()
            tokens[name] = [a + b for a, b in zip(found, tokens.get(name, [0] * rows), strict=True)]
    packed = packed_pictures(model, given)
    lengths: dict[str, Sequence[int]] = {"image": [len(picture.cells) for picture in packed]}
    for name in ("image", "video"):
        grids = given.get(f"{name}_grid_thw")
        if grids is not None:
            lengths[name] = _grid_lengths(grids, config)
    pixels = given.get("pixel_values")
    several = pixels is not None and pixels.ndim == 6
    return Shares(row, rows, tokens, lengths, packed, several)


def _grid_lengths(grids: Tensor, config: Any) -> list[int]:
    merge = merged_patches(config)
    return [int(number) // merge**2 for number in grids.prod(-1).tolist()]


def _walked(
    lengths: Sequence[int], parts: Sequence[int], tokens: Sequence[int], row: int
) -> slice | None:
    """Hand media out to rows in order, each as long as it has tokens; ``None`` if they do not come out even."""
    at = first = 0
    for number, wanted in enumerate(tokens):
        start, left = first, wanted
        while left > 0 and at < len(lengths):
            left -= lengths[at]
            first += parts[at]
            at += 1
        if left:
            return None
        if number == row:
            return slice(start, first)
    return None
