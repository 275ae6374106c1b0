"""Values that somebody may pass by mistake: wrong types, wrong ranks, tensors of every kind, numbers out of range."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import math
import pathlib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

__all__ = ["ODD", "odd_value"]


class Index:
    """Something that counts as an integer to Python."""

    def __init__(self, value: int) -> None:
        """Stand for ``value``."""
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"Index({self.value})"


class Unequal:
    """Something that is neither compared, hashed nor told apart from others."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        message = "no comparison"
        raise RuntimeError(message)

    def __bool__(self) -> bool:
        message = "no truth"
        raise RuntimeError(message)

    def __repr__(self) -> str:
        return "Unequal()"


def _quantised() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.full((2, 3), 0.5), 1 / 255, 0, torch.quint8)


def _nested() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])


def _sparse_rows() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.eye(3).to_sparse_csr()


def _endless() -> Any:
    return (number for number in (0, "0", None))


# Made anew for each case: some can be read once only.
ODD: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: True, lambda: False, lambda: 0, lambda: 1, lambda: -1, lambda: 2, lambda: 99,
    lambda: 10**400, lambda: -(10**30), lambda: 2**63, lambda: 0.5, lambda: 1.0, lambda: -0.0, lambda: math.nan,
    lambda: math.inf, lambda: -math.inf, lambda: 1j, lambda: 1e308,
    lambda: "", lambda: "0", lambda: "cat", lambda: "weights", lambda: "all", lambda: "a \ud800", lambda: "\x00",
    lambda: "{}", lambda: "%s {0}", lambda: "x" * 5000,
    lambda: b"", lambda: b"0", lambda: bytearray(b"ab"), lambda: memoryview(b"ab"),
    list, lambda: [0], lambda: [[0]], lambda: [0, 1], lambda: [None], lambda: ["0"], lambda: [0.5],
    lambda: [True], lambda: [[]], lambda: [[0], [0, 1]], lambda: ["cat", 1], lambda: [10**400], lambda: [math.nan],
    lambda: (), lambda: (0,), lambda: (0, 1), lambda: ((0, 1), (1, 2)), lambda: ("cat", None),
    dict, lambda: {0: 1}, lambda: {"decoder": 0}, lambda: {"decoder": [0, "x"]}, lambda: {"a": {}},
    lambda: {None: None}, lambda: {"keys": [0]}, lambda: {"query": [[0]]},
    set, lambda: {0}, lambda: {"0", 1}, lambda: frozenset({0, 1}), lambda: range(0), lambda: range(2),
    lambda: range(5, 0, -2), lambda: slice(None), lambda: slice(3, 1), lambda: slice("a"), lambda: slice(None, None, 0),
    lambda: slice(0.5, 2), lambda: slice(None, None, -1), lambda: slice(10**400),
    lambda: np.array(0), lambda: np.array(0.5), lambda: np.array("a"), lambda: np.array([0]), lambda: np.array([0, 1]),
    lambda: np.array([0.5, math.nan]), lambda: np.array([True, False]), lambda: np.array([]), lambda: np.array(["a", "b"]),
    lambda: np.array([None, {}], dtype=object), lambda: np.eye(2), lambda: np.zeros((2, 0)), lambda: np.zeros((2, 2, 2)),
    lambda: np.array(["2020-01-01"], dtype="datetime64[D]"), lambda: np.zeros(2, dtype=[("a", "i4")]),
    lambda: np.int64(1), lambda: np.float32(0.5), lambda: np.bool_(True), lambda: np.str_("cat"),  # noqa: FBT003
    lambda: np.ma.masked_array([1, 2], [True, False]),
    lambda: torch.tensor(0), lambda: torch.tensor(1.5), lambda: torch.tensor(1) == 1, lambda: torch.tensor([0, 1]),
    lambda: torch.tensor([]), lambda: torch.eye(3), lambda: torch.ones(2, 2, 2), lambda: torch.tensor(1j),
    lambda: torch.ones(2, device="meta"), lambda: torch.tensor(1, device="meta"), lambda: torch.eye(3).to_sparse(),
    lambda: torch.tensor([1, 2]).to_sparse(), _sparse_rows, _quantised, _nested, lambda: torch._neg_view(torch.ones(2)),
    lambda: torch.ones(2, requires_grad=True), lambda: torch.ones(2, dtype=torch.bfloat16),
    lambda: torch.ones(1, 2, dtype=torch.bool), lambda: torch.ones(2).to(torch.float8_e4m3fn),
    lambda: torch.float32, lambda: torch.device("meta"), lambda: torch.nn.Linear(2, 2),
    lambda: len, lambda: (lambda: None), lambda: (lambda *_: "x"), lambda: int, object, lambda: Index(0),
    lambda: Index(10**30), Unequal, lambda: Ellipsis, lambda: NotImplemented, lambda: iter([0]), _endless,
    lambda: map(int, "01"), lambda: pathlib.Path("nowhere"), lambda: dt.date(2020, 1, 1),
    lambda: decimal.Decimal("0.5"), lambda: fractions.Fraction(1, 2), lambda: ValueError("x"),
)  # fmt: skip


def odd_value(chance: random.Random, liked: tuple[Any, ...] = ()) -> Any:
    """Return a value for an argument: usually an odd one, now and then one that is right, alone or in a list."""
    value = chance.choice(liked) if liked and chance.random() < 0.15 else chance.choice(ODD)()
    if chance.random() < 0.08:
        value = chance.choice((lambda one: [one], lambda one: (one, 0), lambda one: [0, one]))(
            value
        )
    return value
