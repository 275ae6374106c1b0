"""Which files the processes of a run take first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put files with slow tests before the others where several processes share them, then those with many tests.

    Whoever takes a long file last works on while the others have nothing left to do. pytest-xdist knows the number of
    tests alone, and `--no-loadscope-reorder` keeps it from sorting by that.
    """
    if not hasattr(config, "workerinput"):
        return
    tests = Counter(item.path for item in items)
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def place(item: pytest.Item) -> tuple[bool, int]:
        # Slow files as they stand: the two that start Ray, of which one waits for the other, are no neighbours.
        return (False, 0) if item.path in slow else (True, -tests[item.path])

    items.sort(key=place)
