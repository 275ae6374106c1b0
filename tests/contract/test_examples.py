"""The examples in docstrings and READMEs run, on the pocket model; what the README counts is so."""

from __future__ import annotations

import doctest
import importlib
import inspect
import itertools
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

import attnwidget as aw
from attnwidget.cli import main

ROOT = Path(__file__).parents[2]
# Training is a script; its examples would train.
MODULES = [
    module.name
    for module in pkgutil.walk_packages(aw.__path__, "attnwidget.")
    if not module.name.endswith(".train")
]


# What a user calls of what the public functions return. `of` is how the package itself makes one.
RESULTS = (
    aw.Agreement,
    aw.Attention,
    aw.Attribution,
    aw.Comparison,
    aw.ComparisonSeries,
    aw.Edits,
    aw.Effect,
    aw.Effects,
    aw.EffectsOverTexts,
    aw.Survey,
    aw.Trace,
)
OWN = {"of", "inside", "of_tokens", "parts_inside", "outputs_of", "settled", "to_data"}


def calls(documented: object) -> str:
    """What the examples of a docstring run."""
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(documented) or "")
    return "".join(one.source for one in examples if not one.options.get(doctest.SKIP))


@pytest.mark.parametrize("name", [name for name in aw.__all__ if callable(getattr(aw, name))])
def test_every_public_name_has_an_example_that_runs(name: str) -> None:
    assert calls(getattr(aw, name)).strip()


@pytest.mark.parametrize("kind", RESULTS)
def test_every_method_of_a_result_stands_in_an_example_that_runs(kind: type) -> None:
    methods = {
        name: getattr(kind, name)
        for name in dir(kind)
        if name[0] != "_" and name not in OWN and inspect.isroutine(getattr(kind, name))
    }
    shown = calls(kind)
    missing = [
        name
        for name, method in methods.items()
        if f".{name}(" not in shown and f".{name}(" not in calls(method)
    ]
    assert missing == []


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    module = importlib.import_module(name)
    model, tokenizer = aw.pocket()
    given = {"model": model, "tokenizer": tokenizer, "pocket": aw.pocket}
    failed, _ = doctest.testmod(module, extraglobs=given)
    assert failed == 0


def blocks_of(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "notebooks/README.md",
        "attnwidget/capture/README.md",
        "attnwidget/pocket/README.md",
    ],
)
def test_readmes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block after block, as somebody would paste them into one notebook."""
    blocks = blocks_of(name, "python")
    assert len(blocks) > 1
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, name, "exec"), names)  # noqa: S102  (our own words)


def test_every_command_of_the_readme_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package's own commands run; a target of make is one in the Makefile."""
    lines = [
        shlex.split(line, comments=True)
        for block in blocks_of("README.md", "bash")
        for line in block.splitlines()
    ]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    asked: dict[str, list[str]] = {}
    for command, *arguments in lines:
        asked.setdefault(command, []).extend(arguments)
        if command == "attnwidget":
            assert main(arguments) == 0
    assert set(asked) == {"pip", "attnwidget", "make"}
    assert set(asked["make"]) <= set(targets)
    written = [
        Path(name) for option, name in itertools.pairwise(asked["attnwidget"]) if option == "-o"
    ]
    assert written
    assert all(path.stat().st_size > 1000 for path in written)


def test_the_readme_lists_every_notebook() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[\w+\]\(notebooks/(\w+\.ipynb)\)", readme, re.MULTILINE)
    there = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert listed == there, "the README has a table of notebooks, in their order"


def test_the_readme_counts_what_the_table_of_architectures_counts() -> None:
    table = (ROOT / "tests/capture/coverage.md").read_text(encoding="utf-8")
    counted = dict(re.findall(r"^\| ([a-z ,]+) \| (\d+) \|$", table, re.MULTILINE))
    assert counted["with attention"] == counted["every call exact"]
    assert counted["with attention"] == counted["every call exact by capture"]
    readme = (ROOT / "attnwidget/capture/README.md").read_text(encoding="utf-8")
    types = re.search(r"^\| types \|.*\n(?:\|.*\n)+", readme, re.MULTILINE)
    assert types is not None
    rows = re.findall(r"^\| (\d+) \| \w", types[0], re.MULTILINE)
    names = ("asked for", "built and run", "with attention", "every call with vectors")
    assert rows == [counted[name] for name in names]
    heads = dict(re.findall(r"^## (.+): (\d+)$", table, re.MULTILINE))
    for said in (
        "{Part of another} more are parts",
        "{Not built} types were not built",
        "{Not run} could not",
    ):
        assert said.format_map(heads) in " ".join(readme.split())
    worst = re.search(r"largest error (\S+)\.$", table, re.MULTILINE)
    assert worst is not None
    assert f"(worst {float(worst[1]):.0e})".replace("e-0", "e-") in readme
    assert f"In {counted['every head knocked out as the reference']} types every head" in readme
    links = re.search(r"^Links cut: (\d+), as the reference: (\d+),", table, re.MULTILINE)
    assert links is not None
    assert f"Of {links[1]} links, one of each layer, {links[2]} are cut" in readme
    short = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"the {counted['with attention']} model types with attention" in " ".join(short.split())
