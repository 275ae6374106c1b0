"""One check each for choices, integers, numbers, lists, tensors and paths: any value is answered, none raises by itself."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.compute import checks

if TYPE_CHECKING:
    from collections.abc import Callable


def quantised() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.full((1, 2, 2), 0.5), 0.25, 0, torch.quint8)


def nested() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.ones(2, 2), torch.ones(3, 3)])


EXOTIC: dict[str, tuple[Callable[[], torch.Tensor], str]] = {
    "meta": (lambda: torch.ones(1, 2, 2, device="meta"), "pass one from a model that is loaded"),
    "sparse": (torch.eye(2)[None].to_sparse, r"pass tensor\.to_dense\(\)"),
    "quantised": (quantised, r"pass tensor\.dequantize\(\)"),
    "nested": (nested, r"pass torch\.nested\.to_padded_tensor"),
}


@pytest.mark.parametrize("name", EXOTIC)
def test_a_tensor_that_cannot_be_read_is_refused_with_the_call_that_helps(name: str) -> None:
    make, fix = EXOTIC[name]
    with pytest.raises(ValueError, match=f"attention must hold plain numbers, got .*{fix}"):
        aw.from_weights([make()])
    assert checks.integer(make()) is None
    assert checks.number(make()) is None
    assert checks.listed(make()) is None
    assert checks.shown(make())


def test_a_masked_array_is_refused_as_its_masked_numbers_are_none() -> None:
    masked = np.ma.masked_array(np.full((1, 2, 2), 0.5), np.eye(2)[None] == 1)
    with pytest.raises(
        ValueError,
        match=r"attention must hold plain numbers, got a masked array: pass array\.filled",
    ):
        aw.from_weights([masked])


def test_lazy_signs_and_conjugates_are_read_as_what_they_stand_for() -> None:
    weights = torch.full((1, 2, 2), 0.5)
    record = aw.from_weights([torch._neg_view(-weights)])
    np.testing.assert_array_equal(record["self"][0].weights(), weights.numpy())


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "0",
        b"0",
        [],
        [1],
        0.5,
        np.array([1]),
        torch.ones(1),
        torch.tensor(1) == 1,
        {},
        len,
    ],
)
def test_what_is_no_integer_is_none(value: Any) -> None:
    assert checks.integer(value) is None


@pytest.mark.parametrize("value", [1, np.int8(1), np.array(1), torch.tensor(1)])
def test_an_integer_of_any_library_is_one(value: Any) -> None:
    assert checks.integer(value) == 1
    assert checks.number(value) == 1.0


@pytest.mark.parametrize(
    "value", [None, True, "1", b"1", 1j, 10**400, [1], np.ones(2), torch.ones(1), np.bool_(1)]
)
def test_what_is_no_number_is_none(value: Any) -> None:
    assert checks.number(value) is None


def test_several_values_are_a_list_and_one_is_not() -> None:
    several = ([0, 1], (0, 1), range(2), np.array([0, 1]), torch.tensor([0, 1]), iter([0, 1]))
    assert all(checks.listed(value) == [0, 1] for value in several)
    alone: tuple[Any, ...] = (
        "ab",
        b"ab",
        {"a": 1},
        1,
        None,
        np.array(1),
        torch.tensor(1),
        torch.nn.ModuleList(),
        int,
    )
    assert all(checks.listed(value) is None for value in alone)


@pytest.mark.parametrize(
    "value", [np.array(["a", "b"]), torch.eye(2), ["a"], {}, None, slice(1), math.nan]
)
def test_a_choice_is_refused_by_name_whatever_is_given(value: Any) -> None:
    with pytest.raises(ValueError, match="kind must be one of 'a', 'b', got "):
        checks.check_choice("kind", value, ("a", "b"))
    with pytest.raises(KeyError, match=r"no stream .*; available"):
        checks.check_name("stream", value, ("a", "b"))


def test_a_value_is_shown_in_one_short_line() -> None:
    class Unprintable:
        def __repr__(self) -> str:
            message = "no"
            raise RuntimeError(message)

    values = (
        "x" * 10_000,
        np.zeros((99, 99)),
        torch.zeros(99, 99),
        10**5000,
        Unprintable(),
        "a\nb \ud800",
        [[0] * 9] * 99,
    )
    for value in values:
        text = checks.shown(value)
        assert len(text) <= 200
        assert "\n" not in text
        text.encode()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([0], TypeError),
        (None, TypeError),
        (b"a", TypeError),
        ("a\x00", ValueError),
        ("a\ud800.svg", ValueError),
    ],
)
def test_a_path_that_no_file_can_have_is_refused(value: Any, error: type[Exception]) -> None:
    record = aw.from_weights([[[[1.0]]]])
    with pytest.raises(error, match=r"path must be .*, such as 'attention\.svg', got"):
        record.save(value)


def test_a_slice_is_of_integers_and_may_be_empty() -> None:
    layer = aw.from_weights(torch.full((1, 2, 4, 4), 0.25))["self"][0]
    assert layer.weights(keys=slice(3, 1)).shape == (2, 4, 0)
    assert layer.weights(queries=slice(3, 1)).shape == (2, 0, 4)
    for wrong in (slice(0.5, 2), slice(None, None, 0), slice("a")):
        with pytest.raises(
            ValueError, match=r"keys must be a slice of integers .*: pass keys=slice"
        ):
            layer.weights(keys=wrong)  # type: ignore[arg-type]
