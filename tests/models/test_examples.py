"""The examples in the docstrings run, on the pocket model."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import attnwidget as aw

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
