"""Outputs of heads over many inputs: the means that records give, in files, from parts, in the place of a head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import zoo

import attnwidget as aw
from attnwidget.edits.head_outputs import outputs_of_records

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["the cat sat on the mat .", "the dog was tired .", "it was the dog that sat on the bed ."]
PAIRS = [(0, 1), (3, 3), (-1, -2)]


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


def surveyed(pocket: Any, texts: list[str], **options: Any) -> aw.Survey:
    return aw.survey(pocket[0], texts, pocket[1], progress=False, outputs=True, **options)


@pytest.fixture(scope="module")
def whole(pocket: Any) -> aw.Survey:
    return surveyed(pocket, TEXTS)


def same(first: Any, second: Any) -> None:
    assert first.inputs == second.inputs
    for pair in PAIRS:
        for one, other in zip(first.of(pair), second.of(pair), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_the_means_are_those_of_the_records(pocket: Any, whole: aw.Survey) -> None:
    records = [aw.capture(pocket[0], text, pocket[1]) for text in TEXTS]
    found = whole.outputs_of(PAIRS)
    same(found, outputs_of_records(records, PAIRS, None))
    at, over_all = found.of((3, 3))
    assert len(at) == min(record["decoder"][0].n_query for record in records)
    by_hand = np.concatenate([record["decoder"][3].output(3) for record in records]).mean(0)
    np.testing.assert_allclose(over_all, by_hand, atol=1e-6)


def test_they_are_put_in_the_place_of_heads(pocket: Any, whole: aw.Survey) -> None:
    model, tokenizer = pocket
    text = "the cat sat on the mat because it"
    given = aw.effects(model, text, tokenizer, metric="purred", how="mean", source=whole)
    texts = aw.effects(model, text, tokenizer, metric="purred", how="mean", source=TEXTS)
    np.testing.assert_allclose(given["decoder"], texts["decoder"], atol=1e-5)
    assert np.abs(given["decoder"]).max() > 1
    edit = aw.ablate([(3, 3)], how="mean", source=whole)
    assert repr(edit) == "ablate(heads=[(3, 3)], how='mean', source=<3 records>)"
    assert aw.Edits.from_json(edit.to_json()) == edit
    with pytest.raises(ValueError, match="got means over many: pass a text"):
        aw.ablate([(3, 3)], how="resample", source=whole)
    with pytest.raises(ValueError, match=r"has no layer 9; its layers are \[0, 1, 2, 3\]"):
        aw.ablate([(9, 0)], how="mean", source=whole)
    with pytest.raises(ValueError, match=r"has heads 0 \.\. 3, not 4"):
        aw.ablate([(0, 4)], how="mean", source=whole)
    with pytest.raises(ValueError, match="encoder"):
        aw.ablate([(0, 0)], how="mean", source=whole, stream="encoder")


def test_parts_add_up_and_files_hold_them(pocket: Any, whole: aw.Survey, tmp_path: Path) -> None:
    expected = whole.outputs_of(PAIRS)
    first, second = surveyed(pocket, TEXTS[:1]), surveyed(pocket, TEXTS[1:])
    same((first + second).outputs_of(PAIRS), expected)
    whole.save(tmp_path / "whole.safetensors")
    assert aw.Survey.load(tmp_path / "whole.safetensors").outputs_of(PAIRS) == expected
    path = tmp_path / "growing.safetensors"

    def ending() -> Any:
        yield from TEXTS[:2]
        raise KeyboardInterrupt

    begun = surveyed(pocket, ending(), save=path, every=1)
    assert begun.interrupted
    same(surveyed(pocket, TEXTS, save=path, every=1).outputs_of(PAIRS), expected)
    with pytest.raises(ValueError, match="outputs was True, now it is not given"):
        aw.survey(pocket[0], TEXTS, pocket[1], progress=False, save=path)


def test_each_stream_has_its_own() -> None:
    model = zoo.build("t5-2-4", "eager")
    inputs = [zoo.inputs_of("t5-2-4"), {**zoo.tokens(5), "decoder_input_ids": zoo.ids(4)}]
    found = aw.survey(model, inputs, progress=False, outputs=True)
    records = [aw.capture(model, one) for one in inputs]
    for stream in ("encoder", "decoder", "cross"):
        assert found.outputs_of([(1, 2)], stream).inputs == 2
        edit = aw.ablate([(1, 2)], how="mean", source=found, stream=stream)
        other = aw.ablate([(1, 2)], how="mean", source=records, stream=stream)
        np.testing.assert_allclose(
            edit.parts[0].source.of((1, 2))[0], other.parts[0].source.of((1, 2))[0], atol=1e-6
        )
    with pytest.raises(ValueError, match="several streams"):
        aw.ablate([(1, 2)], how="mean", source=found)


def test_what_was_not_asked_for_is_said(pocket: Any) -> None:
    model, tokenizer = pocket
    plain = aw.survey(model, TEXTS[:1], tokenizer, progress=False)
    with pytest.raises(ValueError, match=r"were not asked for; call survey\(.*outputs=True\)"):
        aw.ablate([(0, 0)], how="mean", source=plain)
    with pytest.raises(ValueError, match="outputs must be"):
        aw.survey(model, TEXTS, tokenizer, outputs=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leave positions= out"):
        aw.survey(model, TEXTS, tokenizer, progress=False, outputs=True, positions=slice(2, 4))
