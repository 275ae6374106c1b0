"""`Pictures`: the images of a record, and where patches and the tokens that represent them lie in them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from attnwidget.capture.positions.grids import fit_grid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from attnwidget.capture.media.images import InputImage
    from attnwidget.capture.media.packing import Cell
    from attnwidget.capture.media.shares import Shares
    from attnwidget.record.positions import Position, Positions

__all__ = ["Pictures", "is_placeholder", "own_cells"]

_NAMES = ("image", "video")  # by the first mark of a token, see `MODALITIES`


def is_placeholder(position: Position) -> bool:
    """Tell whether a token represents a patch or a frame whose place is not known yet."""
    return position.kind in ("patch", "frame") and position.row is None and position.time is None


def own_cells(shares: Shares) -> list[Cell | None] | None:
    """Return where the tokens of a row's tiles lie, their tiles counted within the row; ``None`` without tiles."""
    part = shares.of(len(shares.packed), "image") if shares.packed else None
    if part is None:
        return None
    before = sum(picture.tiles for picture in shares.packed[: part.start])
    return [
        None if cell is None else (cell[0] - before, *cell[1:])
        for picture in shares.packed[part]
        for cell in picture.cells
    ]


class Pictures:
    """The images of a record, which are the first of its media: pictures, then frames of films."""

    def __init__(
        self, images: Sequence[InputImage], cells: list[Cell | None] | None, learned: frozenset[int]
    ) -> None:
        """Keep them.

        Args:
            images: The images as they were found.
            cells: Where the tokens of the row's tiles lie, where that is told.
            learned: Numbers of learned queries that look at pictures.
        """
        self.images = images
        self.cells = cells
        self.learned = learned
        self._unplaced: dict[str, int] = {}
        self._learned: set[str] = set()

    def placed(self, positions: Positions, name: str) -> Positions:
        """Set for every patch the image that it is part of.

        Args:
            positions: Positions of one axis.
            name: Name of its stream.
        """
        where = [index for index, position in enumerate(positions) if position.kind == "patch"]
        if not where:
            return positions
        own = [positions[index] for index in where]
        if all(position.row is not None for position in own):
            found = self._patches(own, name)
        else:
            found = self._tokens(own)
        changed = dict(zip(where, found, strict=True))
        return tuple(changed.get(index, position) for index, position in enumerate(positions))

    def part(self, positions: Positions, name: str) -> str:
        """Say which of the images a vision stream's patches are of, where one tower saw pictures and then a film."""
        films = sum(image.film for image in self.images)
        stills = len(self.images) - films
        seen = {position.medium for position in positions if position.row is not None}
        if not films or not stills or len(seen) != films:
            return ""
        told = stills != films or "video" in name or "part 2" in name
        return "video" if told else ""

    def _patches(self, patches: list[Position], name: str) -> list[Position]:
        """Give patches with a row and a column their image; several images follow one another."""
        films = sum(image.film for image in self.images)
        first = len(self.images) - films if self.part(tuple(patches), name) else 0
        numbers = [first + (patch.medium or 0) for patch in patches]
        if max(numbers) >= len(self.images):
            return [replace(patch, medium=None) for patch in patches]
        several = len(self.images) > 1
        return [
            # A label that the user gave stays.
            replace(patch, medium=number, label=_label(row, column, number, several))
            if patch.label
            == _label(row := patch.row or 0, column := patch.column or 0, 0, several=False)
            else replace(patch, medium=number)
            for patch, number in zip(patches, numbers, strict=True)
        ]

    def _tokens(self, tokens: list[Position]) -> list[Position]:
        """Set the place of tokens that represent patches in a text; as they are where it is not known."""
        made = dict(enumerate(tokens))
        for mark, name in enumerate(_NAMES):
            where = [at for at, token in enumerate(tokens) if (token.medium or 0) == mark]
            own = {
                number: image
                for number, image in enumerate(self.images)
                if image.own and image.film == (name == "video")
            }
            if where:
                made |= self._tokens_of(name, {at: tokens[at] for at in where}, own)
        return [made[at] for at in range(len(tokens))]

    def _tokens_of(
        self, name: str, tokens: Mapping[int, Position], own: Mapping[int, InputImage]
    ) -> dict[int, Position]:
        cells = self._cells(name, len(tokens), own)
        if cells is None or len(cells) != len(tokens):
            if len(tokens) != len(
                own
            ):  # else one represents a whole picture, which is looked at elsewhere
                self._unplaced[name] = max(self._unplaced.get(name, 0), len(tokens))
            return {at: replace(t, kind="special", medium=None) for at, t in tokens.items()}
        several = len(self.images) > 1
        return {
            at: replace(token, kind="special", medium=None)
            if cell is None
            else replace(
                token,
                label=_label(cell[1], cell[2], cell[0], several),
                row=cell[1],
                column=cell[2],
                grid=cell[3],
                medium=cell[0],
            )
            for (at, token), cell in zip(tokens.items(), cells, strict=True)
        }

    def _cells(
        self, name: str, count: int, own: Mapping[int, InputImage]
    ) -> list[Cell | None] | None:
        """Return where each of ``count`` tokens of the row's images lies, or ``None`` if it is not known."""
        if not own:
            return None
        if name == "image" and self.cells is not None:
            return self.cells
        if all(image.grid is not None for image in own.values()):
            found: list[Cell | None] = []
            for number, image in own.items():
                assert image.grid is not None  # noqa: S101  (looked at just above)
                found += _grid_cells(number, image.grid)
            return found
        owners: dict[int, list[int]] = {}
        for number, image in own.items():
            owners.setdefault(image.owner if name == "video" else number, []).append(number)
        share, rest = divmod(count, len(owners))
        return None if rest else self._even_shares(name, share, list(owners.values()))

    def _even_shares(
        self, name: str, share: int, owners: Sequence[Sequence[int]]
    ) -> list[Cell | None] | None:
        """Lay tokens out over pictures or films that have as many each."""
        cells: list[Cell | None] = []
        for numbers in owners:
            # After all frames of a film, a model may put a new line.
            each, line = divmod(share, len(numbers))
            if line > 1:
                return None
            if each in self.learned:
                self._learned.add(name)
                return None
            for number in numbers:
                cells += _even_cells(number, self.images[number], each)
            cells += [None] * line
        return cells

    def unplaced(
        self, given: Mapping[str, Tensor], shares: Shares, *, packs: bool
    ) -> tuple[str, ...]:
        """Say which tokens should lie in an image and do not, and why.

        Args:
            given: Inputs of the model by name.
            shares: How many tokens there are; where a model was given vectors, they may be known to nobody else.
            packs: Whether the model packs the tiles of pictures into one sequence, by their sizes.
        """
        for name in _NAMES:
            counts = shares.tokens.get(name)
            if counts and counts[shares.row] and _main_input(name) not in given:
                self._unplaced.setdefault(name, counts[shares.row])
        return tuple(
            f"{count} {name} tokens have no place in {'a picture' if name == 'image' else 'a film'}: "
            f"{self._why(name, given, packs=packs)}."
            for name, count in self._unplaced.items()
        )

    def _why(self, name: str, given: Mapping[str, Tensor], *, packs: bool) -> str:
        main = _main_input(name)
        pixels, grids = given.get(main), f"{name}_grid_thw"
        if pixels is None:
            return (
                f"the model was not given {main}; pass it, not vectors that were made of it before"
            )
        if name in self._learned:
            return "they represent learned queries, each of which looks at all of it"
        if pixels.ndim == 2 and grids not in given:
            return f"the model was not given {grids}, which says how many rows and columns of patches there are"
        if packs and "image_sizes" not in given and name == "image":
            return "the model was not given image_sizes, which says how its tiles lie"
        shape = list(pixels.shape)
        return f"how the model makes them of {main} {shape} is not known"


def _main_input(name: str) -> str:
    return "pixel_values" if name == "image" else "pixel_values_videos"


def _grid_cells(number: int, grid: tuple[int, int]) -> list[Cell | None]:
    return [(number, row, column, grid) for row in range(grid[0]) for column in range(grid[1])]


def _even_cells(number: int, image: InputImage, count: int) -> list[Cell | None]:
    """Lay ``count`` tokens out over an image: one for each patch and one for all of it before, or as a coarser grid."""
    if image.patches is not None and count == image.patches[0] * image.patches[1] + 1:
        return [None, *_grid_cells(number, image.patches)]
    grid = fit_grid(count, *image.pixels.shape[1:])
    return [] if grid is None else _grid_cells(number, grid)


def _label(row: int, column: int, image: int, several: bool) -> str:  # noqa: FBT001  (private, and read with its name)
    return f"{f'image {image} ' if several else ''}r{row} c{column}"
