"""A file is replaced in one step: whatever happens in between, a reader meets the old one or the new one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from attnwidget.files import replacing as module
from attnwidget.files.replacing import replacing, write_bytes, write_text

posix = pytest.mark.skipif(os.name == "nt", reason="permissions, links and signals of POSIX")


@pytest.fixture(params=["nameless", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write through a file without a name, or, as on other systems, through one beside the old one."""
    if request.param == "named":
        monkeypatch.setattr(module, "_nameless", lambda *_: None)
    return str(request.param)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.usefixtures("way")
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    write_text(path, "old\n")
    with contextlib.suppress(ZeroDivisionError), replacing(path) as file:
        file.write(b"half of the new")
        file.flush()
        raise ZeroDivisionError
    assert path.read_bytes() == b"old\n"
    assert names(tmp_path) == ["x.html"]
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["x.html"]


@posix
@pytest.mark.usefixtures("way")
def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "x", tmp_path / "link"
    write_text(path, "1")
    usual = stat.S_IMODE(path.stat().st_mode)
    (tmp_path / "y").write_text("")
    assert usual == stat.S_IMODE((tmp_path / "y").stat().st_mode)
    path.chmod(0o662)
    link.symlink_to(path)
    write_text(link, "2")
    assert (path.read_text(), link.is_symlink()) == ("2", True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o662


@posix
def test_the_error_names_the_file_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing"):
        write_text(tmp_path / "missing" / "x", "")
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        write_text(tmp_path, "")
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        write_text("/dev/full", "x" * 100_000)


@posix
def test_what_dead_writers_left_is_removed_and_what_others_write_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_nameless", lambda *_: None)
    path = tmp_path / "x[1].html"
    left = tmp_path / f".x[1].html.{'a' * 32}.part"
    other = tmp_path / f".y.html.{'a' * 32}.part"
    left.write_text("half")
    other.write_text("half")
    with replacing(path) as file:
        file.write(b"outer")
        assert not left.exists()
        write_text(path, "inner")
        assert len([part for part in tmp_path.iterdir() if part.name.startswith(".x")]) == 1
    assert path.read_text() == "outer"
    assert names(tmp_path) == sorted([path.name, other.name])


WRITERS = {
    "page": ("it.html", "view.save(path)"),
    "svg": ("it.svg", "view.save(path)"),
    "png": ("it.png", "view.save(path)"),
    "pdf": ("it.pdf", "view.save(path)"),
    "record": ("r.safetensors", "view.attention.save(path)"),
    "survey": ("s.safetensors", "survey.save(path)"),
}
# One process makes what is saved; a copy of it, by fork, dies while it saves for the second time.
SCRIPT = """
import errno, json, os, signal, sys
import attnwidget as aw
from attnwidget.files import replacing as module

writers = json.loads(sys.argv[1])
model, tokenizer = aw.pocket()
view = aw.view(model, "the cat sat", tokenizer)
survey = aw.survey(model, ["the cat sat ."], tokenizer, progress=False)
fdopen = os.fdopen

class Ending:
    def __init__(self, file, point, end):
        self.file, self.point, self.end, self.calls = file, point, end, 0
    def __getattr__(self, name):
        return getattr(self.file, name)
    def __enter__(self):
        self.file.__enter__()
        return self
    def __exit__(self, *args):
        return self.file.__exit__(*args)
    def write(self, data):
        data = bytes(data)
        self.calls += 1
        if self.point == "first" or (self.point == "half" and (self.calls == 2 or len(data) > 1000)):
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            self.end()
        self.file.write(data)

def attempt(folder, death, point, named, name, save):
    path = os.path.join(folder, name)
    exec(save, {"view": view, "survey": survey, "path": path})
    size = os.path.getsize(path)
    if named:
        module._nameless = lambda *_: None
    def end(*_):
        if death == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fdopen = lambda *a, **k: Ending(fdopen(*a, **k), point, end)
    if point == "sync":
        os.fsync = end
    print(json.dumps([folder, size]), flush=True)
    try:
        exec(save, {"view": view, "survey": survey, "path": path})
    except OSError as error:
        print(json.dumps([folder, str(error)]), flush=True)
        os._exit(3)
    os._exit(4)

for folder, arguments in writers.items():
    child = os.fork()
    if not child:
        try:
            attempt(folder, *arguments)
        finally:
            os._exit(5)
    print(json.dumps([folder, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]), flush=True)
"""


@posix
def test_no_writer_destroys_the_old_file(tmp_path: Path) -> None:
    cases = {}
    for name, (ending, save) in WRITERS.items():
        for death in ("kill", "full disk"):
            for named, point in enumerate(("first", "half", "sync")):
                folder = tmp_path / f"{name} {death} {point}"
                folder.mkdir()
                cases[str(folder)] = [death, point, bool(named % 2), ending, save]
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(cases)],
        # What has computed with several threads cannot go on after a fork.
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    said: dict[str, list[object]] = {}
    for line in run.stdout.splitlines():
        where, what = json.loads(line)
        said.setdefault(where, []).append(what)
    for where, (death, _, named, ending, _) in cases.items():
        path = Path(where) / ending
        if death == "kill":
            size, code = said[where]
            assert code == -signal.SIGKILL, where
        else:
            size, error, code = said[where]
            assert code == 3, (where, run.stderr)
            assert "No space left on device" in str(error)
            assert str(path) in str(error)
        assert path.stat().st_size == size, where
        # A named part is left by a kill alone, and removed by whoever writes the file next.
        assert len(list(path.parent.iterdir())) == 1 + (death == "kill" and named), where
        write_bytes(path, b"")
        assert names(path.parent) == [ending]
