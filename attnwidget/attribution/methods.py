"""`METHODS`: the ways to attribute a metric to heads, tokens and links, each with its formula, source and cost."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["METHODS", "Kind", "Method", "MethodName"]

MethodName = Literal[
    "gradient", "importance", "integrated", "chefer", "rollout", "occlusion", "direct"
]
Kind = Literal["heads", "tokens", "links"]

_MICHEL = "Michel, Levy & Neubig 2019, Are Sixteen Heads Really Better than One?"
_HAO = "Hao, Dong, Wei & Xu 2021, Self-Attention Attribution"
_CHEFER = (
    "Chefer, Gur & Wolf 2021, Generic Attention-model Explainability for Interpreting Bi-Modal and "
    "Encoder-Decoder Transformers"
)
_ABNAR = "Abnar & Zuidema 2020, Quantifying Attention Flow in Transformers"
_ZEILER = "Zeiler & Fergus 2014, Visualizing and Understanding Convolutional Networks (occlusion); Geva et al. 2023 (attention knockout)"


@dataclass(frozen=True, slots=True)
class Method:
    """One way to attribute a metric ``m``.

    Attributes:
        name: What `attnwidget.attribute` calls it.
        question: What it answers.
        formula: How it is computed, from weights ``w``, values ``v``, outputs ``o = w v`` of heads and gradients of ``m``.
        source: Where it comes from.
        cost: How many passes of the model it takes.
        gives: Of what it says something: ``"heads"``, ``"tokens"``, ``"links"``.
        signed: Whether its numbers tell what raises the metric from what lowers it.
        gradients: Whether the metric has to have gradients.

    Example:
        >>> import attnwidget as aw
        >>> aw.METHODS["gradient"].question
        'What would the metric lose without a link, a head or a token, to first order?'
    """

    name: MethodName
    question: str
    formula: str
    source: str
    cost: str
    gives: tuple[Kind, ...]
    signed: bool
    gradients: bool


_ALL = (
    Method(
        "gradient",
        "What would the metric lose without a link, a head or a token, to first order?",
        "link w_ij ∂m/∂w_ij = w_ij (∂m/∂o_i · v_j); head its sum over i and j; token j its sum over layers, heads and i",
        f"{_HAO} (its baseline, attention times gradient)",
        "one pass forward and one back",
        ("heads", "tokens", "links"),
        signed=True,
        gradients=True,
    ),
    Method(
        "importance",
        "How sensitive is the metric to a head, in either direction?",
        "head |Σ_i o_i · ∂m/∂o_i|, which is |Σ_ij w_ij ∂m/∂w_ij|; of one input, and not divided by the norm of its layer",
        _MICHEL,
        "one pass forward and one back",
        ("heads",),
        signed=False,
        gradients=True,
    ),
    Method(
        "integrated",
        "What does the metric gain as the attention of a layer grows from nothing to what it is?",
        "link w_ij ∫ ∂m/∂w_ij(s w) ds, s from 0 to 1 for all heads of one layer at a time, by the midpoint rule; head and "
        "token its sums, as of gradient; the heads of a layer add up to m less m without the layer's attention",
        _HAO,
        "steps passes forward and back for each layer",
        ("heads", "tokens", "links"),
        signed=True,
        gradients=True,
    ),
    Method(
        "chefer",
        "Which tokens does what the metric reads come from, along links that raise it?",
        "R = I; for each layer R ← R + E_h[(w ⊙ ∂m/∂w)⁺] R; token its row of R − I, the mean over the positions that the "
        "metric reads. Of an encoder-decoder R^ss, R^qq and R^sq, with the normalisation of equations 8 to 11",
        _CHEFER,
        "one pass forward and one back",
        ("tokens", "links"),
        signed=False,
        gradients=True,
    ),
    Method(
        "rollout",
        "Which tokens does what the metric reads come from, if attention and the residual stream mix alike?",
        "token its row of Π_l (E_h[w] + I) / 2 over the layers, rows made to add up to 1; link (query, key) of a layer its "
        "entry of the product so far, of all heads together",
        _ABNAR,
        "one pass forward",
        ("tokens", "links"),
        signed=False,
        gradients=False,
    ),
    Method(
        "occlusion",
        "What does the metric lose when nothing attends to a token, in any layer?",
        "token m − m(all links to it cut, the rest of each row made to add up again); exact",
        _ZEILER,
        "one pass forward for each token; several tokens in one where that proves right",
        ("tokens",),
        signed=True,
        gradients=False,
    ),
    Method(
        "direct",
        "What does a head add to the logit by itself, leaving out what later heads and MLPs make of it?",
        "head W_U · norm · W_O,h · o_h at the position that is read, the scale of each norm held; all parts of the residual "
        "stream add up to the logit, which is checked",
        "Elhage et al. 2021, A Mathematical Framework for Transformer Circuits",
        "three passes forward and one back",
        ("heads",),
        signed=True,
        gradients=False,
    ),
)

METHODS: Mapping[str, Method] = MappingProxyType({one.name: one for one in _ALL})
"""Every method by name."""
