"""What goes wrong in a survey costs one input, and whatever ends it hands over what was done."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from support.workers import TEXTS
from surveys.test_survey_resumed import equal, stopping

import attnwidget as aw
from attnwidget.recordings import from_weights
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


@pytest.fixture
def failing() -> Any:
    """Return a pocket model, its tokenizer, and what it is to raise for the fifth of the texts."""
    model, tokenizer = aw.pocket()
    to_raise: list[BaseException] = []
    length = len(tokenizer(TEXTS[4])["input_ids"])  # no other has as many

    def hook(_module: Any, _args: Any, kwargs: Any) -> None:
        if kwargs["input_ids"].shape[1] == length:
            raise to_raise[0]

    model.register_forward_pre_hook(hook, with_kwargs=True)
    return model, tokenizer, to_raise


class Mute(Exception):  # noqa: N818  a name as others give them
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        """Fail."""
        message = "not even this"
        raise TypeError(message)


class Closed(RuntimeError):  # noqa: N818
    """An error that takes no attributes."""

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse all but what Python itself sets."""
        if name.startswith("__") and name != "__notes__":
            super().__setattr__(name, value)
        else:
            raise TypeError(name)


class Odd:
    """An object that has nothing, and says so in its own way."""

    def __getattr__(self, name: str) -> Any:
        """Fail."""
        raise LookupError(name)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (Odd, "LookupError: "),
        (None, "TypeError: inputs must be text"),
        (b"bytes", "TypeError: inputs must be text"),
        ("half \ud83d", "Error: "),
        ("", "ValueError: "),
        (float("nan"), "Error: "),
        ([[["deep"]]], "Error: "),
        ({"input_ids": "words"}, "Error: "),
        (torch.zeros(0, 0), "Error: "),
    ],
)
def test_one_odd_input_is_skipped_with_the_kind_of_error_and_its_reason(
    pocket: Any, odd: Any, reason: str
) -> None:
    given = Odd() if odd is Odd else odd
    with pytest.warns(UserWarning, match="1 of 9 inputs could not be recorded; the first, input 5"):
        found = aw.survey(pocket[0], [*TEXTS[:5], given, *TEXTS[5:]], pocket[1], progress=False)
    assert found.count == 8
    ((index, said),) = found.skipped
    assert index == 5
    assert reason in said
    said.encode()  # can be printed and sent


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("w"), "KeyError: 'w'"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (MemoryError("all of it"), "MemoryError: all of it"),
        (RecursionError("deep"), "RecursionError: deep"),
        (StopIteration(), "StopIteration"),
        (StopAsyncIteration("end"), "StopAsyncIteration: end"),
        (AssertionError("5 == 6"), "AssertionError: 5 == 6"),
        (OSError(28, "full", "file"), "OSError: [Errno 28] full: 'file'"),
        (UserWarning("as an error"), "UserWarning: as an error"),
        (Mute(), "Mute: <exception str() failed>"),
        (Closed("c"), "Closed: c"),
        (ValueError("x" * 100_000), "ValueError: xxx"),
    ],
)
def test_whatever_the_model_raises_costs_one_input(
    failing: Any, pocket: Any, error: Exception, said: str
) -> None:
    model, tokenizer, to_raise = failing
    to_raise.append(error)
    with pytest.warns(UserWarning, match="1 of 8 inputs could not be recorded"):
        found = aw.survey(model, TEXTS, tokenizer, progress=False)
    ((index, reason),) = found.skipped
    assert (index, found.count) == (4, 7)
    assert said in reason
    assert len(reason) < 600
    others = aw.survey(pocket[0], [*TEXTS[:4], *TEXTS[5:]], pocket[1], progress=False)
    assert found.head_labels().to_dict() == others.head_labels().to_dict()


def test_an_input_with_other_heads_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        importlib.import_module("attnwidget.capture.forward"),
        "run_forward",
        lambda _model, heads, _tokenizer: from_weights(torch.full((1, heads, 5, 5), 0.2)),
    )
    with pytest.warns(UserWarning, match="1 of 4 inputs .* input 2: ValueError: the heads are not"):
        found = aw.survey(torch.nn.Linear(1, 1), [3, 3, 2, 3], progress=False)
    assert found.count == 3
    assert [index for index, _ in found.skipped] == [2]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("gpt2",), {}, TypeError, "model must be"),
        ((), {"nonsense": 5}, TypeError, "nonsense"),
        ((), {"layers": [99]}, ValueError, "99"),
    ],
)
def test_a_wrong_call_is_said_by_its_own_error_whatever_the_number_of_inputs(
    pocket: Any, arguments: Any, options: Any, error: type[Exception], message: str
) -> None:
    for texts in (TEXTS, TEXTS * 5):
        model, *_ = arguments or pocket
        with pytest.raises(error, match=message) as raised:
            aw.survey(model, texts, pocket[1], progress=False, **options)
        found = raised.value.survey  # type: ignore[attr-defined]
        assert len(found.skipped) == min(10, len(texts))


def test_a_measure_that_there_is_not_is_refused_before_any_input_is_read(pocket: Any) -> None:
    def texts() -> Iterator[str]:
        raise AssertionError
        yield ""

    with pytest.raises(ValueError, match=r"measure must be one of .*, got 'nope'"):
        aw.survey(pocket[0], texts(), pocket[1], progress=False, measure="nope")


@pytest.mark.parametrize(
    "error",
    [
        OSError("the drive is gone"),
        ValueError("line 4"),
        SystemExit(3),
        asyncio.CancelledError(),
        Closed("no attributes"),
        GeneratorExit(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_ends_it_carries_what_was_done(pocket: Any, error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        aw.survey(pocket[0], stopping(4, error), pocket[1], progress=False)
    assert raised.value is error
    found = error.survey  # type: ignore[union-attr]
    assert found.interrupted
    expected = aw.survey(pocket[0], TEXTS[:4], pocket[1], progress=False)
    assert found.head_labels().to_dict() == expected.head_labels().to_dict()
    if sys.version_info >= (3, 11):
        assert "survey of the 4 inputs before this" in error.__notes__[0]


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
def test_what_the_model_raises_to_end_all_carries_what_was_done(
    failing: Any, error: BaseException
) -> None:
    model, tokenizer, to_raise = failing
    to_raise.append(error)
    with pytest.raises(type(error)) as raised:
        aw.survey(model, TEXTS, tokenizer, progress=False)
    assert raised.value.survey.count == 4  # type: ignore[union-attr]


def _signalled(number: signal.Signals, lost: Any = None) -> Iterator[str]:
    yield from TEXTS[:3]
    if lost is None:
        signal.raise_signal(number)
    else:
        lost(number)
    yield from TEXTS[3:]


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Have signals do what they do in a new process."""
    numbers = (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_to_end_saves_and_carries_what_was_done(
    pocket: Any, tmp_path: Path, name: str
) -> None:
    number = getattr(signal, name, signal.SIGTERM)
    path = tmp_path / "s.safetensors"
    with pytest.raises(SystemExit) as raised:
        aw.survey(pocket[0], _signalled(number), pocket[1], progress=False, save=path)
    assert raised.value.code == 128 + number
    assert Survey.load(path).read == raised.value.survey.read == 3  # type: ignore[attr-defined]
    assert signal.getsignal(number) is signal.SIG_DFL
    whole = aw.survey(pocket[0], TEXTS, pocket[1], progress=False)
    equal(aw.survey(pocket[0], TEXTS, pocket[1], progress=False, save=path), whole)


@pytest.mark.usefixtures("default_signals")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_python_loses_ends_the_survey_after_the_input(pocket: Any) -> None:
    class Last:
        def __init__(self, number: int) -> None:
            self.number = number

        def __del__(self) -> None:  # what this raises is printed, and gone
            signal.raise_signal(self.number)

    texts = _signalled(signal.SIGTERM, lambda number: Last(number).number)
    with pytest.raises(SystemExit) as raised:
        aw.survey(pocket[0], texts, pocket[1], progress=False)
    assert raised.value.survey.read == 4  # type: ignore[attr-defined]


@pytest.mark.usefixtures("default_signals")
def test_handlers_of_others_are_left_alone(pocket: Any) -> None:
    seen: list[int] = []

    def own(number: int, _frame: Any) -> None:
        seen.append(number)

    signal.signal(signal.SIGTERM, own)
    found = aw.survey(pocket[0], _signalled(signal.SIGTERM), pocket[1], progress=False)
    assert (seen, found.count) == ([signal.SIGTERM], 8)
    assert signal.getsignal(signal.SIGTERM) is own


def test_in_another_thread_no_signal_is_touched(pocket: Any) -> None:
    found: list[Any] = []
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(
        target=lambda: found.append(aw.survey(pocket[0], TEXTS, pocket[1], progress=False))
    )
    thread.start()
    thread.join()
    assert found[0].count == 8
    assert signal.getsignal(signal.SIGTERM) is before


TERMINATED = """
import os, signal, sys
import attnwidget as aw
model, tokenizer = aw.pocket()
def texts():
    for number in range(100):
        if number == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        yield f"the cat sat {number}"
try:
    aw.survey(model, texts(), tokenizer, progress=False)
finally:
    print(sys.exc_info()[1].survey.read)
"""


@pytest.mark.skipif(os.name == "nt", reason="there the system ends processes at once")
def test_a_script_that_is_told_to_end_runs_its_last_blocks_and_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TERMINATED], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.returncode) == ("6\n", 128 + signal.SIGTERM), done.stderr[-2000:]
