"""Scripts that survey and compare by Ray's workers, each in a process of its own, one at a time."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray has no package for this Python"
)

# Seconds of a script; a test may wait for another one before.
_SECONDS = 900
TEST_SECONDS = 2 * _SECONDS + 60


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """As many threads as the workers have: with more, sums are rounded otherwise, and equal ranks change places."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(script: ModuleType, path: Path) -> None:
    """Run a script of this folder with a path, whatever other test process wants to run one.

    Two clusters that start at once on few cores do not start in the time that Ray gives them.
    """
    environment = {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
        "RAY_raylet_start_wait_time_s": "120",
    }
    with FileLock(Path(tempfile.gettempdir()) / "attnwidget-tests-ray.lock"):
        done = subprocess.run(
            [sys.executable, str(script.__file__), str(path)],
            env=os.environ | environment,
            capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
