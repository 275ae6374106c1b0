"""A small, seeded run of each fuzzer; `make fuzz` makes large ones with other seeds."""

from __future__ import annotations

from fuzz.blocks import blocks
from fuzz.border import messages, traits
from fuzz.options import options
from fuzz.weights import weights

# The caller's own function or model raises: its error is the caller's to see, as it is.
FOREIGN = ("nn/modules/module.py", "fuzz/odd_values.py")


def test_weights_are_those_of_float64_or_refused_with_a_reason() -> None:
    tally = weights(seed=11, cases=1500)
    assert not tally.wrong, tally.report()
    assert not tally.kinds, tally.report()
    assert tally.accepted > tally.cases / 4


def test_an_odd_option_is_refused_by_name() -> None:
    tally = options(seed=12, cases=1200)
    unexplained = [kind for kind in tally.kinds if not any(part in kind for part in FOREIGN)]
    assert not unexplained, tally.report()
    assert tally.accepted


def test_blocks_are_those_of_float64_or_refused_with_a_reason() -> None:
    tally = blocks(seed=13, cases=1200)
    assert not tally.wrong, tally.report()
    assert not tally.kinds, tally.report()
    assert tally.accepted > tally.cases / 4


def test_parts_of_a_selection_are_taken_all_or_none() -> None:
    tally = traits(seed=14, cases=150)
    assert not tally.wrong, tally.report()
    assert not tally.kinds, tally.report()
    assert tally.accepted > tally.cases / 20


def test_a_message_of_the_page_has_one_answer() -> None:
    tally = messages(seed=15, cases=200)
    assert not tally.wrong, tally.report()
    assert not tally.kinds, tally.report()
