"""A saved record is read, drawn and compared where transformers is not installed; only recording needs it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import attnwidget as aw

if TYPE_CHECKING:
    from pathlib import Path

# As if transformers, and what it alone brings, were not installed.
BLOCK = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"transformers", "tokenizers", "huggingface_hub"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
READ = """
from pathlib import Path
import attnwidget as aw

folder = Path(sys.argv[1])
attention = aw.load(folder / "record.safetensors")
assert attention["decoder"][0].weights(head=1).shape == (7, 7)
aw.view(attention, layer=1, positions="words").save(folder / "page.html")
aw.view(attention, frozen=True)
for kind in ("model", "head", "neuron"):
    attention.figure(kind, layer=1, heads=[0], query=3).save(folder / f"{kind}.svg")
attention.head_scores()
attention.find(query=3, key=2)
attention.rollout()
attention.numpy()
aw.view(aw.compare(attention, attention)).save(folder / "comparison.html")
survey = aw.Survey.load(folder / "survey.safetensors")
aw.view(survey).save(folder / "survey.html")
assert len(aw.from_weights([[[[0.5, 0.5]]]])["self"]) == 1
assert not [name for name in sys.modules if name.partition(".")[0] == "transformers"]
"""
RECORD = """
import torch
import attnwidget as aw

for call in (lambda: aw.capture(torch.nn.Linear(2, 2), "text"), lambda: aw.inspect(None), aw.pocket):
    try:
        call()
    except ModuleNotFoundError as error:
        assert error.name.partition(".")[0] in {"transformers", "tokenizers"}, error
    else:
        raise AssertionError(call)
"""


def run(code: str, *arguments: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_saved_record_is_read_and_drawn(tmp_path: Path) -> None:
    model, tokenizer = aw.pocket()
    text = "The cat sat on the mat"
    aw.capture(model, text, tokenizer).save(tmp_path / "record.safetensors")
    aw.survey(model, [text], tokenizer, progress=False).save(tmp_path / "survey.safetensors")
    run(BLOCK + READ, tmp_path)
    pages = ("page.html", "comparison.html", "survey.html", "model.svg", "head.svg", "neuron.svg")
    assert [name for name in pages if (tmp_path / name).stat().st_size < 1000] == []


def test_recording_says_what_is_missing() -> None:
    run(BLOCK + RECORD)


def test_importing_the_package_imports_no_transformers() -> None:
    run("import sys, attnwidget; assert 'transformers' not in sys.modules; attnwidget.inspect")
    run("import attnwidget; attnwidget.inspect; assert callable(attnwidget.capture)")
    run("from attnwidget import *; assert inspect.__module__ == 'attnwidget.capture.inspect'")
    assert "inspect" in dir(aw)
