"""`make compat`: the wheel, alone in environments of their own, at the floor, as pinned, and with the newest releases.

For each: install the wheel with its dependencies and nothing else, draw from it outside of the repository, then install
what the tests need, run the unit and the exactness tests against the installed wheel, and add a row to a table.
Only the standard library is needed. ``python tests/compat/run.py floor`` runs one of them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".compat"
# PyTorch before 2.6 warns of its own call whenever a tensor is unpickled.
QUIET = "ignore:You are using `torch.load` with `weights_only=False`:FutureWarning"
TESTS = ("tests/unit", "tests/capture/test_exact.py", "tests/capture/test_model_unchanged.py")
SHOWN = ("torch", "transformers", "anywidget", "ipywidgets")
OLDEST_PYTHON, NEWEST_PYTHON = 10, 14
DRAW = """
import sys
from pathlib import Path
import attnwidget as aw

assert Path(aw.__file__).is_relative_to(sys.prefix), aw.__file__
model, tokenizer = aw.pocket()
attention = aw.capture(model, "The cat sat on the mat because it was tired", tokenizer)
aw.view(attention).save("page.html")
for suffix in ("svg", "pdf", "png"):
    attention.figure().save(f"figure.{suffix}")
"""
VERSIONS = """
import json, platform, sys
from importlib.metadata import version
print(json.dumps([platform.python_version(), *map(version, sys.argv[1:])]))
"""


@dataclass(frozen=True)
class Set:
    """One set of releases.

    Attributes:
        name: What it is called.
        constraints: File of constraints, or ``None`` for the newest of everything.
        pythons: Minor versions of Python to look for, in this order.
    """

    name: str
    constraints: str | None
    pythons: tuple[int, ...]


SETS = (
    Set("floor", "tests/compat/floor.txt", (OLDEST_PYTHON,)),
    Set("pinned", "tests/constraints.txt", (sys.version_info.minor,)),
    Set("newest", None, tuple(range(NEWEST_PYTHON, OLDEST_PYTHON, -1))),
)


def main(names: list[str]) -> int:
    """Run the sets that are named, or all; print the table; return 1 if one of them failed."""
    unknown = set(names) - {one.name for one in SETS}
    if unknown:
        sys.stderr.write(
            f"unknown: {', '.join(sorted(unknown))}; there are floor, pinned, newest.\n"
        )
        return 2
    wheel = build()
    rows, failed = [], False
    for one in SETS:
        if names and one.name not in names:
            continue
        row, passed = run(one, wheel)
        rows.append(row)
        failed = failed or not passed
    heads = ("", "Python", *SHOWN, "wheel alone", *TESTS)
    sys.stdout.write(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n")
    sys.stdout.writelines(f"| {' | '.join(row)} |\n" for row in rows)
    return int(failed)


def build() -> Path:
    """Build the wheel, in an environment of its own."""
    python = environment("build", Path(sys.executable))
    folder = WORK / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    call(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip", log="build")
    call(python, "-m", "pip", "wheel", "--no-deps", "-w", folder, ROOT, log="build")
    (wheel,) = folder.iterdir()
    return wheel


def run(one: Set, wheel: Path) -> tuple[list[str], bool]:
    """Install and test one set; return its row of the table, and whether all passed."""
    say(f"{one.name}: installing")
    python = environment(one.name, find_python(one.pythons))
    pip = [python, "-m", "pip", "install", "--progress-bar", "off"]
    call(*pip, "--upgrade", "pip", log=one.name)
    options: list[object] = ["-c", ROOT / one.constraints] if one.constraints else ["--upgrade"]
    if not one.constraints:
        options += ["--upgrade-strategy", "eager"]
    # The dependencies may be there from the last time, the wheel must be this one.
    call(*pip, *options, f"attnwidget[figures] @ {wheel.as_uri()}", log=one.name)
    call(*pip, "--force-reinstall", "--no-deps", wheel, log=one.name)
    say(f"{one.name}: drawing from the wheel alone")
    with tempfile.TemporaryDirectory() as folder:
        drawn = call(python, "-c", DRAW, log=one.name, cwd=Path(folder), check=False)
    call(*pip, *options, "-r", ROOT / "tests" / "compat" / "tests.txt", log=one.name)
    versions = subprocess.run(
        [python, "-c", VERSIONS, *SHOWN], check=True, capture_output=True, text=True
    )
    results = []
    for tests in TESTS:
        say(f"{one.name}: {tests}")
        results.append(test(python, tests, one.name))
    row = [one.name, *json.loads(versions.stdout), "drew" if drawn else "FAILED", *results]
    passed = drawn and not any(re.search(r"FAILED|failed|error", result) for result in results)
    return row, passed


def test(python: Path, tests: str, log: str) -> str:
    """Run some of the tests against what is installed; return how they ended."""
    # The script, as `python -m pytest` would put the repository, hence its package, first on the path.
    command = [python.parent / "pytest", "-q", "-p", "no:cacheprovider", "-W", QUIET, tests]
    before = (WORK / f"{log}.log").stat().st_size
    passed = call(*command, log=log, check=False)
    with (WORK / f"{log}.log").open(encoding="utf-8") as file:
        file.seek(before)
        last = re.sub(r" in [\d.]+s.*", "", file.read().rstrip().rpartition("\n")[2]).strip("= ")
    if passed == ("failed" not in last and "error" not in last):
        return last
    return f"FAILED: {last}"


def environment(name: str, python: Path) -> Path:
    """Return the Python of a virtual environment, which is made if it is not there."""
    own = WORK / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not own.exists():
        WORK.mkdir(exist_ok=True)
        call(python, "-m", "venv", WORK / name, log=name)
    return own


def find_python(minors: tuple[int, ...]) -> Path:
    """Return the first Python 3 of these minor versions that runs, else the one that runs this."""
    for minor in minors:
        if minor == sys.version_info.minor:
            break
        found = shutil.which(f"python3.{minor}")
        places = [Path(found)] if found else []
        places += sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python"))
        for place in places:
            asked = subprocess.run([place, "-c", ""], capture_output=True, check=False)
            if asked.returncode == 0:
                return place
    return Path(sys.executable)


def call(*command: object, log: str, cwd: Path = ROOT, check: bool = True) -> bool:
    """Run a command away from the caller's Python settings, write what it says to a log, and tell whether it succeeded."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    # A model that is random would be no smaller for more threads.
    kept.setdefault("OMP_NUM_THREADS", "1")
    path = WORK / f"{log}.log"
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(map(str, command))}\n")
        file.flush()
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=kept,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if check and done.returncode:
        tail = path.read_text(encoding="utf-8").splitlines()[-20:]
        sys.stderr.write("\n".join(tail) + f"\n{path} has all of it.\n")
        raise SystemExit(1)
    return done.returncode == 0


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
