"""A survey that is killed at random moments and begun again each time, until it ends.

It runs in a process of its own, which makes the model once; each attempt is a child of that.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from support.workers import MANY

import attnwidget as aw
from attnwidget.surveys import storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

COUNT = 200
EVERY = 7
KILLS = 20
# Short, and none like another: which of two equal examples is the more typical is a matter of the last bit.
_WORDS = sorted(set(" ".join(MANY[:8]).split()))
_draw = random.Random(3)
TEXTS: list[Any] = [" ".join(_draw.choices(_WORDS, k=6)) for _ in range(COUNT)]
TEXTS[40], TEXTS[41] = None, b"bytes"


def _attempt(model: Any, tokenizer: Any, path: Path, told: int) -> None:
    """Run the survey, telling of each input and each time the file is about to be written."""
    write = storage.write

    def telling(file: Any, fields: Mapping[str, Any], progress: Any = None) -> None:
        os.write(told, b"w")
        write(file, fields, progress)

    def texts() -> Iterator[Any]:
        for one in TEXTS:
            os.write(told, b"i")
            yield one

    storage.write = telling
    aw.survey(model, texts(), tokenizer, progress=False, save=path, every=EVERY)


def _killed(draw: random.Random, child: int, heard: int, read: int) -> int:
    """Kill a child at a random moment, within some inputs after the first ``read``; return how many it had begun."""
    writing = draw.random() < 0.4
    count = 1 if writing else read + draw.randint(1, 15)
    begun = 0
    while data := os.read(heard, 1):
        begun += data == b"i"
        count -= data == (b"w" if writing else b"i")
        if not count:
            select.select([], [], [], draw.random() * 0.01)
            os.kill(child, signal.SIGKILL)
            break
    while data := os.read(heard, 1000):
        begun += data.count(b"i")
    return begun


def main(folder: Path) -> None:
    """Kill it, let it end, and write down what each attempt left."""
    torch.set_num_threads(1)
    model, tokenizer = aw.pocket()
    path = folder / "killed.safetensors"
    draw, said, read = random.Random(8), [], 0
    for attempt in range(KILLS + 1):
        heard, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(heard)
            try:
                _attempt(model, tokenizer, path, told)
            finally:
                os._exit(0)
        os.close(told)
        begun = _killed(draw, child, heard, read) if attempt < KILLS else len(TEXTS)
        _, status = os.waitpid(child, 0)
        os.close(heard)
        _, progress = storage.read_progress(path) if path.exists() else ({}, None)
        read = progress["read"] if progress else 0
        said.append({"begun": begun, "read": read, "killed": os.WIFSIGNALED(status)})
    aw.survey(model, TEXTS, tokenizer, progress=False).save(folder / "whole.safetensors")
    (folder / "said.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
