"""Free memory of machine, container and process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["free_memory", "in_memory"]

_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_memory(root: Path = Path("/")) -> int | None:
    """Return how many bytes can be taken before memory runs out, or ``None`` where it cannot be told.

    The least of what the system has available, what the control groups around the process leave it, and what its own
    limit on address space does.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    found = [*_of_system(root), *_of_groups(root), *_of_process(root)]
    return max(0, min(found)) if found else None


def in_memory(folder: Path, root: Path = Path("/")) -> bool:
    """Tell whether a folder's files are themselves held in memory, as in many systems' ``/tmp``."""
    kinds: dict[str, str] = {}
    for line in _text(root / "proc/self/mounts").splitlines():
        parts = line.split()
        if len(parts) > 2:
            kinds[parts[1].replace("\\040", " ")] = parts[2]
    resolved = folder.resolve()
    around = next((str(p) for p in (resolved, *resolved.parents) if str(p) in kinds), None)
    return around is not None and kinds[around] in {"tmpfs", "ramfs"}


def _of_system(root: Path) -> list[int]:
    available = _named(_text(root / "proc/meminfo"), "MemAvailable:")
    if available is not None:
        return [available * 1024]
    # Without /proc: what is free now, or, where not even that is told, half of what there is.
    for name, share in (("SC_AVPHYS_PAGES", 1.0), ("SC_PHYS_PAGES", 0.5)):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            return [round(os.sysconf(name) * os.sysconf("SC_PAGE_SIZE") * share)]
    return []


def _of_groups(root: Path) -> list[int]:
    """Read what each control group around the process leaves: its limit, without what it uses and cannot give back."""
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        limit, usage, idle = _V1 if controllers else _V2
        own = base / path.strip("/")
        # In a container the path may be that outside of it; its own group is then the root.
        folders = {base, own, *(p for p in own.parents if base in p.parents)}
        for folder in folders:
            most, used = (_number(_text(folder / name)) for name in (limit, usage))
            if most is not None and used is not None:
                cached = _named(_text(folder / "memory.stat"), idle) or 0
                found.append(most - max(0, used - cached))
    return found


def _of_process(root: Path) -> list[int]:
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return []
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _named(_text(root / "proc/self/status"), "VmSize:")
    return [] if most == resource.RLIM_INFINITY or used is None else [most - used * 1024]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return ""


def _named(text: str, name: str) -> int | None:
    """Read the number behind a name at the beginning of a line."""
    for line in text.splitlines():
        parts = line.split()
        if len(parts) > 1 and parts[0] == name:
            return _number(parts[1])
    return None


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdigit() else None
