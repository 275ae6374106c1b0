"""Imports run one way: between folders in the order below, and never in a circle between files."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "attnwidget"

# Each line may import from the lines above it and, within one folder, from itself; folders of one line know nothing of
# each other.
ORDER = (
    ("protocol", "files"),
    ("compute",),
    ("record",),
    ("edits",),
    ("analysis", "pocket"),
    ("capture",),
    ("comparison", "surveys", "export", "metrics"),
    ("serve",),
    ("figures",),
    ("attention",),
    ("recordings",),
    ("intervene",),
    ("attribution",),
    ("widget",),
    ("api",),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
# The same within `capture`, file by file where files lie beside its folders.
CAPTURE_ORDER = (
    ("arguments", "plan", "hints", "tensor_tools", "free_memory"),
    ("store",),
    ("taps",),
    ("calls",),
    ("sparse",),
    ("architecture",),
    ("positions", "reconstruct"),
    ("inputs", "media", "generation"),
    ("edits", "gradients"),
    ("recorder",),
    ("assemble",),
    ("distributed",),
    ("finish", "inspect"),
    ("forward",),
    ("padded_batch",),
    ("edited_runs",),
)
MOST_AT_THE_TOP = 8
MOST_IN_A_FOLDER = 25

# What each file imports: module to modules.
Imports = dict[str, set[str]]


def imports_of(sources: Mapping[str, str]) -> Imports:
    """Return what each module imports of the others, type-only and function-local imports included."""
    found: Imports = {module: set() for module in sources}
    for module, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                named = [f"{node.module}.{alias.name}" for alias in node.names]
                named = [each if each in sources else str(node.module) for each in named]
            else:
                continue
            found[module] |= {each for each in named if each in sources} - {module}
    return found


def package() -> dict[str, str]:
    """Return the source of each module by its dotted name; a package's `__init__` by the package's."""
    sources = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = path.read_text(encoding="utf-8")
    return sources


def part_of(module: str, within: str = "attnwidget") -> str:
    """Return the folder, or the file beside the folders, that a module lies in."""
    return module.removeprefix(within).lstrip(".").partition(".")[0] or "__init__"


def ranks(order: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    """Return the place of each name in an order."""
    return {name: rank for rank, names in enumerate(order) for name in names}


def wrong_ways(
    imports: Imports, order: tuple[tuple[str, ...], ...] = ORDER, within: str = "attnwidget"
) -> list[str]:
    """Return the imports that run against the order."""
    rank = ranks(order)
    parts = {module: part_of(module, within) for module in imports if module.startswith(within)}
    return [
        f"{module} imports {other}"
        for module, part in sorted(parts.items())
        for other in sorted(imports[module])
        if other in parts and part != parts[other] and rank[parts[other]] >= rank[part]
    ]


def circle(imports: Imports) -> list[str]:
    """Return the modules of one circle, in order, or nothing."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for other in sorted(imports[module]):
            found = walk(other, [*path, module])
            if found:
                return found
        done.add(module)
        return []

    return next((found for module in sorted(imports) if (found := walk(module, []))), [])


def test_every_folder_has_its_place() -> None:
    assert {part_of(module) for module in package()} <= set(ranks(ORDER))
    capture = {
        part_of(module, "attnwidget.capture")
        for module in package()
        if module.startswith("attnwidget.capture.")
    }
    assert capture == set(ranks(CAPTURE_ORDER))


def test_folders_import_in_one_direction() -> None:
    assert wrong_ways(imports_of(package())) == []


def test_folders_of_capture_import_in_one_direction() -> None:
    imports = imports_of(package())
    inside = {
        module: others
        for module, others in imports.items()
        if module.startswith("attnwidget.capture.")
    }
    assert wrong_ways(inside, CAPTURE_ORDER, "attnwidget.capture") == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(imports_of(package())) == []


def test_folders_stay_small_enough_to_read() -> None:
    counts: dict[Path, int] = {}
    for path in PACKAGE.rglob("*.py"):
        counts[path.parent] = counts.get(path.parent, 0) + 1
    assert counts[PACKAGE] <= MOST_AT_THE_TOP
    assert {folder: count for folder, count in counts.items() if count > MOST_IN_A_FOLDER} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from attnwidget.record.layer import Layer",
        "from attnwidget.record import layer",
        "import attnwidget.record.layer",
        "if TYPE_CHECKING:\n    from attnwidget.record.layer import Layer",
        "def late():\n    from attnwidget.record.layer import Layer",
    ],
)
def test_an_import_is_seen_wherever_it_stands(line: str) -> None:
    sources = {
        "attnwidget.compute.masks": line,
        "attnwidget.record.layer": "from attnwidget.compute import masks",
        "attnwidget.record": "",
        "attnwidget.compute": "",
    }
    found = imports_of(sources)
    assert wrong_ways(found) == ["attnwidget.compute.masks imports attnwidget.record.layer"]
    assert circle(found) == [
        "attnwidget.compute.masks",
        "attnwidget.record.layer",
        "attnwidget.compute.masks",
    ]


def names_of(paths: Iterable[Path]) -> set[str]:
    """Return file names without their endings."""
    return {path.stem for path in paths}


def test_tests_stand_where_what_they_test_stands() -> None:
    folders = names_of(path for path in PACKAGE.iterdir() if path.is_dir())
    tested = names_of(path for path in (ROOT / "tests" / "unit").iterdir() if path.is_dir())
    assert tested - {"__pycache__"} <= folders
