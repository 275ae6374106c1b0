"""Which head does what: simple scores on generated text.

Each score is the mean attention weight that a head puts where a head of that
kind is expected to look, so it is a number between 0 and 1.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import torch

from attnwidget.pocket import grammar, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from transformers import PreTrainedModel

Weights: TypeAlias = "NDArray[np.float32]"

IDS: Final = {word: number for number, word in enumerate(words.VOCABULARY)}
HELD_OUT_SEED: Final = 1_000_003
"""Seed of the text that scores are measured on; training never uses it."""


def _weights(model: PreTrainedModel, tokens: Sequence[str]) -> Weights:
    """Attention weights of one sequence, `[layer, head, query, key]`."""
    ids = torch.tensor([[IDS["<bos>"], *(IDS[token] for token in tokens)]])
    with torch.no_grad():
        layers = model(ids, output_attentions=True).attentions
    return np.stack([layer[0].float().numpy() for layer in layers])


def _mean(
    model: PreTrainedModel, texts: Iterable[tuple[Sequence[str], Sequence[tuple[int, int]]]]
) -> Weights:
    """Mean weight from query to key over all pairs, `[layer, head]`."""
    found = []
    for tokens, pairs in texts:
        if pairs:
            # One more on either side, for the <bos> in front.
            query, key = (np.array(pairs) + 1).T
            found.append(_weights(model, tokens)[:, :, query, key])
    mean: Weights = np.concatenate(found, axis=-1).mean(axis=-1)
    return mean


def _to_first_copy(length: int, shift: int) -> list[tuple[int, int]]:
    """From each word of a span's second copy to the first copy, `shift` words on."""
    return [(length + i, i + shift) for i in range(length)]


def head_scores(
    model: PreTrainedModel, *, seed: int = HELD_OUT_SEED, samples: int = 200
) -> dict[str, Weights]:
    """Score every head as one of four known kinds.

    - "previous": from each token to the one before it, on all kinds of text.
    - "duplicate": from a token to its first copy, on a repeated random span.
    - "induction": from a token to what followed its first copy, on the same.
    - "pronoun": from "it", "he" or "she" to the noun or name it stands for.

    Args:
        model: A model over the pocket vocabulary.
        seed: Seed of the generated text.
        samples: How many passages each score is the mean over.

    Returns:
        For each kind a float array `[layer, head]`.
    """
    rng = Random(seed)
    stream = grammar.passages(rng)
    mixed = [next(stream).words for _ in range(samples)]
    spans = [tuple(rng.sample(grammar.RANDOM_WORDS, rng.randint(8, 40))) for _ in range(samples)]
    referring = [grammar.coreference(rng) for _ in range(samples)]
    implementation = model.config._attn_implementation  # noqa: SLF001 - it has no public getter
    model.set_attn_implementation("eager")  # the one that returns its weights
    was_training = model.training
    model.train(mode=False)
    try:
        return {
            "previous": _mean(model, [(t, [(i, i - 1) for i in range(1, len(t))]) for t in mixed]),
            "duplicate": _mean(model, [(s + s, _to_first_copy(len(s), 0)) for s in spans]),
            "induction": _mean(model, [(s + s, _to_first_copy(len(s), 1)) for s in spans]),
            "pronoun": _mean(model, [(p.words, p.links) for p in referring]),
        }
    finally:
        model.set_attn_implementation(implementation)
        model.train(was_training)


def report(scores: dict[str, Weights], *, top: int = 3) -> str:
    """The best heads of each kind, as lines of text.

    Args:
        scores: What `head_scores` returned.
        top: How many heads to name for each kind.

    Returns:
        One line for each kind, such as `previous   0.97 (layer 0, head 2)`.
    """
    lines = []
    for kind, table in scores.items():
        order = np.argsort(table, axis=None)[::-1][:top]
        best = (np.unravel_index(flat, table.shape) for flat in order)
        named = [f"{table[at]:.2f} (layer {at[0]}, head {at[1]})" for at in best]
        lines.append(f"{kind:<10}{', '.join(named)}")
    return "\n".join(lines)
