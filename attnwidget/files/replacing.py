"""Write a file in one step: a reader, and a crash at any moment, meets the old file or the new one, whole."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING

if sys.platform != "win32":  # where an open file cannot be removed: no lock is needed there
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["replacing", "write_bytes", "write_text"]


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file to write that takes the place of ``path`` when the block ends, and is gone if the block raises.

    The new file has the permissions of the old one and is on the disk before it takes the place. A symbolic link stays one,
    and what is no regular file, such as a pipe, is written as it is. What an earlier process left behind half-written is
    removed.

    Args:
        path: File to write.

    Yields:
        A binary file that can be written, read and sought in.

    Raises:
        FileNotFoundError: If the folder does not exist.
        OSError: If the system refuses, such as for a full disk; it names the file and the reason.
    """
    given = Path(path)
    target = Path(os.path.realpath(given))
    if not target.parent.is_dir():
        message = f"cannot write {given}: there is no folder {target.parent}."
        raise FileNotFoundError(message)
    with _naming(given):
        if target.is_dir():
            raise IsADirectoryError(21, "is a folder", str(given))
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                yield file
            return
        _sweep(target)
        with _unfinished(target) as (file, take_the_place):
            yield file
            file.flush()
            os.fsync(file.fileno())
            take_the_place()
        _sync_folder(target.parent)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes to a file in one step; see `replacing`."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text as UTF-8, with line ends as they are, to a file in one step; see `replacing`."""
    write_bytes(path, text.encode())


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in errors of the system that name none, or one that the caller has never heard of."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename == str(path):
            raise
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot write the file: {reason}", str(path)) from error


@contextlib.contextmanager
def _unfinished(target: Path) -> Iterator[tuple[IO[bytes], _Step]]:
    """Open the new file, with the step that gives it the name of the old one."""
    mode = _mode(target)
    nameless = _nameless(target, mode)
    part = _part(target)
    if nameless is None:
        # Created here, so that it is nobody else's.
        descriptor = os.open(
            part, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode or 0o666
        )
    else:
        descriptor = nameless
    try:
        with os.fdopen(descriptor, "w+b") as file:
            if nameless is None and sys.platform != "win32":
                with contextlib.suppress(OSError):  # some network drives have no locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode)  # what the process masks is allowed where it was before
            step = _Step(target, part, descriptor if nameless is not None else None)
            yield file, step
        step.after_closing()
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


class _Step:
    """Give a new file the name of an old one.

    Systems that replace no open file do it once the new one is closed.
    """

    def __init__(self, target: Path, part: Path, nameless: int | None) -> None:
        self._target, self._part, self._nameless = target, part, nameless
        self._ready = False

    def __call__(self) -> None:
        if self._nameless is not None:
            # With a folder's descriptor, whichever, Python asks the system to follow the link to the nameless file.
            os.link(
                f"/proc/self/fd/{self._nameless}",
                self._part,
                src_dir_fd=self._nameless,
                follow_symlinks=True,
            )
        self._ready = True
        if os.name != "nt":
            self._part.replace(self._target)
            self._ready = False

    def after_closing(self) -> None:
        if self._ready:
            self._part.replace(self._target)


def _nameless(target: Path, mode: int | None) -> int | None:
    """Open a file without a name where the system has those: nothing is left of it, however the process ends."""
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(target.parent, os.O_TMPFILE | os.O_RDWR, 0o666 if mode is None else mode)
    except (
        OSError
    ):  # a file system that has none, or a folder that may not be written: the other way says which
        return None


def _mode(target: Path) -> int | None:
    """Return the permissions of an existing file."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_IMODE(target.stat().st_mode)
    return None


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name[:100]}.{uuid.uuid4().hex}.part")


def _sweep(target: Path) -> None:
    """Remove what writers of this file left behind that are no more; those at work hold a lock on theirs."""
    if sys.platform == "win32":
        return
    hexadecimal = "[0-9a-f]" * 32
    escaped = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in target.name[:100])
    for part in target.parent.glob(f".{escaped}.{hexadecimal}.part"):
        with contextlib.suppress(OSError), part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk as well, where folders can be synced."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
