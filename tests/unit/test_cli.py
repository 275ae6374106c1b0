"""The command line, called as a function and once as a program."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import huggingface_hub
import pytest
from support.copies import snapshot_of

import attnwidget as aw
from attnwidget.cli import main

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "The cat sat on the mat because it was tired"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # for a program started here
    # For this one, which has read it already; else it asks a hub that cannot be reached for most of a minute.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def test_writes_what_the_options_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, figure = tmp_path / "a.html", tmp_path / "a.svg"
    options = [
        "--view",
        "head",
        "--layer",
        "3",
        "--heads",
        "3,1",
        "--query",
        "it",
        "--form",
        "matrix",
    ]
    assert main(["pocket", TEXT, "-o", str(page), "-o", str(figure), *options]) == 0
    state = snapshot_of(page.read_text("utf-8"))["state"]
    assert (state["view"], state["layer"], state["heads"]) == ("head", 3, [3, 1])
    assert (state["query"], state["form"]) == (8, "matrix")
    assert figure.read_text("utf-8").startswith("<svg")
    said = capsys.readouterr()
    assert said.out == ""
    assert f"Wrote {page}" in said.err
    assert f"Wrote {figure}" in said.err


def test_quiet_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heads = ["--heads", "all", "--query", "2", "--budget", "300 kB"]
    assert main(["pocket", TEXT, "-q", "-o", str(tmp_path / "a.html"), *heads]) == 0
    assert (tmp_path / "a.html").stat().st_size <= 300_000
    state = snapshot_of((tmp_path / "a.html").read_text("utf-8"))["state"]
    assert (state["heads"], state["query"]) == ([0, 1, 2, 3], 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "words",
    [
        ["--layer", "3", "--heads", "2,3", "--query", "10"],
        ["--layers", "-1", "--head", "-2,-1", "--query", "-1"],
        ["--layer=-1", "--heads=-2,-1", "--query=-1"],
    ],
)
def test_numbers_count_from_the_end_under_either_name(tmp_path: Path, words: list[str]) -> None:
    assert main(["pocket", TEXT, "-q", "-o", str(tmp_path / "a.svg"), *words]) == 0
    model, tokenizer = aw.pocket()
    shown = aw.view(model, TEXT, tokenizer, layer=3, heads=[2, 3], query=10)
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == shown.figure().svg


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    model, tokenizer = aw.pocket()
    model.save_pretrained(tmp_path / "mine")
    tokenizer.save_pretrained(tmp_path / "mine")
    assert main(["-q", str(tmp_path / "mine"), TEXT, "-o", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere/at-all", TEXT], "'nowhere/at-all' is no folder here, and no model"),
        (["pocket", TEXT, "--layer", "9"], "layer must be one of 0..3 in stream 'decoder', got 9"),
        (["pocket", TEXT, "--heads", "7"], "heads must be integers in 0..3, got [7]"),
        (["pocket", TEXT, "--query", "dog"], "query='dog' is no token of this input"),
        (["pocket", TEXT, "--stream", "x"], "no stream 'x'; available: ['decoder']"),
    ],
)
def test_what_fails_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    target = tmp_path / "a.svg"
    status = main([*words, "-q", "-o", str(target)])
    said = capsys.readouterr()
    assert (status, said.out) == (1, "")
    assert said.err.startswith(f"attnwidget: {message}")
    assert said.err.count("\n") == 1
    assert not target.exists()


def test_a_traceback_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pocket", TEXT, "--layer", "9", "--traceback", "-o", str(tmp_path / "a.svg")]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pocket", TEXT], "required: -o"),
        (["pocket", "-o", "a.svg"], "required: TEXT"),
        (["pocket", TEXT, "-o", "a.gif"], "a.gif must end in .html, .svg, .pdf, .png"),
        (["pocket", TEXT, "-o", "no/such/folder/a.svg"], "there is no folder no/such/folder"),
        (["pocket", TEXT, "-o", "a.svg", "--heads", "x"], "numbers with commas between them"),
        (
            ["pocket", TEXT, "-o", "a.svg", "--layer", "1", "--layers", "2"],
            "--layer and --layers are one option",
        ),
        (
            ["pocket", TEXT, "-o", "a.svg", "--head", "1", "--heads", "2"],
            "--heads and --head are one option",
        ),
        (["pocket", TEXT, "-o", "a.html", "--budget", "much"], "text such as '5 MB'"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_it_is_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "attnwidget", "pocket", TEXT, "-o", "a.html"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert (
        snapshot_of((tmp_path / "a.html").read_text("utf-8"))["meta"]["model"] == "GPT2LMHeadModel"
    )
