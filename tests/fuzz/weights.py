"""`from_weights` with weights in every form, some of them broken, against what float64 says of the valid ones."""

from __future__ import annotations

import random
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from fuzz.explained import Tally
from fuzz.odd_values import ODD, odd_value

import attnwidget as aw

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["weights"]

_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_WRAPPED: tuple[Callable[[torch.Tensor], Any], ...] = (
    lambda one: one,
    lambda one: one.requires_grad_(),
    lambda one: one.transpose(-1, -2).contiguous().transpose(-1, -2),
    lambda one: torch._neg_view(-one),
    lambda one: (
        torch.complex(torch.zeros_like(one), -one).conj().imag
        if one.dtype in (torch.float32, torch.float64)
        else one
    ),
    lambda one: one.float().numpy(),
    lambda one: one.double().numpy()[..., ::-1][..., ::-1],
    lambda one: np.asfortranarray(one.float().numpy()),
    lambda one: one.double().tolist(),
)
_BROKEN: tuple[Callable[[torch.Tensor], Any], ...] = (
    lambda one: one.to("meta"),
    lambda one: one.to_sparse(),
    lambda one: one.float().to(torch.complex64),
    lambda one: torch.quantize_per_tensor(one.float(), 1 / 255, 0, torch.quint8),
    lambda one: torch.nested.nested_tensor([one[0], one[0]]),
    lambda one: one * -1,
    lambda one: one * 30,
    lambda one: one.log(),
    lambda one: one[..., 0],
    lambda one: one[:0],
    lambda one: one.numpy().astype(str),
    lambda one: one.numpy().astype(object),
    lambda one: [one[0], one[0, :1]],
    str,
)
_OPTIONS = (
    "tokens",
    "batch",
    "sentence_b_start",
    "include_layers",
    "model_name",
    "encoder_tokens",
    "cross_attention",
)
# What a message calls an argument: an odd batch is told by the shape of the weights, a stray argument by what goes together.
_NAMES = (
    "attention",
    "tokens",
    "batch",
    "sentence_b_start",
    "include_layers",
    "model_name",
    "from_weights takes",
)


def weights(seed: int, cases: int) -> Tally:
    """Make ``cases`` records: half of valid weights, a quarter of broken ones, a quarter with an odd argument."""
    chance, generator, tally = random.Random(seed), torch.Generator().manual_seed(seed), Tally()
    for number in range(cases):
        layers = [_layer(chance, generator) for _ in range(chance.randint(1, 3))]
        kind = chance.choice(("valid", "valid", "broken", "odd"))
        options: dict[str, Any] = {}
        given: Any = layers
        if kind == "valid":
            given, options, expected = _valid(chance, layers)
        elif kind == "broken":
            layers[chance.randrange(len(layers))] = _quietly(chance.choice(_BROKEN), layers[0])
        elif chance.random() < 0.3:
            odd = chance.choice(ODD)()
            given = chance.choice((odd, [odd], [layers[0], odd]))
        else:
            name = chance.choice(_OPTIONS)
            options[name] = odd_value(chance)
        shown = f"case {number}, {kind}: {type(given).__name__} {str(options)[:80]!r}"
        made = tally.run(
            lambda given=given, options=options: aw.from_weights(given, **options), shown, _NAMES
        )
        if made is None:
            if kind == "valid":
                tally.wrong.append(f"refused: {shown}")
        elif kind == "valid":
            tally.wrong += [f"{shown}: {why}" for why in _differences(made, expected)]
        else:
            # Whatever is accepted can be read.
            tally.run(lambda made=made: made["self"][-1].weights(), f"{shown}, read", _NAMES)
    return tally


def _layer(chance: random.Random, generator: torch.Generator) -> torch.Tensor:
    """Return weights of one layer, ``[head, query, key]``, float64; rows that add up and rows that do not."""
    shape = (2, 3, 4) if chance.random() < 0.2 else (2, 4, 4)
    scores = torch.randn(*shape, generator=generator, dtype=torch.float64) * chance.choice(
        (0.1, 1, 8)
    )
    return torch.softmax(scores, -1) * chance.choice((1.0, 1.0, 0.5))


def _valid(
    chance: random.Random, layers: list[torch.Tensor]
) -> tuple[Any, dict[str, Any], dict[int, np.ndarray]]:
    layers = [one for one in layers if one.shape == layers[0].shape]
    dtype = chance.choice(_DTYPES)
    rounded = [one.to(dtype) for one in layers]
    expected = {number: one.double().numpy().copy() for number, one in enumerate(rounded)}
    wrap = chance.choice(_WRAPPED)
    batched = chance.random() < 0.4
    options: dict[str, Any] = {}
    if batched:
        item = chance.randrange(2)
        rounded = [torch.stack([one, one.flip(0)][:: 1 - 2 * item]) for one in rounded]
        options["batch"] = chance.choice((item, np.int64(item), torch.tensor(item)))
    given: Any = [wrap(one.clone()) for one in rounded]
    if chance.random() < 0.2:
        given = torch.stack(rounded)
    elif chance.random() < 0.2:
        given = tuple(given)
    if chance.random() < 0.3 and isinstance(given, list):
        given = [None, *given]
        expected = {number + 1: one for number, one in expected.items()}
    if chance.random() < 0.3:
        kept = chance.choice(list(expected))
        options["include_layers"] = chance.choice(([kept], (kept,), np.array([kept]), {kept}))
        expected = {kept: expected[kept]}
    if chance.random() < 0.4:
        options["tokens"] = chance.choice(
            (
                ["a", "b", "c", "d"],
                [b"a", "b", b"\xff", "d"],
                ("\ud800", "", " ", "x" * 999),
                np.array(list("abcd")),
            )
        )
    return given, options, expected


def _differences(made: Any, expected: dict[int, np.ndarray]) -> list[str]:
    found = {layer.layer: layer for layer in made["self"]}
    if found.keys() != expected.keys():
        return [f"layers {list(found)}, not {list(expected)}"]
    return [
        f"layer {number} is off by {np.abs(found[number].weights() - one).max()}"
        for number, one in expected.items()
        if not np.array_equal(found[number].weights(), one.astype(np.float32))
        or not np.array_equal(
            found[number].weights(-1, [0, -1], slice(1, 3)),
            one.astype(np.float32)[-1][[0, -1], 1:3],
        )
    ]


def _quietly(broken: Callable[[torch.Tensor], Any], layer: torch.Tensor) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return broken(layer)
