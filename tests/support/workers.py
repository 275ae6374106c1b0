"""The surveys of `test_survey_on_ray`, made in a process of their own and written into a folder.

Ray leaves threads, signal handlers and warnings behind, which are no business of other tests.
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attnwidget as aw
from attnwidget.surveys import run

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = [
    "the cat sat on the mat because it was tired",
    "anna bought apples , pears , bread and milk .",
    "the dog ran",
    "rice deep he two rice deep he two rice deep he two",
    '" the fox sneaked , " said nina . nina said again : " the fox sneaked . "',
    "the keys near the box are small .",
    "go : rice deep he . come : he deep rice .",
    "hello world !",
]
TOO_LONG = "dog " * 600
_WORDS = " ".join(TEXTS).split()
_draw = random.Random(0)
# No two alike: which of two equal examples is the more typical is a matter of the last bit.
MANY = [
    *TEXTS,
    TOO_LONG,
    *(" ".join(_draw.choices(_WORDS, k=_draw.randint(5, 30))) for _ in range(72)),
]
_PASSES = 5


def mortal(folder: Path) -> tuple[Any, Any]:
    """Make the pocket model; of all that are made, the first to come so far writes down who it is and waits to be killed."""
    model, tokenizer = aw.pocket()
    passes = 0

    def hook(_module: Any, _args: Any) -> None:
        nonlocal passes
        passes += 1
        if passes == _PASSES:
            try:
                with (folder / "pid").open("x") as file:
                    file.write(f"{os.getpid()}\n")
            except FileExistsError:
                return
            time.sleep(300)

    model.register_forward_pre_hook(hook)
    (folder / f"made-{os.getpid()}").touch()
    return model, tokenizer


def kill(folder: Path) -> None:
    """Kill the process that has written down who it is."""
    while True:
        if (folder / "pid").exists() and (text := (folder / "pid").read_text()).endswith("\n"):
            os.kill(int(text), signal.SIGKILL)
            (folder / "killed").write_text(text)
            return
        time.sleep(0.05)


class Bar:
    """A progress bar that interrupts after the third part."""

    def __init__(self, **options: Any) -> None:
        self.total, self.parts = options["total"], 0

    def update(self, _count: int) -> None:
        """Count a part."""
        self.parts += 1
        if self.parts == 3:
            raise KeyboardInterrupt

    def close(self) -> None:
        """Do nothing."""


def error(call: Any) -> str:
    """Return what a call raises."""
    try:
        call()
    except Exception as found:  # noqa: BLE001  that is what is asked for
        return f"{type(found).__name__}: {found}"
    return "nothing"


def begin(ray: Any) -> None:
    """Start Ray with four workers' worth of processors, however many there are."""
    for trial in range(3):
        try:
            ray.init("local", num_cpus=4, include_dashboard=False, object_store_memory=200_000_000)
        except Exception:  # it gives a busy machine half a minute
            ray.shutdown()
            if trial == 2:
                raise
        else:
            return


def other() -> tuple[Any, Any]:
    """Make the pocket model with other numbers."""
    model, tokenizer = aw.pocket()
    model.transformer.h[2].mlp.c_fc.weight.data.mul_(1.01)
    return model, tokenizer


def ending(error: Exception) -> Iterator[str]:
    """Yield some texts, then raise."""
    yield from MANY[:20]
    raise error


def resumed(folder: Path, said: dict[str, Any], dataset: Any) -> None:
    """Make surveys that are written while they run: interrupted after three parts, and begun again."""
    half = {"num_cpus": 0.5}
    tqdm = run.tqdm
    for name, texts in (("list", MANY), ("rows", dataset)):
        path = folder / f"resumed-{name}.safetensors"

        def survey(model: Any, texts: Any = texts, path: Path = path) -> Any:
            return aw.survey(
                model, texts, workers=1, worker_options=half, progress=False, save=path, every=4
            )

        run.tqdm = Bar
        said[f"begun {name}"] = survey(aw.pocket).read
        run.tqdm = tqdm
        said[f"other {name}"] = error(lambda: survey(other))
        survey(aw.pocket)
    odd = [*MANY[:5], threading.Lock(), None, *MANY[5:8]]
    said["odd"] = aw.survey(aw.pocket, odd, workers=1, worker_options=half, progress=False).skipped
    try:
        aw.survey(
            aw.pocket, ending(OSError("gone")), workers=1, worker_options=half, progress=False
        )
    except OSError as found:
        said["ended"] = [str(found), found.survey.read]  # type: ignore[attr-defined]


def main(folder: Path) -> None:
    """Make them all."""
    import ray
    import ray.data

    warnings.simplefilter("ignore")
    model, tokenizer = aw.pocket()
    said: dict[str, Any] = {}
    begin(ray)

    threading.Thread(target=kill, args=(folder,), daemon=True).start()
    found = aw.survey(functools.partial(mortal, folder), MANY, workers=4, progress=False)
    found.save(folder / "killed.safetensors")

    texts = ray.data.from_items([{"text": one} for one in MANY], override_num_blocks=3)
    two = texts.add_column("label", lambda table: [0] * len(table))
    aw.survey(model, texts, tokenizer, progress=False).save(folder / "alone.safetensors")
    short = ray.data.from_items([{"text": one, "id": 1, "gold": [[2, 1]]} for one in TEXTS])
    for name, options in (("alone", {}), ("workers", {"workers": 1})):
        found = aw.survey(
            model, short, tokenizer, column="text", links="gold", progress=False, **options
        )
        found.save(folder / f"linked-{name}.safetensors")
    said["two columns"] = error(lambda: aw.survey(model, two, tokenizer, workers=2))
    found = aw.survey(model, texts, tokenizer, workers=2, progress=False)
    found.save(folder / "dataset.safetensors")
    found = aw.survey(model, MANY, tokenizer, workers=2, progress=False, contexts=4)
    found.save(folder / "contexts.safetensors")

    tqdm, run.tqdm = run.tqdm, Bar
    half = {"num_cpus": 0.5}
    found = aw.survey(model, MANY, tokenizer, workers=1, worker_options=half)
    run.tqdm = tqdm
    found.save(folder / "interrupted.safetensors")

    resumed(folder, said, texts)
    said["hopeless"] = error(lambda: aw.survey(model, [TOO_LONG] * 40, tokenizer, workers=1))
    ray.shutdown()  # from here it is started for the survey, and stopped
    said["wrong"] = error(lambda: aw.survey(model, MANY, "gpt2", workers=1, progress=False))
    said["still running"] = ray.is_initialized()
    (folder / "said.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
