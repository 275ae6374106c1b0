"""`attribute`: which heads, tokens and links a number that is read off a model's output is due to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from attnwidget.analysis.importance import output_sums
from attnwidget.attention import Attention
from attnwidget.attribution.methods import METHODS
from attnwidget.attribution.result import Attribution, StreamAttribution
from attnwidget.attribution.sums import key_sums, stacked
from attnwidget.compute.checks import check_choice, check_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import nn

    from attnwidget.attribution.methods import MethodName
    from attnwidget.attribution.residual_stream.direct_result import DirectAttribution
    from attnwidget.attribution.runs import Call
    from attnwidget.record.record import Record

    Arrays = Mapping[str, NDArray[np.float64]]

__all__ = ["attribute"]


def attribute(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    *,
    method: MethodName = "gradient",
    metric: Any = None,
    position: int = -1,
    steps: int = 20,
    **options: Any,
) -> Attribution:
    """Say which heads, tokens and links a metric is due to, by one of several methods.

    `attnwidget.METHODS` has question, formula, source and cost of each. They answer different questions and disagree;
    `Attribution.agreement` runs the model without heads or tokens and says how far a method ranks them as these exact
    effects do, on the input at hand.

    - ``"gradient"``: ``w · ∂m/∂w`` of links, signed, and its sums over heads and tokens;
    - ``"importance"``: ``|Σ_i o_i · ∂m/∂o_i|`` of heads (Michel, Levy & Neubig 2019);
    - ``"integrated"``: integrated gradients over the attention of each layer (Hao et al. 2021);
    - ``"chefer"``: relevance of tokens, ``R ← R + E_h[(w ⊙ ∂m/∂w)⁺] R``, of encoder-decoders too (Chefer et al. 2021);
    - ``"rollout"``: attention rollout (Abnar & Zuidema 2020), of tokens;
    - ``"occlusion"``: what the metric loses when nothing attends to a token: exact, by a pass for each token or several in one;
    - ``"direct"``: what each head adds to the logit by itself, through the residual stream alone (direct logit attribution);
      `Attribution.direct` has the other parts too, and which tokens a head promotes.

    Mean rank correlation with exact effects, and how often the largest is right, over 25 texts of two trained models
    (``tests/bench/bench_agreement.py --integrated 6``):

    ============  ==============  ==============  ==============  ==============
    method        pocket, heads   MiniLM, heads   pocket, tokens  MiniLM, tokens
    ============  ==============  ==============  ==============  ==============
    gradient      0.59, 20 %      0.95, 60 %      0.35, 32 %      0.68, 40 %
    importance    0.50, 20 %      0.92, 60 %
    integrated    0.59, 40 %      0.93, 72 %      0.44, 64 %      0.73, 40 %
    chefer                                        0.59, 32 %      0.32, 16 %
    rollout                                       0.65, 24 %      0.13, 44 %
    direct        0.27, 20 %
    ============  ==============  ==============  ==============  ==============

    Args:
        model: A Hugging Face model.
        inputs: What `capture` takes.
        tokenizer: As for `capture`.
        method: Name of the method.
        metric: As for `what_if`: a token or label, a pair, an answer, or a function of the model's output. Left out, the
            log-probability of what the model chooses. Of a model without logits that would be the cosine of its embedding to
            itself, whose gradients are 0: name a metric, or take a method without gradients.
        position: As for `what_if`.
        steps: Of ``"integrated"``: how many passes forward and back each layer takes.
        **options: Passed on to `capture`; ``streams`` and ``layers`` say which are attributed to.

    Returns:
        Arrays of heads, tokens or links, tables, and the record of the run. It keeps the model, for `Attribution.agreement`.

    Raises:
        TypeError: If ``metric`` is nothing that can be measured.
        ValueError: If there is no such method, it does not hold for the model (the message says why, and which does), or
            as `capture` with a metric raises.

    Example:
        >>> import attnwidget as aw
        >>> model, tokenizer = pocket()
        >>> text = "the cat sat on the mat because it"
        >>> found = aw.attribute(model, text, tokenizer, metric="purred")
        >>> found.heads["decoder"].shape, found["decoder"][3].weights(head=3, queries="it", keys="cat").item() > 0
        ((4, 4), True)
        >>> found = aw.attribute(model, text, tokenizer, method="occlusion", metric="purred")
        >>> found.to_dataframe().sort_values("attribution")["token"].iloc[-1]
        'cat'
    """
    from attnwidget.attribution.runs import Call  # noqa: PLC0415  brings transformers

    name = check_choice("method", method, tuple(METHODS))
    count = check_count("steps", steps)
    call = Call(model, inputs, tokenizer, metric, position, options)
    return _integrated(call, count) if name == "integrated" else _MAKERS[name](call)


def _gradient(call: Call) -> Attribution:
    return _of_links("gradient", call.with_gradients().record, call)


def _integrated(call: Call, steps: int) -> Attribution:
    from attnwidget.attribution.integrated import integrated_record  # noqa: PLC0415

    return _of_links("integrated", integrated_record(call, steps), call)


def _of_links(name: str, record: Record, call: Call) -> Attribution:
    """Sum what is attributed to links over heads and over tokens."""
    sums = {name: [key_sums(layer) for layer in one] for name, one in record.streams.items()}
    heads = {
        name: stacked(record[name], [one.sum(1) for one in each]) for name, each in sums.items()
    }
    tokens = {name: sum(one.sum(0) for one in each) for name, each in sums.items()}
    return _made(name, record, call, heads=heads, tokens=cast("Arrays", tokens))


def _importance(call: Call) -> Attribution:
    record = call.with_gradients().record
    heads = {
        name: stacked(stream, [abs(output_sums(layer)) for layer in stream])
        for name, stream in record.streams.items()
    }
    return _made("importance", record, call, heads=heads)


def _chefer(call: Call) -> Attribution:
    from attnwidget.attribution.relevance import chefer_tokens  # noqa: PLC0415

    record = call.with_gradients().record
    return _made("chefer", record, call, tokens=chefer_tokens(record))


def _rollout(call: Call) -> Attribution:
    from attnwidget.attribution.rollout import rolled_out  # noqa: PLC0415

    record, metric, tokens, matrices = rolled_out(call)
    return _made("rollout", record, call, metric=metric, tokens=tokens, matrices=matrices)


def _occlusion(call: Call) -> Attribution:
    from attnwidget.attribution.occlusion import tokens_lost  # noqa: PLC0415

    with call.exact() as runs:
        record, metric = runs.clean.record, runs.metric.name
        return _made("occlusion", record, call, metric=metric, tokens=tokens_lost(runs))


def _direct(call: Call) -> Attribution:
    from attnwidget.attribution.residual_stream.direct import direct_attribution  # noqa: PLC0415
    from attnwidget.attribution.residual_stream.logit_target import choices_of  # noqa: PLC0415
    from attnwidget.metrics.outputs import read_output  # noqa: PLC0415

    ran = call.run()
    reading = read_output(ran, call.position)
    parts = direct_attribution(ran, reading, call.metric)
    choices = choices_of(ran, reading, call.metric)

    def logit(output: Any) -> Any:
        logits = reading.logits(output)
        return sum(sign * logits[number] for number, sign in choices)

    heads = {}
    for name, one in parts.streams.items():
        of_layer = dict(zip(one.layers, one.contribution, strict=True))
        counts = dict(zip(one.layers, one.num_heads, strict=True))
        nothing = np.empty(0, dtype=np.float32)
        heads[name] = stacked(
            ran.record[name],
            [
                of_layer.get(layer.layer, nothing)[: counts.get(layer.layer, 0)]
                for layer in ran.record[name]
            ],
        )
    # Exact effects are of the logit too, and not of its log-probability.
    asked = replace(call, metric=logit)
    return _made("direct", ran.record, asked, metric=parts.metric, heads=heads, direct=parts)


_MAKERS = {
    "direct": _direct,
    "gradient": _gradient,
    "importance": _importance,
    "chefer": _chefer,
    "rollout": _rollout,
    "occlusion": _occlusion,
}


def _made(
    name: str,
    record: Record,
    call: Call,
    *,
    metric: str | None = None,
    heads: Arrays | None = None,
    tokens: Arrays | None = None,
    matrices: Mapping[str, NDArray[np.float32]] | None = None,
    direct: DirectAttribution | None = None,
) -> Attribution:
    about = METHODS[name]
    layers = {
        stream: StreamAttribution(one, about, (matrices or {}).get(stream))
        for stream, one in record.streams.items()
    }
    return Attribution(
        method=name,
        metric=str(record.metric if metric is None else metric),
        record=Attention.of(record),
        of_heads=heads or {},
        of_tokens=tokens or {},
        of_layers=layers,
        call=call,
        direct=direct,
    )
