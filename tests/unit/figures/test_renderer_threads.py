"""Figures drawn in threads while an event loop is busy, as a kernel's is during a cell."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from contract.record import record

from attnwidget.figures import renderer

pytest.importorskip("py_mini_racer")

# Long enough for any machine; what waits for itself waits for ever.
LONG = 120


def test_a_thread_draws_while_the_loop_that_drew_first_is_blocked() -> None:
    def draw() -> str:
        return record().figure("head").svg

    async def cell() -> tuple[str, str]:
        first = draw()
        with ThreadPoolExecutor(1) as threads:
            # Blocks the loop on purpose.
            return first, threads.submit(draw).result(LONG)

    renderer._renderer.cache_clear()
    first, second = asyncio.run(cell())
    renderer._renderer.cache_clear()
    assert first == second
