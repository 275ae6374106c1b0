"""`Store`: where recorded tensors live: memory, a device, or memory-mapped files."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.free_memory import free_memory, in_memory
from attnwidget.compute.checks import integer, is_word, shown
from attnwidget.files import tensor_files
from attnwidget.files.tensor_file import TensorFile
from attnwidget.record.byte_sizes import shown_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["DiskStore", "MemoryStore", "SpillingStore", "Store", "make_store"]

# Less than this is kept in memory also by a store on disk: what a generation adds token by token, say.
_SMALL = 1 << 18
# A call of this size takes far longer than returning free memory after it.
_LARGE = 1 << 24
# What the whole record may take of the memory that is free at its first layer; the rest is the model's.
_SHARE = 0.5
# How much of it has to be left when another layer has been kept, in case that estimate was wrong.
_RESERVE = 0.2
_CPU = torch.device("cpu")
_WAYS = (
    "'auto', 'cpu', 'disk', a torch device such as 'cuda:0', or a folder for the files (pathlib.Path('…'), or text "
    "with a separator in it)"
)


class Store:
    """Takes tensors of a record.

    Attributes:
        device: Where what it returns is, and where the maths on it runs.
        layers: About how many attention calls of the size of the first there will be.
    """

    device: torch.device = _CPU
    layers: int = 1

    def keep(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return copies, contiguous and detached: caches write into the very tensors that models pass."""
        raise NotImplementedError

    def place(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Move tensors that no other code writes into to where the record is kept; what is there already is not copied."""
        raise NotImplementedError


class MemoryStore(Store):
    """The memory of a device."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        """Take a device; ``"cuda"`` becomes ``"cuda:0"``.

        Raises:
            ValueError: If this machine has none.
        """
        try:
            self.device = torch.empty(0, device=device).device
        except (
            AssertionError,
            NotImplementedError,
            RuntimeError,
        ) as error:  # as each backend likes
            reason = str(error).strip().split("\n")[0]
            message = f"there is no device {str(device)!r} here ({reason}): pass store='cpu' or store='disk'."
            raise ValueError(message) from error

    def keep(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copy."""
        found = {name: self._copied(tensor.detach()) for name, tensor in tensors.items()}
        if self.device == _CPU:
            _release_unused(sum(map(_bytes, found.values())))
        return found

    def place(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Move what is elsewhere."""
        return {name: tensor.to(self.device) for name, tensor in tensors.items()}

    def _copied(self, tensor: Tensor) -> Tensor:
        if tensor.device != self.device:
            return tensor.to(self.device).contiguous()
        if tensor.device != _CPU or _bytes(tensor) < _SMALL:
            return tensor.clone(memory_format=torch.contiguous_format)
        return tensor_files.pages(tensor.shape, tensor.dtype).copy_(tensor)


class DiskStore(Store):
    """Files in a folder, each written when its call is recorded and mapped into memory.

    They are unlinked as soon as they are mapped, where the system allows: then nothing is left behind, however the
    process ends, and the space is free again when the last tensor of a file is gone. Elsewhere the folder is removed at
    the end of the process.
    """

    def __init__(self, parent: Path | None = None) -> None:
        """Make a folder of its own in ``parent``, or where the system keeps temporary files.

        Raises:
            ValueError: If ``parent`` is a file.
        """
        if parent is not None and parent.exists() and not parent.is_dir():
            message = f"store must name a folder, {parent} is a file: give it another name."
            raise ValueError(message)
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        self.parent = parent or _spill_folder()
        self._folder: Path | None = None
        self._count = 0
        self._mapped: weakref.WeakValueDictionary[tuple[int, int], Tensor] = (
            weakref.WeakValueDictionary()
        )

    def keep(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Write to a file what is large."""
        large = {name: tensor for name, tensor in tensors.items() if _bytes(tensor) >= _SMALL}
        small = {name: tensor for name, tensor in tensors.items() if name not in large}
        return {**MemoryStore().keep(small), **self._written(large)}

    def place(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Write to a file what is large and in none."""
        return {
            name: tensor
            if tensor.device == _CPU
            and (_bytes(tensor) < _SMALL or _address(tensor) in self._mapped)
            else self.keep({name: tensor})[name]
            for name, tensor in tensors.items()
        }

    def _written(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if not tensors:
            return {}
        size = sum(map(_bytes, tensors.values()))
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="attnwidget-", dir=self.parent))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        free = shutil.disk_usage(self._folder).free
        if size > free:
            message = (
                f"{shown_bytes(size)} of the record do not fit in {self.parent}, where {shown_bytes(free)} are free: name "
                "a folder with more room, store=pathlib.Path('…'), or record less, with layers=, streams= or positions=."
            )
            raise OSError(message)
        path = self._folder / f"{self._count}.safetensors"
        self._count += 1
        with path.open("wb") as file:
            tensor_files.write(file, tensors)
        found = dict(TensorFile.open(path).tensors)
        for tensor in found.values():
            self._mapped[_address(tensor)] = tensor
        try:
            path.unlink()
        except OSError:  # a system that does not unlink a file in use
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        _release_unused(size)
        return found


def _release_unused(size: int) -> None:
    """Return memory that the allocator holds between two layers of a long input: as much again as a layer's record."""
    if size >= _LARGE:
        tensor_files.give_back()


class SpillingStore(Store):
    """Memory as long as the record fits in it, the disk from then on.

    Args:
        first: The memory to begin with.
    """

    def __init__(self, first: MemoryStore | None = None) -> None:
        """Begin in memory."""
        self._store: Store = first or MemoryStore()
        self.device = self._store.device
        self._reserve: float | None = None

    def keep(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copy, or write to a file where memory is short."""
        self._spill_if_short(sum(map(_bytes, tensors.values())))
        return self._store.keep(tensors)

    def place(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Let the store in use do it."""
        return self._store.place(tensors)

    def _spill_if_short(self, size: int) -> None:
        """Switch to the next store if this much more does not fit, or all that is still to come will not."""
        if size < _SMALL or isinstance(self._store, DiskStore):
            return
        free = _available_memory(self.device)
        if free is None:
            return
        begins = self._reserve is None
        expected = size * self.layers if begins else size
        left = free * (1 - _SHARE) if self._reserve is None else self._reserve
        if self._reserve is None:
            self._reserve = free * _RESERVE
        if free - expected >= left:
            return
        after: Store = DiskStore() if self.device.type == "cpu" else MemoryStore()
        where = (
            f"on disk in {after.parent}, memory-mapped"
            if isinstance(after, DiskStore)
            else "in memory"
        )
        of = f" of {self.device}" if self.device.type != "cpu" else ""
        what = (
            f"the record will take about {shown_bytes(expected)} ({self.layers} layers of {shown_bytes(size)})"
            if begins
            else f"another layer of the record takes {shown_bytes(size)}"
        )
        warnings.warn(
            f"{what} and {shown_bytes(free)} of memory{of} are free, of which the model is left {shown_bytes(left)}: "
            f"it is kept {where}. layers=, streams= and positions= record less; store= says where without this message.",
            stacklevel=2,
        )
        self._store = after
        if isinstance(after, MemoryStore):
            # What is on the device so far stays there until the record is made.
            self.device, self._reserve = after.device, None
            self._spill_if_short(size)


def make_store(given: object, device: torch.device | str | None = None) -> Store:
    """Make the store that ``store=`` and ``device=`` ask for.

    Raises:
        ValueError: If ``given`` is nothing that can be understood, or both are given.
    """
    if device is not None:
        if given is not None and not is_word(given, ("auto",)):
            message = (
                f"device= and store= both say where the record is kept, got device={shown(device)} and store={shown(given)}:"
                " pass store= alone."
            )
            raise ValueError(message)
        given = _device(device)
    if given is None or is_word(given, ("auto",)):
        return SpillingStore()
    if is_word(given, ("disk",)):
        return DiskStore()
    if isinstance(given, os.PathLike):
        return DiskStore(Path(given))
    if isinstance(given, torch.device):
        return _on_device(given)
    if isinstance(given, str):
        named = None
        with contextlib.suppress(RuntimeError):
            named = torch.device(given)
        if named is not None:
            return _on_device(named)
        if os.sep in given or "/" in given:
            return DiskStore(Path(given).expanduser())
    message = f"store must be {_WAYS}, got {shown(given)}."
    raise ValueError(message)


def _device(given: Any) -> torch.device:
    """Return a device by its name or number.

    Raises:
        ValueError: If there is none of this name.
    """
    if isinstance(given, torch.device):
        return given
    number = integer(given)
    if isinstance(given, str) or number is not None:
        with contextlib.suppress(RuntimeError, ValueError, OverflowError):
            found: torch.device = torch.device(given if number is None else number)
            return found
    message = f"device must be a torch device that is there, such as 'cpu' or 'cuda:0', got {shown(given)}."
    raise ValueError(message)


def _on_device(device: torch.device) -> Store:
    if device.type == "meta":
        message = "store must be a device that holds numbers, got 'meta': pass store='cpu' or store='disk'."
        raise ValueError(message)
    return MemoryStore(device) if device.type == "cpu" else SpillingStore(MemoryStore(device))


def _available_memory(device: torch.device) -> int | None:
    """Return how much memory of a device is free, in bytes, or ``None`` where it cannot be told."""
    if device.type == "cpu":
        return free_memory()
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return None


def _spill_folder() -> Path:
    """Choose a folder for temporary files that is not itself held in memory, where there is one."""
    usual = Path(tempfile.gettempdir())
    others = (Path("/var/tmp"), Path.cwd())  # noqa: S108  (mkdtemp makes a private folder in it)
    good = (path for path in (usual, *others) if os.access(path, os.W_OK) and not in_memory(path))
    return next(good, usual)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.dtype.itemsize


def _address(tensor: Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), _bytes(tensor)
