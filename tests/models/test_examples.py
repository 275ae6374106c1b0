"""The examples in docstrings and READMEs run, on the pocket model."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import attnwidget as aw

ROOT = Path(__file__).parents[2]
# Training is a script; its examples would train.
MODULES = [
    module.name
    for module in pkgutil.walk_packages(aw.__path__, "attnwidget.")
    if not module.name.endswith(".train")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    model, tokenizer = aw.pocket()
    given = {"model": model, "tokenizer": tokenizer, "pocket": aw.pocket}
    failed, _ = doctest.testmod(module, extraglobs=given)
    assert failed == 0


@pytest.mark.parametrize("name", ["README.md", "attnwidget/pocket/README.md"])
def test_readmes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block after block, as somebody would paste them into one notebook."""
    blocks = re.findall(
        r"^```python\n(.*?)^```",
        (ROOT / name).read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert len(blocks) > 1
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, name, "exec"), names)  # noqa: S102  (our own words)
