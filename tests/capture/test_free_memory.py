"""How much memory is free is read off the system, its control groups and the process's own limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attnwidget.capture.free_memory import free_memory, in_memory

if TYPE_CHECKING:
    from pathlib import Path

GB = 10**9


def machine(root: Path, files: dict[str, str]) -> Path:
    given = {"proc/meminfo": f"MemTotal: {64 * GB // 1024} kB\nMemAvailable: {8 * GB // 1024} kB\n"}
    for name, text in (given | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def near(size: int | None) -> object:
    return pytest.approx(size, abs=1024)


def test_what_the_system_has_available(tmp_path: Path) -> None:
    assert free_memory(machine(tmp_path, {})) == near(8 * GB)


def test_a_group_of_the_second_version(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/user.slice/job"
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user.slice/job\n",
            f"{group}/memory.max": "max\n",
            f"{group}/memory.current": f"{GB}\n",
            "sys/fs/cgroup/user.slice/memory.max": f"{4 * GB}\n",
            "sys/fs/cgroup/user.slice/memory.current": f"{3 * GB}\n",
            "sys/fs/cgroup/user.slice/memory.stat": f"anon 1\ninactive_file {GB}\n",
        },
    )
    assert free_memory(root) == 2 * GB
    (root / group / "memory.max").write_text(f"{GB + 5}\n")
    assert free_memory(root) == 5


def test_a_group_of_the_first_version_seen_from_inside_of_a_container(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/docker/abc\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{3 * GB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{2 * GB}\n",
            "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 7\n",
        },
    )
    assert free_memory(root) == GB + 7


def test_a_folder_in_memory_is_told(tmp_path: Path) -> None:
    root = machine(
        tmp_path / "root",
        {
            "proc/self/mounts": f"x / ext4 rw 0 0\nt {tmp_path} tmpfs rw 0 0\nd {tmp_path}/disk ext4 rw 0 0\n"
        },
    )
    assert in_memory(tmp_path / "deep", root)
    assert not in_memory(tmp_path / "disk" / "deep", root)
    assert not in_memory(tmp_path.parent, root)
