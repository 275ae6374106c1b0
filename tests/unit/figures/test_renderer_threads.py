"""Figures drawn in threads while an event loop is busy, as a kernel's is during a cell."""

from __future__ import annotations

import asyncio
import threading
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

    renderer._renderer_of.cache_clear()
    first, second = asyncio.run(cell())
    renderer._renderer_of.cache_clear()
    assert first == second


def test_threads_that_draw_first_at_the_same_time_make_one_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two that are made at once end the process: views that a notebook shows together draw so.
    made: list[object] = []
    second = threading.Event()

    class Engine:
        def __init__(self) -> None:
            made.append(self)
            if len(made) > 1:
                second.set()
            # Until another is made meanwhile, or none can be.
            second.wait(0.5)

    monkeypatch.setattr(renderer, "_Renderer", Engine)
    renderer._renderer_of.cache_clear()
    together = threading.Barrier(4)

    def first() -> object:
        together.wait(LONG)
        return renderer._renderer()

    with ThreadPoolExecutor(4) as threads:
        found = [each.result(LONG) for each in [threads.submit(first) for _ in range(4)]]
    renderer._renderer_of.cache_clear()
    assert len(made) == 1
    assert all(each is made[0] for each in found)
