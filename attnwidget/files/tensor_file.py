"""`TensorFile`: a safetensors file that is opened once, mapped into memory, and checked against its own digests."""

from __future__ import annotations

import json
import math
import mmap
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.files.tensor_files import DIGEST_LENGTH, DIGESTS, DTYPES, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeGuard

    from torch import Tensor

__all__ = ["FirstRead", "TensorFile", "TensorFileError"]

_DTYPES = {name: dtype for dtype, name in DTYPES.items()}
_LARGEST_HEADER = 100_000_000  # bytes, as the safetensors library has it


class TensorFileError(ValueError):
    """A file that is no safetensors file, or a damaged one; says what is wrong, and the caller with which file."""


@dataclass(frozen=True, slots=True)
class TensorFile:
    """The tensors of a file, memory-mapped, and the texts of its header.

    Attributes:
        tensors: The tensors by name. Their bytes are read when they are first looked at; nothing that is written into
            them reaches the file. They stay readable when the file is replaced or unlinked, and are lost when it is
            shortened in place.
        texts: The header's texts by name.
        digests: What each tensor must hold, or nothing for files without digests.
    """

    tensors: Mapping[str, Tensor]
    texts: Mapping[str, str]
    digests: Mapping[str, str]

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, copy: bool = False) -> TensorFile:
        """Open a file once and read all of it through that descriptor, so that it is of one piece.

        Args:
            path: File to read.
            copy: Whether its bytes are read into memory at once, so that the file no longer matters.

        Raises:
            FileNotFoundError: If there is no such file.
            TensorFileError: If it is none, is cut short, or its header is not what was written.
        """
        path = Path(path)
        if not path.is_file():
            message = f"there is no file {path}."
            raise FileNotFoundError(message)
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 2 <= size <= _LARGEST_HEADER:
                message = "it is no safetensors file, or only part of one"
                raise TensorFileError(message)
            text = file.read(size)
            header, texts = _parse(text, size)
            digests = _checked_header(text, header, texts)
            tensors = _tensors(file.fileno(), 8 + size, header, copy=copy)
        return cls(tensors, texts, digests)

    def verify(self) -> None:
        """Read all tensors and compare them with their digests.

        Raises:
            TensorFileError: If one is not what was written; it names it.
        """
        for name in self.digests:
            self.verify_one(name)

    def verify_one(self, name: str) -> None:
        """Read one tensor and compare it with its digest, if the file has one."""
        digest = self.digests.get(name)
        if digest is not None and digest_of(_bytes_of(self.tensors[name])) != digest:
            message = f"the tensor {name!r} does not hold what was written"
            raise TensorFileError(message)


class FirstRead:
    """Compares some tensors of a file with their digests, once, when they are first used.

    Args:
        file: The file.
        names: Which of its tensors.
        path: What the file is called in the error.
    """

    def __init__(self, file: TensorFile, names: tuple[str, ...], path: str) -> None:
        """Wait."""
        self._file, self._names, self._path = file, names, path
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Compare, if that has not been done.

        Raises:
            ValueError: If a tensor is not what was written.
        """
        if not self._names:
            return
        with self._lock:  # whoever comes second waits, and finds no name left
            try:
                for name in self._names:
                    self._file.verify_one(name)
            except TensorFileError as error:
                message = f"{self._path} is damaged: {error}. Load another copy of the file."
                raise ValueError(message) from None
            self._names = ()

    def __reduce__(self) -> tuple[type[FirstRead], tuple[object, ...]]:
        # What is copied or sent elsewhere is read for it: its bytes are compared before they leave.
        self()
        return FirstRead, (TensorFile({}, {}, {}), (), self._path)


def _parse(text: bytes, size: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the entries of the tensors and the texts of a header."""
    if len(text) < size:
        message = "it is no safetensors file, or only part of one"
        raise TensorFileError(message)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"it is no safetensors file, or its header is damaged ({error})"
        raise TensorFileError(message) from None
    texts = header.pop("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(texts, dict) or not all(isinstance(each, str) for each in texts.values()):
        message = "it is no safetensors file, or its header is damaged"
        raise TensorFileError(message)
    return header, texts


def _checked_header(text: bytes, header: dict[str, Any], texts: dict[str, str]) -> dict[str, str]:
    """Return the digests by tensor, having compared the header with its own."""
    digests = texts.get(DIGESTS)
    if digests is None:
        return {}
    names = list(header)
    zeros = "0" * DIGEST_LENGTH * (1 + len(names))
    parts = [
        digests[start : start + DIGEST_LENGTH] for start in range(0, len(digests), DIGEST_LENGTH)
    ]
    fits = len(digests) == len(zeros) and digests.isascii()
    if not fits or digest_of(text.replace(digests.encode(), zeros.encode(), 1)) != parts[0]:
        message = "its header does not hold what was written"
        raise TensorFileError(message)
    return dict(zip(names, parts[1:], strict=True))


def _tensors(
    descriptor: int, start: int, header: dict[str, Any], *, copy: bool
) -> dict[str, Tensor]:
    """Return the tensors of an open file whose data begin at ``start``."""
    total = os.fstat(descriptor).st_size
    entries = {name: _entry(name, entry) for name, entry in header.items()}
    end = 0
    for *_, first, stop in sorted(entries.values(), key=lambda entry: entry[2:]):
        if first != end:
            message = "its header is damaged: its tensors overlap, or leave gaps"
            raise TensorFileError(message)
        end = stop
    if start + end != total:
        message = f"it is no safetensors file, or only part of one: its header tells of {start + end} bytes, there are {total}"
        raise TensorFileError(message)
    if not end:
        return {
            name: torch.empty(shape, dtype=dtype) for name, (dtype, shape, *_) in entries.items()
        }
    try:
        held = mmap.mmap(descriptor, total, access=mmap.ACCESS_COPY)
    except ValueError as error:  # shortened since it was asked for its size
        message = "it is only part of one"
        raise TensorFileError(message) from error
    data: Any = held
    if copy:
        data = bytearray(held)
        held.close()
    found = {}
    for name, (dtype, shape, first, stop) in entries.items():
        count = math.prod(shape)
        if first == stop:
            found[name] = torch.empty(shape, dtype=dtype)
        else:
            found[name] = torch.frombuffer(
                data, dtype=dtype, count=count, offset=start + first
            ).view(shape)
    return found


def _entry(name: str, entry: object) -> tuple[torch.dtype, tuple[int, ...], int, int]:
    """Return dtype, shape and place of a tensor, as its entry in the header has them."""
    if isinstance(entry, dict):
        dtype = _DTYPES.get(str(entry.get("dtype")))
        shape, place = entry.get("shape"), entry.get("data_offsets")
        if dtype is not None and _sizes(shape) and _sizes(place) and len(place) == 2:
            first, stop = place
            if stop - first == math.prod(shape) * dtype.itemsize and first % dtype.itemsize == 0:
                return dtype, tuple(shape), first, stop
    message = f"its entry of the tensor {name!r} is damaged"
    raise TensorFileError(message)


def _sizes(given: object) -> TypeGuard[list[int]]:
    return isinstance(given, list) and all(type(size) is int and size >= 0 for size in given)


def _bytes_of(tensor: Tensor) -> memoryview:
    """Return a tensor's bytes; it is contiguous, as all tensors of a file are."""
    if not tensor.numel():
        return memoryview(b"")
    array: Any = tensor.view(-1).view(torch.uint8).numpy()
    return memoryview(array)
