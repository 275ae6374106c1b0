"""Answers in slices: what is kept, what is dropped, what several requests share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.records import random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.compute.resumable import finish
from attnwidget.protocol.codec import decode, encode
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.serve.jobs import KEPT, MESSAGE_BYTES, SLICE_SECONDS, Jobs, SharedComputations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block


class Kernel:
    """Works of a given number of steps, each of which takes a given time on a clock of its own."""

    def __init__(self, seconds: float = 1 / 16, kept: int = KEPT) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.steps: list[str] = []
        self.begun: list[str] = []
        self.jobs = Jobs(kept=kept, clock=lambda: self.now)

    def begin(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        self.begun.append(request["name"])
        for step in range(request["steps"]):
            self.now += self.seconds
            self.steps.append(request["name"])
            if step + 1 == request.get("fails"):
                message = "overflowed"
                raise ValueError(message)
            yield (step + 1) / request["steps"]
        return encode(np.array([request["steps"]], np.float32))

    def ask(self, *requests: Mapping[str, Any]) -> list[Any]:
        """Return of each request its number, its part as text, or its error."""
        replies, buffers = self.jobs.reply(requests, self.begin)
        left = iter(buffers)
        found: list[Any] = []
        for reply in replies:
            if reply["ok"]:
                found.append(float(decode(reply["block"], next(left))[0]))
            else:
                found.append(f"{reply['part']:.2f}" if "part" in reply else reply["error"])
        assert next(left, None) is None
        return found


def work(name: str, steps: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "steps": steps, **more}


def test_a_long_work_is_answered_in_parts_and_goes_on() -> None:
    kernel = Kernel()
    long = work("long", 10)
    assert [kernel.ask(long) for _ in range(3)] == [["0.40"], ["0.80"], [10.0]]
    assert kernel.begun == ["long"]
    assert len(kernel.jobs) == 0


def test_what_nobody_waits_for_takes_shorter_turns() -> None:
    kernel = Kernel()
    replies, _ = kernel.jobs.reply([work("long", 10)], kernel.begin, aside=True)
    assert replies == [{"ok": False, "part": 0.1}]


def test_a_step_is_made_however_long_it_takes() -> None:
    kernel = Kernel(seconds=5 * SLICE_SECONDS)
    assert [kernel.ask(work("slow", 2)) for _ in range(3)] == [["0.50"], ["1.00"], [2.0]]


def test_what_is_short_is_not_held_up_by_what_is_long() -> None:
    kernel = Kernel()
    long = work("long", 100)
    assert kernel.ask(long) == ["0.04"]
    # Finished at once, in the order that was asked for, and the long one has had a step at most.
    assert kernel.ask(long, work("a", 0), work("b", 0)) == ["0.05", 0.0, 0.0]
    assert kernel.steps == ["long"] * 5


def test_of_several_long_works_the_first_comes_first() -> None:
    kernel = Kernel()
    works = [work("first", 6), work("second", 6)]
    assert kernel.ask(*works) == ["0.50", "0.17"]
    assert kernel.ask(*works) == [6.0, "0.17"]


def test_a_message_that_is_full_leaves_the_rest_for_the_next() -> None:
    jobs = Jobs()
    block = np.zeros(MESSAGE_BYTES // 4 * 3 // 4, np.float32)  # three quarters of it

    def begin(_request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        yield from ()
        return encode(block)

    left = [{"name": name} for name in "abcde"]
    messages = []
    while left:
        replies, buffers = jobs.reply(left, begin)
        messages.append(len(buffers))
        assert sum(map(len, buffers)) <= 2 * MESSAGE_BYTES
        assert [reply.get("part") for reply in replies if not reply["ok"]] == [0.0] * (
            len(left) - len(buffers)
        )
        left = [each for each, reply in zip(left, replies, strict=True) if not reply["ok"]]
    assert messages == [2, 2, 1]


def test_no_more_is_kept_than_stated() -> None:
    kernel = Kernel(kept=3)
    for number in range(6):
        kernel.ask(work(f"{number}", 100))
        assert len(kernel.jobs) == min(3, number + 1)
    kernel.ask(work("3", 100))
    assert kernel.begun == list("012345")
    # The first was let go for the others, and starts again; now the fourth is the oldest of them.
    assert kernel.ask(work("0", 100)) == ["0.04"]
    assert kernel.ask(work("3", 100)) == ["0.12"]
    assert kernel.begun == list("0123450")


def test_more_works_than_are_kept_still_come_to_an_end() -> None:
    kernel = Kernel(kept=2)
    works = [work(f"{number}", 9) for number in range(7)]
    wanted, rounds = works, 0
    while wanted:
        answers = kernel.ask(*wanted)
        wanted = [one for one, answer in zip(wanted, answers, strict=True) if answer != 9.0]
        rounds += 1
        assert rounds < 100
    assert sorted(kernel.begun) == list("0123456")


def test_an_error_in_a_slice_is_the_answer_and_the_next_try_begins_anew() -> None:
    kernel = Kernel()
    broken = work("broken", 8, fails=6)
    assert kernel.ask(broken) == ["0.50"]
    assert kernel.ask(broken) == ["overflowed"]
    assert len(kernel.jobs) == 0
    assert kernel.ask(broken) == ["0.50"]


def test_an_interrupted_work_begins_anew() -> None:
    jobs = Jobs()
    calls = []

    def begin(_: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
        calls.append(len(calls))
        if len(calls) == 1:
            raise KeyboardInterrupt
        yield from ()
        return encode(np.zeros(1, np.float32))

    with pytest.raises(KeyboardInterrupt):
        jobs.reply([{"what": "x"}], begin)
    assert jobs.reply([{"what": "x"}], begin)[0][0]["ok"]


def test_two_displays_of_one_widget_both_get_the_answer() -> None:
    kernel = Kernel()
    long = work("long", 6)
    assert [kernel.ask(long) for _ in range(2)] == [["0.67"], [6.0]]
    assert kernel.ask(long) == [6.0]
    assert kernel.begun == ["long"]


def test_shared_works_are_done_once() -> None:
    begun: list[str] = []
    shared = SharedComputations(most=2)

    def begin(name: str) -> Callable[[], Slices[str]]:
        def steps() -> Slices[str]:
            begun.append(name)
            yield 0.5
            return name.upper()

        return steps

    one, other = shared.wait("a", begin("a")), shared.wait("a", begin("a"))
    assert next(one) == 0.5
    assert finish(other) == finish(one) == "A"
    assert begun == ["a"]
    for name in "bc":
        finish(shared.wait(name, begin(name)))
    assert list(shared.done) == ["b", "c"]


def long_record(tokens: int = 700) -> Attention:
    layer = random_layer(queries=tokens, keys=tokens, heads=6)
    positions = tuple(Position(f"t{number}") for number in range(tokens))
    return Attention("random", {"self": Stream("self", (layer,), positions, positions)})


def ask(view: aw.AttentionWidget, *requests: Mapping[str, Any]) -> tuple[list[Any], list[bytes]]:
    content, buffers = view.blocks({"requests": list(requests)}, [])
    return content["replies"], buffers


def test_head_scores_come_in_parts_and_labels_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.serve.jobs.SLICE_SECONDS", 0.0)
    # Runs of the fused kernel as short beside the record as they are beside a long one.
    monkeypatch.setattr("attnwidget.compute.fused.row_sums._RUN_SCORES", 1 << 18)
    view = aw.view(long_record())
    parts = []
    scores, labels = ({"what": what, "stream": "self"} for what in ("head_scores", "head_labels"))
    while True:
        replies, buffers = ask(view, scores)
        if replies[0]["ok"]:
            break
        parts.append(replies[0]["part"])
    assert len(parts) > 4
    assert parts == sorted(parts)
    assert 0 < parts[-1] <= 1
    # They are read from the same scores: there is nothing left to compute.
    assert ask(view, labels)[0][0]["ok"]
    expected = view.attention.head_scores(["previous"])
    found = decode(replies[0]["block"], buffers[0])
    values = (
        expected["value"] if hasattr(expected, "columns") else [row["value"] for row in expected]
    )
    np.testing.assert_allclose(found[0, :, 0], np.asarray(values, np.float32), rtol=1e-6)


def test_two_widgets_do_not_share_their_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.serve.jobs.SLICE_SECONDS", 0.0)
    one, other = (aw.view(long_record(size), choose=False) for size in (300, 301))
    # Those with nothing set aside are known from the opening.
    request = {"what": "head_scores", "stream": "self", "aside": [3]}
    ask(one, request)
    ask(other, request)
    assert (len(one._jobs), len(other._jobs)) == (1, 1)


def test_saving_goes_on_beside_a_work_of_the_browser(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("attnwidget.serve.jobs.SLICE_SECONDS", 0.0)
    view = aw.view(long_record(400), choose=False)
    stop = threading.Event()
    failed: list[Any] = []

    def browser() -> None:
        while not stop.is_set():
            replies, _ = ask(
                view,
                {"what": "head_scores", "stream": "self"},
                {"what": "mean", "stream": "self", "layer": 0, "head": 1},
            )
            failed.extend(reply for reply in replies if "error" in reply)

    thread = threading.Thread(target=browser)
    thread.start()
    try:
        view.save(tmp_path / "page.html")
    finally:
        stop.set()
        thread.join()
    assert failed == []
    assert (tmp_path / "page.html").stat().st_size > 10_000
