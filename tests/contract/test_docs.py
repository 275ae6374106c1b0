"""The documents say what is there: paths, links, sizes, and the picture of the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "attnwidget/capture/README.md",
    "notebooks/README.md",
    "tests/bench/README.md",
    "tests/browser/README.md",
)
README_BYTES = 12_000
# The first part of a path that is one of this repository.
TOPS = ("attnwidget", "js", "notebooks", "tests")
TOP_FILES = (
    "Makefile",
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
)
# Made by a build or by a test run, and ignored by git.
MADE = ("attnwidget/static/", "tests/browser/screenshots/")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def paths_in(text: str) -> list[str]:
    """Return what stands in backticks and is a path of this repository: with a known first folder, or a file at the top."""
    found = []
    for words in re.findall(r"`([^`\n]+)`", without_code(text)):
        base = "js/" if words.startswith("cd js") else ""
        for word in words.split():
            path = word.split("::")[0].strip("(),;\"'")
            path = base + path if path.startswith("tests/") else path
            if path in TOP_FILES or re.match(rf"({'|'.join(TOPS)})/[\w./*<>-]*$", path):
                found.append(path)
    return found


def is_there(path: str) -> bool:
    if path.startswith(MADE):
        return True
    if "*" in path:
        return any(ROOT.glob(path))
    return (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).exists()


def named_in(text: str) -> list[tuple[str, str]]:
    """Return what a walk says where it is: `name` in `path`, or `name` (`path`."""
    flat = re.sub(r"\s+", " ", without_code(text))
    return re.findall(r"`([A-Za-z_][\w.]*)` (?:in |of )?\(?`([\w/.-]+\.(?:py|ts|json))`", flat)


def is_in(name: str, path: str) -> bool:
    """Tell whether each part of a name, such as ``Figure.svg``, is a word of the file."""
    source = text_of(path) if (ROOT / path).is_file() else ""
    return all(re.search(rf"\b{re.escape(part)}\b", source) for part in name.split("."))


def anchors_of(text: str) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_is_there(name: str) -> None:
    missing = [path for path in paths_in(text_of(name)) if not is_there(path)]
    assert missing == []


def test_what_a_walk_names_is_in_its_file() -> None:
    named = named_in(text_of("CONTRIBUTING.md"))
    assert len(named) > 20
    assert [pair for pair in named if not is_in(*pair)] == []


def test_a_name_that_is_not_in_its_file_is_found() -> None:
    said = "`main` in `attnwidget/cli.py`, `Nobody.here`\n(`attnwidget/cli.py`)"
    assert [is_in(*pair) for pair in named_in(said)] == [True, False]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_relative_links_resolve(name: str) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(name))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        if not target.exists() or (
            anchor and anchor not in anchors_of(target.read_text(encoding="utf-8"))
        ):
            broken.append(link)
    assert broken == []


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= README_BYTES


def test_the_picture_is_of_the_code_above_it() -> None:
    """`python tests/browser/readme_picture.py` takes it again."""
    before = text_of("README.md").split("![")[0]
    blocks = re.findall(r"^```python\n(.*?)^```", before, re.MULTILINE | re.DOTALL)
    shown = re.search(r"!\[[^\]]*\]\(([^)]+)\)", text_of("README.md"))
    assert shown is not None
    with Image.open(ROOT / shown[1]) as picture:
        assert picture.info["code"] == blocks[-1].strip("\n")


def test_the_tree_of_contributing_names_every_folder_of_code() -> None:
    named = set(re.findall(r"`([\w./-]+)/`", text_of("CONTRIBUTING.md")))
    code = [*(ROOT / "attnwidget").rglob("*.py"), *(ROOT / "js/src").rglob("*.ts")]
    folders = {path.parent.relative_to(ROOT).as_posix() for path in code}
    assert folders - {"attnwidget", "js/src"} <= named


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("see `attnwidget/nowhere.py`", ["attnwidget/nowhere.py"]),
        ("see `js/src/nowhere/` and `js/src/`", ["js/src/nowhere/"]),
        ("`pytest tests/unit/test_nothing.py::test_it`", ["tests/unit/test_nothing.py"]),
        ("`cd js && npx vitest run tests/unit/nothing.test.ts`", ["js/tests/unit/nothing.test.ts"]),
        ("`notebooks/*.ipynb`, `tests/*.nothing`", ["tests/*.nothing"]),
        ("`aw.view`, `layer.weights(head=1)`, `a/b`", []),
    ],
)
def test_a_path_that_is_not_there_is_found(text: str, missing: list[str]) -> None:
    assert [path for path in paths_in(text) if not is_there(path)] == missing
