"""The steps of a generation in the widget: which there are, and what travels of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from contract.record import next_tokens, record

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.record.prompts import num_steps
from attnwidget.serve.meta import describe

if TYPE_CHECKING:
    from pathlib import Path


def test_there_is_one_for_each_generated_token_and_one_for_the_last() -> None:
    view = aw.view(record())
    assert view.step is None
    for step in (0, 2, np.int64(1), None):
        view.step = step
        assert view.step == step


@pytest.mark.parametrize("step", [-1, 3, 1.5, "last"])
def test_others_are_refused(step: object) -> None:
    view = aw.view(record(), step=1)
    with pytest.raises(ValueError, match=r"step must be an integer in 0\.\.2, or None"):
        view.step = step
    assert view.step == 1


def test_a_record_of_one_pass_has_none() -> None:
    made = record()
    plain = Attention(made.model_name, made.streams, media=made.media)
    assert num_steps(plain) == 0
    view = aw.view(plain, step=None)
    with pytest.raises(ValueError, match="step is for records of a generation"):
        view.step = 0


def test_the_front_end_hears_how_the_streams_grew() -> None:
    meta, _ = describe(record())
    decoder, probe = meta["streams"]
    assert decoder["prompt"] == {"queries": 3, "keys": 5}
    assert "prompt" not in probe
    generation = meta["generation"]
    labels = [generation["tokens"][place] for place in generation["top"]]
    assert labels == ["“it”", "</script>", "was", "“it”", "</script>", "“it”"]
    assert [generation["tokens"][place] for place in generation["chosen"]] == ["“it”", "tired", "↵"]
    assert generation["chosen_probabilities"] == [0.5, 0.0625, None]


def test_a_token_that_was_not_expected_stands_last() -> None:
    expected = next_tokens()
    assert [token.label for token in expected[3]] == ["was", "“it”", "tired"]
    assert [token.chosen for token in expected[3]] == [False, False, True]
    assert repr(expected) == "NextTokens(decoder: positions 2..4, 2 each)"


def test_a_figure_shows_the_step(tmp_path: Path) -> None:
    pytest.importorskip("py_mini_racer", reason="figures without a browser are an extra")
    view = aw.view(record(), step=1)
    some = view.save(tmp_path / "some.svg").read_text(encoding="utf-8")
    view.step = None
    whole = view.save(tmp_path / "whole.svg").read_text(encoding="utf-8")
    assert "step 2 of 3" in some
    assert "step 2 of 3" not in whole
    assert "after “&lt;" not in whole
    # Its own position is still to come; its probability is there.
    assert "tired" in some
    assert "0.063" in some or "0.062" in some
