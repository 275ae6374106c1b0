"""The effects of `test_effects_on_ray`, found in a process of their own and written into a file.

Ray leaves threads, signal handlers and warnings behind, which are no business of other tests.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

from support.workers import begin

import attnwidget as aw

TEXTS = [
    f"the {animal} sat on the {place} because it"
    for animal, place in (("cat", "mat"), ("dog", "mat"), ("bird", "mat"), ("cat", "bed"))
]
# The third cannot be run.
GIVEN = [TEXTS[0], TEXTS[1], "", TEXTS[2], TEXTS[3]]


def call(model: Any, texts: Any, **options: Any) -> aw.EffectsOverTexts:
    """Find the effects of one layer's heads, by zero and by the mean."""
    found: aw.EffectsOverTexts = aw.effects(
        model,
        texts,
        metric=lambda output: output.logits[0, -1, 7],
        source=TEXTS[:2],
        layers=[3],
        progress=False,
        **options,
    )
    return found


def main(path: Path) -> None:
    """Find them by two workers, in a list and in a Ray Dataset, and note what is refused."""
    import ray

    begin(ray)
    made: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        made["list"] = call(aw.pocket, GIVEN, workers=2)
    made["said"] = [str(one.message) for one in said]
    rows = ray.data.from_items([{"text": text} for text in TEXTS])
    made["dataset"] = call(aw.pocket, rows, workers=2)
    try:
        call(aw.pocket, ["", *TEXTS], workers=2)
    except ValueError as error:
        made["first"] = str(error)
    path.write_bytes(pickle.dumps(made))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
