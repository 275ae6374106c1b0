"""`SCORES`: name, question, formula and source of every head score."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from attnwidget.compute.checks import is_word, listed, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PAIRS", "SCORES", "SHARES", "Score", "chosen"]

_CLARK = "Clark, Khandelwal, Levy & Manning 2019, What Does BERT Look At?"
_VIG = "Vig & Belinkov 2019, Analyzing the Structure of Attention in a Transformer Language Model"
_VOITA = "Voita, Talbot, Moiseev, Sennrich & Titov 2019, Analyzing Multi-Head Self-Attention"
_OLSSON = "Olsson et al. 2022, In-context Learning and Induction Heads"
_WANG = "Wang et al. 2022, Interpretability in the Wild"
_XIAO = (
    "Xiao, Tian, Chen, Han & Lewis 2023, Efficient Streaming Language Models with Attention Sinks"
)


@dataclass(frozen=True, slots=True)
class Score:
    """One way to score a head between 0 and 1.

    Attributes:
        name: What tables and options call it.
        label: The short word a head carries.
        question: What it answers.
        formula: How it is computed from the weights ``w[q, k]`` of one head; a mean over q is one over the queries
            that see at least two keys, one of which the score is about.
        source: Where it comes from.

    Example:
        >>> import attnwidget as aw
        >>> aw.SCORES["previous"].question
        'Does it look at the position before?'
    """

    name: str
    label: str
    question: str
    formula: str
    source: str


def _share(keys: str) -> str:
    return f"mean over q of the sum over {keys} of w[q, k]"


_ALL = (
    Score(
        "previous",
        "previous",
        "Does it look at the position before?",
        _share("k = q − 1"),
        _VOITA,
    ),
    Score("next", "next", "Does it look at the position after?", _share("k = q + 1"), _CLARK),
    Score("self", "self", "Does it look at the query's own position?", _share("k = q"), _CLARK),
    Score(
        "first",
        "first",
        "Does it look at the first position, the usual sink?",
        _share("k = 0"),
        _XIAO,
    ),
    Score(
        "sink",
        "sink",
        "How much weight rests on the sink, that is on the positions set aside in the column without it?",
        _share("k in the sink: the first position and all special tokens, or those given"),
        _XIAO,
    ),
    Score(
        "duplicate",
        "duplicate",
        "Does it look at other copies of the query's token?",
        _share("k ≠ q with token[k] = token[q], q no special token"),
        _WANG,
    ),
    Score(
        "induction",
        "induction",
        "Does it look at what followed another copy of the query's token?",
        _share("k ≠ q, k − 1 ≠ q with token[k − 1] = token[q], q no special token"),
        _OLSSON + " (prefix matching)",
    ),
    Score(
        "same_word",
        "same word",
        "Does it look at the other pieces of the query's word?",
        _share("k ≠ q in the word of q"),
        _CLARK,
    ),
    Score(
        "sentence",
        "sentence end",
        "Does it look at what ends a sentence?",
        _share(
            "k a piece that ends in . ! ? … or their full-width forms, or that holds a line break"
        ),
        _CLARK,
    ),
    Score(
        "punctuation",
        "punctuation",
        "Does it look at punctuation?",
        _share("k a piece of nothing but punctuation"),
        _CLARK,
    ),
    Score(
        "special",
        "special",
        "Does it look at special tokens such as [CLS], [SEP] and <bos>?",
        _share("k a special token"),
        _CLARK,
    ),
    Score(
        "delimiter",
        "delimiter",
        "Does it look at what separates: special tokens, punctuation, line breaks?",
        _share("k a special token, punctuation or a line break"),
        _CLARK,
    ),
    Score(
        "local",
        "local",
        "Does it stay near the query?",
        "mean over q of 1 − d[q] / far[q], d[q] the mean of |q − k| under w[q] / sum w[q], far[q] the largest |q − k| "
        "that q sees",
        _VIG + " (mean distance)",
    ),
    Score(
        "broad",
        "broad",
        "Does it spread its weight over everything?",
        "mean over q of H(w[q] / sum w[q]) / log n[q], H the entropy, n[q] the number of keys that q sees",
        _CLARK + " (entropy)",
    ),
)

SCORES: Mapping[str, Score] = MappingProxyType({score.name: score for score in _ALL})
"""Every score by name, in the order of tables."""

SHARES = ("first", "sink", "sentence", "punctuation", "special", "delimiter")
"""Scores that ask about the key alone."""

PAIRS = ("previous", "next", "self", "duplicate", "induction", "same_word")
"""Scores that ask about query and key together; they need both in one sequence."""


def chosen(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Check names of scores; ``None`` stands for all.

    Raises:
        ValueError: If a name is none of `SCORES`.
    """
    if names is None:
        return tuple(SCORES)
    given = listed(names)
    if given is None:
        given = [names]
    wrong = [name for name in given if not is_word(name, SCORES)]
    if wrong or not given:
        message = (
            f"scores must be among {', '.join(SCORES)}, got {shown(wrong) if wrong else 'none'}."
        )
        raise ValueError(message)
    return tuple(name for name in SCORES if name in given)
