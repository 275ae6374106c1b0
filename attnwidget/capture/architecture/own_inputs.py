"""`OwnInputs`: token ids and pictures of models that are not transformers', whose arguments may be called anything.

Ids are known by what becomes of them: integers ``[batch, position]`` that an ``nn.Embedding`` looks up, or that are the
one integer argument. A picture is a float ``[batch, channel, height, width]``; convolutions tell its grid of patches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isqrt
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnwidget.capture.architecture.stream_names import is_of_transformers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

__all__ = ["OwnGrid", "OwnInputs", "fit_grid", "own_modules"]

_MOST_LEADING = 9  # positions before the patches: one class token, registers
_MOST_CHANNELS = 16


@dataclass(frozen=True, slots=True)
class OwnGrid:
    """How patches of a picture are laid out.

    Attributes:
        rows: Rows of patches.
        columns: Columns of patches.
        leading: Positions before the patches.
    """

    rows: int
    columns: int
    leading: int = 0


@dataclass(frozen=True, slots=True)
class _Convolution:
    path: str
    picture: Tensor
    grid: tuple[int, int]
    cuts: bool  # into patches that do not overlap


@dataclass(slots=True)
class OwnInputs:
    """What a model that is not transformers' was given, and its parts looked up.

    Attributes:
        picture: The picture that was laid out in patches, ``[batch, channel, height, width]``, without the pixels at its
            right and below that are in none; ``None`` before that.
    """

    picture: Tensor | None = None
    _given: dict[tuple[str, int], list[Tensor]] = field(default_factory=dict)
    _embedded: dict[tuple[str, int], list[Tensor]] = field(default_factory=dict)
    _pictures: list[Tensor] = field(default_factory=list)
    _convolutions: list[_Convolution] = field(default_factory=list)
    _series: list[tuple[int, ...]] = field(default_factory=list)
    _calls: dict[str, tuple[int, int]] = field(default_factory=dict)

    def note_arguments(
        self, inputs: Mapping[str, Any], number: int, row: int, num_rows: int | None
    ) -> None:
        """Note the arguments of a call of the whole model.

        Args:
            inputs: Its arguments by name.
            number: Number of the forward pass.
            row: Row of the batch that is recorded.
            num_rows: Rows of the batch, where that is known.
        """
        for name, value in inputs.items():
            if not isinstance(value, torch.Tensor) or value.is_nested:
                continue
            if value.is_floating_point():
                if value.ndim == 3:
                    self._series.append(tuple(value.shape))
                elif _is_picture(value):
                    self._pictures.append(value.detach())
                continue
            ids = _row_of_ids(value, row, num_rows)
            if ids is not None:
                self._given.setdefault(self._key(name, number), []).append(ids)

    def note_embedding(
        self, path: str, ids: Any, number: int, row: int, num_rows: int | None
    ) -> None:
        """Note what an ``nn.Embedding`` is about to look up; the arguments are those of `note_arguments`."""
        found = _row_of_ids(ids, row, num_rows) if isinstance(ids, torch.Tensor) else None
        if found is not None:
            self._embedded.setdefault(self._key(path, number), []).append(found)

    def note_convolution(self, path: str, module: nn.Conv2d, given: Any, made: Any) -> None:
        """Note a convolution that made a picture coarser; later ones read its features and not pixels."""
        if not isinstance(made, torch.Tensor) or made.ndim != 4 or max(module.stride) < 2:
            return
        pictures = [each.picture for each in self._convolutions] + self._pictures
        whole = pictures[-1] if pictures else None
        first = isinstance(given, torch.Tensor) and _is_picture(given)
        if first and whole is not None:
            first = not (len(given) == len(whole) and given.shape[-1] < whole.shape[-1])
        picture = given.detach() if first else whole
        if picture is None:
            return
        grid = (int(made.shape[2]), int(made.shape[3]))
        cuts = tuple(module.kernel_size) == tuple(module.stride)
        if first and cuts:
            height, width = (size * step for size, step in zip(grid, module.stride, strict=True))
            picture = picture[..., :height, :width]
        self._convolutions.append(_Convolution(path, picture, grid, cuts))

    def absorb(self, later: OwnInputs) -> None:
        """Take what a pass was given that goes on from those here."""
        for mine, others in ((self._given, later._given), (self._embedded, later._embedded)):
            for key, parts in others.items():
                mine.setdefault(key, []).extend(parts)
        self._pictures += later._pictures
        self._convolutions += later._convolutions
        self._series += later._series

    def ids(self, counts: Iterable[int], path: str, *, second: bool) -> Tensor | None:
        """Return the token ids of a stream.

        Args:
            counts: How many positions it may have.
            path: Path of one of its attention modules: an embedding that is near to it is its own.
            second: Whether it is the second of two texts, that a decoder reads beside the encoder's.
        """
        wanted = set(counts)
        given = [ids for ids in _joined(self._given) if len(ids[1]) in wanted]
        looked_up = [ids for ids in _joined(self._embedded) if len(ids[1]) in wanted]
        first = given[0][1] if given else None
        pool = [(p, ids) for p, ids in looked_up if not _counts_or_flags(ids)] or [
            (p, ids) for p, ids in looked_up if first is not None and torch.equal(ids, first)
        ]
        if pool:
            near = max(_shared_parts(p, path) for p, _ in pool)
            pool = [(p, ids) for p, ids in pool if _shared_parts(p, path) == near]
        elif not any(shape[1] in wanted for shape in self._series):
            # Beside vectors, integers are a mask or what the model should say.
            pool = [(p, ids) for p, ids in given if not _counts_or_flags(ids)]
        different = [
            ids
            for place, (_, ids) in enumerate(pool)
            if not any(torch.equal(ids, other) for _, other in pool[:place])
        ]
        if not different:
            return None
        return different[1] if second and len(different) > 1 else different[0]

    def grid(self, count: int, path: str) -> OwnGrid | None:
        """Return how ``count`` positions lie in a picture, or ``None`` where they do not fill one.

        Args:
            count: Number of positions.
            path: Path of one of the stream's attention modules.
        """
        found = [
            (count - rows * columns, -_shared_parts(each.path, path), place)
            for place, each in enumerate(self._convolutions)
            for rows, columns in [each.grid]
            if 0 <= count - rows * columns <= (_MOST_LEADING if each.cuts else 1)
        ]
        if found:
            leading, _, place = min(found)
            convolution = self._convolutions[place]
            self.picture = convolution.picture
            return OwnGrid(*convolution.grid, leading)
        for each in self._convolutions:
            rows, columns = each.grid
            while rows > 1 and columns > 1 and rows * columns > count:  # later stages merge patches
                rows, columns = (rows + 1) // 2, (columns + 1) // 2
                if rows * columns == count:
                    self.picture = each.picture
                    return OwnGrid(rows, columns)
        for picture in () if self._convolutions else self._pictures:
            for leading in (0, 1):
                fitted = fit_grid(count - leading, *picture.shape[-2:])
                if fitted is not None:
                    self.picture = picture
                    return OwnGrid(*fitted, leading)
        return None

    def num_channels(self) -> set[int]:
        """Return how many channels a series ``[batch, time, channel]``, or with the channels first, may have."""
        return {size for shape in self._series for size in shape[1:]}

    def _key(self, path: str, number: int) -> tuple[str, int]:
        """Tell apart the calls of one module within a pass; those of later passes go on from the same."""
        before, calls = self._calls.get(path, (number, 0))
        calls = calls + 1 if before == number else 1
        self._calls[path] = number, calls
        return path, calls


def own_modules(model: nn.Module, kind: type[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules of a kind that are in none of transformers' models, by path."""

    def walk(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        if is_of_transformers(type(module)):
            return
        if isinstance(module, kind):
            yield path, module
        for name, child in module.named_children():
            yield from walk(f"{path}.{name}" if path else name, child)

    seen: set[int] = set()
    for path, module in walk("", model):
        if id(module) not in seen:
            seen.add(id(module))
            yield path, module


def fit_grid(count: int, height: int, width: int) -> tuple[int, int] | None:
    """Return the rows and columns of ``count`` square cells that fill an image."""
    rows = isqrt(count * height // width) if width and count > 0 else 0
    for guess in (rows, rows + 1):
        if guess and count % guess == 0 and guess * width == (count // guess) * height:
            return guess, count // guess
    return None


def _is_picture(tensor: Tensor) -> bool:
    return (
        tensor.ndim == 4
        and tensor.is_floating_point()
        and 1 <= tensor.shape[1] <= _MOST_CHANNELS
        and min(tensor.shape[2:]) > 1
    )


def _row_of_ids(tensor: Tensor, row: int, num_rows: int | None) -> Tensor | None:
    """Return the recorded row of integers ``[batch, position]``, or integers ``[position]`` of one input."""
    if tensor.is_nested or tensor.dtype == torch.bool or tensor.is_complex():
        return None
    if tensor.is_floating_point() or not tensor.numel():
        return None
    if tensor.ndim == 1:
        return tensor.detach().cpu().clone() if num_rows in {None, 1} else None
    if tensor.ndim != 2:
        return None
    rows = len(tensor)
    # Distances between positions are [query, key].
    if rows not in {1, num_rows} and (num_rows is not None or tensor.shape[0] == tensor.shape[1]):
        return None
    return tensor[min(row, rows - 1)].detach().cpu().clone()


def _joined(found: Mapping[tuple[str, int], list[Tensor]]) -> list[tuple[str, Tensor]]:
    """Join what one source had in all passes; where a pass read everything anew, its last is there as well."""
    whole = [(path, torch.cat(parts)) for (path, _), parts in found.items()]
    return whole + [(path, parts[-1]) for (path, _), parts in found.items() if len(parts) > 1]


def _counts_or_flags(ids: Tensor) -> bool:
    """Tell whether integers number positions, or tell two kinds of them apart, as those of tokens hardly do."""
    steps = ids[1:] - ids[:-1]
    return bool((ids.abs() <= 1).all()) or (len(ids) > 1 and bool((steps == 1).all()))


def _shared_parts(one: str, other: str) -> int:
    """Return how many parts two paths begin with in common."""
    count = 0
    for left, right in zip(one.split("."), other.split("."), strict=False):
        if left != right:
            break
        count += 1
    return count
